//! What can become of one arrival. Every issued request ends in exactly one of these.

/// The outcome class of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Sold,
    /// A payment's money is promised.
    Authorized,
    /// A payment's money is taken.
    Captured,
    /// A payment's money was taken and given back.
    Refunded,
    /// A journal is in the ledger.
    Posted,
    /// A coupon is its user's.
    Issued,
    SoldOut,
    Declined,
    Limit,
    PriceChanged,
    Expired,
    Cancelled,
    Invalid,
    Shed,
    Error,
    /// Accepted, and not settled when the run ended.
    Pending,
    /// The gateway did not say what became of a payment until the run ended.
    Unknown,
    /// The same key a second time, answered with the first answer.
    Replay,
}

/// How many classes there are.
pub(crate) const OUTCOMES: usize = ALL.len();

/// All classes, in the order in which they are reported.
pub(crate) const ALL: [Outcome; 18] = [
    Outcome::Sold,
    Outcome::Authorized,
    Outcome::Captured,
    Outcome::Refunded,
    Outcome::Posted,
    Outcome::Issued,
    Outcome::SoldOut,
    Outcome::Declined,
    Outcome::Limit,
    Outcome::PriceChanged,
    Outcome::Expired,
    Outcome::Cancelled,
    Outcome::Replay,
    Outcome::Pending,
    Outcome::Unknown,
    Outcome::Invalid,
    Outcome::Shed,
    Outcome::Error,
];

impl Outcome {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sold => "SOLD",
            Self::Authorized => "AUTHORIZED",
            Self::Captured => "CAPTURED",
            Self::Refunded => "REFUNDED",
            Self::Posted => "POSTED",
            Self::Issued => "ISSUED",
            Self::SoldOut => "SOLD_OUT",
            Self::Declined => "DECLINED",
            Self::Limit => "LIMIT",
            Self::PriceChanged => "PRICE_CHANGED",
            Self::Expired => "EXPIRED",
            Self::Cancelled => "CANCELLED",
            Self::Invalid => "INVALID",
            Self::Shed => "SHED",
            Self::Error => "ERROR",
            Self::Pending => "PENDING",
            Self::Unknown => "UNKNOWN",
            Self::Replay => "REPLAY",
        }
    }

    /// The class that an order names as its outcome.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        ALL.into_iter().find(|outcome| outcome.name() == name && *outcome != Self::Replay)
    }

    /// The class of a problem that names no outcome.
    pub(crate) fn of_problem(status: u16, code: &str) -> Self {
        match (status, code) {
            (_, "SOLD_OUT" | "COUPON_EXHAUSTED") => Self::SoldOut,
            (_, "COUPON_LIMIT_REACHED") => Self::Limit,
            (_, "PRICE_CHANGED") => Self::PriceChanged,
            (_, "CANCELLED") => Self::Cancelled,
            (_, "EXPIRED") => Self::Expired,
            (402, _) => Self::Declined,
            (429 | 503, _) => Self::Shed,
            (400..=499, _) => Self::Invalid,
            _ => Self::Error,
        }
    }

    /// A correct answer to the customer: a sale, an honest refusal, or the first answer again.
    pub(crate) fn is_complete(self) -> bool {
        !matches!(self, Self::Invalid | Self::Shed | Self::Error | Self::Pending | Self::Unknown)
    }

    /// What the load is for: a sale, a payment that went its whole way, a journal in the ledger, a
    /// coupon.
    pub(crate) fn is_good(self) -> bool {
        matches!(
            self,
            Self::Sold
                | Self::Authorized
                | Self::Captured
                | Self::Refunded
                | Self::Posted
                | Self::Issued
        )
    }
}
