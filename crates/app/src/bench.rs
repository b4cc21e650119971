//! `jangbu bench`: the load generator, with what this binary knows of itself, and the proof.

use std::path::Path;

use anyhow::{Context, Result};
use jangbu_audit::Options;
use jangbu_bench::{Args, Facts, Hooks, Proof, Sums};
use jangbu_engine::clock::{Clock as _, SystemClock};
use jangbu_store::Postgres;

use crate::config::{Config, Store};
use crate::exit::Exit;
use crate::prove;
use crate::stores::DERIVED;

pub(crate) fn bench(args: &Args) -> Result<Exit> {
    let Config { gateway, mut store, kafka, redis, .. } = Config::load(None, None)?;
    let latency = gateway.latency;
    let own = args.target.is_none() && args.server_arg.is_empty();
    let facts = Facts {
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        git: git(),
        profile: Some(if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned()),
        durability: own.then(|| {
            let kafka = if kafka.bootstrap.is_empty() { "" } else { "; Kafka, acks=all" };
            let redis = if redis.url.is_empty() { "" } else { "; Redis" };
            format!("{}{kafka}{redis}", durability(&store))
        }),
        psp_latency_ms: own.then(|| [f64::from(latency.min_ms), f64::from(latency.max_ms)]),
    };
    // Each run has a schema, topics and keys of its own, as it has a directory.
    store.schema = format!("bench_{}", SystemClock.now().0);
    let settings = vec![
        ("JANGBU__STORE__SCHEMA", store.schema.clone()),
        ("JANGBU__KAFKA__TOPICS_PREFIX", format!("{}.", store.schema)),
        ("JANGBU__REDIS__PREFIX", store.schema.clone()),
    ];
    let prove = |data: &Path, acks: &Path| proof(&store, data, acks);
    let hooks = Hooks { facts, settings, prove: Box::new(prove) };
    let done = jangbu_bench::run(args, &hooks).map_err(Failed)?;
    if done.kept.is_none() {
        remove(&store)?;
    }
    jangbu_bench::publish(args, &done)?;
    Ok(Exit::Code(done.verdict.exit_code(args.strict)))
}

/// A run that did not come to its end, with the exit code that it asks for.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Failed(pub jangbu_bench::Error);

fn proof(store: &Store, data: &Path, acks: &Path) -> Result<Proof> {
    let books = prove::books(data, &store.url, &store.schema);
    let report =
        jangbu_audit::prove(&Options { acks: Some(acks.to_owned()), live: false, ..books })?;
    let report = serde_json::to_value(report)?;
    let sums = Sums::of_report(&report).context("the report has no sums")?;
    Ok(Proof { sums, report })
}

fn durability(store: &Store) -> &'static str {
    if store.url.is_empty() {
        "SQLite WAL, synchronous=FULL, fsync on every commit"
    } else {
        "PostgreSQL, synchronous_commit=on"
    }
}

/// Removes the schemas of a run whose directory is not kept either.
fn remove(store: &Store) -> Result<()> {
    if store.url.is_empty() {
        return Ok(());
    }
    for schema in [store.schema.clone(), format!("{}{DERIVED}", store.schema)] {
        Postgres::new(&store.url, &schema, &[], &[])?.remove()?;
    }
    Ok(())
}

/// The sources that the working directory holds, if it is a checkout.
fn git() -> Option<String> {
    let args = ["describe", "--always", "--dirty", "--abbrev=12"];
    let out = std::process::Command::new("git").args(args).output().ok()?;
    let text = String::from_utf8(out.stdout).ok()?;
    out.status.success().then(|| text.trim().to_owned())
}
