use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

fn rules() -> BreakerRules {
    BreakerRules {
        bucket: Span::secs(1),
        buckets: 10,
        min_calls: 4,
        failure_percent: 50,
        slow: Some(Slow { after: Span::secs(2), percent: 75 }),
        open_for: Span::secs(5),
        probes: 2,
        closes_after: 3,
        patience: Span::secs(20),
    }
}

fn micros(seconds: &str) -> Time {
    let (whole, tenths) = seconds.split_once('.').unwrap_or((seconds, "0"));
    Time(whole.parse::<i64>().unwrap() * 1_000_000 + tenths.parse::<i64>().unwrap() * 100_000)
}

/// Each line: `seconds  what  who-or-how-often => state after it`.
///
/// `good|bad|slow N` admits N calls and ends them at once; `take a` admits a call that goes on, `any a`
/// one that the breaker may not hold back; `good|bad|slow a` ends it; `none` wants a refusal.
fn check(story: &str) {
    let mut breaker = Breaker::new(rules());
    let mut out = HashMap::new();
    for line in story.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (event, expect) = line.split_once("=>").unwrap();
        let [at, what, rest @ ..] = &*event.split_whitespace().collect::<Vec<_>>() else {
            panic!("{line}")
        };
        let (now, who) = (micros(at), rest.first().copied().unwrap_or("1"));
        let took = if *what == "slow" { Span::secs(2) } else { Span::millis(10) };
        match (*what, who.parse::<u32>()) {
            ("none", _) => assert_eq!(breaker.admit(now), None, "{line}"),
            ("take", _) => drop(out.insert(who, breaker.admit(now).expect(line))),
            ("any", _) => drop(out.insert(who, breaker.admit_always(now))),
            (_, Ok(times)) => {
                for _ in 0..times {
                    let permit = breaker.admit(now).expect(line);
                    breaker.record(now, permit, *what != "bad", took);
                }
            }
            (_, Err(_)) => breaker.record(now, out.remove(who).expect(line), *what != "bad", took),
        }
        let state = match breaker.stats(now).state {
            BreakerState::Closed => "closed",
            BreakerState::Open => "open",
            BreakerState::HalfOpen => "half",
        };
        assert_eq!(state, expect.trim(), "{line}");
    }
}

#[test]
fn opens_at_the_share_and_closes_after_good_probes() {
    check(
        "
        0.0  good 3  => closed
        0.1  bad 2   => closed
        0.2  bad 1   => open
        0.2  none    => open
        5.1  none    => open
        5.2  good 1  => half
        5.3  good 1  => half
        5.4  good 1  => closed
        5.5  bad 3   => closed
        5.5  bad 1   => open
        ",
    );
}

#[test]
fn a_good_call_can_complete_the_volume_that_opens_it() {
    check(
        "
        0.0  bad 3   => closed
        0.1  good 1  => open
        ",
    );
}

#[test]
fn few_failures_among_many_successes_open_nothing() {
    check(
        "
        0.0  good 1000 => closed
        0.1  bad 500   => closed
        0.2  good 500  => closed
        0.3  bad 499   => closed
        ",
    );
}

#[test]
fn what_left_the_window_does_not_count() {
    check(
        "
        0.5   bad 3  => closed
        9.9   good 0 => closed
        10.0  bad 1  => closed
        19.9  bad 2  => closed
        19.9  bad 1  => open
        ",
    );
    check(
        "
        0.5   bad 3  => closed
        9.9   bad 1  => open
        ",
    );
}

#[test]
fn slow_calls_open_it_although_they_are_good() {
    check(
        "
        0.0  slow 2  => closed
        0.1  good 1  => closed
        0.2  slow 1  => open
        5.2  slow 1  => open
        10.2 good 3  => closed
        ",
    );
}

#[test]
fn probes_are_bounded_and_one_bad_probe_opens_again() {
    check(
        "
        0.0  bad 4   => open
        5.0  take a  => half
        5.0  take b  => half
        5.0  none    => half
        6.0  good a  => half
        6.0  take c  => half
        6.0  none    => half
        6.5  bad b   => open
        6.6  good c  => open
        11.4 none    => open
        11.5 take d  => half
        ",
    );
}

