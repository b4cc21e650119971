//! Tables: coupons and points on the way to a sale and back, and what is sent.

use super::text::check;

tables! {
    the_last_yes_freezes_what_the_card_pays: "
        offer S1 1000
        offer S2 500 m-2
        place server S1x2 S2x1 coupon=9 points=300 @2500 => HOLDING asks reserve-pinned, redeem 9 of m-1=2000 m-2=500, spend 300 in 2s
        place server S1x2 S2x1 coupon=8 points=300 @2500 => ORDER_DIFFERS
        place server S1x2 S2x1 coupon=9 points=301 @2500 => ORDER_DIFFERS
        1: hear spent 100 200 => HOLDING in 2s
        hear spent 100 200 => nothing
        1: hear reserved  => HOLDING in 2s
        3: hear redeemed 500 => PAYING asks charge m-1=1360+P80+E160+C400 m-2=340+P20+E40+C100 in 12s
        hear redeemed 500 => nothing
        9: hear captured  => COMMITTING asks commit in 1s
        19: hear committed => COMPLETED(SOLD)
        refund S1x1 restock => COMPLETED(SOLD) asks refund m-1=680+P40+E80+C200/2001 in 5s
        26: hear refunded 1 => COMPLETED(SOLD) asks return S1x1 restock/1001, give-points P40 E80/3001 in 5s
        26: hear points-restored 1 => COMPLETED(SOLD) in 5s
        hear points-restored 1 => nothing
        26: timer         => COMPLETED(SOLD) asks return S1x1 restock/1001 in 2s
        26: hear returned 1 => COMPLETED(SOLD)
        refund all        => COMPLETED(SOLD) asks refund m-1=680+P40+E80+C200 m-2=340+P20+E40+C100/2002 in 5s
        26: hear refunded 2 => COMPLETED(SOLD) asks return S1x1 S2x1 restock/1002, give-points P60 E120/3002, give-coupon in 5s
        26: hear returned 2 => COMPLETED(SOLD) in 5s
        26: hear coupon-restored => COMPLETED(SOLD) in 5s
        hear coupon-restored => nothing
        26: hear points-not-restored 2 => COMPLETED(SOLD) in 5s
        26: timer         => COMPLETED(SOLD) asks give-points P60 E120/3002 in 2s
        26: hear points-restored 2 => COMPLETED(SOLD)
        steps             => stock done, pay done, coupon undone, points done
        refunds           => 1 DONE 680 P40 E80, 2 DONE 1020 P60 E120; 1700 of 2500 back
    "
    a_coupon_that_its_merchant_pays_for: "
        offer S1 1000
        offer S2 500 m-2
        place client S1x2 S2x1 coupon=9 @2500 => HOLDING asks reserve, redeem 9 of m-1=2000 m-2=500 in 2s
        1: hear reserved  => HOLDING in 2s
        2: hear redeemed 400 m-1 merchant-funded => AWAIT_PAY asks intend m-1=1600 m-2=500 in 900s
        confirm 2500      => AMOUNT_DIFFERS 2100
        confirm 2100      => PAYING asks pin in 2s
        6: hear pinned    => PAYING asks charge in 12s
        9: hear captured  => COMMITTING asks commit in 1s
        19: hear committed => COMPLETED(SOLD)
        refund S2x1 restock => COMPLETED(SOLD) asks refund m-2=500/2001 in 5s
        26: hear refunded 1 => COMPLETED(SOLD) asks return S2x1 restock/1001 in 5s
        26: hear returned 1 => COMPLETED(SOLD)
        refund all        => COMPLETED(SOLD) asks refund m-1=1600/2002 in 5s
        26: hear refunded 2 => COMPLETED(SOLD) asks return S1x2 restock/1002, give-coupon in 5s
        26: hear coupon-not-restored COUPON_REVOKED => COMPLETED(SOLD) in 5s
        26: hear returned 2 => COMPLETED(SOLD)
    "
    the_first_no_turns_it_round: "
        offer S1 1000
        place server S1x1 coupon=9 points=300 @1000 => HOLDING asks reserve-pinned, redeem 9 of m-1=1000, spend 300 in 2s
        1: hear reserved  => HOLDING in 2s
        4: hear coupon-refused COUPON_USED => UNWINDING(LIMIT) asks release, give-points P0 E0 in 2s
        reason            => COUPON_USED
        22: hear spent 300 0 => nothing
        22: hear points-refused STEP_CANCELLED => nothing
        22: hear redeemed 100 => nothing
        23: hear released => UNWINDING(LIMIT) in 2s
        24: timer         => UNWINDING(LIMIT) asks give-points P0 E0 in 4s
        24: hear points-not-restored 0 => UNWINDING(LIMIT) in 4s
        23: hear points-restored 0 => CANCELLED(LIMIT)
        steps             => stock undone, pay none, coupon refused, points undone
    "
    points_that_are_not_there: "
        offer S1 1000
        place client S1x1 points=300 @1000 => HOLDING asks reserve, spend 300 in 2s
        4: hear points-refused POINTS_INSUFFICIENT => UNWINDING(LIMIT) asks release in 2s
        22: hear reserved => nothing
        23: hear released => CANCELLED(LIMIT)
    "
    sold_out_gives_coupon_and_points_back: "
        offer S1 1000
        place server S1x1 coupon=9 points=300 @1000 => HOLDING asks reserve-pinned, redeem 9 of m-1=1000, spend 300 in 2s
        4: hear refused INSUFFICIENT_STOCK => UNWINDING(SOLD_OUT) asks give-coupon, give-points P0 E0 in 2s
        23: hear coupon-restored => UNWINDING(SOLD_OUT) in 2s
        hear coupon-restored => nothing
        24: hear coupon-not-restored x => UNWINDING(SOLD_OUT) in 2s
        23: hear points-restored 0 => CANCELLED(SOLD_OUT)
    "
    what_was_asked_twice_may_have_said_yes_to_the_other: "
        offer S1 1000
        place server S1x1 coupon=9 points=300 @1000 => HOLDING asks reserve-pinned, redeem 9 of m-1=1000, spend 300 in 2s
        1: hear reserved  => HOLDING in 2s
        5: timer          => HOLDING asks redeem 9 of m-1=1000, spend 300 in 2s
        1: hear redeemed 100 => HOLDING in 2s
        5: timer          => HOLDING asks spend 300 in 2s
        4: hear points-refused STEP_CANCELLED => UNWINDING(LIMIT) asks release, give-coupon, give-points P0 E0 in 2s
    "
    a_step_that_does_not_answer: "
        offer S1 1000
        place server S1x1 coupon=9 @1000 => HOLDING asks reserve-pinned, redeem 9 of m-1=1000 in 2s
        1: hear reserved  => HOLDING in 2s
        5: timers 2       => HOLDING asks redeem 9 of m-1=1000 in 2s
        5: timer          => UNWINDING(ERROR) asks release, give-coupon in 2s
        24: timers 13     => UNWINDING(ERROR) asks release, give-coupon in 30s
        24: timer         => STUCK[UNWINDING](ERROR)
        operate abandon   => CANCELLED(ERROR) asks release, give-coupon
        23: hear coupon-restored => CANCELLED(ERROR)
        hear coupon-restored => nothing
        23: hear released => CANCELLED(ERROR)
    "
    points_that_are_not_given_back_can_be_abandoned_and_retried: "
        offer S1 1000
        place server S1x1 points=300 @1000 => HOLDING asks reserve-pinned, spend 300 in 2s
        1: hear spent 300 0 => HOLDING in 2s
        cancel            => UNWINDING(CANCELLED) unwanted asks release, give-points P300 E0 in 2s
        23: hear released => UNWINDING(CANCELLED) unwanted in 2s
        24: timers 13     => UNWINDING(CANCELLED) unwanted asks give-points P300 E0 in 30s
        24: timer         => STUCK[UNWINDING](CANCELLED) unwanted
        operate abandon   => CANCELLED(ERROR) unwanted asks give-points P300 E0
        operate retry     => CANCELLED(ERROR) unwanted asks give-points P300 E0
        23: hear points-restored 0 => CANCELLED(ERROR) unwanted
        operate retry     => VERB_NOT_ALLOWED CANCELLED:
    "
    more_off_than_the_goods_cost: "
        offer S1 1000
        offer S2 500 m-2
        place server S1x1 points=-1 @1000 => POINTS_AMOUNT_INVALID
        place server S1x1 S2x1 coupon=9 points=1100 @1500 => HOLDING asks reserve-pinned, redeem 9 of m-1=1000 m-2=500, spend 1100 in 2s
        1: hear reserved  => HOLDING in 2s
        1: hear spent 1100 0 => HOLDING in 2s
        4: hear redeemed 500 => UNWINDING(LIMIT) asks release, give-coupon, give-points P1100 E0 in 2s
        reason            => discount_exceeds_goods
    "
    more_off_than_the_scope_costs: "
        offer S1 1000
        offer S2 500 m-2
        place server S1x1 S2x1 coupon=9 @1500 => HOLDING asks reserve-pinned, redeem 9 of m-1=1000 m-2=500 in 2s
        1: hear reserved  => HOLDING in 2s
        4: hear redeemed 501 m-2 => UNWINDING(LIMIT) asks release, give-coupon in 2s
    "
    the_card_would_pay_something_else: "
        offer S1 1000
        place server S1x1 coupon=9 pay=800 @1000 => HOLDING asks reserve-pinned, redeem 9 of m-1=1000 in 2s
        1: hear reserved  => HOLDING in 2s
        4: hear redeemed 100 => UNWINDING(PRICE_CHANGED) asks release, give-coupon in 2s
        reason            => expected_pay_differs
    "
    points_pay_all_of_it: "
        offer S1 1000
        place server-bare S1x1 points=1000 @1000 => TOKEN_REQUIRED
        place server-bare S1x1 points=1000 pay=0 @1000 => HOLDING asks reserve-pinned, spend 1000 in 2s
        1: hear spent 600 400 => HOLDING in 2s
        3: hear reserved  => PAYING asks intend m-1=0+P600+E400 in 12s
        cancel            => PAYING unwanted in 12s
        10: hear captured => REVERSING unwanted asks refund m-1=0+P600+E400/2000 in 5s
        21: hear refunded 0 => UNWINDING(CANCELLED) unwanted asks release, give-points P600 E400 in 2s
        23: hear released => UNWINDING(CANCELLED) unwanted in 2s
        23: hear points-restored 0 => CANCELLED(CANCELLED) unwanted
    "
    points_pay_all_of_it_and_the_hold_could_expire: "
        offer S1 1000
        place client S1x1 points=1000 @1000 => HOLDING asks reserve, spend 1000 in 2s
        1: hear spent 1000 0 => HOLDING in 2s
        3: hear reserved  => PAYING asks pin in 2s
        8: hear pinned    => PAYING asks intend m-1=0+P1000, inquire in 12s
        9: hear captured  => COMMITTING asks commit in 1s
        19: hear committed => COMPLETED(SOLD)
        refund all        => COMPLETED(SOLD) asks refund m-1=0+P1000/2001 in 5s
        26: hear refunded 1 => COMPLETED(SOLD) asks return S1x1 restock/1001, give-points P1000 E0/3001 in 5s
    "
    points_pay_all_of_it_and_the_hold_has_expired: "
        offer S1 1000
        place client S1x1 points=1000 @1000 => HOLDING asks reserve, spend 1000 in 2s
        1: hear spent 1000 0 => HOLDING in 2s
        3: hear reserved  => PAYING asks pin in 2s
        8: hear not-pinned RESERVATION_EXPIRED => PAYING unwanted asks intend m-1=0+P1000, inquire in 12s
        10: hear captured => REVERSING unwanted asks refund m-1=0+P1000/2000 in 5s
        21: hear refunded 0 => UNWINDING(EXPIRED) unwanted asks give-points P1000 E0 in 2s
        23: hear points-restored 0 => CANCELLED(EXPIRED) unwanted
    "
    a_coupon_of_its_merchant_pays_all_of_it: "
        offer S1 1000
        place server-bare S1x1 coupon=9 pay=0 @1000 => HOLDING asks reserve-pinned, redeem 9 of m-1=1000 in 2s
        1: hear reserved  => HOLDING in 2s
        3: hear redeemed 1000 m-1 merchant-funded => PAYING asks intend in 12s
        9: hear captured  => COMMITTING asks commit in 1s
        20: hear not-committed RESERVATION_RELEASED => STUCK[COMMITTING]
        operate compensate => UNWINDING(CANCELLED) unwanted asks release, give-coupon in 2s
        23: hear coupon-restored => UNWINDING(CANCELLED) unwanted in 2s
        23: hear released => CANCELLED(CANCELLED) unwanted
    "
    what_is_sold_earns_points: "
        offer S1 1050
        earning 100
        place server S1x2 @2100 => HOLDING asks reserve-pinned in 2s
        3: hear reserved  => PAYING asks charge m-1=2100 in 12s
        9: hear captured  => COMMITTING asks commit in 1s
        19: hear committed => COMPLETED(SOLD) asks earn 21 in 1s
        27: timer         => COMPLETED(SOLD) asks earn 21 in 2s
        operate retry     => COMPLETED(SOLD) asks earn 21 in 2s
        27: hear earned   => COMPLETED(SOLD)
        hear earned       => nothing
        operate retry     => VERB_NOT_ALLOWED COMPLETED:
        earning 900
        refund S1x1 restock => COMPLETED(SOLD) asks claw 10/4001 in 5s
        26: timer         => COMPLETED(SOLD) asks claw 10/4001 in 2s
        26: hear clawed 1 4 => COMPLETED(SOLD) asks refund m-1=1050 less 6/2001 in 5s
        hear clawed 1 4   => nothing
        26: hear refund-refused 1 => COMPLETED(SOLD) asks unclaw/5001 in 5s
        refund S1x2 restock => REFUND_EXCEEDS_ORDER S1
        26: timer         => COMPLETED(SOLD) asks unclaw/5001 in 4s
        26: hear unclawed 1 => COMPLETED(SOLD)
        hear unclawed 1   => nothing
        refund S1x2 lost  => COMPLETED(SOLD) asks claw 21/4002 in 5s
        26: hear clawed 2 0 => COMPLETED(SOLD) asks refund m-1=2100 less 21/2002 in 5s
        26: hear refunded 2 => COMPLETED(SOLD) asks return S1x2 lost/1002 in 5s
        26: hear returned 2 => COMPLETED(SOLD)
        refunds           => 1 REFUSED 1044 less 6, 2 DONE 2079 less 21; 2079 of 2100 back
    "
    a_refusal_of_the_points_is_an_answer: "
        offer S1 1000
        earning 100
        place server S1x1 @1000 => HOLDING asks reserve-pinned in 2s
        3: hear reserved  => PAYING asks charge m-1=1000 in 12s
        9: hear captured  => COMMITTING asks commit in 1s
        19: hear committed => COMPLETED(SOLD) asks earn 10 in 1s
        refund all        => COMPLETED(SOLD) asks claw 10/4001 in 5s
        26: timer         => COMPLETED(SOLD) asks claw 10/4001, earn 10 in 2s
        27: hear earned   => COMPLETED(SOLD) in 2s
        26: hear clawed 1 10 => COMPLETED(SOLD) asks refund m-1=1000/2001 in 5s
        26: hear refund-refused 1 => COMPLETED(SOLD) asks unclaw/5001 in 5s
        26: hear refunded 1 => COMPLETED(SOLD) asks return S1x1 restock/1001, unclaw/5001 in 5s
        26: hear returned 1 => COMPLETED(SOLD) in 5s
        26: hear unclawed 1 => COMPLETED(SOLD)
        hear unclawed 1   => nothing
        steps             => stock done, pay done, earning 10 done
    "
    points_that_cannot_be_earned: "
        offer S1 1000
        earning 100
        place server S1x1 @1000 => HOLDING asks reserve-pinned in 2s
        3: hear reserved  => PAYING asks charge m-1=1000 in 12s
        9: hear captured  => COMMITTING asks commit in 1s
        19: hear committed => COMPLETED(SOLD) asks earn 10 in 1s
        27: hear points-refused POINT_CURRENCY => COMPLETED(SOLD)
        hear points-refused POINT_CURRENCY => nothing
        refund all        => COMPLETED(SOLD) asks refund m-1=1000/2001 in 5s
    "
    cancelled_while_committing_earns_nothing: "
        offer S1 1000
        earning 100
        place server S1x1 @1000 => HOLDING asks reserve-pinned in 2s
        3: hear reserved  => PAYING asks charge m-1=1000 in 12s
        9: hear captured  => COMMITTING asks commit in 1s
        cancel            => COMMITTING unwanted in 1s
        19: hear committed => COMPLETED(SOLD) unwanted asks refund m-1=1000/2001 in 5s
    "
    a_refused_refund_of_claimed_units_gives_its_points_all_the_same: "
        offer S1 1000
        place server S1x1 points=100 @1000 => HOLDING asks reserve-pinned, spend 100 in 2s
        1: hear spent 100 0 => HOLDING in 2s
        3: hear reserved  => PAYING asks charge m-1=900+P100 in 12s
        9: hear captured  => COMMITTING asks commit in 1s
        19: hear committed => COMPLETED(SOLD)
        refund all        => COMPLETED(SOLD) asks refund m-1=900+P100/2001 in 5s
        26: hear refund-refused 1 => COMPLETED(SOLD)
        refund all        => COMPLETED(SOLD) asks refund m-1=900+P100/2002 in 5s
        26: hear refunded 1 => COMPLETED(SOLD) asks give-points P100 E0/3001 in 5s
        26: hear refund-refused 2 => COMPLETED(SOLD) in 5s
        26: hear points-restored 1 => COMPLETED(SOLD)
        refunds           => 1 DONE 900 P100, 2 REFUSED 900 P100; 900 of 1000 back
    "
    units_are_sent_and_come_back: "
        offer S1 1000
        offer S2 500 m-2
        place server S1x3 S2x1 @3500 => HOLDING asks reserve-pinned in 2s
        ship              => ORDER_NOT_SHIPPABLE HOLDING
        3: hear reserved  => PAYING asks charge m-1=3000 m-2=500 in 12s
        9: hear captured  => COMMITTING asks commit in 1s
        19: hear committed => COMPLETED(SOLD)
        return S1x1 restock => RETURN_EXCEEDS_SHIPPED S1
        refund S1x1 lost  => COMPLETED(SOLD) asks refund m-1=1000/2001 in 5s
        ship S1x3         => SHIPMENT_EXCEEDS_ORDER S1
        ship S1x0         => QUANTITY_INVALID S1
        ship S1x1         => COMPLETED(SOLD) PARTLY_SHIPPED in 5s
        cancel            => ORDER_NOT_CANCELLABLE COMPLETED
        deliver 2         => SHIPMENT_UNKNOWN 2
        deliver 1         => COMPLETED(SOLD) PARTLY_SHIPPED in 5s
        deliver 1         => nothing
        26: hear refund-refused 1 => COMPLETED(SOLD) PARTLY_SHIPPED
        ship              => COMPLETED(SOLD) SHIPPED
        ship              => NOTHING_TO_SHIP
        deliver 2         => COMPLETED(SOLD) DELIVERED
        return S1x2 restock => COMPLETED(SOLD) DELIVERED asks refund m-1=2000/2002 in 5s
        return S1x2 restock => RETURN_EXCEEDS_SHIPPED S1
        26: hear refunded 2 => COMPLETED(SOLD) DELIVERED asks return S1x2 restock/1002 in 5s
        26: hear returned 2 => COMPLETED(SOLD) DELIVERED
        refund all        => COMPLETED(SOLD) DELIVERED asks refund m-1=1000 m-2=500/2003 in 5s
        ship              => NOTHING_TO_SHIP
    "
    what_is_still_here_is_refunded_first: "
        offer S1 1000
        place server S1x3 @3000 => HOLDING asks reserve-pinned in 2s
        3: hear reserved  => PAYING asks charge m-1=3000 in 12s
        9: hear captured  => COMMITTING asks commit in 1s
        19: hear committed => COMPLETED(SOLD)
        ship S1x1         => COMPLETED(SOLD) PARTLY_SHIPPED
        refund S1x2 restock => COMPLETED(SOLD) SHIPPED asks refund m-1=2000/2001 in 5s
        ship              => NOTHING_TO_SHIP
        return S1x1 lost  => COMPLETED(SOLD) SHIPPED asks refund m-1=1000/2002 in 5s
    "
    a_cancelled_order_is_not_sent: "
        offer S1 1000
        place server S1x1 @1000 => HOLDING asks reserve-pinned in 2s
        3: hear reserved  => PAYING asks charge m-1=1000 in 12s
        9: hear captured  => COMMITTING asks commit in 1s
        19: hear committed => COMPLETED(SOLD)
        cancel            => COMPLETED(SOLD) unwanted asks refund m-1=1000/2001 in 5s
        ship              => NOTHING_TO_SHIP
    "
}
