//! `jangbu prove`: the audit over a directory, stopped or served.

use std::fs::File;
use std::io::IsTerminal;
use std::path::Path;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use jangbu_audit::{Options, Progress, Report};

use crate::args;
use crate::exit::{self, Exit, Usage};

pub(crate) fn prove(args: &args::Prove) -> Result<Exit> {
    if !args.data.join("jangbu.db").exists() {
        let missing = anyhow::anyhow!("there is no shop in {} (--data)", args.data.display());
        return Err(Usage(missing).into());
    }
    let bar = bar();
    let shown = bar.clone();
    let progress = move |progress: Progress| {
        shown.set_message(progress.phase);
        shown.set_position(progress.rows);
    };
    let options = Options {
        acks: args.acks.clone(),
        live: is_served(&args.data),
        progress: Some(Box::new(progress)),
        ..Options::new(&args.data)
    };
    let report = jangbu_audit::prove(&options).context("the proof could not be made")?;
    bar.finish_and_clear();
    let text = if args.json { json(&report)? } else { report.to_string() };
    exit::print(&text)?;
    Ok(if report.clean() { Exit::Fine } else { Exit::Finding })
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
