//! Tables: money that goes back, units that come back, and what is refused.

use super::text::check;

tables! {
    a_sale_whose_stock_does_not_answer: "
        offer S1 1000
        place server S1x1 @1000 => HOLDING asks reserve-pinned in 2s
        3: hear reserved  => PAYING asks charge m-1=1000 in 12s
        cancel            => PAYING unwanted in 12s
        cancel            => nothing
        10: hear captured => REVERSING unwanted asks refund m-1=1000/2000 in 5s
        21: timer         => REVERSING unwanted asks inquire 0/2000 in 2s
        21: hear refund-unknown 0 => REVERSING unwanted asks refund m-1=1000/2000 in 2s
        21: hear refund-refused 0 => STUCK[REVERSING] unwanted
        21: hear refund-refused 0 => nothing
        21: hear refunded 0 => UNWINDING(CANCELLED) unwanted asks release in 2s
        hear refunded 0   => nothing
        refunds           => 0 DONE 1000; 1000 of 1000 back
    "
    a_sale_that_is_cancelled_while_committing: "
        offer S1 1000
        place server S1x1 @1000 => HOLDING asks reserve-pinned in 2s
        3: hear reserved  => PAYING asks charge m-1=1000 in 12s
        9: hear captured  => COMMITTING asks commit in 1s
        20: hear not-committed x => COMMITTING in 1s
        20: timer         => COMMITTING asks commit in 2s
        20: timers 6      => COMMITTING asks commit in 30s
        cancel            => COMMITTING unwanted in 30s
        19: hear committed => COMPLETED(SOLD) unwanted asks refund m-1=1000/2001 in 5s
        26: hear refunded 1 => COMPLETED(SOLD) unwanted asks return S1x1 restock/1001 in 5s
        26: hear returned 1 => COMPLETED(SOLD) unwanted
        cancel            => nothing
    "
    units_are_refunded_once: "
        offer S1 1000
        offer S2 500 m-2
        place server S1x2 S2x1 @2500 => HOLDING asks reserve-pinned in 2s
        refund all        => ORDER_NOT_REFUNDABLE HOLDING
        3: hear reserved  => PAYING asks charge m-1=2000 m-2=500 in 12s
        9: hear captured  => COMMITTING asks commit in 1s
        19: hear committed => COMPLETED(SOLD)
        refund S1x3 restock => REFUND_EXCEEDS_ORDER S1
        refund S1x0 restock => QUANTITY_INVALID S1
        refund S9x1 restock => REFUND_EXCEEDS_ORDER S9
        refund lost       => NOTHING_TO_REFUND
        refund S1x1 lost  => COMPLETED(SOLD) asks refund m-1=1000/2001 in 5s
        refund S1x2 lost  => REFUND_EXCEEDS_ORDER S1
        refund S1x1 S2x1 restock => COMPLETED(SOLD) asks refund m-1=1000 m-2=500/2002 in 5s
        refund all        => NOTHING_TO_REFUND
        cancel            => ORDER_NOT_CANCELLABLE COMPLETED
        hear returned 1   => nothing
        26: hear refund-unknown 1 => COMPLETED(SOLD) asks refund m-1=1000/2001 in 5s
        26: timer         => COMPLETED(SOLD) asks inquire 1/2001, inquire 2/2002 in 2s
        26: hear refunded 1 => COMPLETED(SOLD) asks return S1x1 lost/1001 in 2s
        hear refunded 1   => nothing
        26: hear refund-refused 2 => COMPLETED(SOLD) in 2s
        hear refund-refused 1 => nothing
        26: timer         => COMPLETED(SOLD) asks return S1x1 lost/1001 in 4s
        26: hear returned 1 => COMPLETED(SOLD)
        hear returned 1   => nothing
        refunds           => 1 DONE 1000, 2 REFUSED 1500; 1000 of 2500 back
        refund S1x1 restock => COMPLETED(SOLD) asks refund m-1=1000/2003 in 5s
        26: hear refunded 3 => COMPLETED(SOLD) asks return S1x1 restock/1003 in 5s
        26: hear returned 3 => COMPLETED(SOLD)
    "
    a_refused_refund_that_happens_after_all: "
        offer S1 1000
        place server S1x2 @2000 => HOLDING asks reserve-pinned in 2s
        3: hear reserved  => PAYING asks charge m-1=2000 in 12s
        9: hear captured  => COMMITTING asks commit in 1s
        19: hear committed => COMPLETED(SOLD)
        refund S1x1 lost  => COMPLETED(SOLD) asks refund m-1=1000/2001 in 5s
        26: hear refund-refused 1 => COMPLETED(SOLD)
        26: hear refunded 1 => COMPLETED(SOLD) asks return S1x1 lost/1001 in 5s
        26: hear returned 1 => COMPLETED(SOLD)
        refunds           => 1 DONE 1000; 1000 of 2000 back
    "
    a_refused_refund_that_happens_after_its_units_came_back: "
        offer S1 1000
        offer S2 1000
        place server S1x1 S2x1 @2000 => HOLDING asks reserve-pinned in 2s
        3: hear reserved  => PAYING asks charge m-1=2000 in 12s
        9: hear captured  => COMMITTING asks commit in 1s
        19: hear committed => COMPLETED(SOLD)
        refund S1x1 lost  => COMPLETED(SOLD) asks refund m-1=1000/2001 in 5s
        26: hear refund-refused 1 => COMPLETED(SOLD)
        refund S1x1 restock => COMPLETED(SOLD) asks refund m-1=1000/2002 in 5s
        26: hear refunded 2 => COMPLETED(SOLD) asks return S1x1 restock/1002 in 5s
        26: hear returned 2 => COMPLETED(SOLD)
        26: hear refunded 1 => COMPLETED(SOLD)
        hear refunded 1   => nothing
        refunds           => 1 DONE 1000, 2 DONE 1000; 2000 of 2000 back
    "
    units_that_cost_nothing_come_back_without_the_gateway: "
        offer S1 0
        place server-bare S1x2 @0 => HOLDING asks reserve-pinned in 2s
        3: hear reserved  => PAYING asks intend in 12s
        9: hear captured  => COMMITTING asks commit in 1s
        19: hear committed => COMPLETED(SOLD)
        cancel            => COMPLETED(SOLD) unwanted asks return S1x2 restock/1001 in 5s
        26: hear returned 1 => COMPLETED(SOLD) unwanted
    "
    orders_that_are_refused: "
        offer S1 1000
        offer S2 1000 off
        offer S3 1000 USD
        offer S4 MAX
        place server S1x1*101 @101000 => LINES_INVALID
        place server @0       => LINES_INVALID
        place server S1x0 @0  => QUANTITY_INVALID S1
        place server S1x10001 @0 => QUANTITY_INVALID S1
        place server S9x1 @0  => SKU_NOT_ON_SALE S9
        place server S2x1 @1000 => SKU_NOT_ON_SALE S2
        place server S1x1 S3x1 @2000 => CURRENCY_MISMATCH S3
        place server S1x1 @999 => PRICE_CHANGED 1000
        place server S4x2 @0  => TOTAL_TOO_LARGE
        place server S4x1 S1x1 @0 => TOTAL_TOO_LARGE
        place server-bare S1x1 @1000 => TOKEN_REQUIRED
        cancel                => ORDER_UNKNOWN
        hear reserved         => ORDER_UNKNOWN
        place server S1x1*100 @100000 => HOLDING asks reserve-pinned in 2s
        place server S1x1*99 @99000 => ORDER_DIFFERS
        place client S1x1*100 @100000 => ORDER_DIFFERS
    "
    offers_are_learned_in_any_order: "
        offer S1 1000 v2
        offer S1 900 v1
        place server S1x1 @900 => PRICE_CHANGED 1000
        offer S1 800 v3
        place server S1x1 @800 => HOLDING asks reserve-pinned in 2s
        offer S1 700 v4
        3: hear reserved  => PAYING asks charge m-1=800 in 12s
    "
}
