//! Every place a payment can stand in × every call × every answer, with and without an order,
//! then every pair of answers. Nothing is sampled.

use super::bench::{Bench, ID};
use crate::payment::Command;
use crate::payment::command::{Ask, Event, Reject, Said};
use crate::payment::model::{AMOUNT_MISMATCH, Payment, RefundState, State};

/// How to get to each place, from a payment of 100 with the parts a=60 and b=40.
const PLACES: [(&str, State); 27] = [
    ("intend", State::Intent),
    ("charge", State::Sent),
    ("hold", State::Sent),
    ("hold; said authorize authorized 100", State::Authorized),
    ("hold; said authorize authorized 100; capture", State::CaptureSent),
    ("hold; said authorize authorized 100; void", State::VoidSent),
    ("hold; said authorize authorized 100; void; said void voided", State::Voided),
    ("intend; void", State::Voided),
    ("charge; said charge declined x", State::Declined),
    ("charge; said charge not_sent x", State::Declined),
    ("charge; said charge unknown x", State::Unknown),
    ("charge; said charge unknown x; inquire", State::Unknown),
    (
        "charge; said charge unknown x; at 70s; inquire; said inquire not_found; inquire",
        State::Unknown,
    ),
    (
        "charge; said charge unknown x; at 70s; inquire; said inquire not_found; inquire; said inquire not_found",
        State::Unknown,
    ),
    ("charge; said charge captured 99", State::Unknown),
    ("charge; said charge captured 99; inquire", State::Unknown),
    (
        "hold; said authorize authorized 100; capture; said capture unknown x; inquire",
        State::Unknown,
    ),
    ("hold; said authorize authorized 100; void; at 10s; inquire", State::Unknown),
    ("charge; said charge captured 100", State::Captured),
    ("charge; said charge captured 100; refund 1 a=50 b=20", State::Captured),
    (
        "charge; said charge captured 100; refund 1 a=50 b=20; said refund1 unknown x; inquire 1",
        State::Captured,
    ),
    (
        "charge; said charge captured 100; refund 1 a=50 b=20; said refund1 refunded 70; refund 2 a=10",
        State::Captured,
    ),
    (
        "charge; said charge captured 100; refund 1 a=50 b=20; said refund1 refused x",
        State::Captured,
    ),
    (
        "charge; said charge captured 100; refund 1 a=50 b=20; said refund1 refused x; refund 2 a=60",
        State::Captured,
    ),
    ("charge; said charge captured 100; aside 1 a=60 b=40", State::Captured),
    (
        "charge; said charge captured 100; refund 0 a=60 b=40; said refund0 refused x; aside 1 a=60 b=40",
        State::Captured,
    ),
    (
        "charge; said charge captured 100; refund 0 a=60 b=40; said refund0 refused x; aside 1 a=60 b=40; said refund0 refunded 100",
        State::Captured,
    ),
];

const ASKS: [Ask; 8] = [
    Ask::Charge,
    Ask::Authorize,
    Ask::Capture,
    Ask::Void,
    Ask::Refund(1),
    Ask::Inquire,
    Ask::InquireRefund(1),
    Ask::Fence,
];

fn answers() -> [Said; 13] {
    let psp_ref = || Box::from("psp-1");
    let text = || Box::from("x");
    [
        Said::Captured { psp_ref: psp_ref(), amount: 100 },
        Said::Captured { psp_ref: psp_ref(), amount: 101 },
        Said::Authorized { psp_ref: psp_ref(), amount: 100 },
        Said::Authorized { psp_ref: psp_ref(), amount: 10 },
        Said::Voided,
        Said::Refunded { amount: 70 },
        Said::Refunded { amount: 71 },
        Said::Declined { code: text() },
        Said::Refused { code: text() },
        Said::NotFound,
        Said::Fenced,
        Said::Unknown { why: text() },
        Said::NotSent { why: text() },
    ]
}

