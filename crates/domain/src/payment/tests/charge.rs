//! Tables: charges, holds, captures and voids, and what the gateway says about them.

use super::bench::{Bench, check};

#[test]
fn a_charge_is_sent_with_its_intent_and_captured_by_the_answer() {
    check(
        "
        intend a=60 b=40 token          => SENT >charge:100
        intend a=60 b=40 token          => SENT
        authorize                       => SENT
        inquire                         => SENT
        said inquire unknown x          => SENT
        said void unknown x             => SENT
        said charge captured 100        => CAPTURED +captured#1:100
        said charge captured 100        => CAPTURED
        said inquire captured 100       => CAPTURED
        authorize                       => CAPTURED
        capture                         => CAPTURED
        money                           => 100/100/0/0
        ref                             => psp-1
        ",
    );
}

#[test]
fn a_client_pays_later_with_its_own_token() {
    check(
        "
        intend a=100                    => INTENT
        authorize                       => SENT >charge:100
        said charge declined no_funds   => DECLINED:no_funds +declined:no_funds
        authorize                       => DECLINED:no_funds
        void                            => DECLINED:no_funds
        money                           => 0/0/0/0
        ",
    );
    check("intend a=100 => INTENT \n void => VOIDED +voided \n authorize => VOIDED");
}

#[test]
fn an_intent_is_inquired_only_for_an_order_that_has_a_hint() {
    check("alone \n intend a=100 => INTENT \n inquire => INTENT");
    check(
        "
        intend a=100                    => INTENT
        inquire                         => UNKNOWN:hint +unknown:hint >inquire:100
        authorize                       => UNKNOWN:hint
        said inquire captured 100       => CAPTURED +captured#1:100
        ",
    );
    check(
        "
        intend a=100                    => INTENT
        inquire                         => UNKNOWN:hint +unknown:hint >inquire:100
        said inquire not_found          => UNKNOWN:hint +not-found
        at 61s
        inquire                         => UNKNOWN:hint >inquire:100
        said inquire not_found          => UNKNOWN:fencing >fence:100
        said fence fenced               => DECLINED:not_found +declined:not_found
        ",
    );
}

#[test]
fn nothing_to_charge_is_captured_at_once_and_posts_nothing() {
    check(
        "
        intend token                    => CAPTURED +captured#0:0
        intend token                    => CAPTURED
        refund 1 a=1                    => REFUND_EXCEEDS_CAPTURED:0
        ",
    );
}

#[test]
fn a_charge_of_points_is_a_payment_that_no_merchant_can_touch() {
    check(
        "
        alone
        intend points=3 total=500 token => SENT >charge:500
        intend points=3 total=500 token => SENT
        intend points=4 total=500 token => PAYMENT_DIFFERS
        said charge captured 500        => CAPTURED +captured#1:500
        give 9 a                        => PAYMENT_UNKNOWN
        refund 1 total=500              => AMOUNT_INVALID
        refund 1 a=500                  => AMOUNT_INVALID
        refund 1 a=0,500                => AMOUNT_INVALID
        aside 1 a=500                   => AMOUNT_INVALID
        money                           => 500/500/0/0
        ",
    );
}

#[test]
fn held_money_is_captured_or_let_go_but_not_both() {
    check(
        "
        intend later a=100 token        => SENT >authorize:100
        said authorize authorized 100   => AUTHORIZED +authorized:100
        said authorize authorized 100   => AUTHORIZED
        inquire                         => AUTHORIZED
        capture                         => CAPTURE_SENT +capture-requested:100 >capture:100
        void                            => OPERATION_IN_FLIGHT
        said capture captured 100       => CAPTURED +captured#1:100
        void                            => NOT_VOIDABLE
        ",
    );
    check(
        "
        intend later a=100 token        => SENT >authorize:100
        void                            => OPERATION_IN_FLIGHT
        said authorize authorized 100   => AUTHORIZED +authorized:100
        void                            => VOID_SENT >void:100
        capture                         => OPERATION_IN_FLIGHT
        said void voided                => VOIDED +voided
        capture                         => NOT_AUTHORIZED
        void                            => VOIDED
        said inquire authorized 100     => VOIDED
        ",
    );
}

