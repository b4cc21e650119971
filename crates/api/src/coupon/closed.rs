//! Campaigns that issue nothing more, or nothing yet: refused before a request costs a commit.
//!
//! What is known here never becomes untrue. A campaign whose coupons are all issued stays so, one
//! that is over or was ended stays so, and its beginning does not move. Only a request that was
//! carried out before must not be refused: the same key gets its first answer. Whoever sent it has
//! a coupon of the campaign, so the owners of its coupons pass. They are read once, after the
//! commit that closed it: nobody joins them later.
//!
//! So a refusal costs a look into two maps: no hash of the request, no read, no commit.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jangbu_domain::coupon::model::Campaign;
use jangbu_engine::port::Fault;
use jangbu_kernel::{CampaignId, Time, UserId};
use jangbu_services::queries::Queries;
use parking_lot::{Mutex, RwLock};

use crate::admission::Refusal;
use crate::problem::Problem;

/// At most so many campaigns are known; beyond that the oldest are forgotten, which costs speed.
const KNOWN: usize = 1_000;

/// At most so many owners of one campaign are held; with more, requests take the long way.
const OWNERS: i64 = 2_000_000;

/// Owners are read so many at a time.
const PAGE: u32 = 10_000;

/// What is known of a campaign.
#[derive(Debug)]
struct Known {
    /// Before it nothing is issued.
    starts: Time,
    early: Arc<Refusal>,
    /// From here on nothing is issued; none: not known to end.
    until: Option<Time>,
    late: Arc<Refusal>,
    /// Who has a coupon, ascending; only asked when nothing more is issued.
    owners: Box<[i64]>,
}

/// Campaigns that refuse.
#[derive(Debug, Default)]
pub(crate) struct Closed {
    known: RwLock<HashMap<CampaignId, Known>>,
    /// Campaigns that are being read.
    learning: Mutex<HashSet<CampaignId>>,
}

impl Closed {
    /// The answer to `user`, if it is known without asking.
    pub(crate) fn refuses(
        &self,
        campaign: CampaignId,
        user: UserId,
        now: Time,
    ) -> Option<Arc<Refusal>> {
        let all = self.known.read();
        let known = all.get(&campaign)?;
        if now < known.starts {
            return Some(Arc::clone(&known.early));
        }
        let over = known.until.is_some_and(|until| until <= now);
        let late = over && known.owners.binary_search(&user.0).is_err();
        late.then(|| Arc::clone(&known.late))
    }

    /// Whether nothing has to be learnt about a campaign that has just refused at `now`.
    pub(crate) fn knows(&self, campaign: CampaignId, now: Time) -> bool {
        let all = self.known.read();
        let over = |known: &Known| known.until.is_some_and(|until| until <= now);
        all.get(&campaign).is_some_and(|known| now < known.starts || over(known))
    }

    /// Whether the caller is the one who may learn about a campaign now; [`Closed::done`] ends it.
    pub(super) fn begin(&self, campaign: CampaignId) -> bool {
        self.learning.lock().insert(campaign)
    }

    /// The end of what [`Closed::begin`] began.
    pub(super) fn done(&self, campaign: CampaignId) {
        self.learning.lock().remove(&campaign);
    }

    /// Learns how a campaign stands from its rows. Only committed rows are read.
    pub(crate) fn learn(
        &self,
        queries: &Queries,
        campaign: CampaignId,
        now: Time,
    ) -> Result<(), Fault> {
        let Some(row) = queries.campaign(campaign)? else { return Ok(()) };
        let until = over_since(&row, now);
        let owners = match until {
            Some(_) if row.tally.issued > OWNERS => return Ok(()),
            Some(_) => owners(queries, campaign)?,
            None => Box::default(),
        };
        if until.is_none() && row.terms.starts <= now {
            return Ok(());
        }
        let known = Known {
            starts: row.terms.starts,
            early: not_open("it has not begun"),
            until,
            late: late(campaign, &row),
            owners,
        };
        let mut all = self.known.write();
        if all.len() >= KNOWN
            && let Some(oldest) = all.keys().min().copied()
        {
            all.remove(&oldest);
        }
        all.insert(campaign, known);
        Ok(())
    }
}

/// Since when a campaign issues nothing more, if that is so at `now`.
fn over_since(row: &Campaign, now: Time) -> Option<Time> {
    if row.remaining() == 0 || row.ended_at.is_some() {
        return Some(row.terms.starts);
    }
    Some(row.terms.ends).filter(|ends| *ends <= now)
}

fn owners(queries: &Queries, campaign: CampaignId) -> Result<Box<[i64]>, Fault> {
    let (mut owners, mut last) = (Vec::new(), 0);
    loop {
        let page = queries.issues(campaign, last, PAGE)?;
        owners.extend(page.iter().map(|(_, issue)| issue.user.0));
        match page.last() {
            Some((position, _)) if page.len() == PAGE as usize => last = *position,
            _ => break,
        }
    }
    owners.sort_unstable();
    owners.dedup();
    Ok(owners.into())
}

fn late(campaign: CampaignId, row: &Campaign) -> Arc<Refusal> {
    if row.remaining() > 0 || row.ended_at.is_some() {
        return not_open("it is over");
    }
    let detail = format!("all {} coupons of {campaign} are issued", row.terms.total);
    let problem = Problem::coded("COUPON_EXHAUSTED", detail).at("remaining", "0 are left");
    Arc::new(Refusal::of(&problem))
}

fn not_open(why: &str) -> Arc<Refusal> {
    let problem = Problem::coded("CAMPAIGN_NOT_OPEN", format!("nothing is issued: {why}"));
    Arc::new(Refusal::of(&problem))
}
