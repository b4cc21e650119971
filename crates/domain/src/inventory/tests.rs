//! Tables of rules: a line is one commit, `commands => answers`; `stock`, `order` and `changed` show what it left.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "test oracles count in plain numbers and may panic"
)]

mod properties;
mod text;
mod world;

use jangbu_kernel::domain::Coded;
use jangbu_kernel::{Domain, SkuId};

use self::text::{answer, check, command};
use self::world::{World, load};
use super::Inventory;
use super::command::Reject;
use super::model::{Kind, State};

/// One test per table, and the list of all tables for [`every_code_has_a_line`].
macro_rules! tables {
    ($($name:ident: $text:literal)*) => {
        $(#[test] fn $name() { check($text); })*
        const TABLES: &[&str] = &[$($text),*];
    };
}

tables! {
    goods_come_in_and_counts_are_corrected: "
        receive M1 S1 10  => moved M1 S1 +10, 10 available
        receive M1 S1 10  => moved M1 S1 +10, 10 available
        receive M1 S1 11  => MOVEMENT_DIFFERS
        receive M1 S2 10  => MOVEMENT_DIFFERS
        adjust  M1 S1 10  => MOVEMENT_DIFFERS
        receive M1 S1 10 found => MOVEMENT_DIFFERS
        receive M2 S1 0   => QUANTITY_INVALID
        receive M2 S1 -1  => QUANTITY_INVALID
        adjust  M2 S1 0   => QUANTITY_INVALID
        adjust  M2 S2 5   => STOCK_UNKNOWN S2
        adjust  M2 S1 -11 => INSUFFICIENT_STOCK S1, 10 available
        adjust  M2 S1 -4  => moved M2 S1 -4, 6 available
        receive M3 S1 5   => moved M3 S1 +5, 11 available
        adjust  M2 S1 -4  => moved M2 S1 -4, 6 available
        adjust  M4 S1 2   => moved M4 S1 +2, 13 available
        stock S1          => received 15, adjusted -2, available 13
    "
    a_correction_spares_what_is_reserved: "
        receive M1 S1 10 => moved M1 S1 +10, 10 available
        reserve O1 S1x8 pinned => reserved
        adjust M2 S1 -3  => INSUFFICIENT_STOCK S1, 2 available
        adjust M2 S1 -2  => moved M2 S1 -2, 0 available
        stock S1         => received 10, adjusted -2, reserved 8
    "
    counters_have_a_limit_where_units_come_in: "
        receive M1 S1 MAX => moved M1 S1 +1000000000000, 1000000000000 available
        receive M2 S1 1   => QUANTITY_OVERFLOW
        adjust  M2 S1 1   => QUANTITY_OVERFLOW
        adjust  M2 S1 9223372036854775807 => QUANTITY_OVERFLOW
        adjust  M2 S1 -9223372036854775808 => INSUFFICIENT_STOCK S1, 1000000000000 available
        receive M2 S2 9223372036854775807 => QUANTITY_OVERFLOW
        receive M3 S3 MAX; adjust M4 S3 -9 lost => moved M3 S3 +1000000000000, 1000000000000 available; moved M4 S3 -9, 999999999991 available
        receive M5 S3 1 => QUANTITY_OVERFLOW
        adjust  M5 S3 9 => moved M5 S3 +9, 1000000000000 available
        reserve O1 S1x9223372036854775807 S1x9223372036854775807 pinned => QUANTITY_OVERFLOW
        reserve O1 S1x1000000000000 S1x1 pinned => QUANTITY_OVERFLOW
        reserve O1 S1x1000000000000 pinned => reserved
        commit O1 => committed
        return O1 1 S1x1000000000000 restocked => returned
        reserve O2 S1x1 pinned => QUANTITY_OVERFLOW
        stock S1 => received 1000000000000, returned 1000000000000, available 1000000000000, sold 1000000000000
    "
    lines_are_summed_by_sku_and_held_all_or_none: "
        receive M1 S1 5; receive M2 S2 5 => moved M1 S1 +5, 5 available; moved M2 S2 +5, 5 available
        reserve O1 S1x3 S2x6 until 60      => INSUFFICIENT_STOCK S2, 5 available
        reserve O1 S1x3 S2x1 S1x3 until 60 => INSUFFICIENT_STOCK S1, 5 available
        reserve O1 S2x6 S1x6 until 60      => INSUFFICIENT_STOCK S1, 5 available
        reserve O1 S1x1 S3x1 until 60      => STOCK_UNKNOWN S3
        reserve O1 S1x1 S2x0 until 60      => QUANTITY_INVALID
        reserve O1 S1x2 S1x-1 until 60     => QUANTITY_INVALID
        reserve O1 until 60                => QUANTITY_INVALID
        order O1 => none
        reserve O1 S2x1 S1x2 S2x1 until 60 => reserved
        order O1 => held S1x2 S2x2 until 60
        stock S1 => received 5, available 3, reserved 2
        stock S2 => received 5, available 3, reserved 2
    "
    a_repeated_reserve_is_recognised_by_its_lines: "
        receive M1 S1 5 => moved M1 S1 +5, 5 available
        reserve O1 S1x2 until 60      => reserved
        reserve O1 S1x1 S1x1 until 99 => reserved
        order O1                      => held S1x2 until 60
        reserve O1 S1x3 until 60      => RESERVATION_DIFFERS
        reserve O1 S1x2 pinned        => RESERVATION_DIFFERS
        pin O1                        => pinned
        reserve O1 S1x2 until 60      => reserved
        reserve O1 S1x2 pinned        => reserved
        reserve O1 S1x3 pinned        => RESERVATION_DIFFERS
        commit O1                     => committed
        reserve O1 S1x2 pinned        => reserved
        reserve O1 S1x1 pinned        => RESERVATION_DIFFERS
        stock S1                      => received 5, available 3, sold 2
    "
    from_the_shelf_to_the_customer: "
        receive M1 S1 5 => moved M1 S1 +5, 5 available
        commit O1 => RESERVATION_UNKNOWN
        pin O1    => RESERVATION_UNKNOWN
        reserve O1 S1x2 until 60 => reserved
        commit O1 => RESERVATION_NOT_PINNED
        pin O1    => pinned
        pin O1    => pinned
        order O1  => pinned S1x2
        commit O1 => committed
        commit O1 => committed
        pin O1    => pinned
        release O1 => RESERVATION_COMMITTED
        order O1  => committed S1x2
        stock S1  => received 5, available 3, sold 2
    "
    a_release_gives_units_back_once: "
        receive M1 S1 5 => moved M1 S1 +5, 5 available
        reserve O1 S1x2 until 60 => reserved
        reserve O2 S1x3 pinned   => reserved
        release O1 => released
        release O1 => released
        release O2 => released
        order O1   => released S1x2
        stock S1   => received 5, available 5
        pin O1     => RESERVATION_RELEASED
        commit O2  => RESERVATION_RELEASED
        reserve O1 S1x2 until 60 => RESERVATION_RELEASED
        return O1 1 S1x1 lost => RESERVATION_RELEASED
    "
    a_release_before_the_reserve_leaves_a_tombstone: "
        receive M1 S1 5 => moved M1 S1 +5, 5 available
        release O1      => released
        order O1        => released
        release O1      => released
        reserve O1 S1x2 pinned => RESERVATION_RELEASED
        stock S1        => received 5, available 5
    "
    a_hold_ends_at_its_time_and_not_before: "
        receive M1 S1 5 => moved M1 S1 +5, 5 available
        reserve O1 S1x2 until 60 => reserved
        at 59
        expire O1 => expired
        order O1  => held S1x2 until 60
        at 60
        expire O1 => expired
        expire O1 => expired
        order O1  => expired S1x2
        stock S1  => received 5, available 5
        pin O1    => RESERVATION_EXPIRED
        commit O1 => RESERVATION_EXPIRED
        reserve O1 S1x2 until 99 => RESERVATION_EXPIRED
        return O1 1 S1x2 lost    => RESERVATION_EXPIRED
        release O1 => released
        order O1   => expired S1x2
        expire O9  => expired
        order O9   => none
    "
    a_pin_before_the_timer_wins_however_late: "
        receive M1 S1 5 => moved M1 S1 +5, 5 available
        reserve O1 S1x2 until 60 => reserved
        at 61
        pin O1    => pinned
        expire O1 => expired
        order O1  => pinned S1x2
        commit O1 => committed
        expire O1 => expired
        order O1  => committed S1x2
    "
    a_return_is_booked_once_and_never_exceeds_what_was_sold: "
        receive M1 S1 5; receive M2 S2 5 => moved M1 S1 +5, 5 available; moved M2 S2 +5, 5 available
        return O1 1 S1x1 restocked => RESERVATION_UNKNOWN
        reserve O1 S1x4 S2x1 until 60 => reserved
        return O1 1 S1x1 restocked => RETURN_EXCEEDS_SOLD S1
        pin O1 => pinned
        return O1 1 S1x1 restocked => RETURN_EXCEEDS_SOLD S1
        commit O1 => committed
        return O1 1 S3x1 restocked => RETURN_EXCEEDS_SOLD S3
        return O1 1 S1x5 restocked => RETURN_EXCEEDS_SOLD S1
        return O1 1 S1x2 S2x1 S1x3 lost => RETURN_EXCEEDS_SOLD S1
        return O1 1 S1x0 restocked => QUANTITY_INVALID
        return O1 1 restocked      => QUANTITY_INVALID
        return O1 1 S1x2 restocked => returned
        return O1 1 S1x1 S1x1 restocked => returned
        return O1 1 S1x1 restocked => RETURN_DIFFERS
        return O1 1 S1x2 lost      => RETURN_DIFFERS
        return O1 2 S1x3 lost      => RETURN_EXCEEDS_SOLD S1
        return O1 2 S1x1 S2x1 lost => returned
        return O1 3 S1x1 lost      => returned
        return O1 4 S1x1 lost      => RETURN_EXCEEDS_SOLD S1
        order O1 => committed S1x4 S2x1, return 1 S1x2 restocked, return 2 S1x1 S2x1 lost, return 3 S1x1 lost
        stock S1 => received 5, returned 4, available 3, sold 4, written-off 2
        stock S2 => received 5, returned 1, available 4, sold 1, written-off 1
    "
    one_commit_states_each_changed_availability_once: "
        receive M2 S2 5; receive M1 S1 5 => moved M2 S2 +5, 5 available; moved M1 S1 +5, 5 available
        changed => S1 5, S2 5
        reserve O1 S1x1 pinned; reserve O2 S1x1 pinned => reserved; reserved
        changed => S1 3
        reserve O3 S1x1 S2x9 pinned => INSUFFICIENT_STOCK S2, 5 available
        changed => nothing
        commit O1; reserve O4 S2x1 pinned => committed; reserved
        changed => S2 4
        return O1 1 S1x1 lost => returned
        changed => nothing
        release O2; release O4; adjust M3 S2 -9 => released; released; INSUFFICIENT_STOCK S2, 5 available
        changed => S1 4, S2 5
        release O2; pin O1 => released; pinned
        changed => nothing
    "
    a_whole_life_in_one_commit: "
        receive M1 S1 2; reserve O1 S1x2 until 9; pin O1; commit O1; return O1 1 S1x1 lost; reserve O2 S1x1 pinned => moved M1 S1 +2, 2 available; reserved; pinned; committed; returned; INSUFFICIENT_STOCK S1, 0 available
        stock S1 => received 2, returned 1, sold 2, written-off 1
    "
}

#[test]
fn an_ended_reservation_asks_for_no_stock() {
    let mut world = World::default();
    answer(&mut world, "receive M1 S1 9; reserve O1 S1x1 pinned; reserve O2 S1x1 pinned");
    answer(&mut world, "release O1; commit O2");
    let mut stock_of = |text: &str| {
        Inventory::want(&command(text), &mut world.rows);
        load(&mut world.rows.reservation, &world.store.reservation);
        Inventory::want(&command(text), &mut world.rows);
        world.rows.stock.take_wanted()
    };
    assert_eq!(stock_of("release O1"), []);
    assert_eq!(stock_of("release O2"), [SkuId(1)]);
    assert_eq!(stock_of("release O3"), []);
}

#[test]
fn every_code_has_a_line() {
    let sku = SkuId(1);
    let all = [
        Reject::QuantityInvalid,
        Reject::InsufficientStock { sku, available: 0 },
        Reject::StockUnknown { sku },
        Reject::ReservationDiffers,
        Reject::ReservationExpired,
        Reject::ReservationReleased,
        Reject::ReservationUnknown,
        Reject::ReservationCommitted,
        Reject::ReservationNotPinned,
        Reject::ReturnExceedsSold { sku },
        Reject::ReturnDiffers,
        Reject::QuantityOverflow,
        Reject::MovementDiffers,
    ];
    for (at, reject) in all.iter().enumerate() {
        assert_eq!(ordinal(reject), at, "{reject:?} is not where it belongs in `all`");
        let line = format!("=> {}", reject.code());
        assert!(TABLES.iter().any(|table| table.contains(&line)), "no table shows {line}");
    }
    assert_eq!(all.len(), ordinal(&Reject::MovementDiffers) + 1, "`all` lacks the last variants");
}

/// Without a wildcard: a new variant does not compile until it is counted here.
fn ordinal(reject: &Reject) -> usize {
    match reject {
        Reject::QuantityInvalid => 0,
        Reject::InsufficientStock { .. } => 1,
        Reject::StockUnknown { .. } => 2,
        Reject::ReservationDiffers => 3,
        Reject::ReservationExpired => 4,
        Reject::ReservationReleased => 5,
        Reject::ReservationUnknown => 6,
        Reject::ReservationCommitted => 7,
        Reject::ReservationNotPinned => 8,
        Reject::ReturnExceedsSold { .. } => 9,
        Reject::ReturnDiffers => 10,
        Reject::QuantityOverflow => 11,
        Reject::MovementDiffers => 12,
    }
}

#[test]
fn numbers_in_the_store_are_those_of_the_contract() {
    let states = [1, 2, 3, 4, 5].map(|code| State::from_code(code).unwrap());
    let named = [State::Held, State::Pinned, State::Committed, State::Released, State::Expired];
    assert_eq!(states, named);
    assert_eq!(states.map(State::code), [1, 2, 3, 4, 5]);
    assert_eq!([0, 6].map(State::from_code), [None, None]);
    assert_eq!([1, 2].map(Kind::from_code), [Some(Kind::Receive), Some(Kind::Adjust)]);
    assert_eq!([Kind::Receive, Kind::Adjust].map(Kind::code), [1, 2]);
    assert_eq!([0, 3].map(Kind::from_code), [None, None]);
}
