//! Which postings a payment's events make (DESIGN section 6, the card's part).
//!
//! | event | debit | credit |
//! |---|---|---|
//! | captured | `psp:{x}:receivable` amount | `merchant:{m}:payable` per part |
//! | refunded | `merchant:{m}:payable` per part | `psp:{x}:receivable` amount |
//!
//! Nothing else moves money. A payment of 0 posts nothing.

use jangbu_kernel::Time;

use super::chart::{merchant_payable, psp_receivable};
use super::command::{Command, Leg};
use crate::payment::command::{About, Event, Part};

/// The posting of `event`, if it moves money; `at` is when it happened.
pub fn postings(event: &Event, at: Time) -> Option<Command> {
    let (about, seq, legs) = match event {
        Event::Captured { about, seq, amount, split } => {
            (about, *seq, legs(about, *amount, split, 1))
        }
        Event::Refunded { about, seq, amount, parts, .. } => {
            (about, *seq, legs(about, *amount, parts, -1))
        }
        Event::Authorized { .. }
        | Event::CaptureRequested { .. }
        | Event::Declined { .. }
        | Event::NotSent { .. }
        | Event::Unknown { .. }
        | Event::NotFound { .. }
        | Event::Voided { .. }
        | Event::RefundRequested { .. }
        | Event::RefundRefused { .. }
        | Event::RefundUnknown { .. } => return None,
    };
    let (source, currency) = (about.payment.0, about.currency);
    (!legs.is_empty()).then_some(Command::Post { source, seq, currency, at, legs })
}

/// The legs of a capture (`sign` 1), or of a refund (-1).
fn legs(about: &About, amount: i64, parts: &[Part], sign: i64) -> Vec<Leg> {
    if amount == 0 {
        return Vec::new();
    }
    let mut legs = Vec::with_capacity(parts.len().saturating_add(1));
    let receivable = amount.saturating_mul(sign);
    legs.push(Leg { code: psp_receivable(&about.psp), amount: receivable });
    for part in parts.iter().filter(|part| part.amount != 0) {
        let payable = part.amount.saturating_mul(sign).saturating_neg();
        legs.push(Leg { code: merchant_payable(&part.merchant), amount: payable });
    }
    legs
}
