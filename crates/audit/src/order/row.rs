//! An order row as it stands in the file, and what follows from it alone.

use crate::rows::{Cells, Unreadable};

use super::{refund_state, state};

/// The columns that are walked, by key.
pub(crate) const SQL: &str = "SELECT id, user_id, state, stuck_in, stock_step, pay_step, outcome, reason, \
     currency, total, refunded, lines, refunds, next_at, settled_at, version, coupon_id, coupon_step, \
     discount, coupon_scope, coupon_funding, points, point_step, points_paid, points_earned, \
     expects, earn_step, earn_bp, earned, shipments FROM orders ORDER BY id";

/// An order row.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) user: i64,
    pub(crate) state: i64,
    pub(crate) stuck_in: i64,
    pub(crate) stock_step: i64,
    pub(crate) pay_step: i64,
    pub(crate) outcome: Option<String>,
    pub(super) reason: Option<String>,
    pub(crate) currency: String,
    pub(crate) total: i64,
    pub(crate) refunded: i64,
    pub(crate) lines: Vec<Line>,
    pub(crate) refunds: Vec<Refund>,
    pub(crate) next_at: Option<i64>,
    pub(crate) settled_at: Option<i64>,
    pub(crate) version: i64,
    pub(crate) coupon_id: Option<i64>,
    pub(crate) coupon_step: i64,
    pub(crate) discount: i64,
    pub(crate) coupon_scope: Option<String>,
    /// 1: by the merchant.
    pub(crate) coupon_funding: i64,
    pub(crate) points: i64,
    pub(crate) point_step: i64,
    pub(crate) points_paid: i64,
    pub(crate) points_earned: i64,
    pub(super) expects: Option<i64>,
    pub(crate) earn_step: i64,
    pub(super) earn_bp: i64,
    pub(crate) earned: i64,
    pub(super) shipments: Option<Vec<Shipment>>,
}

/// Units `from..from + quantity` of a line, `[line, from, quantity]`; of the first version `[line, quantity]`.
#[derive(Debug, Clone, Copy, serde::Deserialize)]
#[serde(from = "PackedRange")]
pub(crate) struct Range {
    pub(crate) line: usize,
    /// Below 0: of the first version, and to be counted.
    pub(crate) from: i64,
    pub(crate) quantity: i64,
}

#[derive(serde::Deserialize)]
struct PackedRange(usize, i64, #[serde(default)] Option<i64>);

impl From<PackedRange> for Range {
    fn from(PackedRange(line, first, second): PackedRange) -> Self {
        match second {
            Some(quantity) => Self { line, from: first, quantity },
            None => Self { line, from: -1, quantity: first },
        }
    }
}

/// A parcel, `[no,[range,…],"carrier","tracking",left at,arrived at|0]`.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Shipment {
    pub(super) no: i64,
    pub(super) units: Vec<Range>,
    pub(super) carrier: String,
    #[expect(dead_code, reason = "the packed form has it, no rule is about it")]
    tracking: String,
    pub(super) shipped_at: i64,
    pub(super) delivered_at: i64,
}

/// A line as ordered.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Line {
    pub(crate) sku: i64,
    pub(crate) quantity: i64,
    pub(crate) price: i64,
    pub(crate) merchant: String,
}

/// A refund of an order; number 0 is a reversal or an orphan.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Refund {
    pub(crate) no: i64,
    pub(crate) state: i64,
    pub(crate) amount: i64,
    pub(crate) units: Vec<Range>,
    pub(crate) restock: i64,
    #[expect(dead_code, reason = "the packed form has it, no rule is about it")]
    pub(super) reason: String,
    #[serde(default)]
    pub(crate) paid: i64,
    #[serde(default)]
    pub(crate) earned: i64,
    #[serde(default)]
    pub(crate) clawed: i64,
    #[serde(default)]
    pub(crate) deduct: i64,
    #[serde(default)]
    pub(super) owed: Option<u8>,
}

