//! Charges that are given back.

use super::text::check;

tables! {
    a_charge_is_given_back_as_far_as_its_points_are_unspent: "
        charge P1 U1 1000                => charged, 1000 in all
        refund R1 P2 U1                  => POINT_CHARGE_UNKNOWN
        refund R1 P1 U2                  => POINT_CHARGE_UNKNOWN
        refund R1 P1 U1 0                => POINTS_AMOUNT_INVALID
        refund R1 P1 U1 -1               => POINTS_AMOUNT_INVALID
        refund R1 P1 U1 1001             => POINT_REFUND_EXCEEDS_LEFT, 1000 left
        refund R1 P1 U1 300              => refunding 300
        changed                          => U1 REFUNDED 1 -300+0 =700
        refund R1 P1 U1 300              => refunding 300
        refund R1 P1 U1 299              => POINT_USE_DIFFERS
        credit P1                        => 1000 of U1, R1 300 held
        points U1                        => P700; charged 700; not woken
        spend O1 U1 701                  => POINTS_INSUFFICIENT, 700 available
        ended R1 P1 U1 given             => heard
        credit P1                        => 1000 of U1, R1 300 given
        changed                          => nothing
        spend O1 U1 600                  => spent 600 paid and 0 earned
        refund R2 P1 U1 101              => POINT_REFUND_EXCEEDS_LEFT, 100 left
        refund R2 P1 U1                  => refunding 100
        refund R3 P1 U1                  => POINT_REFUND_EXCEEDS_LEFT, 0 left
        ended R2 P1 U1 given             => heard
        restore O1 U1 0                  => restored
        refund R3 P1 U1 601              => POINT_REFUND_EXCEEDS_LEFT, 600 left
        refund R3 P1 U1                  => refunding 600
        points U1                        => empty; spent 600+0, restored 600+0; not woken
    "

    a_refused_refund_brings_the_points_back: "
        charge P1 U1 500                 => charged, 500 in all
        refund R1 P1 U1                  => refunding 500
        points U1                        => empty; ; not woken
        ended R1 P1 U1 refused           => heard
        changed                          => U1 UNREFUNDED 1 500+0 =500
        points U1                        => P500; charged 500; not woken
        ended R1 P1 U1 refused           => heard
        changed                          => nothing
        refund R1 P1 U1                  => refunding 500
        credit P1                        => 500 of U1, R1 500 returned
        refund R2 P1 U1 200              => refunding 200
        ended R2 P1 U1 given             => heard
        ended R2 P1 U1 refused           => heard
        credit P1                        => 500 of U1, R1 500 returned, R2 200 given
        points U1                        => P300; charged 300; not woken
        ended R9 P1 U1 given             => POINT_USE_UNKNOWN
        ended R1 P9 U1 given             => POINT_CHARGE_UNKNOWN
    "

    money_that_goes_back_after_a_refusal_takes_the_points_again_and_the_shop_bears_the_spent_ones: "
        charge P1 U1 500                 => charged, 500 in all
        refund R1 P1 U1 100              => refunding 100
        refund R2 P1 U1 300              => refunding 300
        ended R1 P1 U1 refused           => heard
        ended R2 P1 U1 refused           => heard
        ended R1 P1 U1 given             => heard
        changed                          => U1 REFUNDED 1 -100+0 =400
        ended R1 P1 U1 refused           => heard
        points U1                        => P400; charged 400; not woken
        spend O1 U1 330                  => spent 330 paid and 0 earned
        ended R2 P1 U1 given             => heard; +230 P posted 1/4000002
        ended R2 P1 U1 given             => heard
        credit P1                        => 500 of U1, R1 100 given, R2 300 given, 230 missing
        points U1                        => empty; charged 330, spent 330+0; not woken
    "

    what_ends_does_not_go_back_and_a_lot_is_shared_by_the_charges_of_a_month: "
        bought points live 20 days
        charge P1 U1 500                 => charged, 500 in all
        charge P2 U1 500                 => charged, 1000 in all
        grant G7 U1 50 until d100        => granted 50 until d100, 1050 in all
        refund R1 P7 U1                  => POINT_CHARGE_UNKNOWN
        spend O1 U1 700                  => spent 700 paid and 0 earned
        refund R1 P1 U1 301              => POINT_REFUND_EXCEEDS_LEFT, 300 left
        refund R1 P1 U1 200              => refunding 200
        refund R2 P2 U1 101              => POINT_REFUND_EXCEEDS_LEFT, 100 left
        at d31
        refund R2 P2 U1                  => POINT_REFUND_EXCEEDS_LEFT, 0 left
        ended R1 P1 U1 refused           => heard
        changed                          => U1 UNREFUNDED 1 200+0 =350
    "

    refunds_end_with_their_numbers: "
        charge P1 U1 1000                => charged, 1000 in all
        many refunds P1 U1 999           => 999 given
        refund R5 P1 U1                  => TOO_MANY_REFUNDS
    "
}
