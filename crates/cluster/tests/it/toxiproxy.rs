//! The proxy: what both ends of a connection see. The other end is a listener that echoes.

use std::{
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use jangbu_cluster::Toxiproxy;

/// Sends back whatever comes, on any number of connections.
fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut back = stream.try_clone().unwrap();
                // The proxy breaks it.
                _ = std::io::copy(&mut stream, &mut back);
            });
        }
    });
    port
}

fn connect(port: u16, patience: Duration) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(patience)).unwrap();
    stream
}

/// One byte there and back.
fn ping(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"x")?;
    stream.read_exact(&mut [0])
}

#[test]
fn connections_are_cut_slowed_held_and_healed() {
    let dir = tempfile::tempdir().unwrap();
    let proxy = Toxiproxy::start(&dir.path().join("toxiproxy")).unwrap();
    let port = proxy.proxy("echo", &format!("127.0.0.1:{}", echo())).unwrap();
    let long = Duration::from_secs(30);
    let mut stream = connect(port, long);
    ping(&mut stream).unwrap();

    proxy.slow("echo", 100).unwrap();
    let began = Instant::now();
    ping(&mut stream).unwrap();
    assert!(began.elapsed() >= Duration::from_millis(200), "both ways take 100 ms");
    proxy.heal("echo").unwrap();

    proxy.half_open("echo").unwrap();
    let mut held = connect(port, Duration::from_millis(200));
    let kind = ping(&mut held).unwrap_err().kind();
    assert!(matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{kind:?}");
    proxy.heal("echo").unwrap();
    ping(&mut connect(port, long)).unwrap();

    let mut stream = connect(port, long);
    ping(&mut stream).unwrap();
    proxy.cut("echo").unwrap();
    assert!(ping(&mut stream).is_err());
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    proxy.heal("echo").unwrap();
    ping(&mut connect(port, long)).unwrap();
}
