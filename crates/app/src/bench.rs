//! `jangbu bench`: the load generator, with what this binary knows of itself, and the proof.

use std::path::Path;

use anyhow::{Context, Result};
use jangbu_audit::Options;
use jangbu_bench::{Args, Facts, Hooks, Proof, Sums};

use crate::config::Config;
use crate::exit::Exit;

pub(crate) fn bench(args: &Args) -> Result<Exit> {
    let latency = Config::load(None, None)?.gateway.latency;
    let own = args.target.is_none() && args.server_arg.is_empty();
    let facts = Facts {
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        git: git(),
        profile: Some(if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned()),
        durability: own.then(|| "SQLite WAL, synchronous=FULL, fsync on every commit".to_owned()),
        psp_latency_ms: own.then(|| [f64::from(latency.min_ms), f64::from(latency.max_ms)]),
    };
    let hooks = Hooks { facts, settings: Vec::new(), prove: Box::new(prove) };
    let done = jangbu_bench::run(args, &hooks).map_err(Failed)?;
    jangbu_bench::publish(args, &done)?;
    Ok(Exit::Code(done.verdict.exit_code(args.strict)))
}

/// A run that did not come to its end, with the exit code that it asks for.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Failed(pub jangbu_bench::Error);

fn prove(data: &Path, acks: &Path) -> Result<Proof> {
    let options = Options { acks: Some(acks.to_owned()), ..Options::new(data) };
    let report = serde_json::to_value(jangbu_audit::prove(&options)?)?;
    let sums = Sums::of_report(&report).context("the report has no sums")?;
    Ok(Proof { sums, report })
}

/// The sources that the working directory holds, if it is a checkout.
fn git() -> Option<String> {
    let args = ["describe", "--always", "--dirty", "--abbrev=12"];
    let out = std::process::Command::new("git").args(args).output().ok()?;
    let text = String::from_utf8(out.stdout).ok()?;
    out.status.success().then(|| text.trim().to_owned())
}
