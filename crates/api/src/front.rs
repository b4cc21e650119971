//! Connections: HTTP/1.1 with keep-alive, nothing else. The one request that matters goes straight
//! to its endpoint; every other takes the router. That saves the hot path a dozen small boxes.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::Method;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::Api;
use crate::route::{self, Route};
use crate::serve::{router, serve as answer};

/// The endpoint that does not take the router.
const HOT: &str = "order.place";
/// How long to wait before accepting again when there are no file handles left.
const PAUSE: Duration = Duration::from_millis(50);

/// What a connection needs.
struct Front {
    api: Arc<Api>,
    router: TowerToHyperService<Router>,
    hot: Option<(usize, &'static Route)>,
}

impl Front {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response, Infallible> {
        if let Some((at, route)) = self.hot
            && request.method() == Method::POST
            && request.uri().path() == route.path
        {
            return Ok(answer(Arc::clone(&self.api), at, route, request).await);
        }
        self.router.call(request).await
    }
}

/// Serves `api` on `listener` until `stop`; then takes no new connection, lets every request
/// under way finish, and returns.
pub async fn serve(listener: TcpListener, api: Arc<Api>, stop: impl Future<Output = ()>) {
    let hot = route::all().enumerate().find(|(_, route)| route.name == HOT);
    let router = TowerToHyperService::new(router(Arc::clone(&api)));
    let front = Arc::new(Front { api, router, hot });
    let (stopping, stopped) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(Arc::clone(&front), stream, stopped.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            },
        }
    }
    drop((listener, stopping));
    while connections.join_next().await.is_some() {}
}

/// One connection until it ends, or until its request under way is answered after the stop.
async fn connection(front: Arc<Front>, stream: TcpStream, mut stopped: watch::Receiver<()>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    let service = service_fn(move |request| Arc::clone(&front).answer(request));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let (mut connection, mut stop) = (pin!(connection), pin!(stopped.changed()));
    let mut stopping = false;
    let ended = poll_fn(|cx| {
        if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
            return Poll::Ready(ended);
        }
        if stopping || stop.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        stopping = true;
        Pin::as_mut(&mut connection).graceful_shutdown();
        connection.as_mut().poll(cx)
    });
    if let Err(error) = ended.await {
        tracing::debug!(%error, "a connection broke");
    }
}
