//! The load generator against a toy shop: rates, latencies, counts, journal, certificate.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::cast_precision_loss, reason = "small counts")]

mod certificate;
mod coupons;
mod load;
mod money;
mod own_server;
mod presets;
mod toy;

use std::path::Path;
use std::time::Duration;

use clap::Parser;
use jangbu_bench::{Args, Certificate, Done, Facts, Hooks, run};

use crate::toy::{Toy, Ways};

/// A proof without findings, as the toy reports it.
const CLEAN: Option<&str> = Some(r#"{"lost":0,"doubled":0,"mismatched":0}"#);

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

/// Reads a command line after `jangbu bench`.
fn args(line: &str) -> Args {
    Line::parse_from(std::iter::once("bench").chain(line.split_whitespace())).args
}

/// Runs a command line against a toy. The journal stays in `dir/run/acks.csv`.
fn against(toy: &Toy, dir: &Path, line: &str) -> Done {
    let (client, operator) = (dir.join("client.key"), dir.join("operator.key"));
    std::fs::write(&client, "jbc_test\n").unwrap();
    std::fs::write(&operator, "jbo_test\n").unwrap();
    let line = format!(
        "{line} --target {} --client-key {} --operator-key {} --keep {} --products 20 --users 20{}",
        toy.url,
        client.display(),
        operator.display(),
        dir.join("run").display(),
        if line.contains("--plain") { "" } else { " --coupons 330" }
    );
    let prove = Box::new(|_: &Path, _: &Path| anyhow::bail!("a target proves itself"));
    run(&args(&line), &Hooks { facts: Facts::default(), settings: Vec::new(), prove }).unwrap()
}

/// Runs a command line against a toy of its own and checks what holds for every run.
fn bench(ways: Ways, line: &str) -> (Certificate, Toy) {
    let dir = tempfile::tempdir().unwrap();
    let toy = Toy::open(ways);
    let done = against(&toy, dir.path(), line);
    counts_add_up(&done.certificate);
    (done.certificate, toy)
}

fn counts_add_up(of: &Certificate) {
    assert_eq!(of.offered, of.issued + of.dropped);
    assert_eq!(of.issued, of.outcomes.values().sum::<u64>(), "{:?}", of.outcomes);
    for (name, count) in &of.outcomes {
        let by_second = |second: &jangbu_bench::Second| second.outcomes.get(name).copied();
        let sum: u64 = of.series.iter().filter_map(by_second).map(u64::from).sum();
        assert_eq!(*count, sum, "{name} by the second");
    }
    assert_eq!(of.offered, of.series.iter().map(|second| u64::from(second.offered)).sum::<u64>());
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
