//! One connection: hyper on a socket that tells its seat what it is doing.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tower_service::Service as _;

use super::seat::{Phase, Seat, Seats};
use super::turnstile::whole;
use super::{Peer, say};
use crate::Api;
use crate::call::{is_correlation, minted};
use crate::codes::Own;

/// Room for a header and what comes with it; hyper wants at least so much.
const LEAST_BUFFER: usize = 8_192;

/// Answers up to this length leave hyper's buffer in one piece with their head.
const LONG: u64 = 8_192;

/// A connection and all it needs.
pub(super) struct Visit {
    pub(super) api: Arc<Api>,
    pub(super) router: Router,
    pub(super) seat: Arc<Seat>,
    pub(super) seats: Arc<Seats>,
    pub(super) header_bytes: usize,
    pub(super) peer: Option<Peer>,
    /// Number of the route that places orders.
    pub(super) place: usize,
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.seats.leave(&self.seat);
    }
}

impl Visit {
    /// Serves the connection to its end.
    pub(super) async fn run(self, stream: TcpStream) {
        // Who says nothing gets no buffer. A look, since a new socket is called readable untried.
        let mut first = [0];
        let spoke = tokio::select! {
            seen = stream.peek(&mut first) => matches!(seen, Ok(1)),
            () = self.seat.call.notified() => false,
        };
        if spoke {
            self.speak(stream).await;
        } else if self.seat.has_expired() {
            self.expire(&stream);
        }
    }

    async fn speak(&self, stream: TcpStream) {
        let wire = Wire {
            stream,
            seat: Arc::clone(&self.seat),
            // Who asks from where is known behind the long way only.
            alone: self.peer.is_none(),
            api: Arc::clone(&self.api),
            place: self.place,
            held: None,
        };
        let front =
            Front { router: self.router.clone(), seat: Arc::clone(&self.seat), peer: self.peer };
        let mut http = http1::Builder::new();
        http.max_header_size(self.header_bytes)
            .max_buf_size(self.header_bytes.max(LEAST_BUFFER) * 2)
            .half_close(false);
        // Apart from the task, which is smaller so while nothing was said.
        let mut connection = Box::new(http.serve_connection(TokioIo::new(wire), front));
        if self.seats.is_stopping() {
            Pin::new(&mut *connection).graceful_shutdown();
        }
        loop {
            tokio::select! {
                ended = &mut *connection => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection broke");
                    }
                    return;
                }
                () = self.seat.call.notified() => {}
            }
            if self.seat.has_expired() {
                return self.expire(&connection.into_parts().io.inner().stream);
            }
            Pin::new(&mut *connection).graceful_shutdown();
        }
    }

    fn expire(&self, stream: &TcpStream) {
        self.api.connections.timed_out.fetch_add(1, Ordering::Relaxed);
        if self.seat.phase() == Phase::Head {
            let detail = "the header did not arrive in time; nothing was done";
            say(stream, &self.api, Own::HeaderTimeout, detail);
        }
    }
}

/// The socket.
struct Wire {
    stream: TcpStream,
    seat: Arc<Seat>,
    /// Every request so far arrived alone and whole: between two of them hyper holds nothing.
    alone: bool,
    api: Arc<Api>,
    place: usize,
    /// A refusal that waits for its turn. Nothing is read meanwhile.
    held: Option<(Vec<u8>, Pin<Box<Sleep>>)>,
}

impl Wire {
    /// Whether a request in `bytes`, which came while hyper holds nothing, was answered here, or
    /// will be in its turn.
    fn cut_short(&mut self, bytes: &[u8]) -> io::Result<bool> {
        if self.seat.phase() != Phase::Idle {
            self.alone = false;
            return Ok(false);
        }
        let seen = if self.alone { whole(bytes) } else { None };
        self.alone = seen.is_some() && !self.seat.gave_long_answers();
        let Some(order) = seen.filter(|seen| self.alone && seen.places) else { return Ok(false) };
        let text = |range: Option<Range<usize>>| range.map(|range| &bytes[range]);
        let answer = refuse(&self.api, text(order.key), text(order.correlation));
        let Some(answer) = answer else { return Ok(false) };
        if let Some(wait) = self.api.admission.pace(Instant::now()) {
            self.held = Some((answer, Box::pin(tokio::time::sleep(wait))));
            return Ok(true);
        }
        self.refuse(&answer)
    }

    /// Whether there was room for the answer. Who leaves so many answers unread that a part of one
    /// more finds no room is let go.
    fn refuse(&mut self, answer: &[u8]) -> io::Result<bool> {
        match self.stream.try_write(answer) {
            Ok(sent) if sent == answer.len() => {
                self.api.counts.answered(Some(self.place), 503);
                self.seat.enter(Phase::Idle);
                Ok(true)
            }
            Ok(_) => Err(io::ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Sends the held refusal when its turn has come.
    fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some((_, turn)) = &mut self.held else { return Poll::Ready(Ok(())) };
        ready!(turn.as_mut().poll(cx));
        let Some((answer, _)) = self.held.take() else { return Poll::Ready(Ok(())) };
        // Its request is gone: without room for the answer, so is the connection.
        let room = self.refuse(&answer)?;
        Poll::Ready(if room { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) })
    }
}

/// The refusal of an order, if it is to be refused; one with an odd correlation id is not ours.
fn refuse(api: &Api, key: Option<&[u8]>, correlation: Option<&[u8]>) -> Option<Vec<u8>> {
    if !api.admission.refuses(key, Instant::now()) {
        return None;
    }
    match correlation {
        None => Some(api.admission.refusal.raw(&minted(api))),
        Some(id) => {
            let id = std::str::from_utf8(id).ok()?;
            is_correlation(id).then(|| api.admission.refusal.raw(id))
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        loop {
            ready!(self.poll_held(cx))?;
            ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
            let bytes = &buf.filled()[before..];
            if bytes.is_empty() || !self.cut_short(bytes)? {
                break;
            }
            buf.set_filled(before);
        }
        if buf.filled().len() > before && self.seat.phase() == Phase::Idle {
            self.seat.enter(Phase::Head);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Called by hyper when all it had to write is written.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.seat.phase() == Phase::Writing {
            self.seat.enter(Phase::Idle);
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The router behind a connection.
struct Front {
    router: Router,
    seat: Arc<Seat>,
    peer: Option<Peer>,
}

/// An answer on its way.
type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl hyper::service::Service<Request<Incoming>> for Front {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: Request<Incoming>) -> Answering {
        self.seat.enter(Phase::Serving);
        let mut request = request.map(Body::new);
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(peer);
        }
        let answer = self.router.clone().call(request);
        let seat = Arc::clone(&self.seat);
        Box::pin(async move {
            let Ok(answer) = answer.await;
            if answer.body().size_hint().exact().is_none_or(|length| length > LONG) {
                seat.gives_long_answers();
            }
            seat.enter(Phase::Writing);
            Ok(answer)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size<A, F: Future>(_: impl Fn(A) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_connection_that_says_nothing_costs_little() {
        let bytes = size(|(visit, stream): (Visit, TcpStream)| visit.run(stream));
        assert!(bytes < 1_024, "{bytes}");
    }
}
