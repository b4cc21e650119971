//! Coupons: exactly so many, each in one place, of one user, used by one order.
//!
//! ```text
//! total ≥ issued = used + free + expired + revoked     positions 1 to issued, each once
//! coupon USED ⇄ its order says the same coupon and discount
//! ```

use std::collections::BTreeMap;

use crate::{
    Error,
    book::{Book, rules},
    engine::Shard,
    ids,
    outbox::Outbox,
    rows::{Cells, Source, Unreadable, scan},
};

rules! {
    LAW = "coupon.law", Mismatched, "total ≥ issued = used + free + expired + revoked, none of them negative.";
    TERMS = "coupon.terms", Mismatched, "The terms of a campaign are those of a discount, for a time, of so many coupons; who pays as a merchant is named.";
    TALLY = "coupon.tally", Mismatched, "The counters of a campaign are those of its coupons by state.";
    POSITION = "coupon.position", Lost, "The positions of a campaign are 1 to issued without a gap, in the order of their times.";
    PLACE = "coupon.place", Lost, "A coupon stands in the place that it says, with its owner and its time, and every place has its coupon.";
    LIMIT = "coupon.limit", Mismatched, "A user has as many coupons of a campaign as are counted, and no more than the campaign allows.";
    STATE = "coupon.state", Mismatched, "A coupon names an order and a discount exactly when it is USED, a reason exactly when it is REVOKED, and no order that gave it back.";
    EXPIRY = "coupon.expiry", Mismatched, "A coupon ends when the terms say, and none is FREE that was looked at after that.";
    TIMER = "coupon.timer", Mismatched, "A campaign is woken while coupons of it wait for their end, and not more than five minutes late.";
    USED = "coupon.used", Mismatched, "The order that uses a coupon exists, is its owner's, is not CANCELLED (unless given up), and says the same coupon and discount.";
    UNUSED = "coupon.unused", Lost, "The coupon of an order that has redeemed it, and not given it back, is USED by that order.";
    DISCOUNT = "coupon.discount", Mismatched, "A discount is what the terms take off the order's goods, and its scope and who pays are theirs.";
    EVENT = "coupon.event", Lost, "The last coupon.changed of a campaign has the version of its row, and no other thing has one.";
}

const FREE: i64 = 1;
const USED_BY: i64 = 2;
const REVOKED: i64 = 4;
/// Order states, and steps of an order's saga.
const CANCELLED: i64 = 9;
const DONE: i64 = 2;
const UNDONE: i64 = 5;
const FIVE_MINUTES: i64 = 300_000_000;

/// A campaign row.
#[derive(Debug)]
struct Campaign {
    kind: i64,
    value: i64,
    cap: Option<i64>,
    currency: String,
    minimum: i64,
    until: Option<i64>,
    span: Option<i64>,
    per_user: i64,
    funding: i64,
    scope: Option<String>,
    /// Issued, used, free, expired, revoked.
    tally: [i64; 5],
    swept: i64,
    version: i64,
    /// The same from the coupons.
    counted: [i64; 5],
    /// Places, and the time of the last one.
    places: (i64, i64),
    held: i64,
}

impl Campaign {
    fn expiry(&self, at: i64) -> i64 {
        self.until.unwrap_or_else(|| at.saturating_add(self.span.unwrap_or(0)))
    }

    /// What a coupon takes off goods, by merchant; none: it does not count for them.
    fn off(&self, lines: &[Goods], currency: &str) -> Option<i128> {
        let counts = |goods: &&Goods| self.scope.as_ref().is_none_or(|scope| *scope == goods.3);
        let goods = lines.iter().filter(counts);
        let goods: i128 = goods.map(|(_, n, price, _)| i128::from(*n) * i128::from(*price)).sum();
        let part = goods * i128::from(self.value) / 10_000;
        let off = match self.kind {
            1 => goods.min(self.value.into()),
            _ => self.cap.map_or(part, |cap| part.min(cap.into())),
        };
        (goods >= i128::from(self.minimum) && self.currency == currency && off > 0).then_some(off)
    }
}

/// SKU, quantity, unit price, merchant.
type Goods = (i64, i64, i64, String);

/// What is known of coupons.
#[derive(Debug, Default)]
pub(crate) struct Coupons {
    campaigns: BTreeMap<i64, Campaign>,
    /// Ascending.
    coupons: Vec<i64>,
}

