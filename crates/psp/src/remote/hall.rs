//! Taking connections in, and answering what comes over them.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Response, StatusCode, body::Incoming, header::HeaderMap, server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinSet,
    time::sleep,
};

use super::BODY;

/// A request, whole.
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) peer: SocketAddr,
}

/// What to do with a connection that was asked something.
pub(super) enum Answer {
    /// Answer with a status and a body.
    Say(StatusCode, Vec<u8>),
    /// End it without a word.
    Silence,
}

/// Who answers.
pub(super) trait Desk: Send + Sync + 'static {
    /// Answers a request.
    fn answer(self: Arc<Self>, asked: Asked) -> impl Future<Output = Answer> + Send;
}

/// Nothing was said; hyper ends the connection.
#[derive(Debug, thiserror::Error)]
#[error("silence")]
struct Silence;

/// Connections that may wait to be taken in: payments of a sale come all at once.
const BACKLOG: u32 = 4_096;

/// Listens at an address, on a thread that has a runtime.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Takes connections in for ever.
pub(super) async fn open(listener: TcpListener, desk: Arc<impl Desk>) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(talk(stream, peer, Arc::clone(&desk)));
                }
                // Such as too many open files: it will not be better at once.
                Err(_) => sleep(Duration::from_millis(50)).await,
            },
        }
    }
}

async fn talk(stream: TcpStream, peer: SocketAddr, desk: Arc<impl Desk>) {
    // Without it answers would only be a little later.
    _ = stream.set_nodelay(true);
    let service = service_fn(move |request| one(request, peer, Arc::clone(&desk)));
    // An error is a connection that broke, or our silence: nobody is left to be told.
    _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn one(
    request: hyper::Request<Incoming>,
    peer: SocketAddr,
    desk: Arc<impl Desk>,
) -> Result<Response<Full<Bytes>>, Silence> {
    let (head, body) = request.into_parts();
    let answer = match Limited::new(body, BODY).collect().await {
        Err(_) => Answer::Say(StatusCode::BAD_REQUEST, b"the body is too long or broken".into()),
        Ok(body) => {
            let (path, body) = (head.uri.path().to_owned(), body.to_bytes());
            let asked = Asked { method: head.method, path, headers: head.headers, body, peer };
            desk.answer(asked).await
        }
    };
    let Answer::Say(status, body) = answer else { return Err(Silence) };
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    Ok(response)
}