fn said_commands() -> Vec<Command> {
    let said = |ask| answers().map(|said| Command::Said { payment: ID, ask, said });
    ASKS.into_iter().flat_map(said).collect()
}

fn stand(script: &str, with_order: bool) -> Bench {
    let mut bench = Bench::new(with_order);
    for line in script.split("; ") {
        bench.run(match line {
            "intend" => "intend a=60 b=40",
            "charge" => "intend a=60 b=40 token",
            "hold" => "intend later a=60 b=40 token",
            other => other,
        });
    }
    bench
}

/// The money that a decision has stated.
fn stated(events: &[Event]) -> (i64, i64, i64) {
    let mut sum = (0, 0, 0);
    for event in events {
        if let Event::Captured { amount, .. } = event {
            sum = (sum.0 + amount, sum.1, sum.2 + 1);
        }
        if let Event::Refunded { amount, .. } = event {
            sum = (sum.0, sum.1 + amount, sum.2 + 1);
        }
        sum.2 += i64::from(matches!(event, Event::SetAside { .. } | Event::Released { .. }));
    }
    sum
}

/// Gives `command` to the bench and checks everything that holds for any answer anywhere.
fn hear(bench: &mut Bench, command: &Command, name: &str) {
    let before = bench.row().cloned().unwrap();
    match bench.decide(command) {
        Ok(_) => {}
        Err(Reject::RefundUnknown) => {
            assert!(before.refund(1).is_none(), "{name}");
            return;
        }
        Err(reject) => panic!("{name}: {command:?} was refused: {reject:?}"),
    }
    let after = bench.row().cloned().unwrap();
    assert_eq!(after.unsound(), None, "{name}: {command:?}\n{before:#?}\n{after:#?}");
    if before.state == State::Captured {
        assert_eq!(after.state, State::Captured, "{name}: {command:?} left CAPTURED");
    }
    let moved = (
        after.captured - before.captured,
        after.refunded - before.refunded,
        after.postings - before.postings,
    );
    assert_eq!(stated(&bench.out.events), moved, "{name}: {command:?}");
    wrong_amounts_move_nothing(command, &before, &after, name);
    has_a_way_on(&after, bench, &format!("{name}: {command:?}"));
    silence_changes_nothing_again(bench, command, name);
}

fn wrong_amounts_move_nothing(command: &Command, before: &Payment, after: &Payment, name: &str) {
    let Command::Said { said, .. } = command else { return };
    if matches!(said, Said::Captured { amount: 101, .. }) && before.state != State::Captured {
        assert_eq!(after.state, State::Unknown, "{name}");
        assert_eq!(after.reason.as_deref(), Some(AMOUNT_MISMATCH), "{name}");
    }
    if matches!(said, Said::Refunded { amount: 71 }) {
        assert_eq!(after.refunded, before.refunded, "{name}");
    }
}

/// Without an order, whatever is open has a timer; with one, nothing has.
fn has_a_way_on(row: &Payment, bench: &Bench, what: &str) {
    let open =
        matches!(row.state, State::Sent | State::CaptureSent | State::VoidSent | State::Unknown)
            || row.refunds.iter().any(crate::payment::model::Refund::is_open);
    let next = row.next_at.filter(|_| row.order.is_none());
    assert_eq!(next.is_some(), open && row.order.is_none(), "{what}");
    assert!(
        next.is_none_or(|next| next > bench.now || row.deadline.is_none_or(|d| d <= bench.now))
    );
}

fn silence_changes_nothing_again(bench: &mut Bench, command: &Command, name: &str) {
    let (row, out) = (bench.row().cloned(), std::mem::take(&mut bench.out));
    bench.decide(command).unwrap();
    assert_eq!(bench.row().cloned(), row, "{name}: {command:?} twice");
    assert!(bench.out.events.is_empty() && bench.out.calls.is_empty(), "{name}: {command:?} twice");
    bench.out = out;
}

