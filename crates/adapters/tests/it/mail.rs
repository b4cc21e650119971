//! Mails leave as they should, and each answer of a server means what it should.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use jangbu_adapters::mail::Smtp;
use jangbu_kernel::{Secret, Time};
use jangbu_services::notification::{Channel, Letter, Mail, Undelivered};

/// Talks to one client: answers RCPT as it is told, and gives back what it was sent.
fn serve(listener: TcpListener, answer: &'static str) -> JoinHandle<Vec<String>> {
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        talk(stream, answer)
    })
}

fn talk(mut stream: TcpStream, answer: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut reader, mut data) = (BufReader::new(stream.try_clone().unwrap()), false);
    let mut say = |text: &str| stream.write_all(format!("{text}\r\n").as_bytes()).is_ok();
    say("220 ready");
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|n| n > 0) {
        let text = line.trim_end().to_owned();
        line.clear();
        let verb = text.split([' ', ':']).next().unwrap_or_default().to_uppercase();
        match (data, &*verb) {
            (true, ".") => {
                data = false;
                say("250 taken");
            }
            (true, _) => {}
            (false, "DATA") => {
                data = true;
                say("354 go on");
            }
            (false, "RCPT") => {
                say(answer);
            }
            (false, "QUIT") => {
                say("221 bye");
            }
            (false, _) => {
                say("250 fine");
            }
        }
        lines.push(text);
    }
    lines
}

fn letter(to: &str) -> Letter {
    Letter::Mail(Box::new(Mail {
        id: "77-0".to_owned(),
        to: Secret::new(to),
        name: Secret::new("김철수"),
        subject: Secret::new("결제가 완료되었습니다"),
        body: Secret::new("안녕하세요.\n.\nGoodbye.\n"),
    }))
}

fn smtp(listener: &TcpListener) -> Smtp {
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    Smtp::new(&url, "장부 <shop@example.com>").unwrap()
}

#[test]
fn a_mail_has_a_stable_id_its_receiver_and_its_text() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut smtp = smtp(&listener);
    let server = serve(listener, "250 fine");
    assert_eq!(smtp.send(&letter("kim@example.com"), Time(0)), Ok(()));
    drop(smtp);
    let lines = server.join().unwrap();
    let has = |start: &str| lines.iter().any(|line| line.starts_with(start));
    assert!(has("MAIL FROM:<shop@example.com>") && has("RCPT TO:<kim@example.com>"), "{lines:?}");
    assert!(has("Message-ID: <77-0@example.com>"), "{lines:?}");
    assert!(has("Subject: =?utf-8?b?"), "{lines:?}");
    let ends = lines.iter().filter(|line| *line == ".").count();
    assert_eq!(ends, 1, "a line with a dot does not end a mail: {lines:?}");
}

#[test]
fn what_a_server_answers_decides_what_becomes_of_a_mail_and_no_address_is_told() {
    for (answer, wanted) in [
        ("550 kim@example.com is unknown", Undelivered::Never("the server answered 550".into())),
        ("451 kim@example.com: later", Undelivered::Later("the server answered 451".into())),
        ("554 kim@example.com: spam", Undelivered::Later("the server answered 554".into())),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut smtp = smtp(&listener);
        let server = serve(listener, answer);
        assert_eq!(smtp.send(&letter("kim@example.com"), Time(0)), Err(wanted));
        drop(smtp);
        server.join().unwrap();
    }
}

#[test]
fn a_server_that_is_not_there_or_breaks_off_is_away() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut gone = smtp(&listener);
    let breaking = std::thread::spawn(move || drop(listener.accept()));
    for _ in 0..2 {
        // The first connection is closed without a word; then nobody listens.
        let error = gone.send(&letter("kim@example.com"), Time(0)).unwrap_err();
        assert!(matches!(error, Undelivered::Away(_)), "{error:?}");
    }
    breaking.join().unwrap();
}

#[test]
fn what_cannot_be_an_address_is_given_up_and_settings_are_checked() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let error = smtp(&listener).send(&letter("nobody"), Time(0)).unwrap_err();
    assert!(matches!(error, Undelivered::Never(_)), "{error:?}");
    for (url, from) in [
        ("127.0.0.1:25", "shop@example.com"),
        ("smtp://127.0.0.1", "shop@example.com"),
        ("smtp://127.0.0.1:x", "shop@example.com"),
        ("smtp://127.0.0.1:25", "nobody"),
    ] {
        assert!(Smtp::new(url, from).is_err(), "{url} {from}");
    }
    let printed = format!("{:?}", letter("kim@example.com"));
    assert!(!printed.contains("kim") && !printed.contains("김"), "{printed}");
}
