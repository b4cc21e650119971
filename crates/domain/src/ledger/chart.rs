//! The chart of accounts: a table of code patterns. A code that fits none of them is refused, so
//! a typing error cannot open an account.

use std::sync::Arc;

use jangbu_kernel::Currency;

use super::model::{AccountId, Kind};

/// One row of the chart: every code `prefix` + name + `suffix`, or `prefix` alone when there is no
/// suffix. The name is opaque: a merchant's id may hold colons.
#[derive(Clone, Copy, Debug)]
pub struct Pattern {
    /// What its codes begin with.
    pub prefix: &'static str,
    /// What they end with; empty: the prefix is the whole code.
    pub suffix: &'static str,
    /// What its accounts are.
    pub kind: Kind,
}

const fn named(prefix: &'static str, suffix: &'static str, kind: Kind) -> Pattern {
    Pattern { prefix, suffix, kind }
}

const fn one(code: &'static str, kind: Kind) -> Pattern {
    Pattern { prefix: code, suffix: "", kind }
}

/// The chart (DESIGN section 6).
pub const CHART: &[Pattern] = &[
    named("psp:", ":receivable", Kind::Asset),
    named("merchant:", ":payable", Kind::Liability),
    one("bank", Kind::Asset),
    one("payout:clearing", Kind::Liability),
    one(POINTS_PAID, Kind::Liability),
    one(POINTS_EARNED, Kind::Liability),
    one(PROMO_COUPON, Kind::Expense),
    one(PROMO_POINTS, Kind::Expense),
    one(BREAKAGE, Kind::Income),
    one("fee", Kind::Income),
    one("psp:fee", Kind::Expense),
    one("vat:input", Kind::Asset),
    one("vat:output", Kind::Liability),
    one(CUSTOMER_REFUNDABLE, Kind::Liability),
    one("suspense", Kind::Liability),
    one("disputed", Kind::Asset),
    one("loss", Kind::Expense),
];

/// Our debt to customers whose money no gateway gives back.
pub const CUSTOMER_REFUNDABLE: &str = "customer:refundable";
/// Our debt to customers for points that they have paid for.
pub const POINTS_PAID: &str = "points:paid";
/// Our debt to customers for points that we have given away.
pub const POINTS_EARNED: &str = "points:earned";
/// What the coupons that we pay for have cost.
pub const PROMO_COUPON: &str = "promo:coupon";
/// What the points that we give away have cost.
pub const PROMO_POINTS: &str = "promo:points";
/// Paid points that nobody claims any more.
pub const BREAKAGE: &str = "breakage";

impl Pattern {
    /// Whether `code` is one of its codes.
    fn fits(&self, code: &str) -> bool {
        let Some(rest) = code.strip_prefix(self.prefix) else { return false };
        if self.suffix.is_empty() {
            return rest.is_empty();
        }
        rest.strip_suffix(self.suffix).is_some_and(|name| !name.is_empty())
    }
}

/// What kind of account `code` is; none: it is not in the chart.
pub fn kind_of(code: &str) -> Option<Kind> {
    CHART.iter().find(|pattern| pattern.fits(code)).map(|pattern| pattern.kind)
}

/// The gateway's debt to us.
pub fn psp_receivable(psp: &str) -> Box<str> {
    ["psp:", psp, ":receivable"].concat().into()
}

/// Our debt to a merchant.
pub fn merchant_payable(merchant: &str) -> Box<str> {
    ["merchant:", merchant, ":payable"].concat().into()
}

/// How many ids are remembered.
const SEATS: usize = 4_096;

/// Remembers the ids of codes that were hashed lately. A posting needs each id three times, and
/// most postings name the same few accounts; a seat is simply overwritten by the next code that
/// falls on it. What it says is a function of the code alone, so nothing depends on its content.
#[derive(Debug, Default)]
pub(super) struct Ids {
    seats: Vec<Option<Seat>>,
}

#[derive(Clone, Debug)]
struct Seat {
    code: Arc<str>,
    currency: Currency,
    id: AccountId,
}

impl Ids {
    /// The id of account `code` in `currency`.
    pub(super) fn of(&mut self, code: &str, currency: Currency) -> AccountId {
        if self.seats.is_empty() {
            self.seats.resize(SEATS, None);
        }
        let Some(seat) = self.seats.get_mut(seat_of(code)) else {
            return AccountId::of(code, currency);
        };
        match seat {
            Some(seat) if &*seat.code == code && seat.currency == currency => seat.id,
            _ => {
                let id = AccountId::of(code, currency);
                *seat = Some(Seat { code: code.into(), currency, id });
                id
            }
        }
    }
}

/// FNV-1a, folded to a seat.
fn seat_of(code: &str) -> usize {
    let hash = code
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    usize::try_from(hash ^ (hash >> 12)).unwrap_or(0) % SEATS
}
