//! Tables: open outcomes, inquiries, fences, timers and verdicts.

use jangbu_kernel::time::Span;
use jangbu_kernel::{Domain, PaymentId, Time};

use super::bench::{self, Bench, check};
use crate::payment::command::SOON;
use crate::payment::{Command, Payments};

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
        said inquire voided             => VOIDED:withdrawn_by_order +voided
        said void voided                => VOIDED:withdrawn_by_order
        ",
    );
}

/// What an inquiry found before the capture says nothing about the capture, once nobody is asking:
/// not while it is open, and not while its own inquiry has yet to be asked.
#[test]
fn the_late_answer_to_an_inquiry_of_before_a_capture_knows_nothing_of_it() {
    check(
        "
        intend later a=100 token        => SENT >authorize:100
        said authorize unknown time-out => UNKNOWN:time-out +unknown:time-out
        inquire                         => UNKNOWN:time-out >inquire:100
        said authorize authorized 100   => AUTHORIZED +authorized:100
        capture                         => CAPTURE_SENT +capture-requested:100 >capture:100
        said inquire authorized 100     => CAPTURE_SENT
        said capture unknown time-out   => UNKNOWN:time-out +unknown:time-out
        said inquire authorized 100     => UNKNOWN:time-out
        inquire                         => UNKNOWN:time-out >inquire:100
        said inquire captured 100       => CAPTURED +captured#1:100
        said inquire authorized 100     => CAPTURED
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
