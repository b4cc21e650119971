//! The index never misses a block, and seldom names one in vain.

use super::Index;
use crate::{
    gateway::{Currency, Op},
    log::{Kind, Record},
    simulator::fate::mix,
};

const BLOCK: usize = 256;
const CHARGES: u64 = 200_000;

fn record(payment: i64, kind: Kind) -> Record {
    let (currency, op) = (Currency::KRW, Op::Charge);
    Record { at_us: 0, payment, kind, no: 0, amount: 1, currency, op, code: 0, place: 0 }
}

/// The history of a shop: charges that arrive a little out of order, each third followed by the
/// refund of anything older, and now and then an id from another world.
fn history() -> Vec<Record> {
    let mut records = Vec::new();
    for n in 0..CHARGES {
        let early = mix(n) % 50;
        records.push(record((n + early).cast_signed() * 1_000 + 7, Kind::Charge));
        if n % 3 == 0 {
            let older = (mix(n + 1) % (n + 1)).cast_signed() * 1_000 + 7;
            records.push(record(older, Kind::Refund));
        }
        if n % 5_000 == 0 {
            records.push(record(i64::MAX - n.cast_signed(), Kind::Charge));
            records.push(record(n.cast_signed() - 1_000_000, Kind::Charge));
        }
    }
    records
}

#[test]
fn every_record_is_found_in_few_blocks() {
    let (mut index, records) = (Index::new(BLOCK), history());
    for record in &records {
        index.push(record);
    }
    assert_eq!(index.records(), records.len() as u64);

    let mut named = 0;
    let asked = (0..).zip(&records).step_by(97);
    for (number, record) in asked.clone() {
        let found = index.find(record.payment);
        assert!(found.iter().any(|block| block.contains(&number)), "record {number} is missed");
        assert!(found.is_sorted_by_key(|block| block.start), "not in the order of the log");
        assert!(found.iter().all(|block| block.end <= index.records()));
        named += found.len();
    }
    // A charge, with no more than two refunds as a rule, and its neighbours.
    assert!(named < asked.count() * 4, "{named} blocks");
    assert!(index.find(CHARGES.cast_signed() * 2_000).is_empty(), "nothing is known of the future");
    // 40 bytes of the log each, and a third of them are strays.
    assert!(index.bytes() < records.len() * 2, "{} bytes", index.bytes());
}

#[test]
fn a_block_without_new_payments_is_all_strays() {
    let mut index = Index::new(4);
    for payment in [5, 900, 5, -3, 77] {
        index.push(&record(payment, Kind::Void));
    }
    let blocks = |payment| format!("{:?}", index.find(payment));
    for payment in [5, 900, -3] {
        assert_eq!(blocks(payment), "[0..4]", "payment {payment}");
    }
    assert_eq!(blocks(77), "[4..5]");
    assert!(index.find(6).is_empty());
}
