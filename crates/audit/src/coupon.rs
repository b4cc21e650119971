//! Coupons: exactly so many, each in one place, of one user, used by one order.
//!
//! ```text
//! total ≥ issued = used + free + expired + revoked     positions 1 to issued, each once
//! coupon USED ⇄ its order says the same coupon and discount
//! ```
//!
//! Campaigns and coupons are read first; the orders that bring one are checked as they are walked.

mod campaign;
mod row;

use std::collections::BTreeMap;

use campaign::Campaign;
use row::Coupon;

use crate::{
    Error,
    book::{Book, rules},
    engine::Shard,
    ids,
    outbox::Outbox,
    rows::{Source, scan},
    walk::Case,
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
    EVENT = "coupon.event", Lost, "The last coupon.changed of a campaign has the version of its row, unless it may be trimmed, and no other thing has one.";
}

const FREE: i64 = 1;
const USED_BY: i64 = 2;
const REVOKED: i64 = 4;
/// Steps of an order's saga.
const DONE: i64 = 2;
const UNDONE: i64 = 5;
const FIVE_MINUTES: i64 = 300_000_000;

/// What is known of coupons.
#[derive(Debug, Default)]
pub(crate) struct Coupons {
    campaigns: BTreeMap<i64, Campaign>,
    /// Ascending.
    coupons: Vec<Known>,
}

/// What others are told of a coupon.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    id: i64,
    campaign: i64,
    pub(crate) position: i64,
    order: Option<i64>,
    discount: i64,
}

fn cmp(id: i64) -> String {
    ids::show("cmp", id)
}

fn cpn(id: i64) -> String {
    ids::show("cpn", id)
}

impl Coupons {
    /// Reads and checks campaigns, places and coupons.
    pub(crate) fn load(from: Source<'_>, shard: &Shard, book: &mut Book) -> Result<Self, Error> {
        from.watch.phase("coupons");
        let mut coupons = Self::default();
        coupons.read_campaigns(from, shard.clock, book)?;
        let owners = coupons.read_places(from, book)?;
        coupons.read_holders(from, &owners, book)?;
        drop(owners);
        coupons.read_coupons(from, shard.clock, book)?;
        coupons.close(book);
        Ok(coupons)
    }

    /// Whether this is a campaign or a coupon.
    pub(crate) fn knows(&self, id: i64) -> bool {
        self.campaigns.contains_key(&id) || self.get(id).is_some()
    }

    /// A coupon by its id.
    pub(crate) fn get(&self, id: i64) -> Option<&Known> {
        let at = self.coupons.binary_search_by_key(&id, |coupon| coupon.id).ok()?;
        Some(&self.coupons[at])
    }

    /// Compares the events of campaigns with their rows.
    pub(crate) fn events(&self, outbox: &Outbox, book: &mut Book) {
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
        for (key, campaign) in &self.campaigns {
            let hidden = outbox.head.hides_time(Some(campaign.changed()));
            if !outbox.campaigns.contains_key(key) && !hidden {
                book.find(EVENT, cmp(*key), "no event told of it".to_owned());
            }
        }
    }

