//! The payment gateway: the way to it from a shop, and `jangbu gateway`, which is one.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, OnceLock, Weak};

use anyhow::{Context, Result};
use jangbu_engine::clock::{Clock as _, SystemClock};
use jangbu_engine::trace::{Note, SpanRecord, Stage, Tracer};
use jangbu_kernel::Trace;
use jangbu_psp::remote::{Remote, Server, Traced};
use jangbu_psp::simulator::OnWebhook;
use jangbu_psp::{Gateway, Simulator, Webhook};
use jangbu_services::shop::Shop;
use jangbu_store::DataDir;

use crate::args;
use crate::config::Config;
use crate::exit::{Exit, Usage};
use crate::serve::{exporter, open_files, stopped};

/// The log of a gateway, in its directory.
const LOG: &str = "psp.log";

/// The shop that hears what a gateway tells by itself, once it is open.
pub(crate) type Hearer = Arc<OnceLock<Weak<Shop>>>;

/// The gateway that the settings name.
pub(crate) fn open(dir: &DataDir, config: &Config, hearer: &Hearer) -> Result<Arc<dyn Gateway>> {
    let hearer = Arc::clone(hearer);
    let on_webhook: OnWebhook = Arc::new(move |news: Webhook| {
        if let Some(shop) = hearer.get().and_then(Weak::upgrade) {
            shop.tell(jangbu_services::gateway::webhook(news));
        }
    });
    let settings = &config.gateway;
    if !settings.url.is_empty() {
        let remote = Remote::start_at(&settings.url, Some(on_webhook), settings.webhooks);
        return Ok(Arc::new(remote.context("gateway.url, gateway.webhooks")?));
    }
    let log = dir.file(LOG);
    let started = Simulator::start(&log, settings.simulated(), Some(on_webhook));
    Ok(Arc::new(started.with_context(|| in_vain(&log))?))
}

/// `jangbu gateway`: the simulated gateway, for shops in other processes.
pub(crate) fn gateway(args: &args::Gateway) -> Result<Exit> {
    let config = Config::load(args.config.as_deref(), None).map_err(Usage)?;
    if !args.listen.ip().is_loopback() && !config.server.allow_remote {
        let why = "others can reach --listen; set server.allow_remote = true if they may";
        return Err(Usage(anyhow::anyhow!(why)).into());
    }
    std::fs::create_dir_all(&args.data).with_context(|| args.data.display().to_string())?;
    open_files(config.limits.calls);
    let log = args.data.join(LOG);
    let (tracer, exporter) = exporter(&config)?.unzip();
    let server =
        Server::start_traced(args.listen, &log, config.gateway.simulated(), tracer.map(traced));
    let server = server.with_context(|| in_vain(&log))?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "ready http://{}", server.address())?;
    out.flush()?;
    drop(out);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(stopped());
    drop(server);
    if let Some(exporter) = exporter {
        exporter.stop();
    }
    Ok(Exit::Fine)
}

/// What records the spans of traced requests.
fn traced(tracer: Arc<dyn Tracer>) -> Traced {
    Arc::new(move |traceparent| {
        let above = Trace::parse(traceparent).filter(|trace| trace.is_sampled())?;
        let (tracer, start) = (Arc::clone(&tracer), SystemClock.now());
        Some(Box::new(move || {
            tracer.record(SpanRecord {
                stage: Stage::Request,
                own: above.child(tracer.span()),
                parent: Some(above.span()),
                start,
                end: SystemClock.now(),
                failed: false,
                notes: vec![Note::Route("POST", "/v1/requests")],
            });
        }))
    })
}

fn in_vain(log: &Path) -> String {
    format!("the gateway with the log {}", log.display())
}
