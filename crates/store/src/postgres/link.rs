//! A connection of its own for a thread that may wait: its I/O runs on that thread, while it waits.
//!
//! Nothing waits for ever. A peer that is gone is found by the kernel (keepalives, user time-out); one that stands
//! and says nothing (a proxy, a stopped process, a disk that hangs) only by who waits for an answer: whoever
//! gets none in time gives the connection up.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::{Either, select};
use jangbu_engine::port::Fault;
use tokio::{
    runtime::{Builder, Runtime},
    task::{JoinHandle, yield_now},
    time::timeout,
};
use tokio_postgres::{
    Client, Config, Connection, Error, NoTls, SimpleQueryMessage,
    config::{Host, TargetSessionAttrs},
    tls::NoTlsStream,
};

use super::{
    fault::{fault_of, text_of},
    socket::Socket,
};

/// Longest wait for a connection to a host, until it has let us in.
const CONNECT: Duration = Duration::from_secs(3);

/// How a session is set up, whoever it is for.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) hosts: Hosts,
    pub(super) schema: String,
    /// What the server shows of it.
    pub(super) name: String,
    /// Whether a commit waits for the disk, and for a synchronous standby.
    pub(super) durable: bool,
    /// An answer that takes longer is given up, and the connection with it: it may be half-open.
    pub(super) patience: Duration,
}

/// The hosts of an address, one of which takes writes.
#[derive(Clone, Debug)]
pub(super) struct Hosts {
    each: Vec<Config>,
    /// Which one let somebody in last: it is asked first.
    last: Arc<AtomicUsize>,
}

type Connected = (Client, Connection<Socket, NoTlsStream>, Socket);

impl Hosts {
    pub(super) fn of(config: &Config) -> Self {
        let count = config.get_hosts().len().max(config.get_hostaddrs().len()).max(1);
        Self { each: (0..count).map(|at| one(config, at)).collect(), last: Arc::default() }
    }

    /// The same hosts, whether they take writes or not.
    pub(super) fn any(mut self) -> Self {
        for one in &mut self.each {
            one.target_session_attrs(TargetSessionAttrs::Any);
        }
        self
    }

    /// Where they are.
    pub(super) fn names(&self) -> String {
        let name = |one: &Config| {
            let host = match one.get_hosts().first() {
                Some(Host::Tcp(name)) => name.clone(),
                Some(Host::Unix(path)) => path.display().to_string(),
                None => one.get_hostaddrs().first().map(ToString::to_string).unwrap_or_default(),
            };
            format!("{host}:{}", one.get_ports().first().copied().unwrap_or(5432))
        };
        self.each.iter().map(name).collect::<Vec<_>>().join(",")
    }

    /// The first host that lets us in. Each has its own time: one that is dead and does not say so, or is only
    /// a standby, keeps nobody from the next.
    async fn connect(&self) -> Result<Connected, Fault> {
        let (count, first) = (self.each.len(), self.last.load(Ordering::Relaxed));
        let mut fault = away("connecting", "there is no host");
        for at in (first..first + count).map(|at| at % count) {
            match timeout(CONNECT, log_in(&self.each[at])).await {
                Ok(Ok(connected)) => {
                    self.last.store(at, Ordering::Relaxed);
                    return Ok(connected);
                }
                Ok(Err(why)) => fault = why,
                Err(_) => fault = silent("connecting", CONNECT),
            }
        }
        Err(fault)
    }
}

/// Opens a socket to the host of `config`, and logs in on it.
async fn log_in(config: &Config) -> Result<Connected, Fault> {
    let wrap = |error: Error| fault_of(&error, "connecting");
    let socket = Socket::open(config).await.map_err(|e| away("connecting", &e.to_string()))?;
    let (client, mut connection) = config.connect_raw(socket.clone(), NoTls).await.map_err(wrap)?;
    if config.get_target_session_attrs() == TargetSessionAttrs::ReadWrite {
        let shown = {
            let show = pin!(client.simple_query("SHOW transaction_read_only"));
            match select(show, &mut connection).await {
                Either::Left((shown, _)) => shown.map_err(wrap)?,
                Either::Right((ended, _)) => {
                    ended.map_err(wrap)?;
                    return Err(away("connecting", "the connection ended"));
                }
            }
        };
        let says = |message: &SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => row.get(0) == Some("on"),
            _ => false,
        };
        if shown.iter().any(says) {
            return Err(away("connecting", "the server takes no writes, it is a standby"));
        }
    }
    Ok((client, connection, socket))
}

