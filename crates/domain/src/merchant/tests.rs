//! Text tables. A line is `command => answer`; after every command the harness checks that the row
//! is sound, that a reject changed nothing, and that the same command again changes nothing.

#![expect(clippy::arithmetic_side_effects, reason = "a test that overflows fails, as it should")]

use std::sync::Arc;

use jangbu_kernel::{Coded, Ctx, Domain, KeyId, Out, RowSet, Time};
use proptest::prelude::*;

use super::Merchants;
use super::command::{Command, Event, Reject, Reply};
use super::fees::{self, Fee};
use super::model::{MerchantId, Rows};

struct Bench {
    rows: Rows,
    now: i64,
}

impl Bench {
    fn new() -> Self {
        Self { rows: Rows::default(), now: 100 }
    }

    fn decide(&mut self, command: &Command) -> (Result<Reply, Reject>, usize) {
        let ctx = Ctx { now: Time(self.now), commit: 1, correlation: None, trace: None };
        Merchants::want(command, &mut self.rows);
        for id in self.rows.merchant.take_wanted() {
            self.rows.merchant.load(id, None);
        }
        let id = command.merchant();
        let before = (self.rows.merchant.get(id).cloned(), self.rows.merchant.version(id));
        let mut out: Out<Event> = Out::default();
        self.rows.merchant.mark();
        let answer = Merchants::decide(command, &ctx, &mut self.rows, &mut out);
        let after = (self.rows.merchant.get(id).cloned(), self.rows.merchant.version(id));
        if answer.is_err() {
            assert_eq!(after, before, "a reject changed the row");
        }
        assert_eq!(out.events.is_empty(), after.0 == before.0, "{command:?}: {:?}", out.events);
        if let Some(finding) = after.0.as_ref().and_then(super::model::Merchant::unsound) {
            panic!("{finding} after {command:?}");
        }
        (answer, out.events.len())
    }

    fn run(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ["at", time] = words[..] {
            self.now = time.parse().unwrap();
            return String::new();
        }
        let command = parse(&words);
        let (first, _) = self.decide(&command);
        if first.is_ok() && !matches!(command, Command::Create { .. }) {
            let (again, events) = self.decide(&command);
            assert_eq!((again, events), (first.clone(), 0), "{line} again");
            assert_eq!(Merchants::recall(&command, &self.rows), first.clone().ok(), "{line}");
        }
        match first {
            Ok(reply) => describe(&reply),
            Err(reject) => reject.code().to_owned(),
        }
    }
}

fn describe(reply: &Reply) -> String {
    let row = &reply.merchant;
    let key =
        |key: &super::model::Key| format!("{}{}", if key.is_live() { "" } else { "-" }, key.id.0);
    let fee = |fee: &Fee| {
        let to = fee.to.map_or(String::new(), |to| to.0.to_string());
        format!("{}..{to}={}", fee.from.0, fee.rate_bp)
    };
    let list = |all: Vec<String>| all.join(",");
    format!(
        "{} [{}] [{}]",
        row.state.name(),
        list(row.keys.iter().map(key).collect()),
        list(row.fees.iter().map(fee).collect())
    )
}

fn parse(words: &[&str]) -> Command {
    let m = || Arc::from("m");
    match *words {
        ["create", code, name] => {
            let code = if code == "none" { "" } else { code };
            let name = if name == "none" { "" } else { name };
            Command::Create { code: code.into(), name: name.into() }
        }
        ["key", id] => {
            let key = KeyId(id.parse().unwrap());
            Command::AddKey { code: m(), key, sealed: Box::new([1, 2]), legacy: false }
        }
        ["revoke", id] => Command::RevokeKey { code: m(), key: KeyId(id.parse().unwrap()) },
        ["fees", ref fees @ ..] => {
            Command::SetFees { code: m(), fees: fees.iter().map(|text| fee(text)).collect() }
        }
        ["suspend"] => Command::Suspend { code: m() },
        ["resume"] => Command::Resume { code: m() },
        _ => panic!("not a command: {words:?}"),
    }
}

/// `100..200=350` is 3.5 % from 100 up to 200, `100..=350` for ever.
fn fee(text: &str) -> Fee {
    let (period, rate) = text.split_once('=').unwrap();
    let (from, to) = period.split_once("..").unwrap();
    let to = (!to.is_empty()).then(|| Time(to.parse().unwrap()));
    let (from, rate_bp) = (Time(from.parse().unwrap()), rate.parse().unwrap());
    Fee { from, to, rate_bp, fixed: 0, vat_bp: 1_000 }
}

fn check(table: &str) {
    let mut bench = Bench::new();
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.split_once("=> ") {
            Some((command, wanted)) => assert_eq!(bench.run(command), wanted, "{line}"),
            None => _ = bench.run(line),
        }
    }
}