#[test]
fn answers_from_before_the_outage_do_not_count() {
    check(
        "
        0.0  take a  => closed
        0.0  take b  => closed
        0.0  take c  => closed
        0.0  take d  => closed
        0.0  bad 4   => open
        5.0  take p  => half
        5.1  good a  => half
        5.1  good b  => half
        5.1  good c  => half
        5.2  bad d   => half
        5.2  good p  => half
        5.2  good 1  => half
        5.2  good 1  => closed
        ",
    );
}

#[test]
fn silent_probes_do_not_block_it_for_ever() {
    check(
        "
        0.0  bad 4   => open
        5.0  take a  => half
        5.0  take b  => half
        24.9 none    => half
        25.0 none    => open
        30.0 take c  => half
        30.0 good a  => half
        30.0 good c  => half
        30.0 good 2  => closed
        ",
    );
}

#[test]
fn unguarded_calls_always_pass_and_serve_as_probes() {
    check(
        "
        0.0  bad 4   => open
        1.0  any a   => open
        1.1  good a  => open
        5.0  any b   => half
        5.0  any c   => half
        5.0  any d   => half
        5.1  bad d   => half
        5.1  good b  => half
        5.1  good c  => half
        5.1  any e   => half
        5.1  good e  => closed
        ",
    );
}

#[test]
fn a_clock_that_steps_back_stands_still() {
    check(
        "
        10.0 bad 3   => closed
        2.0  bad 1   => open
        7.0  none    => open
        14.9 none    => open
        15.0 take a  => half
        3.0  good a  => half
        ",
    );
}

#[test]
fn refusals_and_openings_are_counted() {
    let mut breaker = Breaker::new(rules());
    for _ in 0..4 {
        let permit = breaker.admit(Time(0)).unwrap();
        breaker.record(Time(0), permit, false, Span::secs(3));
    }
    assert_eq!(breaker.admit(Time(1)), None);
    let state = BreakerState::Open;
    let stats = BreakerStats { state, calls: 4, failed: 4, slow: 4, refused: 1, opened: 1 };
    assert_eq!(breaker.stats(Time(1)), stats);
    let later = BreakerStats { calls: 0, failed: 0, slow: 0, ..stats };
    assert_eq!(breaker.stats(micros("10.0")), later);
}

proptest! {
    /// The window against the plain list of calls.
    #[test]
    fn the_window_is_the_list_of_recent_calls(
        calls in prop::collection::vec((0..4_000_000_i64, any::<bool>(), any::<bool>()), 1..200),
    ) {
        let mut window = Window::new(Span::secs(1), 10);
        let (mut now, mut list) = (-7_000_000_i64, Vec::new());
        for (step, good, slow) in calls {
            now += step * step / 4_000_000;
            window.advance(Time(now));
            window.add(good, slow);
            list.push((now.div_euclid(1_000_000), good, slow));
            let from = now.div_euclid(1_000_000) - 9;
            let recent = list.iter().filter(|call| call.0 >= from);
            prop_assert_eq!(window.sum.calls as usize, recent.clone().count());
            prop_assert_eq!(window.sum.failed as usize, recent.clone().filter(|call| !call.1).count());
            prop_assert_eq!(window.sum.slow as usize, recent.filter(|call| call.2).count());
        }
    }
}

#[test]
fn a_breaker_that_is_tripped_opens_whatever_went_well_before_and_closes_by_probes() {
    let mut breaker = Breaker::new(rules());
    for _ in 0..100 {
        let permit = breaker.admit(micros("0")).unwrap();
        breaker.record(micros("0"), permit, true, Span::millis(10));
    }
    breaker.trip(micros("1"));
    breaker.trip(micros("2"));
    let stats = breaker.stats(micros("2"));
    assert_eq!((stats.state, stats.opened), (BreakerState::Open, 1));
    assert_eq!(breaker.admit(micros("5.9")), None);
    for _ in 0..3 {
        let permit = breaker.admit(micros("6")).unwrap();
        breaker.record(micros("6"), permit, true, Span::millis(10));
    }
    assert_eq!(breaker.stats(micros("6")).state, BreakerState::Closed);
}
