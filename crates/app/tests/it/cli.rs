//! The command line: documents, exit codes, messages.

use crate::server::{Server, jangbu, prove};

fn run(args: &[&str]) -> (i32, String, String) {
    let out = jangbu(args, &[]).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (out.status.code().unwrap_or(-1), text(&out.stdout), text(&out.stderr))
}

#[test]
fn documents_are_printed() {
    let (code, text, _) = run(&["openapi"]);
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &document["openapi"]), (0, &"3.1.0".into()));
    let (code, text, _) = run(&["default-config"]);
    assert!(code == 0 && text.contains("[server]") && text.contains("patience_percent"));
    let (code, text, _) = run(&["completions", "bash"]);
    assert!(code == 0 && text.contains("jangbu"));
}

#[test]
fn wrong_usage_is_two_and_names_the_remedy() {
    assert_eq!(run(&["serve", "--no-such-flag"]).0, 2);
    let (code, _, text) = run(&["serve", "--listen", "0.0.0.0:0", "--data", "/nonexistent/x"]);
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("server.allow_remote"), "{text}");
    let (code, _, text) = run(&["prove", "--data", "/nonexistent/x"]);
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("--data"), "{text}");
}

#[test]
fn the_demo_shop_can_be_made_twice_and_proven_while_it_runs() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let server = Server::start(dir.path(), &[]);
    let args = [
        "demo",
        "--json",
        "--products",
        "24",
        "--users",
        "1",
        "--data",
        dir.path().to_str().unwrap(),
        "--target",
        &server.url,
    ];
    let (code, first, error) = run(&args);
    assert_eq!(code, 0, "{error}");
    assert_eq!(run(&args).1, first, "a second demo changes nothing");
    let made: serde_json::Value = serde_json::from_str(&first).unwrap();
    let products = &made["products"];
    let sku = products[0]["skus"][0]["id"].as_str().unwrap();
    let body = serde_json::json!({
        "userId": "usr_0000000000001",
        "lines": [{ "skuId": sku, "quantity": 1 }],
        "expectedTotal": products[0]["skus"][0]["price"],
        "payment": { "mode": "SERVER", "token": "tok_demo" },
    });
    let sold = server.post("/api/v1/orders", "first-order", &body).unwrap();
    assert_eq!((sold.status, &sold.body["outcome"]), (201, &"SOLD".into()), "{sold:?}");
    let (code, report) = prove(dir.path(), None);
    assert_eq!((code, &report["conditions"]["live"]), (0, &true.into()), "{report:#}");
    assert!(server.stop().success());
    let (code, text, error) = run(&["rebuild", "--data", dir.path().to_str().unwrap()]);
    assert_eq!(code, 0, "{error}");
    assert!(text.contains("rebuilt"), "{text}");
}
