//! Tables: refunds.

use super::bench::check;

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
