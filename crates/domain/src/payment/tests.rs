//! Text tables. A line is `command => answer +event… >call…`; what follows `=>` is compared word
//! by word. After every command the harness itself checks that the row is sound, that a reject
//! has left everything as it was, and that the same command again changes nothing and answers the
//! same.

#![expect(clippy::arithmetic_side_effects, reason = "a test that overflows fails, as it should")]

mod bench;
mod charge;
mod gateway;
mod inquiry;
mod refund;
mod sweep;

use jangbu_kernel::{Coded, Domain, PaymentId};

use super::Payments;
use super::command::Reject;
use bench::{Bench, check};

/// One line for each code with which payment refuses.
const REJECTS: &str = "
    capture                         => PAYMENT_UNKNOWN
    intend a=-1 b=2 token           => AMOUNT_INVALID
    intend a=1 total=2 token        => AMOUNT_INVALID
    intend a=1 a=1 token            => AMOUNT_INVALID
    intend a=1000000000000001 token => AMOUNT_INVALID
    intend a=1,1000000000000000 token => AMOUNT_INVALID
    intend a=1,0,-1 token           => AMOUNT_INVALID
    intend points=3 total=1 token   => AMOUNT_INVALID
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
    refund 1 a=1,0,0,1              => REFUND_EXCEEDS_CAPTURED:0
    refund 1 a=1 deduct=2           => AMOUNT_INVALID
    refund 1 a=1 deduct=-1          => AMOUNT_INVALID
    inquire 1                       => REFUND_UNKNOWN
    said refund1 refunded 1         => REFUND_UNKNOWN
    refund 1 a=1                    => CAPTURED/SENT +refund-requested1:1 >refund1:1
    refund 1 a=2                    => REFUND_DIFFERS
    refund 1 b=1                    => REFUND_DIFFERS
    alone
    intend a=100                    => PAYMENT_DIFFERS
";

/// The same for payments without an order.
const ALONE: &str = "
    alone
    intend points=3 token           => AMOUNT_INVALID
    intend points=3 a=1 token       => AMOUNT_INVALID
    give 9 a                        => PAYMENT_UNKNOWN
    intend later a=100 token        => SENT >authorize:100
    capture b                       => PAYMENT_UNKNOWN
    capture a                       => OPERATION_IN_FLIGHT
    said authorize authorized 100   => AUTHORIZED +authorized:100
    void b                          => PAYMENT_UNKNOWN
    give 9 a                        => NOT_CAPTURED
    capture a                       => CAPTURE_SENT +capture-requested:100 >capture:100
    void a                          => OPERATION_IN_FLIGHT
    said capture captured 100       => CAPTURED +captured#1:100
    void a                          => NOT_VOIDABLE
    give 9 b=1                      => PAYMENT_UNKNOWN
    give 9 a=0                      => AMOUNT_INVALID
    give 9 a=101                    => REFUND_EXCEEDS_CAPTURED:100
    give 9 a=60                     => CAPTURED/SENT +refund-requested1:60 >refund1:60
    give 9 a=61                     => REFUND_DIFFERS
    give 8 a=41                     => REFUND_EXCEEDS_CAPTURED:40
    refund 999 a=1                  => CAPTURED/SENT +refund-requested999:1 >refund999:1
    give 8 a=1                      => TOO_MANY_REFUNDS
    said refund999 refused x        => CAPTURED/REFUSED +refund-refused999:x
    give 8 a=1                      => TOO_MANY_REFUNDS
    refund 2 a=40                   => CAPTURED/SENT +refund-requested2:40 >refund2:40
    give 8 a=1                      => NOTHING_TO_REFUND
    give 7 a                        => CAPTURED/SENT
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
    NothingToRefund,
    TooManyRefunds,
);

#[test]
fn every_reject_has_a_line() {
    check(REJECTS);
    check(ALONE);
    for reject in every_reject() {
        let code = reject.code();
        let has = |line: &str| line.split(" => ").nth(1).is_some_and(|got| got.starts_with(code));
        assert!(REJECTS.lines().chain(ALONE.lines()).any(has), "no line for {code}");
    }
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

// The defects of the seed system that live here (payments reference, section 1.10).

#[test]
fn defect_1_charge_before_record() {
    let mut bench = Bench::new(true);
    let said = bench.run("intend a=100 token");
    // The call is an effect of the same decision that writes the row: it cannot leave without it.
    assert_eq!(said, "SENT >charge:100");
    let row = bench.row().unwrap();
    assert_eq!((row.refundable(), row.refundable_of("a")), (0, [0; 4]), "nothing is ours yet");
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
