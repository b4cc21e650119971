//! The proxy: what both ends of a connection see. The other end is a listener that echoes.

use std::{
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use jangbu_cluster::Toxiproxy;

/// Sends back whatever comes, on any number of connections: its port, and how many bytes have come.
pub(crate) fn echo() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&heard);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, counted) = (stream.unwrap(), Arc::clone(&counted));
            thread::spawn(move || say_again(stream, &counted));
        }
    });
    (port, heard)
}

fn say_again(mut stream: TcpStream, counted: &AtomicUsize) {
    let mut bytes = [0; 1_024];
    // The proxy breaks it.
    while let Ok(count) = stream.read(&mut bytes)
        && count > 0
    {
        counted.fetch_add(count, Ordering::SeqCst);
        _ = stream.write_all(&bytes[..count]);
    }
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
    let port = proxy.proxy("echo", &format!("127.0.0.1:{}", echo().0)).unwrap();
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
