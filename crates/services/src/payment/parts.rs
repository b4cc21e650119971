//! The packed columns of a payment: its split, and its refunds with their parts.
//!
//! A part is `["merchant",card]`, or `["merchant",card,paid points,earned points,coupon]` where the
//! card does not pay alone; a refund is `[no,state,amount,[part,…],deadline|null,id,"reason",posting]`
//! and, if anything was, what was deducted. Values at the end that came later may be missing.

use std::sync::Arc;

use jangbu_domain::payment::command::Part;
use jangbu_domain::payment::model::{Refund, RefundState};
use jangbu_kernel::{RefundId, Time};
use serde::{Deserialize, Serialize};

use crate::packed;

/// A part as it is read: the last three are missing where the card pays alone.
#[derive(Deserialize)]
pub(super) struct PackedPart(
    Arc<str>,
    i64,
    #[serde(default)] i64,
    #[serde(default)] i64,
    #[serde(default)] i64,
);

/// A part as it is written: most are paid by the card alone, and short.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum ShortPart<'a> {
    Card(&'a str, i64),
    Shares(&'a str, i64, i64, i64, i64),
}

/// A refund as it stands in the row. The last four came later: rows without them are read.
#[derive(Serialize, Deserialize)]
pub(super) struct PackedRefund<P>(
    u32,
    i64,
    i64,
    Vec<P>,
    Option<i64>,
    #[serde(default)] i64,
    #[serde(default)] Box<str>,
    #[serde(default)] i64,
    #[serde(default, skip_serializing_if = "is_nothing")] i64,
);

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_nothing(amount: &i64) -> bool {
    *amount == 0
}

pub(super) fn pack<'p>(parts: &'p [Part]) -> Vec<ShortPart<'p>> {
    let short = |part: &'p Part| {
        let Part { ref merchant, card, paid, earned, coupon } = *part;
        match (paid, earned, coupon) {
            (0, 0, 0) => ShortPart::Card(merchant, card),
            _ => ShortPart::Shares(merchant, card, paid, earned, coupon),
        }
    };
    parts.iter().map(short).collect()
}

pub(super) fn unpack(parts: Vec<PackedPart>) -> Vec<Part> {
    let part = |PackedPart(merchant, card, paid, earned, coupon)| Part {
        merchant,
        card,
        paid,
        earned,
        coupon,
    };
    parts.into_iter().map(part).collect()
}

pub(super) fn pack_refund(refund: &Refund) -> PackedRefund<ShortPart<'_>> {
    let Refund { no, state, amount, parts, deduct, deadline, id, reason, posting } = refund;
    let (no, state, amount, parts) = (*no, state.code(), *amount, pack(parts));
    let (deadline, id) = (deadline.map(|at| at.0), id.map_or(0, |id| id.0));
    PackedRefund(no, state, amount, parts, deadline, id, reason.clone(), *posting, *deduct)
}

pub(super) fn unpack_refund(packed: PackedRefund<PackedPart>) -> Refund {
    let PackedRefund(no, state, amount, parts, deadline, id, reason, posting, deduct) = packed;
    let state = packed::coded("payment.refunds.state", state, RefundState::from_code);
    let id = (id != 0).then_some(RefundId(id));
    let (parts, deadline) = (unpack(parts), deadline.map(Time));
    Refund { no, state, amount, parts, deduct, deadline, id, reason, posting }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_card_pays_alone_is_packed_short_and_every_share_comes_back() {
        let shared = Part { merchant: "m-2".into(), card: 0, paid: 5, earned: 0, coupon: 9 };
        let parts = vec![Part::card("m-1".into(), 500), shared];
        let text = serde_json::to_string(&pack(&parts)).unwrap();
        assert_eq!(text, r#"[["m-1",500],["m-2",0,5,0,9]]"#);
        assert_eq!(unpack(packed::read("payment.split", &text)), parts);
        let refund = Refund {
            no: 1,
            state: RefundState::Done,
            amount: 480,
            parts,
            deduct: 20,
            deadline: None,
            id: None,
            reason: Box::default(),
            posting: 2,
        };
        let text = serde_json::to_string(&pack_refund(&refund)).unwrap();
        assert!(text.ends_with(r#",null,0,"",2,20]"#), "{text}");
        assert_eq!(unpack_refund(packed::read("payment.refunds", &text)), refund);
        let text = serde_json::to_string(&pack_refund(&Refund { deduct: 0, ..refund })).unwrap();
        assert!(text.ends_with(r#",null,0,"",2]"#), "{text}");
    }

    #[test]
    fn a_refund_of_an_older_row_is_read() {
        let older = r#"[[1,3,500,[["m-1",500]],null]]"#;
        let packed: Vec<PackedRefund<PackedPart>> = packed::read("payment.refunds", older);
        let read: Vec<Refund> = packed.into_iter().map(unpack_refund).collect();
        let [refund] = &*read else { panic!("{read:?}") };
        assert_eq!((refund.no, refund.state, refund.amount), (1, RefundState::Done, 500));
        assert_eq!(
            (refund.parts.as_slice(), refund.deduct),
            (&[Part::card("m-1".into(), 500)][..], 0)
        );
        assert_eq!(
            (refund.deadline, refund.id, &*refund.reason, refund.posting),
            (None, None, "", 0)
        );
    }
}