#[test]
fn a_merchant_has_two_live_keys_while_one_replaces_the_other() {
    check(
        "
        key 1           => MERCHANT_UNKNOWN
        create m.1 Kim  => MERCHANT_CODE_INVALID
        create none Kim => MERCHANT_CODE_INVALID
        create 123456789012345678901234567890123 Kim => MERCHANT_CODE_INVALID
        create m none   => MERCHANT_NAME_INVALID
        create m Kim    => ACTIVE [] []
        create m Kim    => MERCHANT_EXISTS
        key 1           => ACTIVE [1] []
        key 2           => ACTIVE [1,2] []
        key 3           => MERCHANT_KEYS_FULL
        revoke 4        => MERCHANT_KEY_UNKNOWN
        revoke 1        => ACTIVE [-1,2] []
        key 3           => ACTIVE [-1,2,3] []
        key 1           => ACTIVE [-1,2,3] []
        revoke 2        => ACTIVE [-1,-2,3] []
        suspend         => SUSPENDED [-1,-2,3] []
        revoke 3        => SUSPENDED [-1,-2,-3] []
        resume          => ACTIVE [-1,-2,-3] []
        ",
    );
}

#[test]
fn keys_are_remembered_up_to_a_thousand() {
    let mut bench = Bench::new();
    bench.run("create m Kim");
    for id in 1..=super::model::REMEMBERED {
        assert_ne!(bench.run(&format!("key {id}")), "MERCHANT_KEYS_FULL");
        bench.run(&format!("revoke {id}"));
    }
    assert_eq!(bench.run("key 1001"), "MERCHANT_KEYS_FULL");
}

#[test]
fn a_schedule_has_order_and_leaves_the_past_alone() {
    check(
        "
        create m Kim                            => ACTIVE [] []
        fees                                    => FEES_INVALID
        fees 100..100=1                         => FEES_INVALID
        fees 100..200=1 150..=2                 => FEES_INVALID
        fees 100..=1 200..=2                    => FEES_INVALID
        fees 100..200=10001                     => FEES_INVALID
        fees 100..200=-1                        => FEES_INVALID
        fees 50..=300                           => ACTIVE [] [50..=300]
        fees 50..=350                           => FEES_PAST
        fees 99..=350                           => FEES_PAST
        fees 100..=350                          => ACTIVE [] [50..100=300,100..=350]
        fees 150..200=100 200..=350             => ACTIVE [] [50..100=300,100..150=350,150..200=100,200..=350]
        at 160
        fees 150..200=100 250..=400             => ACTIVE [] [50..100=300,100..150=350,150..200=100,250..=400]
        fees 150..200=101 250..=400             => FEES_PAST
        fees 160..170=0                         => ACTIVE [] [50..100=300,100..150=350,150..160=100,160..170=0]
        fees 100..150=350 150..160=100 170..=9  => ACTIVE [] [50..100=300,100..150=350,150..160=100,170..=9]
        fees 10..=1                             => FEES_PAST
        ",
    );
}

#[test]
fn a_fee_holds_from_its_first_moment_to_the_last_before_its_end() {
    let mut bench = Bench::new();
    bench.run("create m Kim");
    bench.run("fees 100..200=1 300..=2");
    let row = bench.rows.merchant.get(MerchantId::of("m")).unwrap();
    let at = |time| row.fee_at(Time(time)).map(|fee| fee.rate_bp);
    let found = [99, 100, 199, 200, 299, 300, i64::MAX].map(at);
    assert_eq!(found, [None, Some(1), Some(1), None, None, Some(2), Some(2)]);
}

fn schedule() -> impl Strategy<Value = Vec<Fee>> {
    let steps = prop::collection::vec((0_i64..40, 1_i64..40, 0_i64..5), 1..5);
    (0_i64..200, steps, any::<bool>()).prop_map(|(start, steps, open)| {
        let (mut at, last) = (start, steps.len() - 1);
        let mut fees = Vec::new();
        for (n, (pause, length, rate_bp)) in steps.into_iter().enumerate() {
            let from = at + pause;
            at = from + length;
            let to = (n < last || !open).then_some(Time(at));
            fees.push(Fee { from: Time(from), to, rate_bp, fixed: 0, vat_bp: 0 });
        }
        fees
    })
}

proptest! {
    #[test]
    fn what_a_schedule_says_of_the_past_never_changes(
        changes in prop::collection::vec((0_i64..40, schedule()), 1..12),
    ) {
        let mut bench = Bench::new();
        bench.run("create m Kim");
        bench.now = 0;
        let merchant = MerchantId::of("m");
        let said = |bench: &Bench, time| {
            bench.rows.merchant.get(merchant).unwrap().fee_at(Time(time)).map(|fee| fee.rate_bp)
        };
        let mut agreed = false;
        for (later, fees) in changes {
            bench.now += later;
            let past: Vec<_> = (0..bench.now).map(|time| said(&bench, time)).collect();
            let answer = bench.decide(&Command::SetFees { code: "m".into(), fees: fees.clone() }).0;
            if agreed {
                let now: Vec<_> = (0..bench.now).map(|time| said(&bench, time)).collect();
                prop_assert_eq!(past, now);
            }
            if answer.is_ok() {
                agreed = true;
                for time in bench.now..400 {
                    let wanted = fees.iter().find(|fee| fee.holds_at(Time(time)));
                    let after = fees.first().is_some_and(|first| first.from.0 <= time);
                    prop_assert!(!after || wanted.map(|fee| fee.rate_bp) == said(&bench, time));
                }
            }
            prop_assert_eq!(fees::fault(&bench.rows.merchant.get(merchant).unwrap().fees), None);
        }
    }
}
