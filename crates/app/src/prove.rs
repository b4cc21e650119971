//! `jangbu prove`: the audit over a directory, stopped or served, or over a shop on PostgreSQL.

use std::fs::File;
use std::io::IsTerminal;
use std::path::Path;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use jangbu_audit::{Options, Progress, Report, Step, Store};
use jangbu_services::registry;

use crate::args;
use crate::config::Config;
use crate::exit::{self, Exit, Usage};

pub(crate) fn prove(args: &args::Prove) -> Result<Exit> {
    let config = Config::load(args.config.as_deref(), None).map_err(Usage)?;
    let (settings, psp_log) = (config.store, args.psp_log.clone().or_else(|| config.gateway.log()));
    let url = args.store.as_deref().unwrap_or(&settings.url);
    let schema = args.schema.as_deref().unwrap_or(&settings.schema);
    if url.is_empty() && !args.data.join("jangbu.db").exists() {
        let missing = anyhow::anyhow!("there is no shop in {} (--data)", args.data.display());
        return Err(Usage(missing).into());
    }
    let books = Options { psp_log, ..books(&args.data, url, schema) };
    let log = books.log();
    let proven = show(args, books)?;
    if matches!(proven, Exit::Finding) && !args.json && !log.exists() {
        exit::print(&no_log(&log, "--psp-log"))?;
    }
    Ok(proven)
}

/// Proves the books of a directory, whatever the settings say.
pub(crate) fn prove_directory(args: &args::Prove) -> Result<Exit> {
    show(args, books(&args.data, "", ""))
}

fn show(args: &args::Prove, books: Options) -> Result<Exit> {
    let report = report(Options { acks: args.acks.clone(), ..books }, true)?;
    let text = if args.json { json(&report)? } else { report.to_string() };
    exit::print(&text)?;
    Ok(if report.clean() { Exit::Fine } else { Exit::Finding })
}

/// The books of a directory, or of a schema if there is a URL.
pub(crate) fn books(data: &Path, url: &str, schema: &str) -> Options {
    if url.is_empty() {
        return Options { live: is_served(data), ..Options::new(data) };
    }
    on_postgres(url, schema, data)
}

/// The books of a schema; the gateway's log and the keys are in `data`. Whether a server is writing makes no
/// difference to a snapshot of PostgreSQL, so one may always be.
pub(crate) fn on_postgres(url: &str, schema: &str, data: &Path) -> Options {
    let (url, schema) = (url.to_owned(), schema.to_owned());
    let step = |migration: &jangbu_store::Migration| Step {
        version: i64::from(migration.version),
        sha256: migration.sha256(),
    };
    let steps = registry::MIGRATIONS.iter().map(step).collect();
    Options { store: Store::Postgres { url, schema }, steps, live: true, ..Options::new(data) }
}

/// Proves, with progress on a terminal.
pub(crate) fn report(options: Options, progress: bool) -> Result<Report> {
    let bar = if progress { bar() } else { ProgressBar::hidden() };
    let shown = bar.clone();
    let tell = move |progress: Progress| {
        shown.set_message(progress.phase);
        shown.set_position(progress.rows);
    };
    let options = Options { progress: Some(Box::new(tell)), ..options };
    let report = jangbu_audit::prove(&options).context("the proof could not be made")?;
    bar.finish_and_clear();
    Ok(report)
}

/// What to say where no payment can be compared with the gateway.
pub(crate) fn no_log(log: &Path, option: &str) -> String {
    let place = log.display();
    format!("there is no {place}, the log of the gateway: say with {option} where it is\n")
}

/// The report as one JSON document.
pub(crate) fn json(report: &Report) -> Result<String> {
    Ok(serde_json::to_string_pretty(report)? + "\n")
}

/// Whether a process holds the directory. The lock is only tried, never kept.
pub(crate) fn is_served(data: &Path) -> bool {
    File::open(data.join("lock")).is_ok_and(|lock| lock.try_lock_shared().is_err())
}

fn bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {msg}: {pos} rows and records");
    ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