#[test]
fn an_intent_that_its_void_has_overtaken_charges_nothing() {
    check(
        "
        withdraw a=60 b=40              => VOIDED:withdrawn_by_order +voided
        withdraw a=60 b=40              => VOIDED:withdrawn_by_order
        intend a=60 b=40 token          => VOIDED:withdrawn_by_order
        intend a=60 b=40                => VOIDED:withdrawn_by_order
        authorize                       => VOIDED:withdrawn_by_order
        intend a=61 b=40 token          => PAYMENT_DIFFERS
        capture                         => NOT_AUTHORIZED
        inquire                         => VOIDED:withdrawn_by_order
        money                           => 0/0/0/0
        ",
    );
    check(
        "withdraw a=0,30 => VOIDED:withdrawn_by_order +voided \n intend a=0,30 token => VOIDED:withdrawn_by_order",
    );
    check("withdraw a=1 total=2 => PAYMENT_UNKNOWN \n intend a=1 total=2 => AMOUNT_INVALID");
}

#[test]
fn the_void_of_an_order_is_a_void_wherever_the_payment_stands() {
    check("intend a=100 => INTENT \n withdraw a=100 => VOIDED:withdrawn_by_order +voided");
    check(
        "
        intend later a=100 token        => SENT >authorize:100
        withdraw later a=100            => OPERATION_IN_FLIGHT
        said authorize authorized 100   => AUTHORIZED +authorized:100
        withdraw later a=100            => VOID_SENT:withdrawn_by_order >void:100
        said void voided                => VOIDED:withdrawn_by_order +voided
        ",
    );
    check(
        "
        intend a=100 token              => SENT >charge:100
        said charge captured 100        => CAPTURED +captured#1:100
        withdraw a=100                  => NOT_VOIDABLE
        ",
    );
}

#[test]
fn a_charge_that_is_only_authorized_can_be_captured() {
    check(
        "
        intend a=100 token              => SENT >charge:100
        said charge authorized 100      => AUTHORIZED +authorized:100
        capture                         => CAPTURE_SENT +capture-requested:100 >capture:100
        said capture captured 100       => CAPTURED +captured#1:100
        ",
    );
}

#[test]
fn what_never_left_was_not_charged() {
    check(
        "
        intend a=100 token              => SENT >charge:100
        said charge not_sent breaker    => DECLINED:not_sent:breaker +not-sent:breaker
        ",
    );
    check(
        "
        intend a=100 token              => SENT >charge:100
        at 10s
        inquire                         => UNKNOWN:deadline +unknown:deadline >inquire:100
        said charge not_sent bulkhead   => DECLINED:not_sent:bulkhead +not-sent:bulkhead
        ",
    );
}

#[test]
fn money_that_moves_late_is_taken_wherever_the_payment_stands() {
    for ending in ["said charge declined x", "said charge not_sent x", "resolve"] {
        let mut bench = Bench::new(true);
        bench.run("intend a=100 token");
        if ending == "resolve" {
            bench.run("said charge unknown x");
            bench.run("resolve not_charged statement-of-May");
        } else {
            bench.run(ending);
        }
        assert_eq!(bench.run("said inquire captured 100"), "CAPTURED +captured#1:100", "{ending}");
        assert_eq!(bench.run("said inquire captured 100"), "CAPTURED", "{ending}");
    }
    check(
        "
        intend a=100                    => INTENT
        void                            => VOIDED +voided
        said inquire captured 100       => CAPTURED +captured#1:100
        ",
    );
    check(
        "
        intend later a=100 token           => SENT >authorize:100
        said authorize declined x          => DECLINED:x +declined:x
        said inquire authorized 100        => AUTHORIZED +authorized:100
        ",
    );
}

#[test]
fn another_amount_is_never_accepted() {
    check(
        "
        intend a=100 token              => SENT >charge:100
        said charge captured 99         => UNKNOWN:amount_mismatch +unknown:amount_mismatch
        said charge captured 99         => UNKNOWN:amount_mismatch
        said charge declined x          => UNKNOWN:amount_mismatch
        inquire                         => UNKNOWN:amount_mismatch >inquire:100
        said inquire not_found          => UNKNOWN:amount_mismatch
        inquire                         => UNKNOWN:amount_mismatch >inquire:100
        said inquire captured 99        => UNKNOWN:amount_mismatch
        inquire                         => UNKNOWN:amount_mismatch >inquire:100
        said inquire captured 100       => CAPTURED +captured#1:100
        said inquire captured 99        => CAPTURED
        ",
    );
    check(
        "
        intend later a=100 token        => SENT >authorize:100
        said authorize authorized 1     => UNKNOWN:amount_mismatch +unknown:amount_mismatch
        resolve captured mail           => CAPTURED:operator:mail +captured#1:100
        ",
    );
    check(
        "
        intend a=100 token              => SENT >charge:100
        said charge declined x          => DECLINED:x +declined:x
        said inquire captured 7         => UNKNOWN:amount_mismatch +unknown:amount_mismatch
        resolve not_charged mail        => DECLINED:operator:mail +declined:operator
        ",
    );
}