fn cmp(id: i64) -> String {
    ids::show("cmp", id)
}

fn cpn(id: i64) -> String {
    ids::show("cpn", id)
}

impl Coupons {
    /// Reads and checks campaigns, places, coupons, and the orders that bring one.
    pub(crate) fn load(from: Source<'_>, shard: &Shard, book: &mut Book) -> Result<Self, Error> {
        from.watch.phase("coupons");
        let mut coupons = Self::default();
        coupons.read_campaigns(from, shard.clock, book)?;
        coupons.read_places(from, book)?;
        coupons.read_coupons(from, shard.clock, book)?;
        coupons.read_holders(from, book)?;
        coupons.read_orders(from, book)?;
        coupons.close(book);
        Ok(coupons)
    }

    /// Whether this is a campaign or a coupon.
    pub(crate) fn knows(&self, id: i64) -> bool {
        self.campaigns.contains_key(&id) || self.coupons.binary_search(&id).is_ok()
    }

    /// Compares the events of campaigns with their rows.
    pub(crate) fn events(&self, outbox: &Outbox, shard: &Shard, book: &mut Book) {
        for (&key, &version) in &outbox.campaigns {
            match self.campaigns.get(&key) {
                Some(campaign) if campaign.version == version => {}
                Some(campaign) => {
                    let detail = format!("of version {version}, the row {}", campaign.version);
                    book.find(EVENT, cmp(key), detail);
                }
                None => book.find(EVENT, cmp(key), "told of, and absent".to_owned()),
            }
        }
        let silent = |key: &&i64| !outbox.campaigns.contains_key(*key) && shard.trimmed == 0;
        for &key in self.campaigns.keys().filter(silent) {
            book.find(EVENT, cmp(key), "no event told of it".to_owned());
        }
    }

    fn read_campaigns(
        &mut self,
        from: Source<'_>,
        clock: i64,
        book: &mut Book,
    ) -> Result<(), Error> {
        let sql = "SELECT id, kind, value, cap, currency, minimum, valid_until, valid_for, \
                   per_user, funding, scope, issued, used, free, expired, revoked, swept, version, \
                   total, starts, ends, ended_at, at, next_at, name FROM campaign ORDER BY id";
        scan(from, book, sql, |cells, book| {
            let (id, campaign) = read_campaign(cells)?;
            check_campaign((id, &campaign), cells, clock, book)?;
            self.campaigns.insert(id, campaign);
            Ok(())
        })?;
        Ok(())
    }

    fn read_places(&mut self, from: Source<'_>, book: &mut Book) -> Result<(), Error> {
        let sql = "SELECT i.campaign, i.position, i.coupon, i.at, c.id FROM coupon_issue i \
                   LEFT JOIN user_coupon c ON c.id = i.coupon ORDER BY i.campaign, i.position";
        scan(from, book, sql, |cells, book| {
            let (id, position, coupon, at) =
                (cells.int()?, cells.int()?, cells.int()?, cells.int()?);
            if cells.int_or_null()?.is_none() {
                book.find(
                    PLACE,
                    cpn(coupon),
                    format!("position {position} is its, and it is absent"),
                );
            }
            let Some(campaign) = self.campaigns.get_mut(&id) else {
                book.find(POSITION, cmp(id), format!("position {position}, and it is absent"));
                return Ok(());
            };
            let (last, time) = campaign.places;
            if position != last + 1 || at < time {
                let detail = format!("position {position} at {at} follows {last} at {time}");
                book.find(POSITION, cmp(id), detail);
            }
            campaign.places = (position, at);
            Ok(())
        })?;
        Ok(())
    }

