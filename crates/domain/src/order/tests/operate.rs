//! Tables: what operators may do, and what they may not.

use super::text::check;

tables! {
    a_reversal_that_was_refused_is_attempted_again: "
        offer S1 1000
        place server S1x1 @1000 => HOLDING asks reserve-pinned in 2s
        3: hear reserved  => PAYING asks charge m-1=1000 in 12s
        cancel            => PAYING unwanted in 12s
        10: hear captured => REVERSING unwanted asks refund m-1=1000/2000 in 5s
        operate abandon   => VERB_NOT_ALLOWED REVERSING: retry
        operate retry     => REVERSING unwanted asks inquire 0/2000 in 2s
        21: hear refund-refused 0 => STUCK[REVERSING] unwanted
        operate compensate => VERB_NOT_ALLOWED STUCK: retry, abandon
        operate retry     => REVERSING unwanted asks inquire 0/2000, refund m-1=1000/3001 in 5s
        hear refund-refused 0 => nothing
        21: timer         => REVERSING unwanted asks inquire 0/2000, inquire 1001/3001 in 2s
        21: hear refund-refused 1001 => STUCK[REVERSING] unwanted
        operate retry     => REVERSING unwanted asks inquire 0/2000, inquire 1001/3001, refund m-1=1000/3002 in 5s
        21: hear refund-unknown 1002 => REVERSING unwanted asks refund m-1=1000/3002 in 5s
        21: hear refunded 1002 => UNWINDING(CANCELLED) unwanted asks release in 2s
        refunds           => 0 REFUSED 1000, 1001 REFUSED 1000, 1002 DONE 1000; 1000 of 1000 back
    "
    a_reversal_that_was_refused_and_given_all_the_same: "
        offer S1 1000
        place server S1x1 @1000 => HOLDING asks reserve-pinned in 2s
        3: hear reserved  => PAYING asks charge m-1=1000 in 12s
        cancel            => PAYING unwanted in 12s
        10: hear captured => REVERSING unwanted asks refund m-1=1000/2000 in 5s
        21: hear refund-refused 0 => STUCK[REVERSING] unwanted
        operate retry     => REVERSING unwanted asks inquire 0/2000, refund m-1=1000/3001 in 5s
        21: hear refunded 0 => UNWINDING(CANCELLED) unwanted asks release in 2s
        hear refund-refused 1001 => nothing
        refunds           => 0 DONE 1000, 1001 REFUSED 1000; 1000 of 1000 back
    "
    money_that_cannot_go_back_is_set_aside: "
        offer S1 1000
        place server S1x1 @1000 => HOLDING asks reserve-pinned in 2s
        3: hear reserved  => PAYING asks charge m-1=1000 in 12s
        cancel            => PAYING unwanted in 12s
        10: hear captured => REVERSING unwanted asks refund m-1=1000/2000 in 5s
        21: hear refund-refused 0 => STUCK[REVERSING] unwanted
        operate abandon   => UNWINDING(ERROR) unwanted asks inquire 0/2000, set-aside m-1=1000/3001, release in 2s
        reason            => abandoned: lost_parcel
        23: hear released => CANCELLED(ERROR) unwanted in 5s
        25: timer         => CANCELLED(ERROR) unwanted asks inquire 0/2000, inquire 1001/3001 in 2s
        25: hear refund-unknown 1001 => CANCELLED(ERROR) unwanted asks set-aside m-1=1000/3001 in 2s
        25: hear set-aside 1001 => CANCELLED(ERROR) unwanted
        hear set-aside 1001 => nothing
        refunds           => 0 REFUSED 1000, 1001 SET_ASIDE 1000; 0 of 1000 back
        operate retry     => VERB_NOT_ALLOWED CANCELLED:
        25: hear refunded 0 => CANCELLED(ERROR) unwanted
        refunds           => 0 DONE 1000, 1001 REFUSED 1000; 1000 of 1000 back
        reason            => abandoned: lost_parcel
    "
    an_orphan_is_set_aside_after_the_end: "
        offer S1 1000
        place server S1x1 @1000 => HOLDING asks reserve-pinned in 2s
        3: hear reserved  => PAYING asks charge m-1=1000 in 12s
        11: hear declined no_funds => UNWINDING(DECLINED) asks release in 2s
        operate abandon   => VERB_NOT_ALLOWED UNWINDING: retry
        operate retry     => UNWINDING(DECLINED) asks release in 2s
        23: hear released => CANCELLED(DECLINED)
        operate retry     => VERB_NOT_ALLOWED CANCELLED:
        25: hear captured => CANCELLED(DECLINED) asks refund m-1=1000/2000 in 5s
        operate retry     => CANCELLED(DECLINED) asks inquire 0/2000 in 2s
        25: hear refund-refused 0 => STUCK[CANCELLED](DECLINED)
        operate retry     => CANCELLED(DECLINED) asks inquire 0/2000, refund m-1=1000/3001 in 5s
        25: hear refund-refused 1001 => STUCK[CANCELLED](DECLINED)
        operate abandon   => CANCELLED(DECLINED) asks inquire 0/2000, inquire 1001/3001, set-aside m-1=1000/3002 in 5s
        25: hear refund-refused 1002 => STUCK[CANCELLED](DECLINED)
        25: hear refunded 1001 => CANCELLED(DECLINED)
        refunds           => 0 REFUSED 1000, 1001 DONE 1000, 1002 REFUSED 1000; 1000 of 1000 back
    "
    a_hold_that_cannot_be_let_go_is_no_operators_to_forget: "
        offer S1 1000
        place server S1x1 @1000 => HOLDING asks reserve-pinned in 2s
        3: hear reserved  => PAYING asks charge m-1=1000 in 12s
        11: hear declined no_funds => UNWINDING(DECLINED) asks release in 2s
        23: hear released => CANCELLED(DECLINED)
        25: hear authorized => CANCELLED(DECLINED) asks void in 2s
        25: timers 14     => STUCK[CANCELLED](DECLINED)
        operate abandon   => VERB_NOT_ALLOWED STUCK: retry
        operate retry     => CANCELLED(DECLINED) asks void, inquire in 2s
        25: hear voided   => CANCELLED(DECLINED)
    "
    an_unknown_outcome_is_asked_about_and_never_abandoned: "
        offer S1 1000
        place server S1x1 @1000 => HOLDING asks reserve-pinned in 2s
        3: hear reserved  => PAYING asks charge m-1=1000 in 12s
        operate retry     => PAY_UNKNOWN asks inquire in 5s
        operate abandon   => VERB_NOT_ALLOWED PAY_UNKNOWN: retry, compensate
        18: timers 28     => STUCK[PAY_UNKNOWN]
        operate abandon   => VERB_NOT_ALLOWED STUCK: retry, compensate
        operate retry     => PAY_UNKNOWN asks inquire in 30s
        12: timer         => PAY_UNKNOWN asks inquire in 120s
        18: timers 26     => STUCK[PAY_UNKNOWN]
        operate compensate => STUCK[PAY_UNKNOWN] unwanted
        operate compensate => VERB_NOT_ALLOWED STUCK: retry
        14: hear captured => REVERSING unwanted asks refund m-1=1000/2000 in 5s
    "
    units_that_are_gone_turn_a_paid_order_back: "
        offer S1 1000
        place server S1x1 @1000 => HOLDING asks reserve-pinned in 2s
        3: hear reserved  => PAYING asks charge m-1=1000 in 12s
        9: hear captured  => COMMITTING asks commit in 1s
        20: hear not-committed x => COMMITTING in 1s
        operate abandon   => VERB_NOT_ALLOWED COMMITTING: retry, compensate
        operate retry     => COMMITTING asks commit in 2s
        20: hear not-committed RESERVATION_RELEASED => STUCK[COMMITTING]
        20: hear not-committed RESERVATION_RELEASED => nothing
        operate abandon   => VERB_NOT_ALLOWED STUCK: retry, compensate
        operate retry     => COMMITTING asks commit in 2s
        20: hear not-committed RESERVATION_RELEASED => STUCK[COMMITTING]
        operate compensate => REVERSING unwanted asks refund m-1=1000/2000 in 5s
        21: hear refunded 0 => UNWINDING(CANCELLED) unwanted asks release in 2s
        23: hear released => CANCELLED(CANCELLED) unwanted
    "
    a_buyer_turns_a_paid_order_back_whose_units_are_gone: "
        offer S1 1000
        place server S1x1 @1000 => HOLDING asks reserve-pinned in 2s
        3: hear reserved  => PAYING asks charge m-1=1000 in 12s
        9: hear captured  => COMMITTING asks commit in 1s
        20: hear not-committed RESERVATION_EXPIRED => STUCK[COMMITTING]
        cancel            => REVERSING unwanted asks refund m-1=1000/2000 in 5s
    "
    a_wish_to_compensate_a_commit_is_a_refund_when_it_is_sold: "
        offer S1 1000
        place server S1x1 @1000 => HOLDING asks reserve-pinned in 2s
        3: hear reserved  => PAYING asks charge m-1=1000 in 12s
        9: hear captured  => COMMITTING asks commit in 1s
        operate compensate => COMMITTING unwanted asks commit in 2s
        operate compensate => VERB_NOT_ALLOWED COMMITTING: retry
        19: hear committed => COMPLETED(SOLD) unwanted asks refund m-1=1000/2001 in 5s
        operate compensate => VERB_NOT_ALLOWED COMPLETED: retry
        operate retry     => COMPLETED(SOLD) unwanted asks inquire 1/2001 in 2s
        26: hear refunded 1 => COMPLETED(SOLD) unwanted asks return S1x1 restock/1001 in 2s
        26: hear returned 1 => COMPLETED(SOLD) unwanted
        operate retry     => VERB_NOT_ALLOWED COMPLETED:
    "
    a_wish_to_compensate_a_commit_that_is_refused_for_good: "
        offer S1 1000
        place server S1x1 @1000 => HOLDING asks reserve-pinned in 2s
        3: hear reserved  => PAYING asks charge m-1=1000 in 12s
        9: hear captured  => COMMITTING asks commit in 1s
        operate compensate => COMMITTING unwanted asks commit in 2s
        20: hear not-committed RESERVATION_RELEASED => REVERSING unwanted asks refund m-1=1000/2000 in 5s
    "
    before_the_charge_an_operator_may_turn_back: "
        offer S1 1000
        place client S1x2 @2000 => HOLDING asks reserve in 2s
        operate retry     => HOLDING asks reserve in 2s
        2: hear reserved  => AWAIT_PAY asks intend m-1=2000 in 900s
        operate retry     => VERB_NOT_ALLOWED AWAIT_PAY: compensate
        operate compensate => UNWINDING(CANCELLED) unwanted asks release, void in 2s
        reason            => cancelled_by_operator: lost_parcel
        operate compensate => VERB_NOT_ALLOWED UNWINDING: retry
    "
    units_that_do_not_answer_are_given_up: "
        offer S1 1000
        place server S1x2 @2000 => HOLDING asks reserve-pinned in 2s
        operate retry     => HOLDING asks reserve-pinned in 2s
        4: hear refused INSUFFICIENT_STOCK => UNWINDING(SOLD_OUT) asks release in 2s
        24: timers 14     => STUCK[UNWINDING](SOLD_OUT)
        operate retry     => UNWINDING(SOLD_OUT) asks release in 2s
        24: timers 14     => STUCK[UNWINDING](SOLD_OUT)
        operate abandon   => CANCELLED(ERROR) asks release
        steps             => stock undo_asked, pay none
        operate retry     => CANCELLED(ERROR) asks release
        23: hear released => CANCELLED(ERROR)
        steps             => stock undone, pay none
        operate retry     => VERB_NOT_ALLOWED CANCELLED:
        reason            => abandoned: lost_parcel
    "
    an_open_payment_is_not_given_up: "
        offer S1 1000
        place client S1x2 @2000 => HOLDING asks reserve in 2s
        2: hear reserved  => AWAIT_PAY asks intend m-1=2000 in 900s
        7: timer          => UNWINDING(EXPIRED) asks release, void in 2s
        23: hear released => UNWINDING(EXPIRED) in 2s
        24: timers 14     => STUCK[UNWINDING](EXPIRED)
        reason            => no_answer
        operate abandon   => VERB_NOT_ALLOWED STUCK: retry
        operate retry     => UNWINDING(EXPIRED) asks void, inquire in 2s
        23: hear voided   => CANCELLED(EXPIRED)
    "
}
