//! Each breach is named with its rule and its subject, and no rule lacks a breach.

use std::{collections::BTreeSet, path::Path, sync::OnceLock};

use jangbu_audit::{Options, Report, prove, rules};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::{
    breaches::{ACKS, ENGINE, PSP, Psp, SQL},
    clean::whole_shop,
    coupons, people, points,
    shop::{psp_record, show},
};

pub(crate) type Names = Vec<(&'static str, i64)>;

/// Rules whose breaches are tests of their own, below and in `postgres`.
const ELSEWHERE: &[&str] = &["store.page", "store.constraint", "store.step", "ack.charged"];

/// A fresh copy of the sound shop.
pub(crate) fn copy() -> (TempDir, &'static Names) {
    static SOUND: OnceLock<(TempDir, Names)> = OnceLock::new();
    let (sound, names) = SOUND.get_or_init(whole_shop);
    let dir = TempDir::new().unwrap();
    for file in ["jangbu.db", "psp.log"] {
        std::fs::copy(sound.path().join(file), dir.path().join(file)).unwrap();
    }
    (dir, names)
}

/// Replaces `$name`, `@name` and `%name`, the longest names first.
pub(crate) fn fill(text: &str, names: &Names) -> String {
    let mut names = names.clone();
    names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    names.iter().fold(text.to_owned(), |text, (name, id)| {
        let text = text.replace(&format!("${name}"), &id.to_string());
        let text = text.replace(&format!("%{name}"), &show("pay", *id));
        text.replace(&format!("@{name}"), &show("ord", *id))
    })
}

/// The file of a directory, as somebody can change it who holds it.
pub(crate) fn without_guards(dir: &Path) -> Connection {
    let db = Connection::open(dir.join("jangbu.db")).unwrap();
    db.execute_batch("PRAGMA ignore_check_constraints = 1").unwrap();
    // Who holds the file can drop the triggers that keep the audit log as it is.
    let triggers = "DROP TRIGGER audit_log_keeps; DROP TRIGGER audit_log_stays";
    db.execute_batch(triggers).unwrap();
    db
}

/// Runs statements that must change something.
pub(crate) fn corrupt(dir: &Path, sql: &str) {
    let db = without_guards(dir);
    for statement in sql.split("; ") {
        let changed = db.execute(statement, []).unwrap();
        assert!(changed > 0, "{statement} changes nothing");
    }
}

/// What is missing if the breach is not named.
fn unnamed(report: &Report, rule: &str, subject: &str, what: &str) -> Option<String> {
    let (prefix, id) = subject.split_once(' ').unwrap_or_default();
    let public = matches!(
        prefix,
        "ord" | "pay" | "jnl" | "sku" | "prd" | "mov" | "cat" | "usr" | "grt" | "cmp" | "cpn"
    );
    let subject = if public { show(prefix, id.parse().unwrap()) } else { subject.to_owned() };
    let named = report.findings.iter().any(|f| f.rule == rule && f.subject == subject);
    (!named || report.clean()).then(|| format!("{what}\nwants {rule} about {subject}: {report}"))
}

fn expect(unnamed: impl IntoIterator<Item = String>) {
    let all: Vec<String> = unnamed.into_iter().collect();
    assert!(all.is_empty(), "{} breaches are not named\n{}", all.len(), all.join("\n"));
}

fn edit(dir: &Path, names: &Names, edit: Psp) {
    let file = dir.join("psp.log");
    let bytes = std::fs::read(&file).unwrap();
    let (header, records) = bytes.split_at(16);
    let mut records: Vec<Vec<u8>> = records.chunks(40).map(<[u8]>::to_vec).collect();
    let of = |record: &[u8], name: &str| {
        let payment: i64 = fill(name, names).parse().unwrap();
        record[8..16] == payment.to_le_bytes()
    };
    match edit {
        Psp::Add(name, kind, no, amount) => {
            let payment = fill(name, names).parse().unwrap();
            records.push(psp_record(1_000_000, payment, kind, no, amount));
        }
        Psp::Drop(name, kind) => records.retain(|r| !(of(r, name) && r[16] == kind)),
        Psp::Set(name, at, value) => {
            for record in records.iter_mut().filter(|record| of(record, name)) {
                record[at..at + value.len()].copy_from_slice(value);
                let crc = crc32fast::hash(&record[..36]);
                record[36..].copy_from_slice(&crc.to_le_bytes());
            }
        }
        Psp::Flip(at) => records[at][20] ^= 1,
    }
    let edited = [header, records.concat().as_slice()].concat();
    assert_ne!(bytes, edited, "{edit:?} changes nothing");
    std::fs::write(file, edited).unwrap();
}

fn with_acks(dir: &Path, lines: &str) -> Report {
    let file = dir.join("acks.csv");
    std::fs::write(&file, format!("key,order_id,outcome,amount\n{lines}\n")).unwrap();
    prove(&Options { acks: Some(file), ..Options::new(dir) }).unwrap()
}

#[test]
fn every_corrupted_row_is_named() {
    expect(
        SQL.iter()
            .chain(ENGINE)
            .chain(points::SQL)
            .chain(people::SQL)
            .chain(coupons::SQL)
            .filter_map(|(rule, sql, subject)| {
                let (dir, names) = copy();
                let sql = fill(sql, names);
                corrupt(dir.path(), &sql);
                let report = prove(&Options::new(dir.path())).unwrap();
                unnamed(&report, rule, &fill(subject, names), &sql)
            }),
    );
}

#[test]
fn every_corrupted_gateway_record_is_named() {
    expect(PSP.iter().filter_map(|(rule, change, subject)| {
        let (dir, names) = copy();
        edit(dir.path(), names, *change);
        let report = prove(&Options::new(dir.path())).unwrap();
        unnamed(&report, rule, &fill(subject, names), &format!("{change:?}"))
    }));
}

#[test]
fn every_lie_about_an_acknowledgement_is_named() {
    expect(ACKS.iter().filter_map(|(rule, lines, subject)| {
        let (dir, names) = copy();
        let lines = fill(lines, names);
        let report = with_acks(dir.path(), &lines);
        assert!(report.findings.iter().all(|f| f.rule.starts_with("ack.")), "{report}");
        unnamed(&report, rule, &fill(subject, names), &lines)
    }));
}

#[test]
fn true_acknowledgements_are_clean() {
    let (dir, names) = copy();
    let told = [
        ("sold", "SOLD,13500"),
        ("free", "SOLD,0"),
        ("refunded", "SOLD,7500"),
        ("declined", "DECLINED,0"),
        ("reversed", "CANCELLED,0"),
        ("sold_out", "SOLD_OUT,0"),
        ("paying", "PENDING,0"),
    ];
    let mut lines: Vec<String> =
        told.iter().map(|(name, told)| format!("key-${name},@{name},{told}")).collect();
    lines.push(lines[0].clone());
    lines.push("key-at-the-gate,,SOLD_OUT,0".to_owned());
    lines.push("key-620,cpn_00000000000KC,ISSUED,1".to_owned());
    let report = with_acks(dir.path(), &fill(&lines.join("\n"), names));
    assert!(report.clean(), "{report}");
    assert_eq!(report.conditions.acks, 10);
}

#[test]
fn what_was_told_about_payments_may_be_less_than_what_is() {
    let (dir, names) = copy();
    let lines = "key-$sold,%sold,AUTHORIZED,13500\nkey-$sold,%sold,CAPTURED,13500\n\
        key-$refunded,%refunded,CAPTURED,7500\nkey-$refunded,%refunded,PARTIAL_REFUNDED,7500\n\
        key-$reversed,%reversed,CAPTURED,6000\nkey-$reversed,%reversed,REFUNDED,6000\n\
        key-$declined,%declined,AUTH_FAILED,0\nkey-$paying,%paying,PENDING,0\n\
        key-at-the-gate,,SHED,0";
    let report = with_acks(dir.path(), &fill(lines, names));
    assert!(report.clean(), "{report}");
    assert_eq!(report.conditions.acks, 9);
}

#[test]
fn a_payment_that_failed_and_was_charged_is_named() {
    let (dir, names) = copy();
    edit(dir.path(), names, Psp::Add("$declined", 1, 0, 13_500));
    let report = with_acks(dir.path(), &fill("key-$declined,%declined,AUTH_FAILED,0", names));
    expect(unnamed(&report, "ack.charged", &fill("pay $declined", names), "at the gateway"));
    let (dir, names) = copy();
    edit(dir.path(), names, Psp::Drop("$sold", 1));
    let report = with_acks(dir.path(), &fill("key-$sold,%sold,CAPTURED,13500", names));
    expect(unnamed(&report, "ack.amount", &fill("pay $sold", names), "not at the gateway"));
}

#[test]
fn a_refused_customer_who_was_charged_is_named() {
    let (dir, names) = copy();
    edit(dir.path(), names, Psp::Add("$declined", 1, 0, 13_500));
    let report = with_acks(dir.path(), &fill("key-$declined,@declined,DECLINED,0", names));
    expect(unnamed(&report, "ack.charged", &fill("ord $declined", names), "at the gateway"));
    let (dir, names) = copy();
    let sql = "UPDATE payment SET state = 6, authorized = amount, captured = amount \
               WHERE id = $declined";
    corrupt(dir.path(), &fill(sql, names));
    let report = with_acks(dir.path(), &fill("key-$declined,@declined,DECLINED,0", names));
    expect(unnamed(&report, "ack.charged", &fill("ord $declined", names), "in the store"));
}

/// Whose keys are purged can no longer say which of them asked; what they were told still holds.
#[test]
fn what_was_told_under_a_purged_key_is_compared_all_the_same() {
    let (dir, names) = copy();
    corrupt(
        dir.path(),
        "UPDATE request SET key = '', body = x'', at = at - 1400000000000; \
         UPDATE shard SET purged = requests",
    );
    let lines = "key-$sold,@sold,SOLD,13500\nkey-620,cpn_00000000000KC,ISSUED,1";
    let report = with_acks(dir.path(), &fill(lines, names));
    assert!(report.clean(), "{report}");
    let report = with_acks(dir.path(), "key-620,cpn_00000000000KC,ISSUED,2");
    expect(unnamed(&report, "ack.position", "cpn 620", "another position"));
}

/// An event that is younger than the trimmed head is missed; the head is two hours old here.
#[test]
fn a_trimmed_outbox_hides_only_what_is_older_than_its_head() {
    let young = [
        ("coupon.event", "UPDATE outbox SET key = 611 WHERE key = 610", "cmp 610"),
        ("event.missing", "DELETE FROM outbox WHERE key = $sold", "ord $sold"),
        ("event.missing", "DELETE FROM outbox WHERE key = $sold", "pay $sold"),
        ("event.missing", "DELETE FROM outbox WHERE key = $journal", "jnl $journal"),
    ];
    let trimmed = "UPDATE outbox SET at = at - 7200000000; DELETE FROM outbox WHERE seq = 1; \
                   UPDATE shard SET trimmed = 1";
    let (dir, _) = copy();
    corrupt(dir.path(), trimmed);
    let report = prove(&Options::new(dir.path())).unwrap();
    assert!(report.clean(), "{report}");
    expect(young.iter().filter_map(|(rule, sql, subject)| {
        let (dir, names) = copy();
        let sql = fill(&format!("{trimmed}; {sql}"), names);
        corrupt(dir.path(), &sql);
        let report = prove(&Options::new(dir.path())).unwrap();
        unnamed(&report, rule, &fill(subject, names), &sql)
    }));
}

/// A key that is not there is named only where there are keys: a backup has none.
#[test]
fn what_is_sealed_with_a_key_that_is_missing_is_named() {
    let (dir, _) = copy();
    let keys = dir.path().join("keys/sealing");
    std::fs::create_dir_all(&keys).unwrap();
    assert!(prove(&Options::new(dir.path())).unwrap().clean(), "no keys at all");
    std::fs::write(keys.join("001.key"), "").unwrap();
    assert!(prove(&Options::new(dir.path())).unwrap().clean(), "the key is there");
    std::fs::rename(keys.join("001.key"), keys.join("002.key")).unwrap();
    let report = prove(&Options::new(dir.path())).unwrap();
    expect(unnamed(&report, "user.sealed", "usr 9", "another key"));
}

#[test]
fn a_torn_gateway_log_is_no_finding() {
    let (dir, _) = copy();
    let file = dir.path().join("psp.log");
    let sound = std::fs::read(&file).unwrap();
    std::fs::write(&file, [sound.as_slice(), &[9; 25]].concat()).unwrap();
    let report = prove(&Options::new(dir.path())).unwrap();
    assert!(report.clean(), "{report}");
    assert_eq!(report.conditions.psp_torn_bytes, 25);
    // Two records of one write, the first of them torn: neither was ever answered.
    let mut second = psp_record(2_000_000, 77, 1, 0, 5);
    second[34] = 1;
    let crc = crc32fast::hash(&second[..36]);
    second[36..].copy_from_slice(&crc.to_le_bytes());
    std::fs::write(&file, [sound.as_slice(), &[9; 40], &second].concat()).unwrap();
    let report = prove(&Options::new(dir.path())).unwrap();
    assert!(report.clean(), "{report}");
    assert_eq!(report.conditions.psp_torn_bytes, 80);
    // Prepared space is not torn.
    std::fs::write(&file, [sound.as_slice(), &[0; 100]].concat()).unwrap();
    let report = prove(&Options::new(dir.path())).unwrap();
    assert!(report.clean() && report.conditions.psp_torn_bytes == 0, "{report}");
    // Another file is no log.
    std::fs::write(&file, [b'x'; 400]).unwrap();
    assert!(prove(&Options::new(dir.path())).unwrap_err().to_string().contains("gateway log"));
}

#[test]
fn a_damaged_page_is_named_with_its_remedy() {
    let (dir, _) = copy();
    let file = dir.path().join("jangbu.db");
    let mut bytes = std::fs::read(&file).unwrap();
    let pages = bytes.len() / 4_096;
    let db = Connection::open(&file).unwrap();
    let root: u32 = db
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'orders'", [], |row| row.get(0))
        .unwrap();
    drop(db);
    let start = (usize::try_from(root).unwrap() - 1) * 4_096;
    bytes[start..][..200].fill(0xA5);
    std::fs::write(&file, bytes).unwrap();
    let report = prove(&Options::new(dir.path())).unwrap();
    let page = format!("page {root}");
    let finding = report.findings.iter().find(|f| f.rule == "store.page").unwrap();
    assert_eq!(finding.subject, page, "{report}");
    assert!(finding.detail.contains("restore") && !report.clean() && !report.conditions.walked);
    assert!(pages > 1);
}

#[test]
fn a_null_where_none_may_be_is_named() {
    let (dir, _) = copy();
    // A schema that allows it, and back.
    for (from, to) in [("tries INTEGER NOT NULL", "tries INTEGER"), ("", "")] {
        let db = Connection::open(dir.path().join("jangbu.db")).unwrap();
        db.execute_batch("PRAGMA writable_schema = 1").unwrap();
        if from.is_empty() {
            db.execute("UPDATE orders SET tries = NULL", []).unwrap();
            let sql = "UPDATE sqlite_schema SET sql = replace(sql, 'tries INTEGER,', \
                       'tries INTEGER NOT NULL,') WHERE name = 'orders'";
            db.execute(sql, []).unwrap();
        } else {
            let sql = "UPDATE sqlite_schema SET sql = replace(sql, ?1, ?2) WHERE name = 'orders'";
            db.execute(sql, [from, to]).unwrap();
        }
    }
    let report = prove(&Options::new(dir.path())).unwrap();
    assert!(report.findings.iter().any(|f| f.rule == "store.row" && f.subject == "orders.tries"));
}

#[test]
fn no_single_damaged_page_is_ever_clean_by_mistake() {
    let (dir, _) = copy();
    let file = dir.path().join("jangbu.db");
    let sound = std::fs::read(&file).unwrap();
    for page in 0..sound.len() / 4_096 {
        let mut bytes = sound.clone();
        bytes[page * 4_096..][..4_096].fill(0x5A);
        std::fs::write(&file, bytes).unwrap();
        match prove(&Options::new(dir.path())) {
            Ok(report) => assert!(!report.clean(), "page {}: {report}", page + 1),
            Err(error) => assert!(error.to_string().contains("restore"), "{error}"),
        }
    }
}

#[test]
fn every_rule_has_a_breach_and_a_row_in_the_readme() {
    let sql = SQL.iter().chain(ENGINE).chain(points::SQL).chain(people::SQL).chain(coupons::SQL);
    let breached: BTreeSet<&str> = (sql.map(|(rule, ..)| *rule))
        .chain(PSP.iter().map(|(rule, ..)| *rule))
        .chain(ACKS.iter().map(|(rule, ..)| *rule))
        .chain(ELSEWHERE.iter().copied())
        .collect();
    let known: BTreeSet<&str> = rules().map(|rule| rule.name).collect();
    assert_eq!(breached, known);
    assert_eq!(known.len(), rules().count(), "two rules have one name");
    let readme = include_str!("../../README.md");
    let rows: Vec<String> = rules()
        .map(|rule| format!("| `{}` | {:?} | {} |", rule.name, rule.class, rule.meaning))
        .collect();
    let missing: Vec<&String> = rows.iter().filter(|row| !readme.contains(*row)).collect();
    assert!(missing.is_empty(), "README.md lacks\n{missing:#?}");
}
