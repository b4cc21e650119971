//! What an operator does stands in the audit log, in the very commit that does it.

use jangbu_domain::payment::command::{Command as Pay, Verdict};
use jangbu_engine::books::AUDIT;
use jangbu_engine::desk;
use jangbu_engine::port::{Backend, Fault};
use jangbu_kernel::time::Span;
use jangbu_kernel::{Envelope, Operator, Origin, PaymentId};
use jangbu_services::desk::{AuditFilter, AuditLine};
use jangbu_services::registry::{MIGRATIONS, TABLES};
use jangbu_store::{On, Sqlite};

use crate::rig::{Bench, Seen, lose};
use crate::stage::{cancel, confirm, create, hold, keyed, pay, place, receive, stock};

fn by(who: &str, mut envelope: Envelope) -> Envelope {
    let (who, why) = (who.into(), "because".into());
    envelope.operator = Some(Box::new(Operator { who, why, operation: "test.operation".into() }));
    envelope
}

/// Every line, oldest first.
fn lines(bench: &Bench) -> Vec<AuditLine> {
    let (mut lines, next) =
        bench.queries().audit_log(&AuditFilter::default(), None, 1_000).unwrap();
    assert_eq!(next, None);
    lines.reverse();
    lines
}

fn note(n: u8) -> Envelope {
    let (before, after) = (None, Some(format!("{{\"n\":{n}}}")));
    Envelope::new(desk::UNIT, Origin::Client, desk::Command::Note { before, after })
}

#[test]
fn an_operators_command_is_audited_in_the_commit_that_carries_it_out() {
    let mut bench = Bench::stocked();
    assert!(bench.run(hold(1, &[(0, 1)])).is_done());
    let before = bench.memory.dump()[&("shard", [0; 3])].clone();
    assert_eq!(lines(&bench), []);
    assert!(bench.run(by("kim", cancel(1))).is_done());
    let lines = lines(&bench);
    assert_eq!(lines.len(), 1);
    let AuditLine { id, who, operation, unit, resource, why, before: was, after, .. } = &lines[0];
    assert_eq!((*id, &**who, &**operation, &**unit), (1, "kim", "test.operation", "order"));
    assert_eq!((&**resource, &**why), ("ord_0000000000001", "because"));
    assert!(was.as_ref().unwrap().contains("AWAIT_PAY"), "{was:?}");
    assert!(after.as_ref().unwrap().contains("CANCELLED"), "the end of the cascade: {after:?}");
    let int = |row: &[jangbu_store::OwnedValue]| crate::rig::int(&row[1]).unwrap();
    let now = bench.memory.dump()[&("shard", [0; 3])].clone();
    assert_eq!(int(&now), int(&before) + 1, "one commit for both");
}

#[test]
fn neither_a_replay_nor_a_refusal_is_audited() {
    let mut bench = Bench::stocked();
    let create = |body| keyed(by("kim", create(7)), "k", body);
    assert!(bench.run(create(1)).is_done());
    assert!(matches!(bench.run(create(1)), Seen::Done { replayed: true, .. }));
    assert!(matches!(bench.run(create(2)), Seen::KeyReused(_)));
    assert!(matches!(bench.run(by("kim", cancel(99))), Seen::Refused("ORDER_UNKNOWN", _)));
    let numbers = bench.batch(vec![create(1), by("kim", cancel(99)), by("lee", note(1))]);
    assert!(bench.rig.answer(numbers[2]).is_done());
    let seen: Vec<_> = lines(&bench).into_iter().map(|line| (line.id, line.who)).collect();
    assert_eq!(seen, [(1, "kim".to_owned()), (2, "lee".to_owned())]);
}

#[test]
fn a_fault_leaves_each_line_once_and_no_gap() {
    for fault in 0..4 {
        let mut bench = Bench::stocked();
        let faults = bench.memory.faults();
        match fault {
            0 => faults.fail(On::Commit, 1, Fault::Transient("busy".to_owned())),
            1 => lose(faults, true),
            2 => lose(faults, false),
            _ => faults.poison(&AUDIT, [2, 0, 0]),
        }
        let batch = (1..=4).map(|n| by("kim", note(n))).collect();
        let numbers = bench.batch(batch);
        while bench.step().unwrap() != jangbu_engine::cell::Step::Idle {}
        let done = numbers.iter().filter(|n| bench.rig.answer(**n).is_done()).count();
        let lines = lines(&bench);
        assert_eq!(done, lines.len(), "fault {fault}");
        assert!(done == 4 || fault == 3, "fault {fault}: {done}");
        assert!((1..).zip(&lines).all(|(id, line)| line.id == id), "fault {fault}: {lines:?}");
    }
}

