//! Hooks are called with a signature that a receiver can check, and each answer means what it should.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use jangbu_adapters::webhook::{Webhook, signature};
use jangbu_kernel::{Secret, Time};
use jangbu_services::notification::{Channel, Letter, Undelivered};

/// `printf '1.{}' | openssl dgst -sha256 -hmac key`
const EXPECTED: &str = "t=1,v1=1ba6b8171186efc613e8bcc0cbdab2748f24984d7c5a84faa2637afa0e40d224";
const KEY: &str = "whk_0123456789abcdef0123456789abcdef";

/// Answers one request with a status, and gives back its headers and its body.
fn serve(listener: TcpListener, status: u16) -> JoinHandle<(Vec<(String, String)>, String)> {
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut bytes = Vec::new();
        loop {
            let mut part = [0; 4_096];
            let n = stream.read(&mut part).unwrap();
            bytes.extend_from_slice(&part[..n]);
            let mut headers = [httparse::EMPTY_HEADER; 32];
            let mut request = httparse::Request::new(&mut headers);
            let Ok(httparse::Status::Complete(head)) = request.parse(&bytes) else { continue };
            let pair = |header: &httparse::Header<'_>| {
                let value = String::from_utf8(header.value.to_vec()).unwrap();
                (header.name.to_lowercase(), value)
            };
            let headers: Vec<_> = request.headers.iter().map(pair).collect();
            let length = headers.iter().find(|(name, _)| name == "content-length");
            let length: usize = length.unwrap().1.parse().unwrap();
            if bytes.len() < head + length {
                continue;
            }
            let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).unwrap();
            return (headers, String::from_utf8(bytes[head..].to_vec()).unwrap());
        }
    })
}

fn letter() -> Letter {
    let body = r#"{"id":"77-1","type":"order.completed"}"#.to_owned();
    Letter::Hook { id: "77-1".to_owned(), topic: "order.completed", body }
}

fn hook(listener: &TcpListener) -> Webhook {
    let url = format!("http://{}/hooks", listener.local_addr().unwrap());
    Webhook::new("hook-1", &url, Secret::new(KEY)).unwrap()
}

#[test]
fn a_call_is_signed_over_its_moment_and_its_body_and_has_a_stable_id() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut hook = hook(&listener);
    let server = serve(listener, 204);
    assert_eq!(hook.send(&letter(), Time(1_800_000_000_000_000)), Ok(()));
    let (headers, body) = server.join().unwrap();
    let of = |name: &str| &headers.iter().find(|(other, _)| other == name).unwrap().1;
    assert_eq!((&**of("idempotency-key"), &**of("jangbu-event")), ("77-1", "order.completed"));
    assert_eq!(*of("jangbu-signature"), signature(&Secret::new(KEY), 1_800_000_000, &body));
    assert!(body.contains("77-1"));
}

#[test]
fn a_signature_is_the_one_that_other_programs_make() {
    let made = signature(&Secret::new("key"), 1, "{}");
    assert_eq!(made, EXPECTED);
}

#[test]
fn what_a_hook_answers_decides_what_becomes_of_a_call() {
    let never = |code| Undelivered::Never(format!("it answered {code}"));
    let later = |code| Undelivered::Later(format!("it answered {code}"));
    for (status, wanted) in [
        (400, never(400)),
        (410, never(410)),
        (404, later(404)),
        (429, later(429)),
        (503, later(503)),
        (302, later(302)),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut hook = hook(&listener);
        let server = serve(listener, status);
        assert_eq!(hook.send(&letter(), Time(0)), Err(wanted));
        server.join().unwrap();
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut gone = hook(&listener);
    drop(listener);
    let error = gone.send(&letter(), Time(0)).unwrap_err();
    assert!(matches!(error, Undelivered::Away(_)), "{error:?}");
    assert!(Webhook::new("x", "https://example.com", Secret::new(KEY)).is_err());
    assert!(!format!("{gone:?}").contains("whk_"));
}
