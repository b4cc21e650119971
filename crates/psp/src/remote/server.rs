//! The simulated gateway behind a socket.

use std::{fmt, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use hyper::{Method, StatusCode};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::{
    net::TcpListener,
    runtime::Runtime,
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::sleep,
};

use super::{
    REQUESTS, RemoteError, TRACE, TRIES, Traced, WEBHOOK,
    hall::{self, Answer, Asked, Desk},
    pool::{Pool, pause},
    runtime,
};
use crate::{
    gateway::{Gateway, Request, Webhook},
    simulator::{OnWebhook, SimConfig, Simulator},
};

/// How long connections may take to end.
const END: Duration = Duration::from_secs(5);
/// News that may be on its way at a time.
const NEWS: usize = 256;

/// A gateway that listens. Dropping it is pulling its plug, as with the [`Simulator`].
pub struct Server {
    address: SocketAddr,
    counter: Arc<Counter>,
    runtime: Option<Runtime>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, counter, runtime: _ } = self;
        f.debug_struct("Server")
            .field("address", address)
            .field("simulator", &counter.simulator)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Opens the log, and answers at `listen` (port 0: any that is free).
    pub fn start(listen: SocketAddr, log: &Path, config: SimConfig) -> Result<Self, RemoteError> {
        Self::start_traced(listen, log, config, None)
    }

    /// As [`start`](Self::start), with somebody who hears of traced requests.
    pub fn start_traced(
        listen: SocketAddr,
        log: &Path,
        config: SimConfig,
        traced: Option<Traced>,
    ) -> Result<Self, RemoteError> {
        let runtime = runtime("psp-server")?;
        let listener = runtime.block_on(async { hall::listen(listen) });
        let address = listener.as_ref().map_or(Ok(listen), TcpListener::local_addr);
        let refused = |source| RemoteError::Listen { address: listen, source };
        let (listener, address) = (listener.map_err(refused)?, address.map_err(refused)?);
        let (tell, news) = mpsc::unbounded_channel();
        // The gateway is gone when nobody listens, and with it its news.
        let on_webhook: OnWebhook = Arc::new(move |webhook| drop(tell.send(webhook)));
        let simulator = Simulator::start(log, config, Some(on_webhook))?;
        let counter = Arc::new(Counter { simulator, listener: Mutex::default(), traced });
        runtime.spawn(hall::open(listener, Arc::clone(&counter)));
        runtime.spawn(spread(news, Arc::clone(&counter)));
        Ok(Self { address, counter, runtime: Some(runtime) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What answers, to be broken in tests.
    pub fn simulator(&self) -> &Simulator {
        &self.counter.simulator
    }
}

impl Drop for Server {
    /// When it returns the log is free, if nothing hangs. Not to be called by a task.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(END);
        }
    }
}

/// Who wants to hear news: the connections to it, and the path with its secret.
#[derive(Debug, Clone)]
struct Listener {
    /// As it was said, to see at once that it is the same.
    said: (SocketAddr, Box<[u8]>),
    pool: Arc<Pool>,
    path: Arc<str>,
}

/// Where requests are handed in.
struct Counter {
    simulator: Simulator,
    listener: Mutex<Option<Listener>>,
    traced: Option<Traced>,
}

impl Desk for Counter {
    async fn answer(self: Arc<Self>, asked: Asked) -> Answer {
        match (&asked.method, asked.path.as_str()) {
            (&Method::POST, REQUESTS) => self.take(asked).await,
            (&Method::GET, "/v1/stats") => json(&self.simulator.stats()),
            (&Method::GET, "/livez") => Answer::Say(StatusCode::OK, b"ok\n".into()),
            _ => Answer::Say(StatusCode::NOT_FOUND, Vec::new()),
        }
    }
}

impl Counter {
    async fn take(&self, asked: Asked) -> Answer {
        let request: Request = match serde_json::from_slice(&asked.body) {
            Ok(request) => request,
            Err(error) => return Answer::Say(StatusCode::BAD_REQUEST, error.to_string().into()),
        };
        if let Some(said) = asked.headers.get(WEBHOOK) {
            self.note(asked.peer, said.as_bytes());
        }
        let trace = asked.headers.get(TRACE).and_then(|trace| trace.to_str().ok());
        let span = self.traced.as_ref().zip(trace).and_then(|(traced, trace)| traced(trace));
        let (tell, told) = oneshot::channel();
        // Who hung up hears nothing.
        self.simulator.submit(request, Box::new(move |said| drop(tell.send(said))));
        let answer = match told.await {
            Ok(said) => json(&said),
            Err(_) => Answer::Silence,
        };
        if let Some(over) = span {
            over();
        }
        answer
    }

    /// Remembers where news is heard: `PORT/SECRET` at the address of who asks.
    fn note(&self, peer: SocketAddr, said: &[u8]) {
        let mut listener = self.listener.lock();
        let known = listener.as_ref().map(|known| (known.said.0.ip(), &*known.said.1));
        if known == Some((peer.ip(), said)) {
            return;
        }
        let parse = || {
            let (port, secret) = std::str::from_utf8(said).ok()?.split_once('/')?;
            let address = SocketAddr::new(peer.ip(), port.parse().ok()?);
            let (pool, path) = (Pool::to(address, NEWS)?, format!("/{secret}").into());
            Some(Listener { said: (address, said.into()), pool: Arc::new(pool), path })
        };
        if let Some(news) = parse() {
            *listener = Some(news);
        }
    }
}

/// Tells news to whoever asked last.
async fn spread(mut news: mpsc::UnboundedReceiver<Webhook>, counter: Arc<Counter>) {
    let mut on_the_way = JoinSet::new();
    while let Some(webhook) = news.recv().await {
        while on_the_way.len() >= NEWS {
            on_the_way.join_next().await;
        }
        while on_the_way.try_join_next().is_some() {}
        on_the_way.spawn(tell(webhook, Arc::clone(&counter)));
    }
}

async fn tell(webhook: Webhook, counter: Arc<Counter>) {
    let Ok(body) = serde_json::to_vec(&webhook) else { return };
    for tries in 0..TRIES {
        // Who wants to know may be another process by now.
        let listener = counter.listener.lock().clone();
        if let Some(Listener { pool, path, .. }) = listener {
            let heard = pool.post(&path, &[], body.clone()).await;
            if heard.is_ok_and(|(status, _)| status.is_success()) {
                return;
            }
        }
        sleep(pause(tries)).await;
    }
}

fn json(value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(body) => Answer::Say(StatusCode::OK, body),
        Err(error) => Answer::Say(StatusCode::INTERNAL_SERVER_ERROR, error.to_string().into()),
    }
}