    fn read_coupons(&mut self, from: Source<'_>, clock: i64, book: &mut Book) -> Result<(), Error> {
        let sql = "SELECT c.id, c.campaign, c.user_id, c.position, c.state, c.order_id, c.discount, \
                   c.undone, c.issued_at, c.expires_at, c.reason, i.coupon, i.user_id, i.at, \
                   o.user_id, o.state, o.coupon_id, o.coupon_step, o.discount, o.reason \
                   FROM user_coupon c LEFT JOIN coupon_issue i ON i.campaign = c.campaign \
                   AND i.position = c.position LEFT JOIN orders o ON o.id = c.order_id ORDER BY c.id";
        scan(from, book, sql, |cells, book| {
            let coupon = Coupon::read(cells)?;
            self.coupons.push(coupon.id);
            coupon.check_state(clock, book);
            coupon.check_place(cells, book)?;
            coupon.check_order(cells, book)?;
            let Some(campaign) = self.campaigns.get_mut(&coupon.campaign) else {
                book.find(PLACE, cpn(coupon.id), "its campaign is absent".to_owned());
                return Ok(());
            };
            campaign.counted[0] += 1;
            campaign.counted[usize::try_from(at_tally(coupon.state)).unwrap_or(0)] += 1;
            let ends = campaign.expiry(coupon.issued_at);
            if coupon.expires_at != ends
                || (coupon.state == FREE && coupon.position <= campaign.swept)
            {
                let detail = format!("ends at {}, by the terms {ends}", coupon.expires_at);
                book.find(EXPIRY, cpn(coupon.id), format!("state {}, {detail}", coupon.state));
            }
            Ok(())
        })?;
        Ok(())
    }

    fn read_holders(&mut self, from: Source<'_>, book: &mut Book) -> Result<(), Error> {
        let counted = "SELECT i.campaign, i.user_id, count(*), h.held, h.most FROM coupon_issue i \
                       LEFT JOIN coupon_holder h ON h.campaign = i.campaign \
                       AND h.user_id = i.user_id GROUP BY i.campaign, i.user_id";
        scan(from, book, counted, |cells, book| {
            let (id, user, count) = (cells.int()?, cells.int()?, cells.int()?);
            let (held, most) = (cells.int_or_null()?, cells.int_or_null()?);
            let Some(campaign) = self.campaigns.get_mut(&id) else { return Ok(()) };
            campaign.held += held.unwrap_or(0);
            let per_user = campaign.per_user;
            if held != Some(count) || most != Some(per_user) || count > per_user {
                let detail = format!("has {count} of {per_user}, {held:?} of {most:?} counted");
                book.find(LIMIT, format!("{} of {}", ids::show("usr", user), cmp(id)), detail);
            }
            Ok(())
        })?;
        let sums = "SELECT campaign, sum(held) FROM coupon_holder GROUP BY campaign";
        scan(from, book, sums, |cells, book| {
            let (id, held) = (cells.int()?, cells.int()?);
            if self.campaigns.get(&id).is_none_or(|campaign| campaign.held != held) {
                book.find(LIMIT, cmp(id), format!("{held} are counted as held"));
            }
            Ok(())
        })?;
        Ok(())
    }

    /// Orders that have redeemed a coupon.
    fn read_orders(&self, from: Source<'_>, book: &mut Book) -> Result<(), Error> {
        let sql = "SELECT o.id, o.coupon_id, o.coupon_step, o.discount, o.currency, o.lines, \
                   o.coupon_scope, o.coupon_funding, c.order_id, c.discount, c.campaign \
                   FROM orders o LEFT JOIN user_coupon c ON c.id = o.coupon_id \
                   WHERE o.coupon_id IS NOT NULL AND o.coupon_step = 2 ORDER BY o.id";
        scan(from, book, sql, |cells, book| {
            let (order, coupon, _step) = (cells.int()?, cells.int()?, cells.int()?);
            let (discount, currency) = (cells.int()?, cells.text()?);
            let lines: Vec<Goods> = cells.json()?;
            let (scope, funding) = (cells.text_or_null()?, cells.int()?);
            let (used_by, saves) = (cells.int_or_null()?, cells.int_or_null()?);
            let campaign = cells.int_or_null()?;
            if used_by != Some(order) || saves != Some(discount) {
                let detail = format!("{} saves {discount}, it says {saves:?}", cpn(coupon));
                book.find(UNUSED, ids::order(order), format!("{detail} of {used_by:?}"));
            }
            let Some(terms) = campaign.and_then(|id| self.campaigns.get(&id)) else {
                return Ok(());
            };
            let off = terms.off(&lines, currency);
            let same = scope == terms.scope.as_deref() && funding == terms.funding - 1;
            if off != Some(discount.into()) || !same {
                let detail = format!("{discount} off of {scope:?}, the terms take off {off:?}");
                book.find(DISCOUNT, ids::order(order), detail);
            }
            Ok(())
        })?;
        Ok(())
    }

