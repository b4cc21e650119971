//! A campaign row: its terms, its counters, and what its terms take off goods.

use super::{FIVE_MINUTES, LAW, TERMS, TIMER, cmp};
use crate::{
    book::Book,
    order::Line,
    rows::{Cells, Unreadable},
};

/// A campaign row.
#[derive(Debug)]
pub(super) struct Campaign {
    pub(super) kind: i64,
    pub(super) value: i64,
    pub(super) cap: Option<i64>,
    pub(super) currency: String,
    pub(super) minimum: i64,
    pub(super) until: Option<i64>,
    pub(super) span: Option<i64>,
    pub(super) per_user: i64,
    pub(super) funding: i64,
    pub(super) scope: Option<String>,
    /// Issued, used, free, expired, revoked.
    pub(super) tally: [i64; 5],
    pub(super) swept: i64,
    pub(super) version: i64,
    /// The same from the coupons.
    pub(super) counted: [i64; 5],
    /// Places, and the time of the last one.
    pub(super) places: (i64, i64),
    /// When it was made and ended.
    times: (i64, Option<i64>),
}

impl Campaign {
    /// When a coupon of this moment ends.
    pub(super) fn expiry(&self, at: i64) -> i64 {
        self.until.unwrap_or_else(|| at.saturating_add(self.span.unwrap_or(0)))
    }

    /// When it was last changed, as far as its row and its places say.
    pub(super) fn changed(&self) -> i64 {
        let (made, ended) = self.times;
        made.max(ended.unwrap_or(made)).max(self.places.1)
    }

    /// What a coupon takes off goods, by merchant; none: it does not count for them.
    pub(super) fn off(&self, lines: &[Line], currency: &str) -> Option<i128> {
        let counts = |line: &&Line| self.scope.as_ref().is_none_or(|scope| *scope == line.merchant);
        let goods: i128 = lines.iter().filter(counts).map(Line::amount).sum();
        let part = goods * i128::from(self.value) / 10_000;
        let off = match self.kind {
            1 => goods.min(self.value.into()),
            _ => self.cap.map_or(part, |cap| part.min(cap.into())),
        };
        (goods >= i128::from(self.minimum) && self.currency == currency && off > 0).then_some(off)
    }
}

/// Reads the columns of a campaign up to its version.
pub(super) fn read(cells: &mut Cells<'_>) -> Result<(i64, Campaign), Unreadable> {
    let id = cells.int()?;
    let campaign = Campaign {
        kind: cells.int_in(1..=2)?,
        value: cells.int()?,
        cap: cells.int_or_null()?,
        currency: cells.text()?.to_owned(),
        minimum: cells.int()?,
        until: cells.int_or_null()?,
        span: cells.int_or_null()?,
        per_user: cells.int()?,
        funding: cells.int_in(1..=2)?,
        scope: cells.text_or_null()?.map(str::to_owned),
        tally: [cells.int()?, cells.int()?, cells.int()?, cells.int()?, cells.int()?],
        swept: cells.int()?,
        version: cells.int()?,
        counted: [0; 5],
        places: (0, 0),
        times: (0, None),
    };
    Ok((id, campaign))
}

/// Checks a campaign in itself; the rest of its columns follow.
pub(super) fn check(
    (id, campaign): (i64, &mut Campaign),
    cells: &mut Cells<'_>,
    clock: i64,
    book: &mut Book,
) -> Result<(), Unreadable> {
    let (total, starts, ends) = (cells.int()?, cells.int()?, cells.int()?);
    let (ended, at) = (cells.int_or_null()?, cells.int()?);
    campaign.times = (at, ended);
    let (next_at, name) = (cells.int_or_null()?, cells.text()?);
    let [issued, parts @ ..] = campaign.tally;
    if issued > total || parts.iter().sum::<i64>() != issued || parts.iter().any(|n| *n < 0) {
        let detail = format!("of {total}, issued {issued}; used, free, expired, revoked {parts:?}");
        book.find(LAW, cmp(id), detail);
    }
    let Campaign { kind, value, cap, currency, minimum, per_user, .. } = campaign;
    let percent = *kind == 1 || *value <= 10_000;
    let money = *value > 0 && cap.is_none_or(|cap| cap > 0) && *minimum >= 0 && currency.len() == 3;
    let bounds = (1..=total).contains(per_user) && starts < ends && !name.is_empty();
    let valid = match (campaign.until, campaign.span) {
        (Some(until), None) => until >= ends,
        (None, Some(span)) => span > 0,
        _ => false,
    };
    let paid = campaign.funding == 1 || campaign.scope.is_some();
    let times = at <= clock && ended.is_none_or(|ended| ended >= at);
    if !(percent && money && bounds && valid && paid && times) {
        let terms = format!("kind {kind} of {value}, {per_user} of {total}, {starts} to {ends}");
        book.find(TERMS, cmp(id), format!("{terms}, made at {at}, ended at {ended:?}"));
    }
    let waits = campaign.swept < issued;
    let late = next_at.is_some_and(|at| clock.saturating_sub(at) > FIVE_MINUTES);
    if next_at.is_some() != waits || late || !(0..=issued).contains(&campaign.swept) {
        let detail = format!("looked at {} of {issued}, due at {next_at:?}", campaign.swept);
        book.find(TIMER, cmp(id), detail);
    }
    Ok(())
}
