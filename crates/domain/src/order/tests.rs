//! Tests of the order saga.
//!
//! | module | tests |
//! |---|---|
//! | `tables`, `refunds`, `perks`, `operate` | each row of the saga and each refusal, as text |
//! | `sweep` | each state × each event × each fault, enumerated |
//! | `scenarios` | whole lives: gateway × buyer × cancellation × fault, enumerated |
//! | `properties`, `shares` | refunds in any order; commands that come again; what units bear |
//! | `world`, `gateway`, `reached`, … | the four domains as a small shop, and how they are driven |
#![expect(
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    reason = "test oracles count in plain numbers and may panic"
)]

/// One test per table, and the list of all tables for the completeness tests.
macro_rules! tables {
    ($($name:ident: $text:literal)*) => {
        $(#[test] fn $name() { check($text); })*
        pub(super) const TABLES: &[&str] = &[$($text),*];
    };
}

mod books;
mod engine;
mod gateway;
mod mapping;
mod operate;
mod perks;
mod properties;
mod reached;
mod refunds;
mod scenarios;
mod shares;
mod sweep;
mod tables;
mod text;
mod world;

use std::collections::BTreeSet;

use jangbu_kernel::SkuId;
use jangbu_kernel::domain::Coded;

use self::text::row_of;
use super::command::Reject;
use super::model::State;

fn lines() -> impl Iterator<Item = &'static str> {
    let tables = tables::TABLES.iter().chain(refunds::TABLES).chain(operate::TABLES);
    let tables = tables.chain(perks::TABLES);
    tables.flat_map(|table| table.lines())
}

/// Rows that only commands take: 1 is `place`, 13 is `cancel` on the way.
const BY_COMMANDS: [u8; 2] = [1, 13];

#[test]
fn every_row_has_a_line() {
    let mut rows: BTreeSet<u8> = lines().filter_map(|line| row_of(line.trim()).0).collect();
    rows.extend(BY_COMMANDS);
    assert_eq!(rows, (1..=27).collect());
}

#[test]
fn every_code_has_a_line() {
    let (sku, total, state) = (SkuId(1), 1, State::Holding);
    let all = [
        Reject::LinesInvalid,
        Reject::QuantityInvalid { sku },
        Reject::SkuNotOnSale { sku },
        Reject::CurrencyMismatch { sku },
        Reject::PriceChanged { total },
        Reject::TotalTooLarge,
        Reject::TokenRequired,
        Reject::OrderDiffers,
        Reject::OrderUnknown,
        Reject::NotAwaitingPayment { state },
        Reject::AmountDiffers { total },
        Reject::OrderNotCancellable { state },
        Reject::OrderNotRefundable { state },
        Reject::RefundExceedsOrder { sku },
        Reject::NothingToRefund,
        Reject::TooManyRefunds,
        Reject::VerbNotAllowed { state, allowed: Vec::new() },
        Reject::PointsInvalid,
        Reject::ReturnExceedsShipped { sku },
        Reject::OrderNotShippable { state },
        Reject::ShipmentExceedsOrder { sku },
        Reject::NothingToShip,
        Reject::TooManyShipments,
        Reject::ShipmentUnknown { no: 1 },
    ];
    for (index, reject) in all.iter().enumerate() {
        assert_eq!(index, place_of(reject), "a variant is missing here");
        let code = reject.code();
        let expected =
            |line: &str| line.split_once(" => ").is_some_and(|(_, e)| e.starts_with(code));
        // 999 refunds need more than a line: a property has them.
        let elsewhere = matches!(reject, Reject::TooManyRefunds | Reject::TooManyShipments);
        let found = lines().any(expected);
        assert!(found || elsewhere, "{code} has no line");
    }
}

/// A new variant does not compile until it has a place, and then fails the test above.
fn place_of(reject: &Reject) -> usize {
    match reject {
        Reject::LinesInvalid => 0,
        Reject::QuantityInvalid { .. } => 1,
        Reject::SkuNotOnSale { .. } => 2,
        Reject::CurrencyMismatch { .. } => 3,
        Reject::PriceChanged { .. } => 4,
        Reject::TotalTooLarge => 5,
        Reject::TokenRequired => 6,
        Reject::OrderDiffers => 7,
        Reject::OrderUnknown => 8,
        Reject::NotAwaitingPayment { .. } => 9,
        Reject::AmountDiffers { .. } => 10,
        Reject::OrderNotCancellable { .. } => 11,
        Reject::OrderNotRefundable { .. } => 12,
        Reject::RefundExceedsOrder { .. } => 13,
        Reject::NothingToRefund => 14,
        Reject::TooManyRefunds => 15,
        Reject::VerbNotAllowed { .. } => 16,
        Reject::PointsInvalid => 17,
        Reject::ReturnExceedsShipped { .. } => 18,
        Reject::OrderNotShippable { .. } => 19,
        Reject::ShipmentExceedsOrder { .. } => 20,
        Reject::NothingToShip => 21,
        Reject::TooManyShipments => 22,
        Reject::ShipmentUnknown { .. } => 23,
    }
}
