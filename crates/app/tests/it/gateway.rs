//! A payment gateway in a process of its own.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use serde_json::json;

use crate::server::{Server, jangbu, prove};

/// `jangbu gateway`; killed when dropped.
pub(crate) struct Gateway {
    child: Child,
    pub(crate) url: String,
}

impl Gateway {
    pub(crate) fn start(data: &Path, listen: &str) -> Self {
        Self::start_with(data, listen, &[])
    }

    pub(crate) fn start_with(data: &Path, listen: &str, settings: &[(&str, &str)]) -> Self {
        let mut command = jangbu(&["gateway", "--listen", listen, "--data"], settings);
        let mut child = command.arg(data).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.split_whitespace().nth(1).unwrap_or_else(|| panic!("not ready: {line:?}"));
        Self { url: url.to_owned(), child }
    }

    fn address(&self) -> String {
        self.url["http://".len()..].to_owned()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn a_shop_sells_through_a_gateway_in_another_process_that_dies_and_comes_back() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (data, psp) = (dir.path().join("shop"), dir.path().join("gateway"));
    let gateway = Gateway::start(&psp, "127.0.0.1:0");
    let (url, address) = (gateway.url.clone(), gateway.address());
    let log = psp.join("psp.log");
    let settings = [("GATEWAY__URL", url.as_str()), ("GATEWAY__LOG", log.to_str().unwrap())];
    let server = Server::start(&data, &settings);
    let skus = server.seed(1, 100);
    let outcome = |key: &str, token: &str| {
        let reply = server.order(key, &skus[0], 1, token).unwrap();
        (reply.status, reply.body["outcome"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(outcome("a", "tok_visa"), (201, "SOLD".into()));
    assert_eq!(outcome("b", "tok_declined").0, 402);
    // Done and told later, by webhook.
    assert_eq!(outcome("c", "tok_late").0, 201);

    drop(gateway);
    let (status, told) = outcome("d", "tok_visa");
    assert!((500..600).contains(&status), "never sent, so nothing is owed: {status} {told}");
    let gateway = Gateway::start(&psp, &address);
    assert_eq!(outcome("a", "tok_visa"), (201, "SOLD".into()), "the first answer again");
    assert_eq!(outcome("e", "tok_visa"), (201, "SOLD".into()));

    let report = server.operate("/api/v1/admin/prove", "none", &json!({})).body;
    assert_eq!(report["findings"], json!([]), "{report:#}");
    assert!(server.stop().success());
    drop(gateway);
    let mut proof = jangbu(&["prove", "--data"], &[]);
    let out = proof.arg(&data).arg("--psp-log").arg(&log).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
    assert_ne!(prove(&data, None).0, 0, "without the gateway's log nobody can say");
}
