//! How patient payment is with a gateway.

use std::sync::Arc;

use jangbu_kernel::time::Span;

/// The gateway's name, and how patient we are with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The gateway's name, as in account codes and metrics.
    pub psp: Arc<str>,
    /// How long the calls may take that we start ourselves: inquiries, fences, repeated refunds.
    pub call_timeout: Span,
    /// How old a charge must be before "not found" leads to a fence.
    pub not_found_age: Span,
    /// Pauses between the inquiries of a payment without an order; the last one repeats.
    pub inquiries: Vec<Span>,
    /// When a payment without an order stops to inquire and waits for an operator.
    pub give_up: Span,
}

impl Rules {
    /// How long after a call's deadline its silence is looked into.
    pub const GRACE: Span = Span::secs(2);

    /// The usual patience with gateway `psp`.
    pub fn new(psp: impl Into<Arc<str>>) -> Self {
        Self {
            psp: psp.into(),
            call_timeout: Span::secs(5),
            not_found_age: Span::secs(60),
            inquiries: [5, 30, 120, 600, 3_600].map(Span::secs).to_vec(),
            give_up: Span::mins(24 * 60),
        }
    }
}
