//! Products from a file and into one, on the command line.

use std::fmt::Write as _;
use std::path::Path;

use crate::server::{Server, jangbu, prove};

const HEADER: &str =
    "merchant,product,name,description,category,published,sku,options,variant,price,currency,stock";

fn catalog(server: &Server, data: &Path, args: &[&str]) -> (i32, String) {
    let key = data.join("keys/operator.key");
    let fixed = ["--server", &server.url, "--key", key.to_str().unwrap(), "--json"];
    let all: Vec<&str> =
        std::iter::once("catalog").chain(args.iter().copied()).chain(fixed).collect();
    let out = jangbu(&all, &[]).output().unwrap();
    (out.status.code().unwrap_or(-1), String::from_utf8(out.stdout).unwrap())
}

fn counts(report: &str) -> [i64; 5] {
    let report: serde_json::Value = serde_json::from_str(report).unwrap();
    ["lines", "created", "updated", "unchanged", "failed"]
        .map(|name| report[name].as_i64().unwrap())
}

#[test]
fn a_file_is_imported_in_parts_twice_and_exported_and_the_books_balance() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data, &[]);
    let mut text = format!("{HEADER}\n");
    for n in 0..700 {
        for size in ["S", "M"] {
            let _ = writeln!(
                text,
                "m-{},p{n},Tee,\"Of\ncotton\",clothes/shirts,true,T-{n}-{size},size={size},,{n}00,KRW,3",
                n % 3
            );
        }
    }
    let file = dir.path().join("products.csv");
    std::fs::write(&file, &text).unwrap();
    let file = file.to_str().unwrap();
    let dry = catalog(&server, &data, &["import", file, "--dry-run"]);
    assert_eq!((dry.0, counts(&dry.1)), (0, [1_400, 1_400, 0, 0, 0]));
    for wanted in [[1_400, 1_400, 0, 0, 0], [1_400, 0, 0, 1_400, 0]] {
        let (code, report) = catalog(&server, &data, &["import", file]);
        assert_eq!((code, counts(&report)), (0, wanted), "{report}");
    }
    let there = dir.path().join("export.csv");
    assert_eq!(catalog(&server, &data, &["export", "--to", there.to_str().unwrap()]).0, 0);
    let (code, report) = catalog(&server, &data, &["import", there.to_str().unwrap()]);
    assert_eq!((code, counts(&report)), (0, [1_400, 0, 0, 1_400, 0]), "{report}");

    let bad = format!("{HEADER}\nm-1,,Mug,,,true,MUG,,,free,KRW,0\n");
    std::fs::write(&there, bad).unwrap();
    let (code, report) = catalog(&server, &data, &["import", there.to_str().unwrap()]);
    assert_eq!((code, counts(&report)), (1, [1, 0, 0, 0, 1]), "{report}");
    assert!(server.stop().success());
    let (code, report) = prove(&data, None);
    assert_eq!(code, 0, "{report}");
}
