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
    let mut tally = Tally::default();
    for seed in 0..1_000 {
        let report = run(seed, false);
        tally.merge(&report.tally);
        assert_eq!(report.finding, None, "seed {seed}: cargo run -p jangbu-sim -- --trace {seed}");
    }
}