/// The settings of `config` for one of its hosts.
fn one(config: &Config, at: usize) -> Config {
    let mut one = Config::new();
    match config.get_hosts().get(at) {
        Some(Host::Tcp(name)) => _ = one.host(name),
        Some(Host::Unix(path)) => _ = one.host_path(path),
        None => {}
    }
    config.get_hostaddrs().get(at).map(|address| one.hostaddr(*address));
    let ports = config.get_ports();
    ports.get(at).or_else(|| ports.first()).map(|port| one.port(*port));
    config.get_user().map(|user| one.user(user));
    config.get_password().map(|password| one.password(password));
    config.get_dbname().map(|name| one.dbname(name));
    config.get_options().map(|options| one.options(options));
    one.channel_binding(config.get_channel_binding())
        .connect_timeout(CONNECT)
        .tcp_user_timeout(Duration::from_secs(10))
        .keepalives_idle(Duration::from_secs(5))
        .keepalives_interval(Duration::from_secs(2))
        .keepalives_retries(3)
        .target_session_attrs(TargetSessionAttrs::ReadWrite);
    one
}

impl Setup {
    /// What is the same in every session. The planner must not guess: each statement finds its rows by an
    /// index, whatever the statistics say.
    fn settings(&self) -> String {
        let commit = if self.durable { "on" } else { "off" };
        format!(
            "SET search_path = \"{}\"; SET application_name = '{}'; SET synchronous_commit = {commit}; \
             SET lock_timeout = '5s'; SET statement_timeout = '25s'; \
             SET idle_in_transaction_session_timeout = '10s'; \
             SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; \
             SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off",
            self.schema, self.name,
        )
    }

    /// Connects, and sets the session up. The second value must be polled as long as the first is used.
    pub(super) async fn connect(
        &self,
    ) -> Result<(Client, impl Future<Output = ()> + Send + 'static, Socket), Fault> {
        let (client, connection, socket) = self.hosts.connect().await?;
        let driver = async move {
            if let Err(error) = connection.await {
                tracing::warn!(error = %text_of(&error), "a connection to PostgreSQL has ended");
            }
        };
        Ok((client, driver, socket))
    }

    /// Sets up the session of a connection that is driven.
    pub(super) async fn settle(&self, client: &Client) -> Result<(), Fault> {
        let set = timeout(CONNECT, client.batch_execute(&self.settings())).await;
        let set = set.map_err(|_| silent("connecting", CONNECT))?;
        set.map_err(|error| fault_of(&error, "setting the session up"))
    }
}

/// The server cannot be reached, or does not answer.
pub(super) fn away(what: &str, why: &str) -> Fault {
    Fault::Transient(format!("{what}: {why}; look whether PostgreSQL runs where store.url says"))
}

/// The server has said nothing for so long.
pub(super) fn silent(what: &str, patience: Duration) -> Fault {
    away(what, &format!("no answer in {patience:?}"))
}

/// A connection whose I/O runs while its thread waits in [`Link::run`].
#[derive(Debug)]
pub struct Link {
    runtime: Runtime,
    client: Client,
    driver: Driver,
    socket: Socket,
    patience: Duration,
}

/// The task that moves a connection's bytes; ends when it is dropped.
#[derive(Debug)]
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Link {
    pub(super) fn open(setup: &Setup) -> Result<Self, Fault> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Fault::Fatal(format!("no runtime: {error}")))?;
        let (client, driver, socket) = runtime.block_on(setup.connect())?;
        let driver = Driver(runtime.spawn(driver));
        runtime.block_on(setup.settle(&client))?;
        Ok(Self { runtime, client, driver, socket, patience: setup.patience })
    }

    /// The socket, on which somebody else goes on with the session; nothing may be under way.
    pub(super) fn into_socket(self) -> (Runtime, Socket, Duration) {
        let Self { runtime, client, driver, socket, patience } = self;
        // The task ends before it learns that the client is gone, and would say good-bye.
        driver.0.abort();
        drop(driver);
        runtime.block_on(yield_now());
        drop(client);
        (runtime, socket, patience)
    }

    /// The client. Its futures make progress in [`Link::run`] alone.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Waits for `work`, however long it takes.
    pub fn run<F: Future>(&self, work: F) -> F::Output {
        self.runtime.block_on(work)
    }

    /// Waits for an answer; none in time: the connection is no use any more.
    pub(super) fn answer<F: Future>(&self, work: F) -> Option<F::Output> {
        self.runtime.block_on(async { timeout(self.patience, work).await.ok() })
    }

    /// The answer to a short question. After a fault the connection may be no use any more.
    pub(super) fn ask<T>(
        &self,
        question: impl Future<Output = Result<T, Error>>,
        what: &str,
    ) -> Result<T, Fault> {
        let answer = self.answer(question).ok_or_else(|| silent(what, self.patience))?;
        answer.map_err(|error| fault_of(&error, what))
    }

    /// Runs statements that have no answer, however long they take.
    pub(super) fn execute(&self, sql: &str, what: &str) -> Result<(), Fault> {
        self.run(self.client.batch_execute(sql)).map_err(|error| fault_of(&error, what))
    }
}