impl Order {
    /// Reads the columns of [`SQL`] after the key.
    pub(crate) fn read(cells: &mut Cells<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            user: cells.int()?,
            state: cells.int_in(state::HOLDING..=state::STUCK)?,
            stuck_in: cells.int_in(0..=state::CANCELLED)?,
            stock_step: cells.int_in(0..=5)?,
            pay_step: cells.int_in(0..=5)?,
            outcome: cells.text_or_null()?.map(str::to_owned),
            reason: cells.text_or_null()?.map(str::to_owned),
            currency: cells.text()?.to_owned(),
            total: cells.int()?,
            refunded: cells.int()?,
            lines: cells.json()?,
            refunds: numbered(cells.json()?),
            next_at: cells.int_or_null()?,
            settled_at: cells.int_or_null()?,
            version: cells.int()?,
            coupon_id: cells.int_or_null()?,
            coupon_step: cells.int_in(0..=5)?,
            discount: cells.int()?,
            coupon_scope: cells.text_or_null()?.map(str::to_owned),
            coupon_funding: cells.int_in(0..=1)?,
            points: cells.int()?,
            point_step: cells.int_in(0..=5)?,
            points_paid: cells.int()?,
            points_earned: cells.int()?,
            expects: cells.int_or_null()?,
            earn_step: cells.int_in(0..=5)?,
            earn_bp: cells.int()?,
            earned: cells.int()?,
            shipments: cells.json_or_null()?,
        })
    }

    /// What the card pays.
    pub(crate) fn card(&self) -> i128 {
        let off = [self.discount, self.points_paid, self.points_earned];
        i128::from(self.total) - off.into_iter().map(i128::from).sum::<i128>()
    }

    /// Whether it is between HOLDING and UNWINDING.
    pub(crate) fn is_open(&self) -> bool {
        (state::HOLDING..=state::UNWINDING).contains(&self.state)
    }

    /// Whether an operator has given it up.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.state == state::CANCELLED && self.reason_is_of_operator()
    }

    /// Whether the reason is an operator's (its order may have come alive again since).
    pub(super) fn reason_is_of_operator(&self) -> bool {
        self.reason.as_deref().is_some_and(|why| why.starts_with("abandoned: "))
    }

    /// Whether it was given up before its units were free.
    pub(super) fn left_units(&self) -> bool {
        self.is_abandoned() && [self.stock_step, self.coupon_step, self.point_step].contains(&4)
    }

    /// What a merchant gets.
    pub(crate) fn of_merchant(&self, merchant: &str) -> i128 {
        self.parts(&self.whole()).get(merchant).map_or(0, |part| part.iter().sum())
    }

    /// What all merchants get.
    pub(crate) fn payable(&self) -> i128 {
        let own = if self.coupon_funding == 1 { self.discount } else { 0 };
        i128::from(self.total) - i128::from(own)
    }

    /// The refund with this number.
    pub(crate) fn refund(&self, no: i64) -> Option<&Refund> {
        self.refunds.iter().find(|refund| refund.no == no)
    }

    /// Quantities of these units summed by SKU, ascending.
    pub(crate) fn by_sku(&self, units: &[Range]) -> Vec<(i64, i128)> {
        let mut sums: Vec<(i64, i128)> = units
            .iter()
            .filter_map(|range| Some((self.lines.get(range.line)?.sku, i128::from(range.quantity))))
            .collect();
        sums.sort_unstable_by_key(|(sku, _)| *sku);
        sums.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            kept.1 += if same { next.1 } else { 0 };
            same
        });
        sums
    }

    /// The state that its rules are those of: a STUCK order stands where it got stuck.
    pub(crate) fn standing(&self) -> i64 {
        if self.state == state::STUCK { self.stuck_in } else { self.state }
    }

    pub(super) fn refunds_open(&self) -> bool {
        use refund_state::{CLAWING, REQUESTED, RESTORING, SETTING_ASIDE, UNCLAWING};
        let open = |r: &Refund| {
            matches!(r.state, REQUESTED..=RESTORING | SETTING_ASIDE | CLAWING | UNCLAWING)
        };
        self.refunds.iter().any(open)
    }
}

impl Line {
    /// Quantity × unit price.
    pub(crate) fn amount(&self) -> i128 {
        i128::from(self.quantity) * i128::from(self.price)
    }
}

/// Units of refunds of the first version are the lowest ones that no refund before has taken.
fn numbered(mut refunds: Vec<Refund>) -> Vec<Refund> {
    let mut taken = std::collections::BTreeMap::new();
    for refund in &mut refunds {
        for range in refund.units.iter_mut().filter(|range| range.from < 0) {
            let next = taken.entry(range.line).or_insert(0);
            range.from = *next;
            *next += if refund.state == refund_state::REFUSED { 0 } else { range.quantity };
        }
    }
    refunds
}