#[test]
fn every_answer_in_every_place() {
    let mut seen = 0;
    for (script, state) in PLACES {
        for with_order in [true, false] {
            for command in said_commands() {
                let mut bench = stand(script, with_order);
                assert_eq!(bench.row().unwrap().state, state, "{script}");
                hear(&mut bench, &command, script);
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 27 * 2 * 8 * 13);
    for state in State::ALL {
        assert!(PLACES.iter().any(|(_, place)| place == state), "no place with {state:?}");
    }
    for refund in RefundState::ALL {
        let stands = |script| stand(script, true).row().unwrap().refund(1).map(|r| r.state);
        assert!(PLACES.iter().any(|(script, _)| stands(script) == Some(*refund)), "{refund:?}");
    }
}

#[test]
fn every_pair_of_answers_states_each_money_once() {
    let (commands, mut seen) = (said_commands(), 0);
    for (script, _) in PLACES {
        for first in &commands {
            let mut start = stand(script, true);
            hear(&mut start, first, script);
            let row = start.row().cloned().unwrap();
            let money = stated(&start.out.events);
            for second in &commands {
                start.rows.payment.load(ID, Some((row.clone(), 1)));
                hear(&mut start, second, script);
                let both = stated(&start.out.events);
                assert!(money.0 + both.0 <= 100 && money.1 + both.1 <= 100, "{first:?} {second:?}");
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 27 * 104 * 104);
}

/// What an answer that reports a deed does, by state: the rows of the table in `mod.rs`.
#[test]
fn deeds_are_taken_from_every_state_that_they_can_change() {
    let deed = |said| Command::Said { payment: ID, ask: Ask::Inquire, said };
    for (script, state) in PLACES {
        let mut bench = stand(script, true);
        let captured = deed(Said::Captured { psp_ref: "p".into(), amount: 100 });
        assert_eq!(bench.decide(&captured).unwrap().state, State::Captured, "{script}");
        let mut bench = stand(script, true);
        let disputed = bench.row().unwrap().reason.as_deref() == Some(AMOUNT_MISMATCH);
        let voidable = matches!(
            state,
            State::Sent | State::Authorized | State::CaptureSent | State::VoidSent | State::Unknown
        );
        let expected = if voidable && !disputed { State::Voided } else { state };
        assert_eq!(bench.decide(&deed(Said::Voided)).unwrap().state, expected, "{script}");
    }
}

/// The same places for a payment of merchant a alone, without an order.
fn alone(script: &str) -> Bench {
    let mut bench = Bench::new(false);
    for line in script.replace("a=50 b=20", "a=70").split("; ") {
        bench.run(match line {
            "intend" => "intend a=100",
            "charge" => "intend a=100 token",
            "hold" => "intend later a=100 token",
            other => other,
        });
    }
    bench
}

#[test]
fn a_merchants_wish_in_every_place() {
    let wishes = ["capture a", "void a", "give 9 a=20", "give 9 a", "give 9 a=100"];
    let (mut given, mut seen) = (0, 0);
    for (script, state) in PLACES {
        for wish in wishes {
            let mut bench = alone(script);
            let before = bench.row().cloned().unwrap();
            assert_eq!(before.state, state, "{script}");
            let stranger = bench.run(&wish.replace(" a", " b"));
            assert_eq!(stranger, "PAYMENT_UNKNOWN", "{script}: {wish}");
            let said = bench.run(wish);
            let row = bench.row().cloned().unwrap();
            has_a_way_on(&row, &bench, &format!("{script}: {wish}"));
            let asked = row.refunds.len() > before.refunds.len();
            assert!(!asked || state == State::Captured, "{script}: {wish}: {said}");
            given += usize::from(asked);
            for command in said_commands() {
                let mut bench = alone(script);
                bench.run(wish);
                hear(&mut bench, &command, script);
                seen += 1;
            }
        }
    }
    assert_eq!((given, seen), (23, PLACES.len() * 5 * 8 * 13));
}
