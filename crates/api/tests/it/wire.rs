//! Over real connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jangbu_api::{Connections, Settings, serve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::world::{CLIENT, World, order};

/// A server on a free port.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) servers: JoinSet<std::io::Result<()>>,
    /// Dropped: it stops.
    pub(crate) stop: oneshot::Sender<()>,
}

impl Served {
    pub(crate) async fn by(world: &World, limits: Connections) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let mut servers = JoinSet::new();
        let stopping = async { drop(stopped.await) };
        servers.spawn(serve(listener, Arc::clone(&world.api), limits, stopping));
        Self { address, servers, stop }
    }
}

/// Sends `text` and reads one answer: its head and its body.
pub(crate) async fn exchange(stream: &mut TcpStream, text: &str) -> (String, String) {
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut read = Vec::new();
    loop {
        let mut part = [0; 4_096];
        let n = stream.read(&mut part).await.unwrap();
        assert!(n > 0, "closed after {}", String::from_utf8_lossy(&read));
        read.extend_from_slice(&part[..n]);
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if length.unwrap().parse::<usize>().unwrap() == body.len() {
                return (head.to_owned(), body.to_owned());
            }
        }
    }
}

pub(crate) fn place(key: &str, body: &str) -> String {
    format!(
        "POST /api/v1/orders HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {CLIENT}\r\n\
         Idempotency-Key: {key}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len(),
    )
}

#[tokio::test]
async fn a_connection_is_kept_and_a_stop_lets_it_finish() {
    let world = World::new();
    let sku = world.sku("p", 1_000, 5).await;
    let Served { address, mut servers, stop } = Served::by(&world, Connections::default()).await;

    let mut idle = TcpStream::connect(address).await.unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let body = order(&sku, 1, 1_000, "tok_visa").to_string();
    for (key, wanted) in [("a", "201 Created"), ("b", "201 Created")] {
        let (head, body) = exchange(&mut stream, &place(key, &body)).await;
        assert!(head.contains(wanted) && body.contains("\"outcome\":\"SOLD\""), "{head} {body}");
        assert!(head.contains("server-timing: accept;dur="), "{head}");
    }
    let (head, body) = exchange(&mut stream, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(head.contains("200 OK") && body.contains("UP"), "the router takes the rest: {head}");
    let (head, _) = exchange(&mut idle, "DELETE /livez HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(head.contains("405 Method Not Allowed"), "{head}");

    let slow = order(&sku, 1, 1_000, "tok_slow").to_string();
    stream.write_all(place("c", &slow).as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(stop);
    let started = Instant::now();
    let (head, body) = exchange(&mut stream, "").await;
    assert!(head.contains("201 Created") && body.contains("SOLD"), "{head} {body}");
    assert!(started.elapsed() > Duration::from_millis(100), "it was under way");
    servers.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(idle.read(&mut [0; 16]).await.unwrap(), 0, "closed");
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_not_waited_for_long() {
    let limit = Duration::from_millis(50);
    let world = World::with(Settings { request: limit, ..Settings::default() }, true);
    let served = Served::by(&world, Connections::default()).await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let whole = place("k", "{\"userId\":\"usr_0000000001000\"}");
    let (head, body) = exchange(&mut stream, whole.trim_end_matches('}')).await;
    assert!(head.contains("408 Request Timeout") && body.contains("BODY_TIMEOUT"), "{head} {body}");
}
