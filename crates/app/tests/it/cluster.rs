//! `jangbu cluster`: the whole stack, up and down.

use std::net::TcpStream;
use std::path::Path;

use serde_json::Value;

use crate::server::{Shop, jangbu};

fn cluster(dir: &Path, args: &[&str]) -> (i32, String, String) {
    let mut command = jangbu(&["cluster", "--dir", dir.to_str().unwrap()], &[]);
    let out = command.args(args).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (out.status.code().unwrap_or(-1), text(&out.stdout), text(&out.stderr))
}

/// Stops the cluster, also when a test has failed.
struct Down<'a>(&'a Path);

impl Drop for Down<'_> {
    fn drop(&mut self) {
        cluster(self.0, &["down"]);
    }
}

fn parts(dir: &Path) -> (i32, Vec<Value>) {
    let (code, text, error) = cluster(dir, &["status", "--json"]);
    (code, serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}{error}")))
}

fn is_open(part: &Value) -> bool {
    let address = part["address"].as_str().unwrap().trim_start_matches("http://");
    TcpStream::connect(address).is_ok()
}

#[test]
fn the_whole_stack_comes_up_sells_through_both_processes_and_goes_down() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (code, _, error) = cluster(dir.path(), &["status"]);
    assert!(code == 2 && error.contains("no cluster"), "{error}");
    let _down = Down(dir.path());
    let (code, text, error) = cluster(dir.path(), &["up"]);
    assert_eq!(code, 0, "{text}{error}");
    assert_eq!(cluster(dir.path(), &["up"]).0, 2, "it is up already");

    let (code, up) = parts(dir.path());
    assert_eq!(code, 0);
    let names: Vec<_> = up.iter().map(|part| part["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["postgres", "kafka", "redis", "gateway", "shop-1", "shop-2"]);
    assert!(up.iter().all(is_open), "{up:?}");
    let page = std::fs::read_to_string(dir.path().join("status.html")).unwrap();
    assert!(page.contains("shop-2") && !page.contains("has ended"));
    for part in ["shop-1", "shop-2"] {
        demo(dir.path(), &up, part);
    }
    // What one puts on sale both sell.
    let [one, two] = ["shop-1", "shop-2"].map(|part| {
        let data = dir.path().join(part);
        Shop::at(address(&up, part), &data)
    });
    let sku = one.seed(1, 2).remove(0);
    for (shop, key) in [(&one, "a"), (&two, "b")] {
        let sold = shop.order(key, &sku, 1, "tok_ok").unwrap();
        assert_eq!((sold.status, &sold.body["outcome"]), (201, &Value::from("SOLD")), "{sold:?}");
    }
    assert_eq!(two.order("c", &sku, 1, "tok_ok").unwrap().body["outcome"], "SOLD_OUT");

    // Who is killed is told.
    let redis = &up[2]["pid"];
    let killed = std::process::Command::new("kill").args(["-9", &redis.to_string()]).status();
    assert!(killed.unwrap().success());
    while is_open(&up[2]) {
        std::thread::yield_now();
    }
    let (code, now) = parts(dir.path());
    assert!(code == 1 && now[2]["running"] == false, "{now:?}");

    let (code, text, error) = cluster(dir.path(), &["down"]);
    assert_eq!(
        (code, text.as_str()),
        (0, "stopped shop-2, shop-1, gateway, kafka, postgres\n"),
        "{error}"
    );
    assert!(!up.iter().any(is_open), "{up:?}");
}

fn address<'a>(up: &'a [Value], part: &str) -> &'a str {
    let found = up.iter().find(|up| up["name"] == part).unwrap();
    found["address"].as_str().unwrap()
}

/// Puts goods into the shop, through one of its processes; what is there is found there.
fn demo(dir: &Path, up: &[Value], part: &str) {
    let target = address(up, part);
    let data = dir.join(part);
    let args = ["demo", "--products", "8", "--users", "1", "--target", target, "--data"];
    let out = jangbu(&args, &[]).arg(data).output().unwrap();
    assert!(out.status.success(), "{part}: {}", String::from_utf8_lossy(&out.stderr));
}