#[test]
fn the_desk_is_open_in_read_only_mode_and_its_notes_survive_a_restart() {
    let mut bench = Bench::stocked();
    let why = jangbu_engine::mailbox::Why::ReadOnly;
    bench.rig.mailbox(desk::UNIT).set_read_only(Some(why));
    assert_eq!(bench.run(hold(1, &[(0, 1)])), Seen::NotRun(why));
    assert!(bench.run(by("kim", note(1))).is_done());
    bench.rig.restart();
    assert!(bench.run(by("kim", note(2))).is_done());
    let after: Vec<_> = lines(&bench).into_iter().map(|line| (line.id, line.after)).collect();
    let json = |n| Some(format!("{{\"n\":{n}}}"));
    assert_eq!(after, [(1, json(1)), (2, json(2))]);
}

#[test]
fn no_secret_gets_into_the_audit_log() {
    const TOKEN: &str = "tok-4242-secret";
    let mut bench = Bench::stocked();
    assert!(bench.run(by("kim", place(1, &[(0, 1)], TOKEN))).is_done());
    assert!(bench.run(by("kim", hold(2, &[(0, 1)]))).is_done());
    assert!(bench.run(by("kim", confirm(2, 1_000, TOKEN))).is_done());
    assert_eq!(lines(&bench).len(), 3);
    let text = format!("{:?}", lines(&bench));
    assert!(!text.contains("4242") && !text.contains("secret"), "{text}");
}

#[test]
fn every_domain_describes_what_an_operator_changed() {
    let mut bench = Bench::stocked();
    let adjust = jangbu_domain::inventory::command::Command::Adjust {
        movement: jangbu_kernel::id::MovementId(77),
        sku: crate::history::sku(0),
        delta: -1,
        reason: "broken".into(),
    };
    for envelope in [create(8), receive(70, 8, 5), stock(adjust), place(1, &[(0, 1)], "ok")] {
        assert!(bench.run(by("kim", envelope)).is_done());
    }
    bench.rig.record().jobs.clear();
    bench.rig.advance(Span::secs(60));
    bench.settle();
    let (payment, verdict) = (PaymentId(1), Verdict::Captured);
    let resolve = Pay::Resolve { payment, verdict, evidence: "settlement file".into() };
    assert!(bench.run(by("kim", pay(resolve))).is_done());
    let resolved = lines(&bench).pop().unwrap();
    assert_eq!(resolved.resource, "pay_0000000000001");
    assert!(resolved.before.is_some_and(|state| state.contains("UNKNOWN")));
    assert!(resolved.after.is_some_and(|state| state.contains("CAPTURED")));
    for line in lines(&bench) {
        let after: serde_json::Value = serde_json::from_str(&line.after.unwrap()).unwrap();
        assert!(after.as_object().is_some_and(|fields| fields.len() > 2), "{after}");
    }
}

#[test]
fn filters_and_pages_go_from_the_newest_to_the_oldest() {
    let mut bench = Bench::stocked();
    let who = |n: u8| if n.is_multiple_of(3) { "kim" } else { "lee" };
    bench.batch((1..=120).map(|n| by(who(n), note(n))).collect());
    let filter = AuditFilter { who: Some("kim".to_owned()), ..AuditFilter::default() };
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let (page, next) = bench.queries().audit_log(&filter, before, 7).unwrap();
        assert!(page.len() <= 7);
        seen.extend(page.iter().map(|line| line.id));
        before = next;
        if next.is_none() {
            break;
        }
    }
    assert_eq!(seen, (1..=40).rev().map(|n| n * 3).collect::<Vec<_>>());
    let none = AuditFilter { resource: Some("ord_0".to_owned()), ..AuditFilter::default() };
    assert_eq!(bench.queries().audit_log(&none, None, 7).unwrap(), (Vec::new(), None));
}

#[test]
fn the_database_itself_refuses_to_change_or_delete_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("jangbu.db");
    Sqlite::new(&path, TABLES, MIGRATIONS).with(&mut |_| ()).unwrap();
    let db = rusqlite::Connection::open(&path).unwrap();
    let line = "INSERT INTO audit_log VALUES (1,1,'kim','o','desk','','w',NULL,NULL,NULL)";
    db.execute(line, []).unwrap();
    for sql in ["UPDATE audit_log SET who = 'lee'", "DELETE FROM audit_log"] {
        let error = db.execute(sql, []).unwrap_err().to_string();
        assert!(error.contains("the audit log is never"), "{error}");
    }
}
