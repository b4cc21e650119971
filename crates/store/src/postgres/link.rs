//! A connection of its own for a thread that may wait: its I/O runs on that thread, while it waits.

use std::{future::Future, time::Duration};

use jangbu_engine::port::Fault;
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
    time::timeout,
};
use tokio_postgres::{
    Client, Config, Error, NoTls,
    error::{DbError, Severity},
};

use super::fault::{fault_of, text_of};

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(3);

/// An answer that takes longer than this is given up, and the connection with it: it may be half-open.
const ANSWER: Duration = Duration::from_secs(30);

/// How a session is set up, whoever it is for.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) config: Config,
    pub(super) schema: String,
    /// What the server shows of it.
    pub(super) name: String,
    /// Whether a commit waits for the disk, and for a synchronous standby.
    pub(super) durable: bool,
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
    ) -> Result<(Client, impl Future<Output = ()> + Send + 'static), Fault> {
        let connected = timeout(CONNECT, self.config.connect(NoTls)).await;
        let connected = connected.map_err(|_| away("connecting", "no answer in 3 s"))?;
        let (client, connection) = connected.map_err(|error| fault_of(&error, "connecting"))?;
        let driver = async move {
            if let Err(error) = connection.await {
                tracing::warn!(error = %text_of(&error), "a connection to PostgreSQL has ended");
            }
        };
        Ok((client, driver))
    }

    /// Sets up the session of a connection that is driven.
    pub(super) async fn settle(&self, client: &Client) -> Result<(), Fault> {
        let set = timeout(CONNECT, client.batch_execute(&self.settings())).await;
        let set = set.map_err(|_| away("connecting", "no answer in 3 s"))?;
        set.map_err(|error| fault_of(&error, "setting the session up"))
    }
}

/// The server cannot be reached, or does not answer.
pub(super) fn away(what: &str, why: &str) -> Fault {
    Fault::Transient(format!("{what}: {why}; look whether PostgreSQL runs where store.url says"))
}

/// A connection whose I/O runs while its thread waits in [`Link::run`].
#[derive(Debug)]
pub struct Link {
    runtime: Runtime,
    client: Client,
    driver: JoinHandle<()>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Link {
    pub(super) fn open(setup: &Setup) -> Result<Self, Fault> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Fault::Fatal(format!("no runtime: {error}")))?;
        let (client, driver) = runtime.block_on(setup.connect())?;
        let driver = runtime.spawn(driver);
        runtime.block_on(setup.settle(&client))?;
        Ok(Self { runtime, client, driver })
    }

    /// The client. Its futures make progress in [`Link::run`] alone.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Waits for `work`, however long it takes.
    pub fn run<F: Future>(&self, work: F) -> F::Output {
        self.runtime.block_on(work)
    }

    /// Waits for an answer; none within half a minute: the connection is no use any more.
    pub(super) fn answer<F: Future>(&self, work: F) -> Option<F::Output> {
        self.runtime.block_on(async { timeout(ANSWER, work).await.ok() })
    }

    /// Runs statements that have no answer.
    pub(super) fn execute(&self, sql: &str, what: &str) -> Result<(), Fault> {
        self.run(self.client.batch_execute(sql)).map_err(|error| fault_of(&error, what))
    }
}

/// Whether the error ended the connection. A server that ends it says so with its last words, which may come
/// after a COMMIT that was carried out.
pub(super) fn is_over(error: &Error) -> bool {
    let last = |cause: &DbError| {
        matches!(cause.parsed_severity(), Some(Severity::Fatal | Severity::Panic))
    };
    error.is_closed() || error.as_db_error().is_none_or(last)
}
