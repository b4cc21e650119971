//! Exports the spans of traced commands by OTLP over HTTP, with the libraries of OpenTelemetry. The
//! engine knows nothing of it: it fills a bounded queue ([`jangbu_engine::trace`]), and one thread
//! here empties it.
//!
//! ```text
//! engine, api, projections ──record──▶ queue ──▶ thread: batches ──POST /v1/traces──▶ collector
//!                             full: dropped, counted      └ away: lost, counted
//! ```
//!
//! 1. Nobody who records a span waits: not for the queue, not for the collector.
//! 2. Spans are not kept for a collector that is away. A trace is for looking into what happens;
//!    what happened is in the books.
//! 3. An outage is two lines of the log: when it begins and when it ends.
//!
//! | module | holds |
//! |---|---|
//! | `convert` | a record as the span of OpenTelemetry |
//! | `wire` | the HTTP client that the exporter of OpenTelemetry sends with |

mod convert;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use jangbu_engine::trace::{Counts, PerMillion, Queue, SpanRecord, Tracer};
use opentelemetry::KeyValue;
use opentelemetry_otlp::{
    ExporterBuildError, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanExporter as _;

use convert::Converter;
use wire::Client;

/// Spans that may wait for the exporter.
const QUEUE: usize = 8_192;

/// Spans in one request, at most.
const BATCH: usize = 512;

/// How long spans wait for others to go with.
const GATHER: Duration = Duration::from_millis(500);

/// How long a request to the collector may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where spans go, and which.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The collector, such as `http://127.0.0.1:4318`.
    pub endpoint: String,
    /// How many requests begin a trace.
    pub sample: PerMillion,
    /// Key of the ids: random.
    pub key: [u8; 16],
}

/// Why no exporter could be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The endpoint is none.
    #[error("the exporter of spans")]
    Exporter(#[from] ExporterBuildError),
    /// The thread could not be started.
    #[error("no thread for the exporter of spans")]
    Thread(#[from] std::io::Error),
}

/// The thread that exports.
#[derive(Debug)]
pub struct Exporter {
    stopping: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Exporter {
    /// Starts it, and gives the tracer whose spans it exports.
    pub fn start(settings: Settings) -> Result<(Arc<dyn Tracer>, Self), Error> {
        let Settings { endpoint, sample, key } = settings;
        let mut exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Client::new(PATIENCE))
            .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
            .with_timeout(PATIENCE)
            .build()?;
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let resource = Resource::builder_empty().with_service_name("jangbu");
        exporter.set_resource(&resource.with_attribute(version).build());
        let (queue, taken) = Queue::new(QUEUE, sample, key);
        let stopping = Arc::new(AtomicBool::new(false));
        let mut work = Work {
            exporter,
            endpoint,
            taken,
            counts: queue.counted(),
            convert: Converter::new(),
            stopping: Arc::clone(&stopping),
            away: false,
        };
        let thread = std::thread::Builder::new().name("jangbu-otlp".to_owned());
        let thread = thread.spawn(move || work.run())?;
        Ok((Arc::new(queue), Self { stopping, thread }))
    }

    /// Exports what is there and ends; takes no longer than one request may.
    pub fn stop(self) {
        self.stopping.store(true, Ordering::Relaxed);
        if self.thread.join().is_err() {
            tracing::error!("the thread that exports spans panicked");
        }
    }
}

struct Work {
    exporter: SpanExporter,
    endpoint: String,
    taken: Receiver<SpanRecord>,
    counts: Arc<Counts>,
    convert: Converter,
    stopping: Arc<AtomicBool>,
    /// The last request has failed.
    away: bool,
}

impl Work {
    fn run(&mut self) {
        let mut batch = Vec::new();
        loop {
            let stopping = self.stopping.load(Ordering::Relaxed);
            let gone = self.gather(&mut batch, stopping);
            let more = batch.len() == BATCH;
            if !batch.is_empty() {
                self.export(std::mem::take(&mut batch));
            }
            if gone || stopping && (self.away || !more) {
                return;
            }
        }
    }

    /// Takes the next spans; says whether none can come any more.
    fn gather(&self, batch: &mut Vec<SpanRecord>, stopping: bool) -> bool {
        if !stopping {
            match self.taken.recv_timeout(GATHER) {
                Ok(first) => batch.push(first),
                Err(RecvTimeoutError::Timeout) => return false,
                Err(RecvTimeoutError::Disconnected) => return true,
            }
        }
        batch.extend(self.taken.try_iter().take(BATCH - batch.len()));
        false
    }

    fn export(&mut self, batch: Vec<SpanRecord>) {
        let spans = batch.len() as u64;
        let batch = batch.into_iter().map(|span| self.convert.span(span)).collect();
        let sent = futures_executor::block_on(self.exporter.export(batch));
        let endpoint = &*self.endpoint;
        match sent {
            Ok(()) => {
                self.counts.exported(spans);
                if std::mem::replace(&mut self.away, false) {
                    tracing::info!(endpoint, "spans are exported again");
                }
            }
            Err(error) => {
                self.counts.lost(spans);
                if !std::mem::replace(&mut self.away, true) {
                    tracing::warn!(endpoint, %error, "spans are lost: the collector is away");
                }
            }
        }
    }
}
