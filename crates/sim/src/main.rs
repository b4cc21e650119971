//! Runs worlds, one after the other, and says what they met: `jangbu-sim --seeds 1000 --from 0`.
#![expect(clippy::print_stdout, reason = "a command-line tool answers on standard output")]

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use jangbu_sim::{Report, Tally, run};

#[derive(Debug, Parser)]
#[command(name = "jangbu-sim", about = "Deterministic simulation of the whole core")]
struct Args {
    /// How many seeds.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Print every line of this world, and nothing else.
    #[arg(long, value_name = "SEED")]
    trace: Option<u64>,
    /// Stop after so many worlds in which a law was broken.
    #[arg(long, default_value_t = 5)]
    most: usize,
}

fn main() -> ExitCode {
    let args = Args::parse();
    // A panic is a finding, and said as one.
    std::panic::set_hook(Box::new(|_| {}));
    let clean = match args.trace {
        Some(seed) => trace(seed),
        None => many(&args),
    };
    if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn trace(seed: u64) -> bool {
    let report = run(seed, true);
    for line in &report.lines {
        println!("{line}");
    }
    println!("{} events, hash {:016x}", report.events, report.hash);
    report.finding.is_none()
}

fn many(args: &Args) -> bool {
    let (started, mut tally) = (Instant::now(), Tally::default());
    let (mut events, mut ran) = (0, 0_u32);
    let mut broken: Vec<Report> = Vec::new();
    for seed in args.from..args.from + args.seeds {
        let report = run(seed, false);
        tally.merge(&report.tally);
        (events, ran) = (events + u64::from(report.events), ran + 1);
        if let Some(finding) = &report.finding {
            println!("seed {seed} (hash {:016x}): {finding}", report.hash);
            println!("  cargo run -p jangbu-sim -- --trace {seed}");
            broken.push(report);
        }
        if broken.len() >= args.most {
            break;
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    print!("{tally}");
    let rate = f64::from(ran) / seconds;
    println!("{ran} worlds, {events} events, {seconds:.1} s: {rate:.0} worlds/s");
    println!("{} broke a law", broken.len());
    broken.is_empty()
}
