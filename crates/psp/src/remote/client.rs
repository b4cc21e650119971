//! A gateway in another process, behind the port.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use hyper::{Method, StatusCode, header::HeaderValue};
use tokio::{runtime::Runtime, sync::mpsc, task::JoinSet};

use super::{
    REQUESTS, RemoteError, TRACE, WEBHOOK,
    hall::{self, Answer, Asked, Desk},
    pool::{Failure, Pool},
    runtime,
};
use crate::{
    gateway::{Done, Gateway, Request, Said},
    simulator::OnWebhook,
};

/// Connections at a time, each with one request.
const MOST: usize = 4_096;

/// A request, its `traceparent` and the way back.
type Letter = (Request, Option<String>, Done);

/// A gateway in another process. All requests share one thread, each has a connection while it is
/// under way. Dropping it breaks the connections; what was under way is not answered.
pub struct Remote {
    letters: mpsc::UnboundedSender<Letter>,
    runtime: Option<Runtime>,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").finish_non_exhaustive()
    }
}

impl Remote {
    /// Talks to the gateway at `url`, and hears its news on a free port of this machine. It need not
    /// be there yet.
    pub fn start(url: &str, on_webhook: Option<OnWebhook>) -> Result<Self, RemoteError> {
        Self::start_at(url, on_webhook, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    /// As [`start`](Self::start), with the address at which news is heard (port 0: any that is free).
    pub fn start_at(
        url: &str,
        on_webhook: Option<OnWebhook>,
        listen: SocketAddr,
    ) -> Result<Self, RemoteError> {
        let pool = pool(url).ok_or_else(|| RemoteError::Address(url.to_owned()))?;
        let runtime = runtime("psp-client")?;
        let news = on_webhook.map(|tell| hear(&runtime, tell, listen)).transpose()?;
        let (letters, inbox) = mpsc::unbounded_channel();
        runtime.spawn(post(inbox, Arc::new(Way { pool, news })));
        Ok(Self { letters, runtime: Some(runtime) })
    }
}

impl Gateway for Remote {
    fn name(&self) -> &'static str {
        // What is on the other side: its accounts are the same wherever it runs.
        "sim"
    }

    fn submit(&self, request: Request, done: Done) {
        self.send((request, None, done));
    }

    fn submit_traced(&self, request: Request, traceparent: String, done: Done) {
        self.send((request, Some(traceparent), done));
    }
}

impl Remote {
    fn send(&self, letter: Letter) {
        if let Err(unsent) = self.letters.send(letter) {
            let (.., done) = unsent.0;
            done(Said::NotSent { why: "the gateway's connections are gone".into() });
        }
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// `http://HOST:PORT`, with or without a slash behind it.
fn pool(url: &str) -> Option<Pool> {
    let address = url.strip_prefix("http://")?;
    let address = address.strip_suffix('/').unwrap_or(address);
    let (host, port) = address.rsplit_once(':')?;
    let sound = !host.is_empty() && port.parse::<u16>().is_ok() && !address.contains('/');
    sound.then(|| Pool::new(address, MOST))?
}

/// The way to the gateway, and what it is told of where news is heard.
struct Way {
    pool: Pool,
    news: Option<HeaderValue>,
}

/// Sends what comes, many at a time.
async fn post(mut inbox: mpsc::UnboundedReceiver<Letter>, way: Arc<Way>) {
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = under_way.join_next() => {}
            letter = inbox.recv() => {
                let Some((request, trace, done)) = letter else { return };
                let way = Arc::clone(&way);
                under_way.spawn(async move { done(way.ask(&request, trace).await) });
            }
        }
    }
}

impl Way {
    async fn ask(&self, request: &Request, trace: Option<String>) -> Said {
        let Ok(body) = serde_json::to_vec(request) else {
            return Said::NotSent { why: "the request cannot be written".into() };
        };
        let trace = trace.and_then(|trace| HeaderValue::from_str(&trace).ok());
        let headers = [(WEBHOOK, self.news.as_ref()), (TRACE, trace.as_ref())];
        match self.pool.post(REQUESTS, &headers, body).await {
            Ok((StatusCode::OK, body)) => serde_json::from_slice(&body)
                .unwrap_or_else(|_| Said::Unknown { why: "the answer is not understood".into() }),
            Ok((status, _)) => Said::Unknown { why: format!("the answer is {status}").into() },
            Err(Failure::NotSent(why)) => Said::NotSent { why: why.into() },
            Err(Failure::Unknown(why)) => Said::Unknown { why: why.into() },
        }
    }
}

/// Listens for news; what the gateway is told of it.
fn hear(
    runtime: &Runtime,
    tell: OnWebhook,
    listen: SocketAddr,
) -> Result<HeaderValue, RemoteError> {
    let refused = |source| RemoteError::Listen { address: listen, source };
    let listener = runtime.block_on(async { hall::listen(listen) }).map_err(refused)?;
    let port = listener.local_addr().map_err(refused)?.port();
    let secret = secret()?;
    let header = HeaderValue::from_str(&format!("{port}/{secret}"));
    let header = header.map_err(|_| RemoteError::Address(secret.clone()))?;
    runtime.spawn(hall::open(listener, Arc::new(Ear { path: format!("/{secret}"), tell })));
    Ok(header)
}

/// 128 random bits: who does not know them cannot tell that money was taken.
fn secret() -> Result<String, RemoteError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(RemoteError::Random)?;
    Ok(format!("{:032x}", u128::from_le_bytes(bytes)))
}

/// Where news is heard.
struct Ear {
    path: String,
    tell: OnWebhook,
}

impl Desk for Ear {
    async fn answer(self: Arc<Self>, asked: Asked) -> Answer {
        if asked.method != Method::POST || asked.path != self.path {
            return Answer::Say(StatusCode::NOT_FOUND, Vec::new());
        }
        match serde_json::from_slice(&asked.body) {
            Ok(webhook) => {
                (self.tell)(webhook);
                Answer::Say(StatusCode::NO_CONTENT, Vec::new())
            }
            Err(error) => Answer::Say(StatusCode::BAD_REQUEST, error.to_string().into()),
        }
    }
}
