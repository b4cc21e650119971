//! Text tables. A line is `command => answer +event… >call…`; what follows `=>` is compared word
//! by word. After every command the harness itself checks that the row is sound, that a reject
//! has left everything as it was, and that the same command again changes nothing and answers the
//! same.

#![expect(clippy::arithmetic_side_effects, reason = "a test that overflows fails, as it should")]

mod bench;
mod gateway;
mod sweep;

use super::command::{Reject, SOON};
use super::{Command, Payments};
use bench::{Bench, check};
use jangbu_kernel::time::Span;
use jangbu_kernel::{Coded, Domain, PaymentId, Time};

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
        inquire                         => INTENT
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
fn silence_is_unknown_and_is_inquired() {
    check(
        "
        intend a=100 token              => SENT >charge:100
        said charge unknown time-out    => UNKNOWN:time-out +unknown:time-out
        void                            => OPERATION_IN_FLIGHT
        capture                         => OPERATION_IN_FLIGHT
        inquire                         => UNKNOWN:time-out >inquire:100
        inquire                         => UNKNOWN:time-out
        said inquire unknown time-out   => UNKNOWN:time-out
        inquire                         => UNKNOWN:time-out >inquire:100
        said inquire not_sent breaker   => UNKNOWN:time-out
        inquire                         => UNKNOWN:time-out >inquire:100
        said inquire captured 100       => CAPTURED +captured#1:100
        said charge declined late       => CAPTURED
        ",
    );
    check(
        "
        intend a=100 token              => SENT >charge:100
        at 9s
        inquire                         => SENT
        at 10s
        inquire                         => UNKNOWN:deadline +unknown:deadline >inquire:100
        said inquire declined no_funds  => DECLINED:no_funds +declined:no_funds
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
fn not_found_is_believed_the_second_time_and_after_a_minute_by_a_fence() {
    check(
        "
        intend a=100 token              => SENT >charge:100
        said charge unknown time-out    => UNKNOWN:time-out +unknown:time-out
        said inquire not_found          => UNKNOWN:time-out
        at 59s
        inquire                         => UNKNOWN:time-out >inquire:100
        said inquire not_found          => UNKNOWN:time-out +not-found
        inquire                         => UNKNOWN:time-out >inquire:100
        said inquire not_found          => UNKNOWN:time-out +not-found
        at 60s
        inquire                         => UNKNOWN:time-out >inquire:100
        said inquire not_found          => UNKNOWN:fencing >fence:100
        said fence unknown time-out     => UNKNOWN:fencing
        inquire                         => UNKNOWN:not_found >inquire:100
        said inquire not_found          => UNKNOWN:fencing >fence:100
        said fence fenced               => DECLINED:not_found +declined:not_found
        said fence fenced               => DECLINED:not_found
        ",
    );
    check(
        "
        intend a=100 token              => SENT >charge:100
        said charge unknown time-out    => UNKNOWN:time-out +unknown:time-out
        at 90s
        inquire                         => UNKNOWN:time-out >inquire:100
        said inquire not_found          => UNKNOWN:time-out +not-found
        inquire                         => UNKNOWN:time-out >inquire:100
        said inquire not_found          => UNKNOWN:fencing >fence:100
        said fence captured 100         => CAPTURED +captured#1:100
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

#[test]
fn an_open_capture_or_void_is_inquired_and_may_be_asked_again() {
    check(
        "
        intend later a=100 token        => SENT >authorize:100
        said authorize authorized 100   => AUTHORIZED +authorized:100
        capture                         => CAPTURE_SENT +capture-requested:100 >capture:100
        said inquire authorized 100     => CAPTURE_SENT
        said authorize unknown late     => CAPTURE_SENT
        said inquire unknown late       => CAPTURE_SENT
        said capture not_sent breaker   => UNKNOWN:not_sent:breaker +unknown:not_sent:breaker
        said capture not_sent breaker   => UNKNOWN:not_sent:breaker
        inquire                         => UNKNOWN:not_sent:breaker >inquire:100
        said inquire not_found          => UNKNOWN:not_sent:breaker +not-found
        at 2m
        inquire                         => UNKNOWN:not_sent:breaker >inquire:100
        said inquire not_found          => UNKNOWN:not_sent:breaker +not-found
        inquire                         => UNKNOWN:not_sent:breaker >inquire:100
        said authorize authorized 100   => UNKNOWN:not_sent:breaker
        said inquire authorized 100     => AUTHORIZED +authorized:100
        void                            => VOID_SENT >void:100
        said void refused captured      => UNKNOWN:refused:captured +unknown:refused:captured
        inquire                         => UNKNOWN:refused:captured >inquire:100
        said inquire captured 100       => CAPTURED +captured#1:100
        ",
    );
    check(
        "
        intend later a=100 token        => SENT >authorize:100
        said authorize authorized 100   => AUTHORIZED +authorized:100
        void                            => VOID_SENT >void:100
        at 10s
        inquire                         => UNKNOWN:deadline +unknown:deadline >inquire:100
        said inquire voided             => VOIDED +voided
        said void voided                => VOIDED
        ",
    );
}

#[test]
fn refunds_hold_their_money_until_they_are_answered() {
    check(
        "
        intend a=60 b=40 token          => SENT >charge:100
        refund 1 a=10                   => NOT_CAPTURED
        said charge captured 100        => CAPTURED +captured#1:100
        refund 1 a=50                   => CAPTURED/SENT +refund-requested1:50 >refund1:50
        refund 1 a=50                   => CAPTURED/SENT
        money                           => 100/100/0/50
        refund 2 b=40 a=10              => CAPTURED/SENT +refund-requested2:50 >refund2:50
        refund 3 b=1                    => REFUND_EXCEEDS_CAPTURED:0
        said refund2 refunded 50        => CAPTURED/DONE +refunded2#2:50
        said refund2 refunded 50        => CAPTURED/DONE
        said refund1 refused too_late   => CAPTURED/REFUSED +refund-refused1:too_late
        said refund1 refused too_late   => CAPTURED/REFUSED
        refund 1 a=50                   => CAPTURED/REFUSED
        money                           => 100/100/50/0
        refund 3 a=51                   => REFUND_EXCEEDS_CAPTURED:50
        refund 0 a=50                   => CAPTURED/SENT +refund-requested0:50 >refund0:50
        said refund1 refunded 50        => CAPTURED/REFUSED
        said refund0 declined closed    => CAPTURED/REFUSED +refund-refused0:closed
        said refund1 refunded 49        => CAPTURED/REFUSED
        said refund1 refunded 50        => CAPTURED/DONE +refunded1#3:50
        money                           => 100/100/100/0
        ",
    );
}

#[test]
fn no_merchant_pays_for_another() {
    check(
        "
        intend a=60 b=40 token          => SENT >charge:100
        said charge captured 100        => CAPTURED +captured#1:100
        refund 1 b=41                   => REFUND_EXCEEDS_CAPTURED:40
        refund 1 a=60 b=41              => REFUND_EXCEEDS_CAPTURED:100
        refund 1 a=20 c=1               => REFUND_EXCEEDS_CAPTURED:0
        refund 1 b=30                   => CAPTURED/SENT +refund-requested1:30 >refund1:30
        refund 2 a=1 b=11               => REFUND_EXCEEDS_CAPTURED:10
        said refund1 refunded 30        => CAPTURED/DONE +refunded1#2:30
        refund 2 a=1 b=11               => REFUND_EXCEEDS_CAPTURED:10
        refund 2 a=60 b=10              => CAPTURED/SENT +refund-requested2:70 >refund2:70
        ",
    );
}

#[test]
fn an_open_refund_is_inquired_and_sent_again_under_its_number() {
    check(
        "
        intend a=100 token              => SENT >charge:100
        said charge captured 100        => CAPTURED +captured#1:100
        refund 1 a=30                   => CAPTURED/SENT +refund-requested1:30 >refund1:30
        inquire 1                       => CAPTURED/SENT
        said refund1 not_sent breaker   => CAPTURED/UNKNOWN +refund-unknown1:not_sent:breaker
        said inquire1 not_found         => CAPTURED/UNKNOWN
        inquire 1                       => CAPTURED/UNKNOWN >inquire1:30
        inquire 1                       => CAPTURED/UNKNOWN
        said inquire1 unknown time-out  => CAPTURED/UNKNOWN
        inquire 1                       => CAPTURED/UNKNOWN >inquire1:30
        said inquire1 not_found         => CAPTURED/SENT >refund1:30
        said inquire1 not_found         => CAPTURED/SENT
        at 5s
        inquire 1                       => CAPTURED/UNKNOWN +refund-unknown1:deadline >inquire1:30
        said refund1 refunded 29        => CAPTURED/UNKNOWN
        said inquire1 refunded 30       => CAPTURED/DONE +refunded1#2:30
        inquire 1                       => CAPTURED/DONE
        inquire                         => CAPTURED
        refund 2 a=70                   => CAPTURED/SENT +refund-requested2:70 >refund2:70
        said refund2 refunded 69        => CAPTURED/UNKNOWN +refund-unknown2:amount_mismatch
        said refund2 fenced             => CAPTURED/REFUSED +refund-refused2:fenced
        money                           => 100/100/30/0
        ",
    );
}

#[test]
fn a_payment_without_an_order_drives_itself() {
    check(
        "
        alone
        next                            => none
        intend a=100 token              => SENT >charge:100
        next                            => 12s
        at 12s
        wake                            => UNKNOWN:deadline +unknown:deadline >inquire:100
        next                            => 35s
        said inquire unknown time-out   => UNKNOWN:deadline
        at 36s
        wake                            => UNKNOWN:deadline >inquire:100
        next                            => 155s
        said inquire not_found          => UNKNOWN:deadline +not-found
        at 160s
        wake                            => UNKNOWN:deadline >inquire:100
        next                            => 755s
        at 4400s
        wake                            => UNKNOWN:deadline >inquire:100
        next                            => 8000s
        at 24h
        wake                            => UNKNOWN:deadline >inquire:100
        next                            => none
        said inquire captured 100       => CAPTURED +captured#1:100
        refund 1 a=1                    => CAPTURED/SENT +refund-requested1:1 >refund1:1
        next                            => 86412s
        at 86412s
        wake                            => CAPTURED +refund-unknown1:deadline >inquire1:1
        next                            => 86435s
        at 86435s
        wake                            => CAPTURED >inquire1:1
        said inquire1 refunded 1        => CAPTURED/DONE +refunded1#2:1
        next                            => none
        ",
    );
}

#[test]
fn a_timer_that_finds_an_inquiry_under_way_moves_on() {
    check(
        "
        alone
        intend a=100 token              => SENT >charge:100
        said charge unknown time-out    => UNKNOWN:time-out +unknown:time-out
        next                            => 5s
        at 4s
        inquire                         => UNKNOWN:time-out >inquire:100
        at 5s
        wake                            => UNKNOWN:time-out
        next                            => 35s
        ",
    );
}

/// One line for each code with which payment refuses.
const REJECTS: &str = "
    capture                         => PAYMENT_UNKNOWN
    intend a=-1 b=2 token           => AMOUNT_INVALID
    intend a=1 total=2 token        => AMOUNT_INVALID
    intend a=1 a=1 token            => AMOUNT_INVALID
    intend a=1000000000000001 token => AMOUNT_INVALID
    intend a=9223372036854775807 b=1 token => AMOUNT_INVALID
    intend a=100                    => INTENT
    intend a=99 b=1                 => PAYMENT_DIFFERS
    intend a=99                     => PAYMENT_DIFFERS
    intend usd a=100                => PAYMENT_DIFFERS
    intend later a=100              => PAYMENT_DIFFERS
    capture                         => NOT_AUTHORIZED
    refund 1 a=1                    => NOT_CAPTURED
    resolve captured x              => NOT_UNKNOWN
    authorize                       => SENT >charge:100
    capture                         => OPERATION_IN_FLIGHT
    void                            => OPERATION_IN_FLIGHT
    said charge captured 100        => CAPTURED +captured#1:100
    resolve captured x              => NOT_UNKNOWN
    void                            => NOT_VOIDABLE
    refund 1 a=0                    => AMOUNT_INVALID
    refund 1 a=-1                   => AMOUNT_INVALID
    refund 1 a=1 total=2            => AMOUNT_INVALID
    refund 1 a=101                  => REFUND_EXCEEDS_CAPTURED:100
    inquire 1                       => REFUND_UNKNOWN
    said refund1 refunded 1         => REFUND_UNKNOWN
    refund 1 a=1                    => CAPTURED/SENT +refund-requested1:1 >refund1:1
    refund 1 a=2                    => REFUND_DIFFERS
    refund 1 b=1                    => REFUND_DIFFERS
    alone
    intend a=100                    => PAYMENT_DIFFERS
";

macro_rules! every_reject {
    ($($variant:ident $({ $($fields:tt)* })?),+ $(,)?) => {
        /// Every reject; one that is missing here does not compile.
        fn every_reject() -> Vec<Reject> {
            fn known(reject: &Reject) {
                match reject { $(Reject::$variant { .. } => {})+ }
            }
            let all = vec![$(Reject::$variant $({ $($fields)* })?),+];
            all.iter().for_each(known);
            all
        }
    };
}

every_reject!(
    AmountInvalid,
    PaymentDiffers,
    PaymentUnknown,
    NotAuthorized,
    NotCaptured,
    NotVoidable,
    OperationInFlight,
    RefundExceedsCaptured { left: 0 },
    RefundDiffers,
    RefundUnknown,
    NotUnknown,
);

#[test]
fn every_reject_has_a_line() {
    check(REJECTS);
    for reject in every_reject() {
        let code = reject.code();
        let has = |line: &str| line.split(" => ").nth(1).is_some_and(|got| got.starts_with(code));
        assert!(REJECTS.lines().any(has), "no line for {code}");
    }
}

#[test]
fn an_operator_ends_what_is_unknown_and_only_that() {
    check(
        "
        intend a=100 token              => SENT >charge:100
        resolve captured x              => NOT_UNKNOWN
        said charge unknown time-out    => UNKNOWN:time-out +unknown:time-out
        resolve captured mail-1         => CAPTURED:operator:mail-1 +captured#1:100
        ref                             => operator
        resolve captured mail-2         => NOT_UNKNOWN
        resolve not_charged mail-1      => NOT_UNKNOWN
        refund 1 a=100                  => CAPTURED:operator:mail-1/SENT +refund-requested1:100 >refund1:100
        ",
    );
}

#[test]
fn a_recall_tells_how_the_resource_stands_now() {
    let mut bench = Bench::new(true);
    bench.run("intend a=100 token");
    bench.run("said charge captured 100");
    bench.run("refund 1 a=5");
    let mut command = bench.parse("refund 1 a=5");
    Payments::adopt(&mut command, 4);
    assert_eq!(Payments::resource(&command), 4);
    Payments::adopt(&mut command, bench::ID.0);
    let reply = Payments::recall(&command, &bench.rows).unwrap();
    assert_eq!((reply.captured, reply.refund), (100, Some(super::model::RefundState::Sent)));
    bench.rows.payment.load(PaymentId(4), None);
    Payments::adopt(&mut command, 4);
    assert_eq!(Payments::recall(&command, &bench.rows), None);
}

#[test]
fn a_timer_does_not_know_the_time() {
    let wake = Payments::wake("payment", 7);
    assert_eq!(wake, Command::Inquire { payment: PaymentId(7), refund: None, deadline: SOON });
    let mut bench = Bench::new(true);
    bench.run("intend a=100 token");
    bench.run("said charge unknown time-out");
    for (deadline, expected) in [(bench.now, 5), (SOON, 5), (Time(bench.now.0 + 9_000_000), 9)] {
        bench.run("said inquire unknown x");
        let inquire = Command::Inquire { payment: bench::ID, refund: None, deadline };
        bench.decide(&inquire).unwrap();
        let patience: Vec<_> = bench.out.calls.iter().map(|job| job.deadline - bench.now).collect();
        assert_eq!(patience, [Span::secs(expected)]);
    }
}

// The defects of the seed system that live here (payments reference, section 1.10).

#[test]
fn defect_1_charge_before_record() {
    let mut bench = Bench::new(true);
    let said = bench.run("intend a=100 token");
    // The call is an effect of the same decision that writes the row: it cannot leave without it.
    assert_eq!(said, "SENT >charge:100");
    let row = bench.row().unwrap();
    assert_eq!((row.refundable(), row.refundable_of("a")), (0, 0), "nothing is ours yet");
    assert!(row.sent_at.is_some() && row.deadline.is_some());
    assert!(bench.run("said charge captured 100").contains("+captured#1"));
    // A capture of a payment without a row is a bug to be seen, not a row to be made up.
    assert_eq!(Bench::new(true).run("said charge captured 100"), "PAYMENT_UNKNOWN");
}

#[test]
fn defect_2_declined_is_not_a_duplicate() {
    check(
        "
        intend a=100 token              => SENT >charge:100
        said charge declined no_funds   => DECLINED:no_funds +declined:no_funds
        intend a=100 token              => DECLINED:no_funds
        intend a=101 token              => PAYMENT_DIFFERS
        ",
    );
}

#[test]
fn defect_8_a_capture_is_stated_once_however_often_it_is_told() {
    check(
        "
        intend later a=100 token        => SENT >authorize:100
        said authorize authorized 100   => AUTHORIZED +authorized:100
        capture                         => CAPTURE_SENT +capture-requested:100 >capture:100
        said inquire captured 100       => CAPTURED +captured#1:100
        said capture captured 100       => CAPTURED
        capture                         => CAPTURED
        ",
    );
}

#[test]
fn defect_10_a_failed_refund_is_tried_again() {
    check(
        "
        alone
        intend a=100 token              => SENT >charge:100
        said charge captured 100        => CAPTURED +captured#1:100
        refund 1 a=100                  => CAPTURED/SENT +refund-requested1:100 >refund1:100
        said refund1 unknown time-out   => CAPTURED/UNKNOWN +refund-unknown1:time-out
        next                            => 5s
        at 5s
        wake                            => CAPTURED >inquire1:100
        said inquire1 not_found         => CAPTURED/SENT >refund1:100
        said refund1 refunded 100       => CAPTURED/DONE +refunded1#2:100
        ",
    );
}
