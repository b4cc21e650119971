//! The way on which answers get lost. The other end is a listener that echoes.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    sync::atomic::Ordering,
    time::Duration,
};

use jangbu_cluster::wire::{Aim, Lost, Wire};

use crate::toxiproxy::echo;

const AIM: Aim = Aim { who: b"it is me", answer: b"commit" };

/// Says it, and hears as much.
fn say(stream: &mut TcpStream, words: &str) -> std::io::Result<String> {
    stream.write_all(words.as_bytes())?;
    let mut heard = vec![0; words.len()];
    stream.read_exact(&mut heard)?;
    Ok(String::from_utf8(heard).unwrap())
}

#[test]
fn a_message_or_its_answer_is_lost_and_a_frozen_connection_is_silent_for_ever() {
    let (port, heard) = echo();
    let wire = Wire::start(&format!("127.0.0.1:{port}"), AIM).unwrap();
    let connect = || TcpStream::connect(("127.0.0.1", wire.port())).unwrap();
    let mut other = connect();
    let before = heard.load(Ordering::SeqCst);
    for (what, arrives) in [(Lost::Question, false), (Lost::Answer, true)] {
        let mut mine = connect();
        say(&mut mine, "it is me").unwrap();
        wire.lose(what);
        say(&mut other, "commit").expect("it is not aimed at");
        let told = heard.load(Ordering::SeqCst);
        assert!(say(&mut mine, "commit").is_err());
        assert_eq!(heard.load(Ordering::SeqCst) > told, arrives);
    }
    assert!(heard.load(Ordering::SeqCst) > before && wire.lost() == 2);

    wire.freeze();
    other.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let kind = say(&mut other, "commit").unwrap_err().kind();
    assert!(matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{kind:?}");
    assert_eq!(say(&mut connect(), "anybody").unwrap(), "anybody");
}
