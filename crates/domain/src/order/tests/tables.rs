//! Tables: how an order is held, paid, sold or turned back. A line is `row: command => answer`.

use super::text::check;

tables! {
    a_server_paid_order_is_sold: "
        offer S1 1000
        offer S2 500 m-2
        place server S1x2 S2x1 @2500 => HOLDING asks reserve-pinned in 2s
        place server S1x2 S2x1 @2500 => nothing
        3: hear reserved  => PAYING asks charge m-1=2000 m-2=500 in 12s
        hear reserved     => nothing
        9: hear captured  => COMMITTING asks commit in 1s
        hear captured     => nothing
        19: hear committed => COMPLETED(SOLD)
        hear committed    => nothing
        hear captured     => nothing
        steps             => stock done, pay done
    "
    a_client_pays_a_pinned_order: "
        offer S1 1000
        place client S1x2 @2000 => HOLDING asks reserve in 2s
        2: hear reserved  => AWAIT_PAY asks intend m-1=2000 in 900s
        early             => nothing
        confirm 1999      => AMOUNT_DIFFERS 2000
        confirm 2000      => PAYING asks pin in 2s
        confirm 2000      => NOT_AWAITING_PAYMENT PAYING
        hear captured     => nothing
        6: timer          => PAYING asks pin in 2s
        6: hear pinned    => PAYING asks charge in 12s
        hear pinned       => nothing
        9: hear captured  => COMMITTING asks commit in 1s
    "
    a_hold_that_is_gone_is_not_charged: "
        offer S1 1000
        place client S1x2 @2000 => HOLDING asks reserve in 2s
        2: hear reserved  => AWAIT_PAY asks intend m-1=2000 in 900s
        confirm 2000      => PAYING asks pin in 2s
        6: hear not-pinned RESERVATION_EXPIRED => UNWINDING(EXPIRED) asks release, void in 2s
        steps             => stock undo_asked, pay undo_asked
        23: hear released => UNWINDING(EXPIRED) in 2s
        23: hear voided   => CANCELLED(EXPIRED)
        steps             => stock undone, pay undone
    "
    a_cancellation_overtakes_the_pin: "
        offer S1 1000
        place client S1x2 @2000 => HOLDING asks reserve in 2s
        2: hear reserved  => AWAIT_PAY asks intend m-1=2000 in 900s
        confirm 2000      => PAYING asks pin in 2s
        cancel            => PAYING unwanted in 2s
        6: hear pinned    => UNWINDING(CANCELLED) unwanted asks release, void in 2s
    "
    nothing_to_pay_needs_no_gateway: "
        offer S1 0
        place client S1x2 @0 => HOLDING asks reserve-pinned in 2s
        3: hear reserved  => PAYING asks intend in 12s
        cancel            => PAYING unwanted in 12s
        10: hear captured => UNWINDING(CANCELLED) unwanted asks release in 2s
        hear captured     => nothing
        23: hear released => CANCELLED(CANCELLED) unwanted
    "
    stock_that_is_refused: "
        offer S1 1000
        place server S1x2 @2000 => HOLDING asks reserve-pinned in 2s
        4: hear refused INSUFFICIENT_STOCK => CANCELLED(SOLD_OUT)
        hear reserved     => nothing
        cancel            => nothing
        steps             => stock refused, pay none
    "
    a_refusal_that_may_not_be_the_last_word: "
        offer S1 1000
        place server S1x2 @2000 => HOLDING asks reserve-pinned in 2s
        5: timer          => HOLDING asks reserve-pinned in 2s
        4: hear refused INSUFFICIENT_STOCK => UNWINDING(SOLD_OUT) asks release in 2s
    "
    stock_that_is_refused_for_another_reason: "
        offer S1 1000
        place server S1x2 @2000 => HOLDING asks reserve-pinned in 2s
        4: hear refused QUANTITY_OVERFLOW => UNWINDING(ERROR) asks release in 2s
    "
    stock_that_does_not_answer: "
        offer S1 1000
        place server S1x2 @2000 => HOLDING asks reserve-pinned in 2s
        5: timer          => HOLDING asks reserve-pinned in 2s
        5: timer          => HOLDING asks reserve-pinned in 2s
        5: timer          => UNWINDING(ERROR) asks release in 2s
        22: hear reserved => nothing
        22: hear refused INSUFFICIENT_STOCK => nothing
        22: hear pinned   => nothing
        24: timer         => UNWINDING(ERROR) asks release in 4s
        24: hear not-released x => UNWINDING(ERROR) in 4s
        24: timer         => UNWINDING(ERROR) asks release in 8s
        24: timers 12     => STUCK[UNWINDING](ERROR)
        early             => nothing
        24: hear not-released x => nothing
        23: hear released => CANCELLED(ERROR)
        hear released     => nothing
    "
    a_cancellation_while_holding: "
        offer S1 1000
        place server S1x2 @2000 => HOLDING asks reserve-pinned in 2s
        cancel            => UNWINDING(CANCELLED) unwanted asks release in 2s
        cancel            => nothing
        22: hear reserved => nothing
        23: hear released => CANCELLED(CANCELLED) unwanted
    "
    a_client_that_does_not_pay: "
        offer S1 1000
        place client S1x2 @2000 => HOLDING asks reserve in 2s
        2: hear reserved  => AWAIT_PAY asks intend m-1=2000 in 900s
        7: timer          => UNWINDING(EXPIRED) asks release, void in 2s
        24: timer         => UNWINDING(EXPIRED) asks release, void, inquire in 4s
        confirm 2000      => NOT_AWAITING_PAYMENT UNWINDING
        23: hear voided   => UNWINDING(EXPIRED) in 4s
        hear voided       => nothing
        23: hear released => CANCELLED(EXPIRED)
    "
    a_client_that_cancels: "
        offer S1 1000
        place client S1x2 @2000 => HOLDING asks reserve in 2s
        2: hear reserved  => AWAIT_PAY asks intend m-1=2000 in 900s
        cancel            => UNWINDING(CANCELLED) unwanted asks release, void in 2s
    "
    a_hint_that_it_is_paid: "
        offer S1 1000
        place client S1x2 @2000 => HOLDING asks reserve in 2s
        2: hear reserved  => AWAIT_PAY asks intend m-1=2000 in 900s
        8: hear hint      => PAYING asks pin in 2s
        hear hint         => nothing
        hear captured     => nothing
        8: timer          => PAYING asks pin in 2s
        8: hear pinned    => PAYING asks intend m-1=2000, inquire in 12s
        9: hear captured  => COMMITTING asks commit in 1s
    "
    a_hint_after_the_hold_is_gone: "
        offer S1 1000
        place client S1x2 @2000 => HOLDING asks reserve in 2s
        2: hear reserved  => AWAIT_PAY asks intend m-1=2000 in 900s
        8: hear captured  => PAYING asks pin in 2s
        8: hear not-pinned RESERVATION_EXPIRED => PAYING unwanted asks intend m-1=2000, inquire in 12s
        10: hear captured => REVERSING unwanted asks refund m-1=2000/2000 in 5s
        21: hear refunded 0 => CANCELLED(EXPIRED) unwanted
        steps             => stock refused, pay undone
    "
    a_charge_that_is_declined: "
        offer S1 1000
        place server S1x1 @1000 => HOLDING asks reserve-pinned in 2s
        3: hear reserved  => PAYING asks charge m-1=1000 in 12s
        11: hear declined no_funds => UNWINDING(DECLINED) asks release in 2s
        hear declined no_funds => nothing
        steps             => stock undo_asked, pay refused
        23: hear released => CANCELLED(DECLINED)
        hear declined no_funds => nothing
    "
    a_charge_that_was_never_sent: "
        offer S1 1000
        place server S1x1 @1000 => HOLDING asks reserve-pinned in 2s
        3: hear reserved  => PAYING asks charge m-1=1000 in 12s
        11: hear not-sent breaker => UNWINDING(SHED) asks release in 2s
    "
    a_charge_of_unknown_outcome: "
        offer S1 1000
        place server S1x1 @1000 => HOLDING asks reserve-pinned in 2s
        3: hear reserved  => PAYING asks charge m-1=1000 in 12s
        12: hear unknown time-out => PAY_UNKNOWN asks inquire in 5s
        hear unknown time-out => nothing
        16: hear not-found => PAY_UNKNOWN in 5s
        12: timer         => PAY_UNKNOWN asks inquire in 30s
        12: timer         => PAY_UNKNOWN asks inquire in 120s
        12: timer         => PAY_UNKNOWN asks inquire in 600s
        12: timer         => PAY_UNKNOWN asks inquire in 3600s
        14: hear captured => COMMITTING asks commit in 1s
    "
    a_charge_without_an_answer: "
        offer S1 1000
        place server S1x1 @1000 => HOLDING asks reserve-pinned in 2s
        3: hear reserved  => PAYING asks charge m-1=1000 in 12s
        12: timer         => PAY_UNKNOWN asks inquire in 5s
        14: hear declined no_funds => UNWINDING(DECLINED) asks release in 2s
    "
    a_charge_that_the_gateway_never_saw: "
        offer S1 1000
        place server S1x1 @1000 => HOLDING asks reserve-pinned in 2s
        3: hear reserved  => PAYING asks charge m-1=1000 in 12s
        12: hear not-found => PAY_UNKNOWN asks inquire in 5s
        17: hear declined not_found => UNWINDING(DECLINED) asks release in 2s
        25: hear captured => UNWINDING(DECLINED) asks refund m-1=1000/2000 in 5s
        hear captured     => nothing
        25: hear refund-refused 0 => UNWINDING(DECLINED) in 5s
        23: hear released => CANCELLED(DECLINED) in 5s
        25: timer         => CANCELLED(DECLINED) asks inquire 0/2000 in 2s
        25: hear refund-unknown 0 => CANCELLED(DECLINED) asks refund m-1=1000/2000 in 2s
        25: hear refunded 0 => CANCELLED(DECLINED)
        hear refunded 0   => nothing
        refunds           => 0 DONE 1000; 1000 of 1000 back
    "
    a_charge_that_stays_unknown: "
        offer S1 1000
        place server S1x1 @1000 => HOLDING asks reserve-pinned in 2s
        3: hear reserved  => PAYING asks charge m-1=1000 in 12s
        12: timer         => PAY_UNKNOWN asks inquire in 5s
        14: hear not-sent breaker => UNWINDING(SHED) asks release in 2s
    "
    a_charge_that_payment_never_heard_of: "
        offer S1 1000
        place server S1x1 @1000 => HOLDING asks reserve-pinned in 2s
        3: hear reserved  => PAYING asks charge m-1=1000 in 12s
        12: timer         => PAY_UNKNOWN asks inquire in 5s
        14: hear not-sent never_asked => UNWINDING(SHED) asks release, void in 2s
    "
    a_day_of_silence_needs_an_operator: "
        offer S1 1000
        place server S1x1 @1000 => HOLDING asks reserve-pinned in 2s
        3: hear reserved  => PAYING asks charge m-1=1000 in 12s
        12: timer         => PAY_UNKNOWN asks inquire in 5s
        18: timers 28     => STUCK[PAY_UNKNOWN]
        16: hear not-found => STUCK[PAY_UNKNOWN]
        16: hear not-found => nothing
        cancel            => STUCK[PAY_UNKNOWN] unwanted
        14: hear captured => REVERSING unwanted asks refund m-1=1000/2000 in 5s
    "
    a_charge_that_is_only_held: "
        offer S1 1000
        place server S1x1 @1000 => HOLDING asks reserve-pinned in 2s
        3: hear reserved  => PAYING asks charge m-1=1000 in 12s
        15: hear authorized => PAYING asks capture in 12s
        12: timer         => PAY_UNKNOWN asks inquire in 5s
        15: hear authorized => PAYING asks capture in 12s
        cancel            => PAYING unwanted in 12s
        15: hear authorized => UNWINDING(CANCELLED) unwanted asks release, void in 2s
        22: hear authorized => nothing
        24: timer         => UNWINDING(CANCELLED) unwanted asks release, void, inquire in 4s
        25: hear captured => UNWINDING(CANCELLED) unwanted asks refund m-1=1000/2000 in 5s
    "
    a_hold_that_lapses: "
        offer S1 1000
        place server S1x1 @1000 => HOLDING asks reserve-pinned in 2s
        3: hear reserved  => PAYING asks charge m-1=1000 in 12s
        12: timer         => PAY_UNKNOWN asks inquire in 5s
        14: hear voided   => UNWINDING(DECLINED) asks release in 2s
    "
    a_hold_that_comes_too_late: "
        offer S1 1000
        place server S1x1 @1000 => HOLDING asks reserve-pinned in 2s
        3: hear reserved  => PAYING asks charge m-1=1000 in 12s
        11: hear declined no_funds => UNWINDING(DECLINED) asks release in 2s
        23: hear released => CANCELLED(DECLINED)
        25: hear authorized => CANCELLED(DECLINED) asks void in 2s
        25: timer         => CANCELLED(DECLINED) asks void, inquire in 4s
        25: hear voided   => CANCELLED(DECLINED)
        hear voided       => nothing
    "
}
