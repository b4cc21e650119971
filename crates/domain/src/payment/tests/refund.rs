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
fn a_merchant_gives_back_parts_and_then_the_rest_once() {
    check(
        "
        alone
        intend later a=100 token        => SENT >authorize:100
        said authorize authorized 100   => AUTHORIZED +authorized:100
        capture a                       => CAPTURE_SENT +capture-requested:100 >capture:100
        said capture captured 100       => CAPTURED +captured#1:100
        give 9 a=30                     => CAPTURED/SENT +refund-requested1:30 >refund1:30
        give 9 a                        => CAPTURED/SENT
        give 8 a=20                     => CAPTURED/SENT +refund-requested2:20 >refund2:20
        said refund2 refunded 20        => CAPTURED/DONE +refunded2#2:20
        give 9 a=30                     => CAPTURED/SENT
        give 7 a                        => CAPTURED/SENT +refund-requested3:50 >refund3:50
        give 6 a                        => CAPTURED/SENT
        said refund1 refused no         => CAPTURED/REFUSED +refund-refused1:no
        give 9 a=30                     => CAPTURED/REFUSED
        said refund3 refunded 50        => CAPTURED/DONE +refunded3#3:50
        give 5 a                        => CAPTURED/SENT +refund-requested4:30 >refund4:30
        said refund4 unknown time-out   => CAPTURED/UNKNOWN +refund-unknown4:time-out
        give 4 a                        => CAPTURED/UNKNOWN
        said refund4 refunded 30        => CAPTURED/DONE +refunded4#4:30
        give 4 a                        => CAPTURED/DONE
        give 8 a=20                     => CAPTURED/DONE
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
fn no_share_pays_for_another() {
    check(
        "
        intend a=60,5,4,3 b=40 token    => SENT >charge:100
        said charge captured 100        => CAPTURED +captured#1:100
        refund 1 a=60,6                 => REFUND_EXCEEDS_CAPTURED:5
        refund 1 a=60,5,5               => REFUND_EXCEEDS_CAPTURED:4
        refund 1 a=60,5,4,4             => REFUND_EXCEEDS_CAPTURED:3
        refund 1 b=1,1                  => REFUND_EXCEEDS_CAPTURED:0
        refund 1 a=30,2,4               => CAPTURED/SENT +refund-requested1:30 >refund1:30
        refund 1 a=30,2,3               => REFUND_DIFFERS
        refund 1 a=30,2,4 deduct=1      => REFUND_DIFFERS
        refund 2 a=0,4                  => REFUND_EXCEEDS_CAPTURED:3
        refund 2 a=31                   => REFUND_EXCEEDS_CAPTURED:30
        said refund1 refused closed     => CAPTURED/REFUSED +refund-refused1:closed
        refund 2 a=60,5,4,3 b=40        => CAPTURED/SENT +refund-requested2:100 >refund2:100
        refund 3 a=0,1                  => REFUND_EXCEEDS_CAPTURED:0
        said refund2 refunded 100       => CAPTURED/DONE +refunded2#2:100
        said refund1 refunded 30        => CAPTURED/REFUSED
        money                           => 100/100/100/0
        ",
    );
}

#[test]
fn what_was_spent_of_earned_points_is_kept_of_the_cards_share() {
    check(
        "
        intend a=60 b=40 token          => SENT >charge:100
        said charge captured 100        => CAPTURED +captured#1:100
        refund 1 a=60 deduct=61         => AMOUNT_INVALID
        refund 1 a=60 deduct=2          => CAPTURED/SENT +refund-requested1:58 >refund1:58
        refund 1 a=60 deduct=2          => CAPTURED/SENT
        money                           => 100/100/0/58
        refund 2 a=1                    => REFUND_EXCEEDS_CAPTURED:0
        said refund1 refunded 60        => CAPTURED/UNKNOWN +refund-unknown1:amount_mismatch
        said refund1 refunded 58        => CAPTURED/DONE +refunded1#2:58
        refund 2 b=40 deduct=40         => CAPTURED/DONE +refunded2#3:0
        refund 2 b=40 deduct=40         => CAPTURED/DONE
        money                           => 100/100/58/0
        refund 3 b=1                    => REFUND_EXCEEDS_CAPTURED:0
        ",
    );
}

#[test]
fn what_the_card_does_not_pay_needs_no_gateway() {
    check(
        "
        intend a=0,5,0,7 b=0,0,9 token  => CAPTURED +captured#1:0
        intend a=0,5,0,7 b=0,0,9 token  => CAPTURED
        intend a=0,5,0,7 b=0,0,8 token  => PAYMENT_DIFFERS
        refund 1 b=0,0,10               => REFUND_EXCEEDS_CAPTURED:9
        refund 1 b=0,0,4                => CAPTURED/DONE +refunded1#2:0
        refund 1 b=0,0,4                => CAPTURED/DONE
        inquire 1                       => CAPTURED/DONE
        refund 2 b=0,0,6                => REFUND_EXCEEDS_CAPTURED:5
        refund 2                        => AMOUNT_INVALID
        refund 2 a=0 b=0                => AMOUNT_INVALID
        refund 2 a=0,5,0,7 b=0,0,5      => CAPTURED/DONE +refunded2#3:0
        money                           => 0/0/0/0
        ",
    );
    check(
        "
        intend a=100,5 token            => SENT >charge:100
        said charge captured 100        => CAPTURED +captured#1:100
        refund 1 a=0,5                  => CAPTURED/DONE +refunded1#2:0
        refund 0 a=100,5                => REFUND_EXCEEDS_CAPTURED:0
        refund 0 a=100                  => CAPTURED/SENT +refund-requested0:100 >refund0:100
        said refund0 refused barred     => CAPTURED/REFUSED +refund-refused0:barred
        aside 1001 a=100                => CAPTURED/SET_ASIDE +set-aside1001#3:100
        ",
    );
}

#[test]
fn all_shares_are_set_aside_with_the_cards() {
    check(
        "
        intend a=60,5,4,3 token         => SENT >charge:60
        said charge captured 60         => CAPTURED +captured#1:60
        refund 0 a=60,5,4,3             => CAPTURED/SENT +refund-requested0:60 >refund0:60
        said refund0 refused barred     => CAPTURED/REFUSED +refund-refused0:barred
        aside 1001 a=60,5,4,3           => CAPTURED/SET_ASIDE +set-aside1001#2:60
        refund 1002 a=0,5               => REFUND_EXCEEDS_CAPTURED:0
        said refund0 refunded 60        => CAPTURED/DONE +released1001#3:60 +refunded0#4:60
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
fn what_no_gateway_gives_back_is_set_aside() {
    check(
        "
        intend a=60 b=40 token          => SENT >charge:100
        aside 1001 a=60 b=40            => NOT_CAPTURED
        said charge captured 100        => CAPTURED +captured#1:100
        refund 0 a=60 b=40              => CAPTURED/SENT +refund-requested0:100 >refund0:100
        aside 1001 a=60 b=40            => REFUND_EXCEEDS_CAPTURED:0
        said refund0 refused barred     => CAPTURED/REFUSED +refund-refused0:barred
        aside 1001 a=60 b=39 total=100  => AMOUNT_INVALID
        aside 1001 a=60 b=40            => CAPTURED/SET_ASIDE +set-aside1001#2:100
        aside 1001 a=60                 => REFUND_DIFFERS
        money                           => 100/100/0/100
        refund 1002 a=60 b=40           => REFUND_EXCEEDS_CAPTURED:0
        said refund1001 refunded 100    => CAPTURED/SET_ASIDE
        inquire                         => CAPTURED
        said refund0 refunded 99        => CAPTURED/REFUSED
        said refund0 refunded 100       => CAPTURED/DONE +released1001#3:100 +refunded0#4:100
        said refund0 refunded 100       => CAPTURED/DONE
        aside 1001 a=60 b=40            => CAPTURED/RELEASED
        money                           => 100/100/100/0
        ",
    );
}

#[test]
fn a_reversal_that_was_refused_and_given_ends_the_later_attempts() {
    check(
        "
        intend a=60 b=40 token          => SENT >charge:100
        said charge captured 100        => CAPTURED +captured#1:100
        refund 0 a=60 b=40              => CAPTURED/SENT +refund-requested0:100 >refund0:100
        said refund0 refused barred     => CAPTURED/REFUSED +refund-refused0:barred
        refund 1001 a=60 b=40           => CAPTURED/SENT +refund-requested1001:100 >refund1001:100
        said refund0 refunded 100       => CAPTURED/DONE +refunded0#2:100
        said refund1001 refunded 100    => CAPTURED/REFUSED
        said refund1001 refused all     => CAPTURED/REFUSED
        inquire 1001                    => CAPTURED/REFUSED
        money                           => 100/100/100/0
        ",
    );
}

#[test]
fn an_operator_says_what_became_of_a_refund() {
    check(
        "
        intend a=60 b=40 token          => SENT >charge:100
        said charge captured 100        => CAPTURED +captured#1:100
        resolve-refund 1 given file     => REFUND_UNKNOWN
        refund 1 a=30                   => CAPTURED/SENT +refund-requested1:30 >refund1:30
        resolve-refund 1 given file     => OPERATION_IN_FLIGHT
        said refund1 unknown time-out   => CAPTURED/UNKNOWN +refund-unknown1:time-out
        resolve-refund 1 given file     => CAPTURED:operator:file/DONE +refunded1#2:30
        resolve-refund 1 given other    => NOT_UNKNOWN
        resolve-refund 1 not file       => NOT_UNKNOWN
        said refund1 refused late       => CAPTURED:operator:file/DONE
        refund 2 b=40                   => CAPTURED:operator:file/SENT +refund-requested2:40 >refund2:40
        said refund2 unknown time-out   => CAPTURED:operator:file/UNKNOWN +refund-unknown2:time-out
        resolve-refund 2 not desk       => CAPTURED:operator:desk/REFUSED +refund-refused2:operator
        money                           => 100/100/30/0
        resolve-refund 2 given bank     => CAPTURED:operator:bank/DONE +refunded2#3:40
        refund 3 a=30                   => CAPTURED:operator:bank/SENT +refund-requested3:30 >refund3:30
        said refund3 refused barred     => CAPTURED:operator:bank/REFUSED +refund-refused3:barred
        refund 4 a=30                   => CAPTURED:operator:bank/SENT +refund-requested4:30 >refund4:30
        resolve-refund 3 given bank     => NOT_UNKNOWN
        money                           => 100/100/70/30
        ",
    );
}

#[test]
fn an_operator_asks_now_about_what_is_open_and_nothing_else() {
    check(
        "
        ask-now                         => PAYMENT_UNKNOWN
        intend a=60 b=40                => INTENT
        ask-now                         => NOT_UNKNOWN
        authorize                       => SENT >charge:100
        ask-now                         => SENT
        said charge unknown time-out    => UNKNOWN:time-out +unknown:time-out
        ask-now                         => UNKNOWN:time-out >inquire:100
        ask-now                         => UNKNOWN:time-out
        said inquire captured 100       => CAPTURED +captured#1:100
        ask-now                         => NOT_UNKNOWN
        refund 1 a=60                   => CAPTURED/SENT +refund-requested1:60 >refund1:60
        said refund1 unknown time-out   => CAPTURED/UNKNOWN +refund-unknown1:time-out
        ask-now                         => CAPTURED >inquire1:60
        said inquire1 refunded 60       => CAPTURED/DONE +refunded1#2:60
        ask-now                         => NOT_UNKNOWN
        ",
    );
}

#[test]
fn the_money_of_points_goes_back_and_what_cannot_is_written_down_as_refused() {
    check(
        "
        alone
        intend points=3 total=500 token => SENT >charge:500
        return 9 100                    => NOT_CAPTURED
        said charge captured 500        => CAPTURED +captured#1:500
        return 9 200                    => CAPTURED/SENT +refund-requested1:200 >refund1:200
        return 9 200                    => CAPTURED/SENT
        money                           => 500/500/0/200
        return 8 301                    => CAPTURED/REFUSED +refund-refused2:nothing_left
        said refund1 unknown time-out   => CAPTURED/UNKNOWN +refund-unknown1:time-out
        next                            => 5s
        at 5s
        wake                            => CAPTURED >inquire1:200
        said inquire1 refunded 200      => CAPTURED/DONE +refunded1#2:200
        return 7 300                    => CAPTURED/SENT +refund-requested3:300 >refund3:300
        said refund3 refused closed     => CAPTURED/REFUSED +refund-refused3:closed
        money                           => 500/500/200/0
        said refund3 refunded 300       => CAPTURED/DONE +refunded3#3:300
        money                           => 500/500/500/0
        ",
    );
    check("intend a=100 token => SENT >charge:100 \n return 9 1 => NOT_CAPTURED");
}
