//! Mails and hooks of a whole server: what is away holds up nobody, and nothing is lost.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::server::{Server, prove};

/// A port of loopback at which nobody listens.
pub(crate) fn dead() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Takes mails, or calls, at an address, as long as the test runs.
pub(crate) fn listen(
    at: SocketAddr,
    talk: fn(TcpStream) -> Option<String>,
) -> Arc<Mutex<Vec<String>>> {
    let listener = TcpListener::bind(at).unwrap();
    let taken = Arc::<Mutex<Vec<String>>>::default();
    let seen = Arc::clone(&taken);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            seen.lock().unwrap().extend(talk(stream.unwrap()));
        }
    });
    taken
}

/// A relay: takes one mail.
fn relay(mut stream: TcpStream) -> Option<String> {
    let (mut mail, mut data, mut line) = (String::new(), false, String::new());
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    stream.write_all(b"220 ready\r\n").ok()?;
    while reader.read_line(&mut line).is_ok_and(|n| n > 0) {
        let answer = match (data, line.trim_end()) {
            (true, ".") => "250 taken\r\n",
            (true, _) => "",
            (false, "DATA") => "354 go on\r\n",
            (false, "QUIT") => "221 bye\r\n",
            (false, _) => "250 fine\r\n",
        };
        data = line.trim_end() == "DATA" || (data && line.trim_end() != ".");
        mail.push_str(&line);
        line.clear();
        stream.write_all(answer.as_bytes()).ok()?;
    }
    mail.contains("\r\n.\r\n").then_some(mail)
}

/// A hook: takes one call.
pub(crate) fn hook(mut stream: TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut part = [0; 4_096];
    while !bytes.ends_with(b"}") {
        let n = stream.read(&mut part).ok().filter(|n| *n > 0)?;
        bytes.extend_from_slice(&part[..n]);
    }
    stream.write_all(b"HTTP/1.1 204 x\r\nConnection: close\r\n\r\n").ok()?;
    String::from_utf8(bytes).ok()
}

/// Registers a buyer.
fn buyer(server: &Server, email: &str) -> String {
    let person = json!({ "email": email, "password": "correct horse battery", "name": "김철수" });
    let headers = [("content-type", "application/json")];
    let answer = server.raw("POST", "/api/v1/users", &headers, &person.to_string());
    let id = answer.split("\"id\":\"").nth(1).unwrap_or_else(|| panic!("{answer}"));
    id.split('"').next().unwrap().to_owned()
}

fn buy(server: &Server, user: &str, key: &str, sku: &str) -> Value {
    let body = json!({
        "userId": user,
        "lines": [{ "skuId": sku, "quantity": 1 }],
        "expectedTotal": { "amount": 1_000, "currency": "KRW" },
        "payment": { "mode": "SERVER", "token": "tok_visa" },
    });
    let sold = server.post("/api/v1/orders", key, &body).unwrap();
    assert_eq!(sold.status, 201, "{sold:?}");
    sold.body
}

/// Looks until it is as it should be.
pub(crate) fn until<T>(what: &str, look: impl Fn() -> T, good: impl Fn(&T) -> bool) -> T {
    for _ in 0..3_000 {
        let seen = look();
        if good(&seen) {
            return seen;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{what} does not come");
}

/// States of deliveries by channel, each with how many there are.
fn states(server: &Server) -> BTreeSet<(String, String)> {
    let list = server.get("/api/v1/notifications?limit=100").body;
    let text = |item: &Value, field: &str| item[field].as_str().unwrap().to_owned();
    let items = list["items"].as_array().unwrap().iter();
    items.map(|item| (text(item, "channel"), text(item, "state"))).collect()
}

fn said(data: &Path, word: &str) -> bool {
    let files = std::fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path());
    let named = |path: &Path| path.is_file().then(|| std::fs::read(path).unwrap());
    let has = |bytes: Vec<u8>| bytes.windows(word.len()).any(|part| part == word.as_bytes());
    files.filter_map(|path| named(&path)).any(has)
}

#[test]
fn a_dead_mail_server_touches_no_order() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (data, log) = (dir.path().join("data"), dir.path().join("log"));
    let (mail_at, hook_at) = (dead(), dead());
    let (smtp, hooks) = (format!("smtp://{mail_at}"), format!("['http://{hook_at}/hooks']"));
    let settings = [
        ("NOTIFICATION__SMTP", &*smtp),
        ("NOTIFICATION__WEBHOOKS", &*hooks),
        ("NOTIFICATION__FROM", "Shop <shop@example.com>"),
        ("NOTIFICATION__EVENTS", "['completed']"),
        ("SAGA__PATIENCE_PERCENT", "2"),
    ];
    let server = Server::start_logged(&data, &settings, &log);
    let sku = server.seed(1, 100).remove(0);
    let user = buyer(&server, "kimMARK@example.com");
    let sold: BTreeSet<String> = (0..5)
        .map(|n| buy(&server, &user, &format!("k{n}"), &sku)["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(server.order("nobody", &sku, 1, "tok_visa").unwrap().status, 201);
    let away = "jangbu_deliveries_total{channel=\"mail\",result=\"away\"} ";
    let metrics = || server.get("/metrics").body.as_str().unwrap().to_owned();
    let tried =
        |text: &String| text.lines().any(|l| l.strip_prefix(away).is_some_and(|n| n != "0"));
    until("a try of the mail", metrics, tried);
    let waits = |channel: &str| (channel.to_owned(), "WAITING".to_owned());
    assert_eq!(states(&server), BTreeSet::from([waits("hook-1"), waits("mail")]));
    server.kill();
    // What waits outlives the process, and leaves when somebody is there: each once or more, with one id.
    let (mails, calls) = (listen(mail_at, relay), listen(hook_at, hook));
    let server = Server::start_logged(&data, &settings, &log);
    let sent = |channel: &str| (channel.to_owned(), "SENT".to_owned());
    let all = BTreeSet::from([sent("hook-1"), sent("mail")]);
    until("the last delivery", || states(&server), |seen| *seen == all);
    let mails = mails.lock().unwrap().clone();
    let ids: BTreeSet<_> = mails.iter().filter_map(|mail| part(mail, "Message-ID: ")).collect();
    assert_eq!(ids.len(), 5, "{ids:?}");
    let to = |mail: &String| mail.contains("RCPT TO:<kimMARK@example.com>");
    assert!(mails.iter().all(to), "who has no address gets none");
    let calls = calls.lock().unwrap().clone();
    let keys: BTreeSet<_> =
        calls.iter().filter_map(|call| part(call, "idempotency-key: ")).collect();
    assert_eq!(keys.len(), 6, "hooks hear of every order: {keys:?}");
    let told = |order: &String| calls.iter().any(|call| call.contains(order));
    assert!(
        sold.iter().all(told) && calls.iter().all(|call| call.contains("jangbu-signature: t="))
    );
    assert!(server.stop().success());
    assert!(!said(&data, "kimMARK") && !said(dir.path(), "kimMARK"), "neither stored nor logged");
    let (code, report) = prove(&data, None);
    assert_eq!(code, 0, "{report}");
}

/// What follows `name` on its line.
pub(crate) fn part(text: &str, name: &str) -> Option<String> {
    let rest = text.split(name).nth(1)?;
    rest.split("\r\n").next().map(str::to_owned)
}
