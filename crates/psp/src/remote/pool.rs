//! Connections to one address, kept and used again, one request at a time on each.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, StatusCode,
    client::conn::http1::{SendRequest, handshake},
    header::{CONTENT_LENGTH, HOST, HeaderValue},
};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::{net::TcpStream, sync::Semaphore, task::JoinSet, time::timeout};

use super::{ANSWER, BODY, CONNECT};

type Sender = SendRequest<Full<Bytes>>;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// Not a byte was sent.
    NotSent(&'static str),
    /// It was sent, or may have been.
    Unknown(&'static str),
}

/// Connections to one address.
#[derive(Debug)]
pub(super) struct Pool {
    address: String,
    host: HeaderValue,
    /// Those that wait for a request, the latest used last.
    idle: Mutex<Vec<Sender>>,
    /// Each connection is driven by a task.
    driven: Mutex<JoinSet<()>>,
    /// How many more may be opened.
    room: Semaphore,
}

impl Pool {
    /// To `address`, which is a host and a port, with at most so many connections.
    pub(super) fn new(address: &str, most: usize) -> Option<Self> {
        let host = HeaderValue::from_str(address).ok()?;
        let (idle, driven) = (Mutex::default(), Mutex::default());
        Some(Self { address: address.to_owned(), host, idle, driven, room: Semaphore::new(most) })
    }

    /// To an address of which nothing has to be found out.
    pub(super) fn to(address: SocketAddr, most: usize) -> Option<Self> {
        Self::new(&address.to_string(), most)
    }

    /// Sends a body, and gives the answer's status and body.
    pub(super) async fn post(
        &self,
        path: &str,
        headers: &[(&'static str, Option<&HeaderValue>)],
        body: Vec<u8>,
    ) -> Result<(StatusCode, Bytes), Failure> {
        let mut request = Request::builder().method(Method::POST).uri(path);
        request = request.header(HOST, &self.host).header(CONTENT_LENGTH, body.len());
        for (name, value) in headers {
            if let Some(value) = value {
                request = request.header(*name, *value);
            }
        }
        let request = request.body(Full::new(body.into()));
        let request = request.map_err(|_| Failure::NotSent("no request can be made of it"))?;
        let Ok(Ok(_permit)) = timeout(ANSWER, self.room.acquire()).await else {
            return Err(Failure::NotSent("too many requests are open"));
        };
        let sent = timeout(ANSWER, self.send(request)).await;
        sent.unwrap_or(Err(Failure::Unknown("no answer in time")))
    }

    /// On a kept connection as long as there is one that takes it, else on a new one.
    async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes), Failure> {
        loop {
            let kept = self.kept();
            let fresh = kept.is_none();
            let mut sender = match kept {
                Some(sender) => sender,
                None => self.connect().await?,
            };
            match sender.try_send_request(request).await {
                Ok(response) => {
                    let status = response.status();
                    let body = Limited::new(response.into_body(), BODY).collect().await;
                    let body = body.map_err(|_| Failure::Unknown("the answer broke off"))?;
                    self.keep(sender);
                    return Ok((status, body.to_bytes()));
                }
                Err(mut failed) => match failed.take_message() {
                    // It comes back only if not a byte of it was written.
                    Some(unsent) if !fresh => request = unsent,
                    Some(_) => return Err(Failure::NotSent("the connection was closed at once")),
                    None => return Err(Failure::Unknown("the connection broke")),
                },
            }
        }
    }

    fn kept(&self) -> Option<Sender> {
        let mut idle = self.idle.lock();
        while let Some(sender) = idle.pop() {
            if !sender.is_closed() {
                return Some(sender);
            }
        }
        None
    }

    fn keep(&self, sender: Sender) {
        if !sender.is_closed() {
            self.idle.lock().push(sender);
        }
    }

    async fn connect(&self) -> Result<Sender, Failure> {
        let stream = timeout(CONNECT, TcpStream::connect(&self.address)).await;
        let Ok(stream) = stream else { return Err(Failure::NotSent("no connection in time")) };
        let stream = stream.map_err(|_| Failure::NotSent("connection refused"))?;
        // Without it requests would only be a little later.
        _ = stream.set_nodelay(true);
        let shaken = handshake(TokioIo::new(stream)).await;
        let (sender, connection) =
            shaken.map_err(|_| Failure::NotSent("the connection broke at once"))?;
        let mut driven = self.driven.lock();
        while driven.try_join_next().is_some() {}
        driven.spawn(async {
            // Whoever waits on the connection hears of its end.
            _ = connection.await;
        });
        Ok(sender)
    }
}

/// The pause before try number `tries + 1`.
pub(super) fn pause(tries: u32) -> Duration {
    Duration::from_millis(100 << tries.min(6))
}