    /// Checks the order of a case that has redeemed a coupon.
    pub(crate) fn walk(&self, case: &Case<'_>, book: &mut Book) {
        let redeemed = case.order.as_ref().filter(|order| order.coupon_step == DONE);
        let Some((order, coupon)) = redeemed.and_then(|order| Some((order, order.coupon_id?)))
        else {
            return;
        };
        let discount = order.discount;
        let known = self.get(coupon);
        if known.map(|known| (known.order, known.discount)) != Some((Some(case.id), discount)) {
            let detail = format!("{} saves {discount}, it says {known:?}", cpn(coupon));
            book.find(UNUSED, ids::order(case.id), detail);
        }
        let Some(terms) = known.and_then(|known| self.campaigns.get(&known.campaign)) else {
            return;
        };
        let off = terms.off(&order.lines, &order.currency);
        let same = order.coupon_scope == terms.scope && order.coupon_funding == terms.funding - 1;
        if off != Some(discount.into()) || !same {
            let scope = &order.coupon_scope;
            let detail = format!("{discount} off of {scope:?}, the terms take off {off:?}");
            book.find(DISCOUNT, ids::order(case.id), detail);
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
            let (id, mut campaign) = campaign::read(cells)?;
            campaign::check((id, &mut campaign), cells, clock, book)?;
            self.campaigns.insert(id, campaign);
            Ok(())
        })?;
        Ok(())
    }

    /// Reads the places; gives the campaign and owner of each, sorted.
    fn read_places(&mut self, from: Source<'_>, book: &mut Book) -> Result<Vec<(i64, i64)>, Error> {
        let mut owners = Vec::new();
        let sql = "SELECT i.campaign, i.position, i.coupon, i.at, c.id, i.user_id FROM coupon_issue i \
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
            owners.push((id, cells.int()?));
            let (last, time) = campaign.places;
            if position != last + 1 || at < time {
                let detail = format!("position {position} at {at} follows {last} at {time}");
                book.find(POSITION, cmp(id), detail);
            }
            campaign.places = (position, at);
            Ok(())
        })?;
        owners.sort_unstable();
        Ok(owners)
    }

    fn read_coupons(&mut self, from: Source<'_>, clock: i64, book: &mut Book) -> Result<(), Error> {
        let sql = "SELECT c.id, c.campaign, c.user_id, c.position, c.state, c.order_id, c.discount, \
                   c.undone, c.issued_at, c.expires_at, c.reason, i.coupon, i.user_id, i.at, \
                   o.user_id, o.state, o.coupon_id, o.coupon_step, o.discount, o.reason \
                   FROM user_coupon c LEFT JOIN coupon_issue i ON i.campaign = c.campaign \
                   AND i.position = c.position LEFT JOIN orders o ON o.id = c.order_id ORDER BY c.id";
        scan(from, book, sql, |cells, book| {
            let coupon = Coupon::read(cells)?;
            self.coupons.push(coupon.known());
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

    /// Merges the owners of places with the counters of what each has; both ascend.
    fn read_holders(
        &self,
        from: Source<'_>,
        owners: &[(i64, i64)],
        book: &mut Book,
    ) -> Result<(), Error> {
        let mut owners = owners.chunk_by(|one, other| one == other).peekable();
        let sql = "SELECT campaign, user_id, held, most FROM coupon_holder \
                   ORDER BY campaign, user_id";
        scan(from, book, sql, |cells, book| {
            let (owner, held, most) = ((cells.int()?, cells.int()?), cells.int()?, cells.int()?);
            while let Some(uncounted) = owners.next_if(|places| places[0] < owner) {
                self.check_limit(uncounted[0], uncounted.len(), None, book);
            }
            let places = owners.next_if(|places| places[0] == owner).map_or(0, <[_]>::len);
            self.check_limit(owner, places, Some((held, most)), book);
            Ok(())
        })?;
        for uncounted in owners {
            self.check_limit(uncounted[0], uncounted.len(), None, book);
        }
        Ok(())
    }

    /// Compares the places of an owner with its counter: how many it has, and may have.
    fn check_limit(
        &self,
        (id, user): (i64, i64),
        places: usize,
        counter: Option<(i64, i64)>,
        book: &mut Book,
    ) {
        let count = i64::try_from(places).unwrap_or(i64::MAX);
        let per_user = self.campaigns.get(&id).map_or(0, |campaign| campaign.per_user);
        if places == 0 || counter != Some((count, per_user)) || count > per_user {
            let detail = format!("has {count} of {per_user}, counted (has, may) {counter:?}");
            book.find(LIMIT, format!("{} of {}", ids::show("usr", user), cmp(id)), detail);
        }
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
