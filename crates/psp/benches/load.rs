//! What the simulated gateway costs: `cargo bench -p jangbu-psp --bench load -- RATE SECONDS [DIR]`.
//!
//! Charges arrive at a steady rate, a burst each millisecond, at the usual latency of 5–15 ms. Reported are
//! the processor time of the gateway's thread per request (from /proc, in steps of 10 ms in all), the
//! records per sync, the time from request to answer, and how long the log takes to open again.

#![expect(clippy::print_stdout, reason = "a measurement is printed")]

use std::{
    env, fs,
    path::Path,
    sync::mpsc::{Sender, channel},
    thread,
    time::{Duration, Instant},
};

use jangbu_psp::{Currency, Gateway, Op, Request, SimConfig, Simulator};

fn main() {
    let given: Vec<String> = env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let number = |at: usize, usual| given.get(at).and_then(|a| a.parse().ok()).unwrap_or(usual);
    let (rate, seconds): (i64, u64) = (number(0, 15_000), number(1, 10).cast_unsigned());
    let folder = given.get(2).map_or_else(env::temp_dir, Into::into);
    let folder = tempfile::tempdir_in(folder).expect("a folder for the log");
    let log = folder.path().join("psp.log");

    let sim = start(&log);
    let (answer, answers) = channel();
    let begin = Instant::now();
    for millisecond in 0..seconds.cast_signed() * 1_000 {
        let due = begin + Duration::from_millis(millisecond.cast_unsigned());
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let payments = millisecond * rate / 1_000..(millisecond + 1) * rate / 1_000;
        payments.for_each(|payment| charge(&sim, payment, &answer));
    }
    drop(answer);
    let mut took: Vec<Duration> = answers.iter().collect();
    took.sort_unstable();
    report(&sim, &took);

    drop(sim);
    let begin = Instant::now();
    let payments = start(&log).stats().payments;
    println!("opened again in {:?} with {payments} payments", begin.elapsed());
}

fn start(log: &Path) -> Simulator {
    Simulator::start(log, SimConfig::default(), None).expect("the gateway starts")
}

fn charge(sim: &Simulator, payment: i64, answer: &Sender<Duration>) {
    let (sent, answer) = (Instant::now(), answer.clone());
    let request = Request {
        payment,
        op: Op::Charge,
        no: 0,
        amount: 100,
        currency: Currency::KRW,
        token: "tok_visa".into(),
    };
    sim.submit(request, Box::new(move |_| _ = answer.send(sent.elapsed())));
}

fn report(sim: &Simulator, took: &[Duration]) {
    let stats = sim.stats();
    let at = |share: usize| took[(took.len() - 1) * share / 1_000];
    println!("{} requests, {} answers, {} syncs", stats.requests, took.len(), stats.syncs);
    println!("request to answer: p50 {:?}, p99 {:?}, max {:?}", at(500), at(990), at(1_000));
    if let Some(spent) = processor_time("psp-sim") {
        let each = spent.as_nanos() / u128::from(stats.requests.max(1));
        println!("processor time of the gateway's thread: {each} ns per request");
    }
}

/// User and system time of the thread of that name, on Linux.
fn processor_time(thread: &str) -> Option<Duration> {
    let tasks = fs::read_dir("/proc/self/task").ok()?;
    let stats = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("stat")).ok());
    let mine = stats.into_iter().find(|stat| stat.contains(&format!("({thread})")))?;
    let after_name = mine.rsplit(')').next()?;
    let fields = after_name.split_whitespace().skip(11).take(2);
    let ticks: u64 = fields.filter_map(|field| field.parse::<u64>().ok()).sum();
    Some(Duration::from_millis(ticks * 10))
}
