//! Worlds of `./test`.

use jangbu_sim::{Tally, run};

#[test]
fn the_same_seed_twice_is_the_same_trace() {
    for seed in 0..40 {
        let (one, other) = (run(seed, true), run(seed, true));
        assert_eq!(one.lines, other.lines, "seed {seed}");
        assert_eq!(one.hash, other.hash, "seed {seed}");
        assert_eq!(one.hash, run(seed, false).hash, "seed {seed}: keeping lines changes them");
    }
}

#[test]
fn a_thousand_worlds_break_no_law() {
    let halves = std::thread::scope(|scope| {
        let halves = [0..500, 500..1_000].map(|seeds| scope.spawn(|| lived(seeds)));
        halves.map(|half| half.join().unwrap())
    });
    let mut tally = Tally::default();
    for half in &halves {
        tally.merge(half);
    }
    for fault in FAULTS {
        assert!(tally.of(fault) > 9, "hardly any {fault:?} in a thousand worlds:\n{tally}");
    }
}

/// What a thousand worlds meet, or the test is worth little.
const FAULTS: [&str; 21] = [
    "died between steps",
    "died after a commit",
    "died of its store",
    "store: busy",
    "store: full",
    "store: commit done, answer lost",
    "store: commit not done, answer lost",
    "store: refuses a row",
    "set aside",
    "mail: lost",
    "mail: doubled",
    "mail: delayed",
    "gateway: request lost",
    "gateway: request arrives after its time",
    "gateway: late answer",
    "gateway: fenced",
    "order PAY_UNKNOWN → COMPLETED",
    "order REVERSING → CANCELLED",
    "event order.refunded",
    "replayed",
    "key reused",
];

fn lived(seeds: std::ops::Range<u64>) -> Tally {
    let mut tally = Tally::default();
    for seed in seeds {
        let report = run(seed, false);
        tally.merge(&report.tally);
        assert_eq!(report.finding, None, "seed {seed}: cargo run -p jangbu-sim -- --trace {seed}");
    }
    tally
}

/// Worlds in which a law was broken once; what each of them found stands beside it.
#[test]
fn worlds_that_broke_a_law_once_break_none_now() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/seeds/found.txt"));
    let text = text.unwrap();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut seeds = 0;
    for line in lines {
        let (seed, what) = line.split_once(' ').unwrap();
        assert_eq!(run(seed.parse().unwrap(), false).finding, None, "seed {seed}: {what}");
        seeds += 1;
    }
    assert!(seeds > 0, "nothing was read");
}
