//! The gateway in a process of its own: what comes over the wire, and what is said when nothing does.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, channel},
    },
    thread,
    time::Duration,
};

use jangbu_psp::{
    Gateway, Op, Outage, Request, Said, SimConfig, Webhook,
    remote::{Remote, Server},
};
use tempfile::TempDir;

use crate::{LONG, prompt, records, request, short};

/// A gateway that listens, and who talks to it.
struct Line {
    server: Option<Server>,
    remote: Remote,
    news: Receiver<Webhook>,
    address: SocketAddr,
    log: PathBuf,
    _folder: TempDir,
}

fn anywhere() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

impl Line {
    fn new(config: SimConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("psp.log");
        let server = Server::start(anywhere(), &log, config).unwrap();
        let address = server.address();
        let (remote, news) = remote(address);
        Self { server: Some(server), remote, news, address, log, _folder: folder }
    }

    fn say(&self, op: Op, payment: i64, amount: i64) -> String {
        short(&self.ask(request(op, payment, 0, amount)))
    }

    fn ask(&self, request: Request) -> Said {
        send(&self.remote, request).recv_timeout(LONG).expect("an answer")
    }
}

fn remote(address: SocketAddr) -> (Remote, Receiver<Webhook>) {
    let (send, news) = channel();
    let on_webhook = Arc::new(move |webhook| drop(send.send(webhook)));
    (Remote::start(&format!("http://{address}"), Some(on_webhook)).unwrap(), news)
}

fn send(remote: &Remote, request: Request) -> Receiver<Said> {
    let (send, answer) = channel();
    remote.submit(request, Box::new(move |said| drop(send.send(said))));
    answer
}

fn with_token(token: &str, payment: i64) -> Request {
    Request { token: token.into(), ..request(Op::Charge, payment, 0, 100) }
}

#[test]
fn the_same_key_twice_over_the_wire_is_one_charge() {
    let line = Line::new(prompt());
    assert_eq!(line.say(Op::Charge, 1, 100), "captured 100");
    assert_eq!(line.say(Op::Charge, 1, 100), "captured 100");
    assert_eq!(line.say(Op::Charge, 1, 200), "refused KEY_REUSED");
    assert_eq!(line.say(Op::Inquire, 1, 0), "captured 100");
    assert_eq!(line.say(Op::Inquire, 2, 0), "not found");
    assert_eq!(short(&line.ask(with_token("tok_declined", 3))), "declined CARD_DECLINED");
    assert_eq!(records(&line.log).len(), 2);
}

#[test]
fn thousands_of_requests_at_a_time_are_each_answered_once() {
    let line = Line::new(prompt());
    let (answer, answers) = channel();
    for payment in 1..=2_000 {
        let answer = answer.clone();
        let done = Box::new(move |said| answer.send(said).unwrap());
        line.remote.submit(request(Op::Charge, payment, 0, 100), done);
    }
    drop(answer);
    // The channel ends when the last answer was given: this counts all of them, and no more.
    let said: Vec<Said> = answers.iter().collect();
    assert_eq!(said.len(), 2_000);
    assert!(said.iter().all(|said| matches!(said, Said::Captured { amount: 100, .. })));
    assert_eq!(records(&line.log).len(), 2_000);
}

#[test]
fn a_gateway_that_dies_after_the_charge_is_unknown_and_the_inquiry_tells() {
    let mut line = Line::new(prompt());
    // Done, and never answered; then its plug is pulled.
    let silent = send(&line.remote, with_token("tok_timeout_captured", 1));
    wait_for_record(&line.log);
    line.server = None;
    let said = silent.recv_timeout(LONG).unwrap();
    assert!(matches!(said, Said::Unknown { .. }), "{said:?}");
    // Nobody is there: that is certain.
    let said = line.ask(request(Op::Charge, 2, 0, 100));
    assert!(matches!(said, Said::NotSent { .. }), "{said:?}");
    line.server = Some(Server::start(line.address, &line.log, prompt()).unwrap());
    assert_eq!(line.say(Op::Inquire, 1, 0), "captured 100");
    assert_eq!(line.say(Op::Inquire, 2, 0), "not found");
    assert_eq!(records(&line.log).len(), 1);
}