    fn close(&self, book: &mut Book) {
        for (id, campaign) in &self.campaigns {
            if campaign.counted != campaign.tally {
                let detail =
                    format!("{:?} of coupons, {:?} of the row", campaign.counted, campaign.tally);
                book.find(TALLY, cmp(*id), detail);
            }
            if campaign.places.0 != campaign.tally[0] {
                let detail = format!("{} places, {} issued", campaign.places.0, campaign.tally[0]);
                book.find(POSITION, cmp(*id), detail);
            }
        }
    }
}

/// Where a state is counted: used, free, expired, revoked stand behind issued.
fn at_tally(state: i64) -> i64 {
    match state {
        FREE => 2,
        USED_BY => 1,
        state => state,
    }
}

fn read_campaign(cells: &mut Cells<'_>) -> Result<(i64, Campaign), Unreadable> {
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
        held: 0,
    };
    Ok((id, campaign))
}

/// Checks a campaign in itself; the rest of its columns follow.
fn check_campaign(
    (id, campaign): (i64, &Campaign),
    cells: &mut Cells<'_>,
    clock: i64,
    book: &mut Book,
) -> Result<(), Unreadable> {
    let (total, starts, ends) = (cells.int()?, cells.int()?, cells.int()?);
    let (ended, at) = (cells.int_or_null()?, cells.int()?);
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

/// A coupon row.
#[derive(Debug)]
struct Coupon {
    id: i64,
    campaign: i64,
    user: i64,
    position: i64,
    state: i64,
    order: Option<i64>,
    discount: i64,
    undone: Vec<i64>,
    issued_at: i64,
    expires_at: i64,
    reason: bool,
}

impl Coupon {
    fn read(cells: &mut Cells<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            id: cells.int()?,
            campaign: cells.int()?,
            user: cells.int()?,
            position: cells.int()?,
            state: cells.int_in(FREE..=REVOKED)?,
            order: cells.int_or_null()?,
            discount: cells.int()?,
            undone: cells.json()?,
            issued_at: cells.int()?,
            expires_at: cells.int()?,
            reason: cells.text_or_null()?.is_some(),
        })
    }

    fn check_state(&self, clock: i64, book: &mut Book) {
        let used = self.state == USED_BY;
        let names = (self.order.is_some(), self.discount > 0) == (used, used);
        let back = self.order.is_some_and(|order| self.undone.contains(&order));
        let why = self.reason == (self.state == REVOKED);
        let fits = self.undone.len() <= 64 && self.discount >= 0 && self.issued_at <= clock;
        if !names || back || !why || !fits {
            let detail = format!("state {} of order {:?}", self.state, self.order);
            let more = format!("{} off, given back by {:?}", self.discount, self.undone);
            book.find(STATE, cpn(self.id), format!("{detail}, {more}"));
        }
    }

    fn check_place(&self, cells: &mut Cells<'_>, book: &mut Book) -> Result<(), Unreadable> {
        let place = (cells.int_or_null()?, cells.int_or_null()?, cells.int_or_null()?);
        if place != (Some(self.id), Some(self.user), Some(self.issued_at)) {
            let detail = format!("position {} has coupon, owner, time {place:?}", self.position);
            book.find(PLACE, cpn(self.id), detail);
        }
        Ok(())
    }

    fn check_order(&self, cells: &mut Cells<'_>, book: &mut Book) -> Result<(), Unreadable> {
        let (user, state) = (cells.int_or_null()?, cells.int_or_null()?);
        let (coupon, step) = (cells.int_or_null()?, cells.int_or_null()?);
        let (discount, reason) = (cells.int_or_null()?, cells.text_or_null()?);
        let Some(order) = self.order else { return Ok(()) };
        let given_up = reason.is_some_and(|reason| reason.starts_with("abandoned"));
        let ended = state == Some(CANCELLED) && !given_up;
        // Between two cells an order hears of it a moment later.
        let saves = step != Some(DONE) || discount == Some(self.discount);
        let same = (user, coupon) == (Some(self.user), Some(self.id)) && step != Some(UNDONE);
        if ended || !saves || !same {
            let detail = format!("{}, of user {user:?}, state {state:?}", ids::order(order));
            let more = format!("coupon {coupon:?} in step {step:?}, {discount:?} off");
            book.find(USED, cpn(self.id), format!("{detail}: {more}; here {}", self.discount));
        }
        Ok(())
    }
}
