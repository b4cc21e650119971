//! Tables of rules: a line is one commit, `commands => answers`; `points`, `order` and `changed` show what it left.
//!
//! Times are days of the shop from 2026-01-01; `d40` is the end of day 40. A lot is shown as `E50@d40`
//! or `P50`: earned or paid, how many, and when it ends.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "test oracles count in plain numbers and may panic"
)]

mod properties;
mod text;
mod world;

use jangbu_kernel::Currency;
use jangbu_kernel::domain::Coded;

use self::text::check;
use super::command::{Kind, Reject, What};
use super::model::{RefundState, State};

/// One test per table, and the list of all tables for [`every_code_has_a_line`].
macro_rules! tables {
    ($($name:ident: $text:literal)*) => {
        $(#[test] fn $name() { check($text); })*
        pub(super) const TABLES: &[&str] = &[$($text),*];
    };
}

mod refunds;

tables! {
    points_come_in_by_three_doors: "
        points U1 => none
        charge P1 U1 1000 => charged, 1000 in all
        charge P1 U1 1000 => charged, 1000 in all
        charge P1 U1 1001 => POINT_USE_DIFFERS
        charge P1 U2 1000 => POINT_USE_DIFFERS
        grant  P1 U1 1000 => POINT_USE_DIFFERS
        grant  G11 U1 50 until d40 => granted 50 until d40, 1050 in all
        grant  G11 U1 50 until d40 => granted 50 until d40, 1050 in all
        grant  G12 U1 5 => granted 5 until d396, 1055 in all
        earn   O1 U1 20 => earned; +20 E posted 1/1000000
        earn   O1 U1 20 => earned
        earn   O1 U1 21 => POINT_USE_DIFFERS
        earn   O1 U2 20 => POINT_USE_DIFFERS
        earn   O2 U1 0  => earned
        points U1 => E50@d40 E25@d396 P1000; charged 1000, granted 55, rewarded 20; woken d40
        order O1  => none, earned 20 until d396
        order O2  => nothing
        earn   O3 U1 -1 => POINTS_AMOUNT_INVALID
        earn   O3 U1 1000000000001 => POINTS_AMOUNT_INVALID
        charge P2 U1 0  => POINTS_AMOUNT_INVALID
        grant  G13 U1 -5 => POINTS_AMOUNT_INVALID
        grant  G13 U1 5 until d0 => POINT_EXPIRY_INVALID
        grant  G13 U1 5 until d1 => granted 5 until d1, 1080 in all
        grant  G14 U1 5 until d1827 => POINT_EXPIRY_INVALID
        charge P2 U1 5 USD => POINT_CURRENCY
        earn   O3 U2 5 USD => POINT_CURRENCY
    "
    a_grant_is_answered_again_after_its_end: "
        grant G11 U1 50 until d5 => granted 50 until d5, 50 in all
        at d9
        grant G11 U1 50 until d5 => granted 50 until d5, 50 in all
        grant G12 U1 50 until d5 => POINT_EXPIRY_INVALID
    "
    what_ends_first_is_spent_first_and_given_before_bought: "
        charge P1 U1 100 => charged, 100 in all
        grant  G11 U1 10 until d40 => granted 10 until d40, 110 in all
        earn   O1 U1 10 => earned; +10 E posted 1/1000000
        spend O2 U2 1   => POINTS_INSUFFICIENT, 0 available
        spend O2 U1 121 => POINTS_INSUFFICIENT, 120 available
        spend O2 U1 0   => POINTS_AMOUNT_INVALID
        spend O2 U1 10 USD => POINT_CURRENCY
        spend O2 U1 15  => spent 0 paid and 15 earned
        spend O2 U1 15  => spent 0 paid and 15 earned
        spend O2 U1 14  => POINT_USE_DIFFERS
        spend O2 U2 15  => POINT_USE_DIFFERS
        points U1 => E5@d396 P100; charged 100, granted 10, rewarded 10, spent 0+15; woken d40
        spend O3 U1 105 => spent 100 paid and 5 earned
        points U1 => empty; charged 100, granted 10, rewarded 10, spent 100+20; woken d40
        spend O4 U1 1   => POINTS_INSUFFICIENT, 0 available
        order O2 => spent E10@d40 E5@d396
        order O3 => spent E5@d396 P100
    "
    an_undo_gives_everything_back_to_the_same_lots: "
        charge P1 U1 100 => charged, 100 in all
        grant  G11 U1 10 until d40 => granted 10 until d40, 110 in all
        spend O1 U1 60 => spent 50 paid and 10 earned
        restore O1 U2 0 => POINT_USE_DIFFERS
        restore O1 U1 0 => restored
        restore O1 U1 0 => restored
        points U1 => E10@d40 P100; charged 100, granted 10, spent 50+10, restored 50+10; woken d40
        order O1 => restored E10@d40 P50, back 0 50+10
        spend O1 U1 60 => STEP_CANCELLED
        restore O1 U1 1 1+0 => POINT_RESTORE_EXCEEDS_SPENT
    "
    an_undo_before_the_spend_leaves_a_tombstone: "
        charge P1 U1 100 => charged, 100 in all
        restore O1 U1 0 => restored
        restore O1 U1 0 => restored
        spend O1 U1 60 => STEP_CANCELLED
        order O1 => restored
        points U1 => P100; charged 100; not woken
        restore O2 U9 0 => restored
        points U9 => none
    "
    refunds_give_back_parts_last_lot_first: "
        charge P1 U1 100 => charged, 100 in all
        grant  G11 U1 10 until d40 => granted 10 until d40, 110 in all
        grant  G12 U1 10 until d50 => granted 10 until d50, 120 in all
        spend O1 U1 50 => spent 30 paid and 20 earned
        restore O1 U1 1 5+12 => restored
        restore O1 U1 1 5+12 => restored
        restore O1 U1 1 5+11 => POINT_USE_DIFFERS
        points U1 => E2@d40 E10@d50 P75; charged 100, granted 20, spent 30+20, restored 5+12; woken d40
        restore O1 U1 2 0+9  => POINT_RESTORE_EXCEEDS_SPENT
        restore O1 U1 2 26+0 => POINT_RESTORE_EXCEEDS_SPENT
        restore O1 U1 2 -1+1 => POINTS_AMOUNT_INVALID
        restore O1 U1 2 0+0  => restored
        restore O1 U1 2 25+0 => restored
        restore O1 U1 3 0+8  => restored
        points U1 => E10@d40 E10@d50 P100; charged 100, granted 20, spent 30+20, restored 30+20; woken d40
        order O1 => spent E10@d40 E10@d50 P30, back 1 5+12, back 2 25+0, back 3 0+8
        restore O9 U1 1 1+0 => POINT_USE_UNKNOWN
        restore O9 U1 1 0+0 => restored
        earn O8 U1 5 => earned; +5 E posted 8/1000000
        restore O8 U1 1 1+0 => POINT_USE_UNKNOWN
    "
    an_undo_after_a_refund_gives_back_the_rest: "
        charge P1 U1 100 => charged, 100 in all
        spend O1 U1 50 => spent 50 paid and 0 earned
        restore O1 U1 1 20+0 => restored
        restore O1 U1 0 => restored
        order O1 => restored P50, back 1 20+0, back 0 30+0
        points U1 => P100; charged 100, spent 50+0, restored 50+0; not woken
    "
    what_comes_back_after_its_end_lives_a_month_longer: "
        grant G11 U1 10 until d40 => granted 10 until d40, 10 in all
        grant G12 U1 10 until d60 => granted 10 until d60, 20 in all
        spend O1 U1 20 => spent 0 paid and 20 earned
        at d40
        restore O1 U1 1 0+15 => restored
        points U1 => E10@d60 E5@d90; granted 20, spent 0+20, restored 0+15; woken d40
        at d61
        restore O1 U1 2 0+5 => restored
        points U1 => E10@d60 E5@d90 E5@d120; granted 20, spent 0+20, restored 0+20; woken d40
        expire U1 => expired; -10 E posted 1/1
        points U1 => E5@d90 E5@d120; granted 20, spent 0+20, restored 0+20, expired 0+10; woken d90
    "
    lots_end_at_their_time_whenever_the_timer_comes: "
        grant G11 U1 10 until d40 => granted 10 until d40, 10 in all
        grant G12 U1 20 until d50 => granted 20 until d50, 30 in all
        charge P1 U1 5 => charged, 35 in all
        expire U1 => expired
        expire U9 => expired
        at d40
        spend O1 U1 26 => POINTS_INSUFFICIENT, 25 available
        spend O1 U1 1 => spent 0 paid and 1 earned
        expire U1 => expired; -10 E posted 1/1
        expire U1 => expired
        points U1 => E19@d50 P5; charged 5, granted 30, spent 0+1, expired 0+10; woken d50
        at d99
        expire U1 => expired; -19 E posted 1/2
        points U1 => P5; charged 5, granted 30, spent 0+1, expired 0+29; not woken
    "
    a_timer_that_has_become_too_early_is_set_anew: "
        grant G11 U1 10 until d40 => granted 10 until d40, 10 in all
        grant G12 U1 20 until d50 => granted 20 until d50, 30 in all
        spend O1 U1 15 => spent 0 paid and 15 earned
        points U1 => E15@d50; granted 30, spent 0+15; woken d40
        at d41
        expire U1 => expired
        points U1 => E15@d50; granted 30, spent 0+15; woken d50
    "
    bought_points_end_where_the_rules_say_so: "
        bought points live 10 days
        charge P1 U1 5 => charged, 5 in all
        earn O1 U1 5 => earned; +5 E posted 1/1000000
        points U1 => P5@d31 E5@d396; charged 5, rewarded 5; woken d31
        at d31
        expire U1 => expired; -5 P posted 1/1
        points U1 => E5@d396; charged 5, rewarded 5, expired 5+0; woken d396
    "
    a_claw_back_takes_what_is_there: "
        claw O1 U1 1 5 => POINT_USE_UNKNOWN
        earn O1 U1 20 => earned; +20 E posted 1/1000000
        claw O1 U1 1 0  => clawed 0
        claw O1 U1 1 -1 => POINTS_AMOUNT_INVALID
        claw O1 U2 1 5  => POINT_USE_DIFFERS
        claw O1 U1 1 21 => POINT_CLAW_EXCEEDS_EARNED
        claw O1 U1 1 5  => clawed 5; -5 E posted 1/2000001
        claw O1 U1 1 5  => clawed 5
        claw O1 U1 1 6  => POINT_USE_DIFFERS
        spend O2 U1 12  => spent 0 paid and 12 earned
        claw O1 U1 2 16 => POINT_CLAW_EXCEEDS_EARNED
        claw O1 U1 2 10 => clawed 3; -3 E posted 1/2000002
        claw O1 U1 3 5  => clawed 0
        points U1 => empty; rewarded 20, spent 0+12, clawed 8; woken d396
        order O1 => none, earned 20 until d396, claw 1 5 of 5, claw 2 3 of 10, claw 3 0 of 5
        spend O3 U1 1 => POINTS_INSUFFICIENT, 0 available
        claw O2 U1 1 1 => POINT_USE_UNKNOWN
    "
    a_refused_refund_gives_again_what_was_clawed_back: "
        earn O1 U1 20 => earned; +20 E posted 1/1000000
        spend O2 U1 15 => spent 0 paid and 15 earned
        claw O1 U1 1 8 => clawed 5; -5 E posted 1/2000001
        unclaw O1 U2 1 => POINT_USE_DIFFERS
        unclaw O1 U1 1 => unclawed; +5 E posted 1/3000001
        unclaw O1 U1 1 => unclawed
        claw O1 U1 1 8 => STEP_CANCELLED
        claw O1 U1 2 20 => clawed 5; -5 E posted 1/2000002
        unclaw O1 U1 3 => unclawed
        claw O1 U1 3 1 => STEP_CANCELLED
        unclaw O7 U1 1 => unclawed
        earn O7 U1 4 => earned; +4 E posted 7/1000000
        claw O7 U1 1 1 => STEP_CANCELLED
        claw O7 U1 2 4 => clawed 4; -4 E posted 7/2000002
        order O1 => none, earned 20 until d396, claw 1 5 of 8 undone, claw 2 5 of 20, claw 3 0 of 0 undone
        points U1 => empty; rewarded 24, spent 0+15, clawed 9; woken d396
    "
    what_has_ended_is_neither_taken_nor_paid_for: "
        earn O1 U1 20 => earned; +20 E posted 1/1000000
        claw O1 U1 1 5 => clawed 5; -5 E posted 1/2000001
        at d396
        claw O1 U1 2 10 => clawed 10
        unclaw O1 U1 1 => unclawed; +5 E posted 1/3000001
        expire U1 => expired; -15 E posted 1/1
        order O1 => none, earned 20 until d396, claw 1 5 of 5 undone, claw 2 0 of 10 and 10 gone
        points U1 => E5@d455; rewarded 20, expired 0+15; woken d455
    "
    one_commit_states_each_movement_once: "
        charge P1 U1 100; charge P2 U2 7 => charged, 100 in all; charged, 7 in all
        changed => U1 CHARGED 1 100+0 =100, U2 CHARGED 2 7+0 =7
        spend O1 U1 30; earn O1 U1 5; spend O2 U2 8 => spent 30 paid and 0 earned; earned; +5 E posted 1/1000000; POINTS_INSUFFICIENT, 7 available
        changed => U1 SPENT 1 -30+0 =70, U1 EARNED 1 0+5 =75
        spend O2 U2 8 => POINTS_INSUFFICIENT, 7 available
        changed => nothing
        spend O1 U1 30 => spent 30 paid and 0 earned
        changed => nothing
        restore O1 U1 0; claw O1 U1 1 2; unclaw O1 U1 1; grant G13 U2 1 => restored; clawed 2; -2 E posted 1/2000001; unclawed; +2 E posted 1/3000001; granted 1 until d396, 8 in all
        changed => U1 RESTORED 1 30+0 =105, U1 CLAWED_BACK 1 0-2 =103, U1 UNCLAWED 1 0+2 =105, U2 GRANTED 13 0+1 =8
        at d396
        expire U2; expire U1 => expired; -1 E posted 2/1; expired; -5 E posted 1/1
        changed => U2 EXPIRED 0 0-1 =7, U1 EXPIRED 0 0-5 =100
    "
    an_account_has_its_limits: "
        many grants G1000 U1 100 => 100 lots
        grant G11 U1 5 until d150 => POINT_LOTS_FULL
        grant G11 U1 5 until d50 => granted 5 until d50, 105 in all
        grant G12 U1 5 => granted 5 until d396, 110 in all
        earn O1 U1 5 => earned; +5 E posted 1/1000000
        fill U2 => filled
        charge P9 U2 1 => POINTS_OVERFLOW
        grant G19 U2 1 => POINTS_OVERFLOW
        earn O9 U2 1 => POINTS_OVERFLOW
    "
}

#[test]
fn every_code_has_a_line() {
    let currency = Currency::KRW;
    let all = [
        Reject::AmountInvalid,
        Reject::Insufficient { available: 0 },
        Reject::Currency { currency },
        Reject::Overflow,
        Reject::ExpiryInvalid,
        Reject::LotsFull,
        Reject::StepCancelled,
        Reject::UseDiffers,
        Reject::UseUnknown,
        Reject::RestoreExceedsSpent,
        Reject::ClawExceedsEarned,
        Reject::ChargeUnknown,
        Reject::RefundExceedsLeft { left: 0 },
        Reject::TooManyRefunds,
    ];
    for (at, reject) in all.iter().enumerate() {
        assert_eq!(ordinal(reject), at, "{reject:?} is not where it belongs in `all`");
        let line = format!("=> {}", reject.code());
        assert!(
            TABLES.iter().chain(refunds::TABLES).any(|table| table.contains(&line)),
            "no table shows {line}"
        );
    }
    assert_eq!(all.len(), ordinal(&Reject::TooManyRefunds) + 1, "`all` lacks the last ones");
}

/// Without a wildcard: a new variant does not compile until it is counted here.
fn ordinal(reject: &Reject) -> usize {
    match reject {
        Reject::AmountInvalid => 0,
        Reject::Insufficient { .. } => 1,
        Reject::Currency { .. } => 2,
        Reject::Overflow => 3,
        Reject::ExpiryInvalid => 4,
        Reject::LotsFull => 5,
        Reject::StepCancelled => 6,
        Reject::UseDiffers => 7,
        Reject::UseUnknown => 8,
        Reject::RestoreExceedsSpent => 9,
        Reject::ClawExceedsEarned => 10,
        Reject::ChargeUnknown => 11,
        Reject::RefundExceedsLeft { .. } => 12,
        Reject::TooManyRefunds => 13,
    }
}

#[test]
fn numbers_in_the_store_are_those_of_the_contract() {
    assert_eq!([1, 2].map(Kind::from_code), [Some(Kind::Earned), Some(Kind::Paid)]);
    assert_eq!([0, 3].map(Kind::from_code), [None, None]);
    assert_eq!(
        [1, 2, 3].map(State::from_code).map(Option::unwrap),
        [State::None, State::Spent, State::Restored]
    );
    assert_eq!(
        [1, 2, 3].map(RefundState::from_code).map(Option::unwrap),
        [RefundState::Held, RefundState::Returned, RefundState::Given]
    );
    let names: Vec<_> = What::ALL.iter().map(|what| (what.code(), what.name())).collect();
    let expected = [
        (1, "CHARGED"),
        (2, "GRANTED"),
        (3, "EARNED"),
        (4, "SPENT"),
        (5, "RESTORED"),
        (6, "CLAWED_BACK"),
        (7, "UNCLAWED"),
        (8, "EXPIRED"),
        (9, "REFUNDED"),
        (10, "UNREFUNDED"),
    ];
    assert_eq!(names, expected);
}