fn wait_for_record(log: &Path) {
    let mut tries = 0;
    while records(log).is_empty() {
        tries += 1;
        assert!(tries < 2_000, "the charge was never written");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn silence_ends_the_connection_without_an_answer() {
    let line = Line::new(SimConfig { hang_ms: 50, ..prompt() });
    let said = line.ask(with_token("tok_timeout_lost", 1));
    assert!(matches!(said, Said::Unknown { .. }), "{said:?}");
    line.server.as_ref().unwrap().simulator().set_outage(Outage::Hang);
    let said = line.ask(request(Op::Inquire, 1, 0, 0));
    assert!(matches!(said, Said::Unknown { .. }), "{said:?}");
}

#[test]
fn a_late_answer_comes_as_news() {
    let line = Line::new(prompt());
    let heard = |news: &Receiver<Webhook>| news.recv_timeout(LONG).unwrap();
    send(&line.remote, with_token("tok_late", 1));
    let webhook = heard(&line.news);
    assert_eq!((webhook.payment, short(&webhook.said)), (1, "captured 100".into()));
}

#[test]
fn news_of_what_a_dead_process_asked_goes_to_its_successor() {
    let line = Line::new(prompt());
    // It dies before it could be told; nobody hears the first tries.
    let mute = Remote::start(&format!("http://{}", line.address), None).unwrap();
    let late = send(&mute, with_token("tok_late", 2));
    wait_for_record(&line.log);
    drop((mute, late));
    send(&line.remote, request(Op::Inquire, 1, 0, 0)).recv_timeout(LONG).unwrap();
    assert_eq!(line.news.recv_timeout(LONG).unwrap().payment, 2);
}

#[test]
fn nobody_without_the_secret_can_tell_news() {
    // A listener in the place of a gateway sees what a request says of where news is heard.
    let listener = TcpListener::bind(anywhere()).unwrap();
    let (remote, news) = remote(listener.local_addr().unwrap());
    let answer = send(&remote, request(Op::Charge, 1, 0, 100));
    let (mut stream, _) = listener.accept().unwrap();
    let mut bytes = [0; 2_048];
    let length = stream.read(&mut bytes).unwrap();
    let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
    let (port, secret) =
        text.lines().find_map(|l| l.strip_prefix("webhook: ")?.split_once('/')).unwrap();
    let said = Said::Captured { psp_ref: "forged".into(), amount: 100 };
    let forged = Webhook { payment: 1, op: Op::Charge, no: 0, said };
    let status = |path: &str| post(&format!("127.0.0.1:{port}"), path, &forged);
    assert_eq!((status("/"), status("/00")), (404, 404));
    assert!(news.try_recv().is_err());
    assert_eq!(status(&format!("/{secret}")), 204);
    assert_eq!(news.recv_timeout(LONG).unwrap(), forged);
    // An answer that is none is no answer.
    stream.write_all(b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n").unwrap();
    assert!(matches!(answer.recv_timeout(LONG).unwrap(), Said::Unknown { .. }));
}

/// The status of a POST.
fn post(address: &str, path: &str, webhook: &Webhook) -> u16 {
    let body = serde_json::to_string(webhook).unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all((head + &body).as_bytes()).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[9..]).parse().unwrap()
}

#[test]
fn an_address_that_is_none_is_refused_at_once() {
    for url in
        ["", "gateway:7075", "https://127.0.0.1:1", "http://127.0.0.1", "http://:1", "http://a:1/b"]
    {
        assert!(Remote::start(url, None).is_err(), "{url}");
    }
}
