//! Tables of rules: a line is one commit, `commands => answers`; `tally`, `coupon` and `changed`
//! show what it left. Campaigns issue from 0 to 99, and their coupons end at 200, unless a line
//! says otherwise.
#![expect(clippy::arithmetic_side_effects, reason = "test oracles count in plain numbers")]

mod properties;
mod text;
mod world;

use jangbu_kernel::domain::Coded;
use jangbu_kernel::{Currency, UserId};

use self::text::{check, terms};
use super::command::{Goods, Reject};
use super::model::State;
use super::terms::Funding;

/// One test per table, and the list of all tables for [`every_code_has_a_line`].
macro_rules! tables {
    ($($name:ident: $text:literal)*) => {
        $(#[test] fn $name() { check($text); })*
        const TABLES: &[&str] = &[$($text),*];
    };
}

tables! {
    terms_make_sense_or_are_refused: "
        campaign K1 nameless     => CAMPAIGN_INVALID name
        campaign K1 0off         => CAMPAIGN_INVALID discount
        campaign K1 1000000000000001off => CAMPAIGN_INVALID discount
        campaign K1 0bp          => CAMPAIGN_INVALID discount
        campaign K1 10001bp      => CAMPAIGN_INVALID discount
        campaign K1 100bp cap 0  => CAMPAIGN_INVALID discount
        campaign K1 minimum -1   => CAMPAIGN_INVALID minimum
        campaign K1 ends 0       => CAMPAIGN_INVALID ends
        campaign K1 until 99     => CAMPAIGN_INVALID valid
        campaign K1 for 0        => CAMPAIGN_INVALID valid
        campaign K1 for 9223372036854775807 => CAMPAIGN_INVALID valid
        campaign K1 total 0      => CAMPAIGN_INVALID total
        campaign K1 total 100000001 => CAMPAIGN_INVALID total
        campaign K1 each 0       => CAMPAIGN_INVALID perUser
        campaign K1 each 4       => CAMPAIGN_INVALID perUser
        campaign K1 paid by merchant => CAMPAIGN_INVALID scope
        campaign K1 paid by merchant of m-1 => K1 0 of 3
        campaign K2 10000bp until 100 each 3 => K2 0 of 3
    "
    a_campaign_is_recognised_by_its_terms: "
        campaign K1         => K1 0 of 3
        campaign K1         => K1 0 of 3
        campaign K1 total 4 => CAMPAIGN_DIFFERS
        tally K1            => issued 0
        changed             => nothing
        end K9              => CAMPAIGN_UNKNOWN
    "
    exactly_so_many_are_issued_first_come_first_served: "
        issue K1 C1 U1   => CAMPAIGN_UNKNOWN
        campaign K1      => K1 0 of 3
        issue K1 C1 U1   => C1 is 1, 2 left, to 200
        issue K1 C2 U2; issue K1 C3 U3; issue K1 C4 U4 => C2 is 2, 1 left, to 200; C3 is 3, 0 left, to 200; COUPON_EXHAUSTED 0 left
        issue K1 C5 U5   => COUPON_EXHAUSTED 0 left
        tally K1         => issued 3, free 3, next at 200
        coupon C4        => none
        issue K1 C1 U1   => C1 is 1, 2 left, to 200
        issue K1 C1 U9   => COUPON_DIFFERS
    "
    a_user_has_so_many_and_no_more_whatever_became_of_them: "
        campaign K1 total 9 each 2 => K1 0 of 9
        issue K1 C1 U1   => C1 is 1, 8 left, to 200
        issue K1 C2 U1   => C2 is 2, 7 left, to 200
        issue K1 C3 U1   => COUPON_LIMIT_REACHED U1
        revoke C1        => C1 revoked
        issue K1 C3 U1   => COUPON_LIMIT_REACHED U1
        issue K1 C3 U2   => C3 is 3, 6 left, to 200
        tally K1         => issued 3, free 2, revoked 1, next at 200
    "
    a_campaign_issues_within_its_time_and_until_it_is_ended: "
        at 9
        campaign K1 starts 10 ends 20 => K1 0 of 3
        issue K1 C1 U1   => CAMPAIGN_NOT_OPEN
        at 10
        issue K1 C1 U1   => C1 is 1, 2 left, to 200
        at 20
        issue K1 C2 U2   => CAMPAIGN_NOT_OPEN
        campaign K2      => K2 0 of 3
        issue K2 C3 U1   => C3 is 1, 2 left, to 200
        end K2           => K2 1 of 3, ended
        end K2           => K2 1 of 3, ended
        issue K2 C4 U2   => CAMPAIGN_NOT_OPEN
        grant K2 C4:U2   => CAMPAIGN_NOT_OPEN
        redeem C3 for O1 U1 m-1=900 KRW => 500 off, PLATFORM
    "
    a_grant_gives_all_or_none_within_the_same_limits: "
        grant K1 C1:U1   => CAMPAIGN_UNKNOWN
        campaign K1 total 5 each 2 => K1 0 of 5
        grant K1         => GRANT_INVALID
        grant K1 C2:U1 C1:U2 => GRANT_INVALID
        grant K1 C1:U1 C1:U2 => GRANT_INVALID
        grant K1 C1:U1 C2:U2 C3:U1 C4:U1 => COUPON_LIMIT_REACHED U1
        tally K1         => issued 0
        grant K1 C1:U1 C2:U2 C3:U1 => C1 U1 is 1, C2 U2 is 2, C3 U1 is 3, 2 left, to 200
        grant K1 C1:U1 C2:U2 C3:U1 => C1 U1 is 1, C2 U2 is 2, C3 U1 is 3, 2 left, to 200
        grant K1 C1:U1 C2:U2 C3:U3 => COUPON_DIFFERS
        grant K1 C3:U1 C4:U3 => COUPON_DIFFERS
        grant K1 C4:U1   => COUPON_LIMIT_REACHED U1
        grant K1 C4:U3 C5:U4 C6:U5 => COUPON_EXHAUSTED 2 left
        issue K1 C4 U3 => C4 is 4, 1 left, to 200
    "
    a_coupon_is_used_by_one_order_of_its_owner: "
        campaign K1      => K1 0 of 3
        issue K1 C1 U1   => C1 is 1, 2 left, to 200
        redeem C9 for O1 U1 m-1=900 KRW => COUPON_UNKNOWN
        redeem C1 for O1 U2 m-1=900 KRW => COUPON_UNKNOWN
        redeem C1 for O1 U1 m-1=900 KRW => 500 off, PLATFORM
        coupon C1        => U1 USED by O1 500 off
        redeem C1 for O1 U1 m-1=900 KRW => 500 off, PLATFORM
        redeem C1 for O2 U1 m-1=900 KRW => COUPON_USED
        revoke C1        => COUPON_USED
        tally K1         => issued 1, used 1, next at 200
    "
    a_restored_coupon_is_free_again_for_another_order: "
        campaign K1      => K1 0 of 3
        issue K1 C1 U1   => C1 is 1, 2 left, to 200
        redeem C1 for O1 U1 m-1=900 KRW => 500 off, PLATFORM
        restore C1 of O1 => restored
        coupon C1        => U1 FREE not O1
        restore C1 of O1 => restored
        redeem C1 for O1 U1 m-1=900 KRW => STEP_CANCELLED
        redeem C1 for O2 U1 m-1=300 KRW => 300 off, PLATFORM
        restore C1 of O1 => restored
        coupon C1        => U1 USED by O2 300 off not O1
        tally K1         => issued 1, used 1, next at 200
    "
    a_restore_before_the_redeem_leaves_a_tombstone: "
        campaign K1      => K1 0 of 3
        issue K1 C1 U1   => C1 is 1, 2 left, to 200
        restore C1 of O1 => restored
        changed          => nothing
        redeem C1 for O1 U1 m-1=900 KRW => STEP_CANCELLED
        coupon C1        => U1 FREE not O1
        redeem C1 for O2 U1 m-1=900 KRW => 500 off, PLATFORM
        restore C1 of O3 => restored
        coupon C1        => U1 USED by O2 500 off not O1 not O3
        restore C9 of O1 => restored
        coupon C9        => none
    "
    a_coupon_ends_at_its_time_and_not_before: "
        campaign K1 for 50 each 3 => K1 0 of 3
        issue K1 C1 U1   => C1 is 1, 2 left, to 50
        at 10
        issue K1 C2 U1; issue K1 C3 U2 => C2 is 2, 1 left, to 60; C3 is 3, 0 left, to 60
        at 49
        sweep K1         => expired
        tally K1         => issued 3, free 3, next at 50
        redeem C1 for O1 U1 m-1=900 KRW; restore C1 of O1 => 500 off, PLATFORM; restored
        at 50
        redeem C1 for O2 U1 m-1=900 KRW => COUPON_EXPIRED
        revoke C1        => COUPON_EXPIRED
        coupon C1        => U1 FREE not O1
        sweep K1         => expired
        coupon C1        => U1 EXPIRED not O1
        tally K1         => issued 3, free 2, expired 1, next at 60
        redeem C1 for O2 U1 m-1=900 KRW => COUPON_EXPIRED
        revoke C1        => COUPON_EXPIRED
        at 60
        sweep K1; sweep K1 => expired; expired
        changed          => K1 issued 3, expired 3, C2 EXPIRED, C3 EXPIRED
        tally K1         => issued 3, expired 3
        sweep K9         => expired
    "
    what_is_given_back_too_late_has_expired: "
        campaign K1 each 3 => K1 0 of 3
        issue K1 C1 U1; issue K1 C2 U1 => C1 is 1, 2 left, to 200; C2 is 2, 1 left, to 200
        redeem C1 for O1 U1 m-1=900 KRW; redeem C2 for O2 U1 m-1=900 KRW => 500 off, PLATFORM; 500 off, PLATFORM
        at 199
        restore C1 of O1 => restored
        at 200
        restore C2 of O2 => restored
        tally K1         => issued 2, free 1, expired 1, next at 200
        sweep K1         => expired
        tally K1         => issued 2, expired 2
        restore C2 of O2 => restored
        coupon C2        => U1 EXPIRED not O2
    "
    a_used_coupon_outlives_its_time: "
        campaign K1      => K1 0 of 3
        issue K1 C1 U1; redeem C1 for O1 U1 m-1=900 KRW => C1 is 1, 2 left, to 200; 500 off, PLATFORM
        at 300
        sweep K1         => expired
        tally K1         => issued 1, used 1
        redeem C1 for O1 U1 m-1=900 KRW => 500 off, PLATFORM
    "
    an_operator_takes_a_free_coupon_back_once: "
        campaign K1      => K1 0 of 3
        issue K1 C1 U1   => C1 is 1, 2 left, to 200
        revoke C9        => COUPON_UNKNOWN
        revoke C1        => C1 revoked
        revoke C1        => C1 revoked
        redeem C1 for O1 U1 m-1=900 KRW => COUPON_REVOKED
        restore C1 of O1 => restored
        coupon C1        => U1 REVOKED not O1
        at 200
        sweep K1         => expired
        tally K1         => issued 1, revoked 1
    "
    a_coupon_asks_for_enough_of_the_right_goods: "
        campaign K1 minimum 1000 of m-1 paid by merchant => K1 0 of 3
        issue K1 C1 U1   => C1 is 1, 2 left, to 200
        redeem C1 for O1 U1 m-2=9000 KRW => COUPON_NOT_APPLICABLE
        redeem C1 for O1 U1 KRW => COUPON_NOT_APPLICABLE
        redeem C1 for O1 U1 m-1=9000 USD => COUPON_NOT_APPLICABLE
        redeem C1 for O1 U1 m-1=999 m-2=9000 KRW => COUPON_MINIMUM 1000
        redeem C1 for O1 U1 m-1=600 m-2=9000 m-1=400 KRW => 500 off of m-1, MERCHANT
    "
    one_commit_states_each_campaign_once: "
        campaign K1; campaign K2 => K1 0 of 3; K2 0 of 3
        issue K2 C2 U2; issue K1 C1 U1; issue K1 C3 U1 => C2 is 1, 2 left, to 200; C1 is 1, 2 left, to 200; COUPON_LIMIT_REACHED U1
        changed          => K1 issued 1, free 1, C1 FREE to U1; K2 issued 1, free 1, C2 FREE to U2
        redeem C1 for O1 U1 m-1=900 KRW; restore C1 of O1; revoke C1 => 500 off, PLATFORM; restored; C1 revoked
        changed          => K1 issued 1, revoked 1, C1 REVOKED
        issue K1 C4 U1   => COUPON_LIMIT_REACHED U1
        changed          => nothing
    "
}

#[test]
fn a_discount_is_never_more_than_the_goods_and_never_nothing() {
    let of = |text: &str, goods: &[(&str, i64)]| {
        let words: Vec<&str> = text.split_whitespace().collect();
        let goods =
            goods.iter().map(|(m, amount)| Goods { merchant: (*m).into(), amount: *amount });
        let goods: Vec<_> = goods.collect();
        terms(&words).discount(&goods, Currency::KRW).map_err(|reject| reject.code())
    };
    for (terms, goods, wanted) in [
        ("500off", &[("a", 499)][..], Ok(499)),
        ("500off", &[("a", 300), ("b", 300)], Ok(500)),
        ("500off of b", &[("a", 300), ("b", 300)], Ok(300)),
        ("1000bp", &[("a", 1_999)], Ok(199)),
        ("1000bp cap 100", &[("a", 1_999)], Ok(100)),
        ("1000bp cap 100", &[("a", 999)], Ok(99)),
        ("10000bp", &[("a", 999)], Ok(999)),
        ("1bp", &[("a", 9_999)], Err("COUPON_NOT_APPLICABLE")),
        ("1bp", &[("a", 10_000)], Ok(1)),
        ("500off", &[("a", 0)], Err("COUPON_NOT_APPLICABLE")),
        ("500off", &[("a", -5)], Err("COUPON_NOT_APPLICABLE")),
        ("9999bp", &[("a", i64::MAX), ("a", i64::MAX)], Err("COUPON_NOT_APPLICABLE")),
        ("5000bp", &[("a", i64::MAX)], Ok(i64::MAX / 2)),
    ] {
        assert_eq!(of(terms, goods), wanted, "{terms} {goods:?}");
    }
}

#[test]
fn every_code_has_a_line() {
    let all = [
        Reject::TermsInvalid { field: "".into(), must: "".into() },
        Reject::CampaignDiffers,
        Reject::CampaignUnknown,
        Reject::CampaignNotOpen,
        Reject::CouponExhausted { remaining: 0 },
        Reject::CouponLimitReached { user: UserId(1) },
        Reject::GrantInvalid,
        Reject::CouponDiffers,
        Reject::CouponUnknown,
        Reject::CouponUsed,
        Reject::CouponExpired,
        Reject::CouponRevoked,
        Reject::CouponMinimum { minimum: 0 },
        Reject::CouponNotApplicable,
        Reject::StepCancelled,
    ];
    for (at, reject) in all.iter().enumerate() {
        assert_eq!(ordinal(reject), at, "{reject:?} is not where it belongs in `all`");
        let line = format!("=> {}", reject.code());
        assert!(TABLES.iter().any(|table| table.contains(&line)), "no table shows {line}");
    }
    assert_eq!(all.len(), ordinal(&Reject::StepCancelled) + 1, "`all` lacks the last variants");
}

/// Without a wildcard: a new variant does not compile until it is counted here.
fn ordinal(reject: &Reject) -> usize {
    match reject {
        Reject::TermsInvalid { .. } => 0,
        Reject::CampaignDiffers => 1,
        Reject::CampaignUnknown => 2,
        Reject::CampaignNotOpen => 3,
        Reject::CouponExhausted { .. } => 4,
        Reject::CouponLimitReached { .. } => 5,
        Reject::GrantInvalid => 6,
        Reject::CouponDiffers => 7,
        Reject::CouponUnknown => 8,
        Reject::CouponUsed => 9,
        Reject::CouponExpired => 10,
        Reject::CouponRevoked => 11,
        Reject::CouponMinimum { .. } => 12,
        Reject::CouponNotApplicable => 13,
        Reject::StepCancelled => 14,
    }
}

#[test]
fn numbers_in_the_store_are_those_of_the_contract() {
    let states = [1, 2, 3, 4].map(|code| State::from_code(code).unwrap());
    assert_eq!(states, [State::Free, State::Used, State::Expired, State::Revoked]);
    assert_eq!([0, 5].map(State::from_code), [None, None]);
    let fundings = [1, 2].map(Funding::from_code);
    assert_eq!(fundings, [Some(Funding::Platform), Some(Funding::Merchant)]);
}
