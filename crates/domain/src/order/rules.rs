//! Deadlines and patience of the saga, and what an order earns.

use jangbu_kernel::Currency;
use jangbu_kernel::time::Span;

/// Deadlines and patience of the saga.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Row 1: a step that was asked answers within.
    pub ask: Span,
    /// Row 2: an unpaid order is held so long.
    pub hold: Span,
    /// A call to the gateway may take so long.
    pub call: Span,
    /// Row 3: and the order waits so much longer for its answer.
    pub grace: Span,
    /// Row 12: when to inquire; the last one repeats.
    pub inquiries: [Span; 5],
    /// Row 18: after so many inquiries (a day of them) an operator must look.
    pub inquiry_limit: i64,
    /// Rows 20, 24: first repetition; doubles up to `again_max`.
    pub again: Span,
    /// The longest pause between two repetitions.
    pub again_max: Span,
    /// Row 24: after so many repetitions (five minutes of them) an operator must look.
    pub undo_limit: i64,
    /// Rows 21, 25, 26: a refund without an answer is asked about after.
    pub refund: Span,
    /// What an order earns in points, in hundredths of a percent of what the card pays.
    pub earn_bp: i64,
    /// Orders of this currency earn points.
    pub earn_in: Currency,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            ask: Span::secs(2),
            hold: Span::mins(15),
            call: Span::secs(10),
            grace: Span::secs(2),
            inquiries: [
                Span::secs(5),
                Span::secs(30),
                Span::mins(2),
                Span::mins(10),
                Span::mins(60),
            ],
            inquiry_limit: 27,
            again: Span::secs(1),
            again_max: Span::secs(30),
            undo_limit: 14,
            refund: Span::secs(5),
            earn_bp: 100,
            earn_in: Currency::KRW,
        }
    }
}

impl Rules {
    /// The pause before inquiry number `tries`.
    pub(super) fn inquiry(&self, tries: i64) -> Span {
        let at = usize::try_from(tries).unwrap_or(usize::MAX).min(4);
        self.inquiries.get(at).copied().unwrap_or(self.again_max)
    }

    /// The pause before repetition number `tries`.
    pub(super) fn again(&self, tries: i64) -> Span {
        let doubled = self.again.0.saturating_mul(1_i64.checked_shl(bits(tries)).unwrap_or(32));
        Span(doubled.min(self.again_max.0))
    }
}

fn bits(tries: i64) -> u32 {
    u32::try_from(tries.clamp(0, 5)).unwrap_or(5)
}
