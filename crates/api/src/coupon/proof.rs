//! The proof of a first-come issue: every position with its coupon, its owner as a hash, and its
//! time; and one digest over all of them.
//!
//! A line is `position,coupon,owner,time` and a line feed; `owner` is the first 16 hexadecimal
//! digits of SHA-256 over `campaign:user`, so that everybody finds their own line and nobody reads a
//! list of users. The digest is SHA-256 over all lines from position 1: whoever has the lines can
//! compute it again, and two people who see the same digest see the same list.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use jangbu_domain::coupon::model::{Campaign, Issue};
use jangbu_engine::port::Fault;
use jangbu_kernel::{CampaignId, Time};
use jangbu_services::queries::Queries;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::read::campaign_of;
use crate::Api;
use crate::call::Call;
use crate::html::{escaped, page};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::text::{At, hex, shown};

/// Positions of an answer, and of a read.
const LINES: u32 = 10_000;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProofOut<'a> {
    #[serde(serialize_with = "shown::one")]
    campaign_id: CampaignId,
    name: &'a str,
    total: i64,
    issued: i64,
    per_user: i64,
    /// Positions are 1 to `issued`, each once.
    gapless: bool,
    /// The most coupons that one user has.
    most_per_user: i64,
    first_at: Option<At>,
    last_at: Option<At>,
    sha256: String,
    lines: Vec<String>,
    next_cursor: Option<String>,
}

/// What a pass over all positions finds.
struct Pass {
    issued: i64,
    gapless: bool,
    held: HashMap<i64, i64>,
    times: Option<(Time, Time)>,
    digest: Sha256,
    /// Lines after the cursor.
    lines: Vec<String>,
}

impl Pass {
    fn take(&mut self, line: String, (position, issue): (i64, &Issue), shown: bool) {
        self.issued += 1;
        self.gapless &= position == self.issued;
        *self.held.entry(issue.user.0).or_default() += 1;
        let first = self.times.map_or(issue.at, |(first, _)| first);
        self.times = Some((first, issue.at));
        self.digest.update(&line);
        self.digest.update("\n");
        if shown && self.lines.len() < LINES as usize {
            self.lines.push(line);
        }
    }
}

fn line(campaign: CampaignId, position: i64, issue: &Issue) -> String {
    let owner = Sha256::digest(format!("{campaign}:{}", issue.user));
    format!("{position},{},{},{}", issue.coupon, hex(&owner[..8]), At(issue.at))
}

/// Reads all positions that are committed, in short reads: nothing in front of them changes.
fn pass(queries: &Queries, campaign: CampaignId, after: i64) -> Result<Pass, Fault> {
    let mut pass = Pass {
        issued: 0,
        gapless: true,
        held: HashMap::new(),
        times: None,
        digest: Sha256::new(),
        lines: Vec::new(),
    };
    let mut last = 0;
    loop {
        let some = queries.issues(campaign, last, LINES)?;
        for (position, issue) in &some {
            let line = line(campaign, *position, issue);
            pass.take(line, (*position, issue), *position > after);
            last = *position;
        }
        if some.len() < LINES as usize {
            return Ok(pass);
        }
    }
}

pub(super) async fn proof(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let position = |text: &str| text.parse::<i64>().ok().filter(|after| *after >= 0);
    let after = call.query()?.cursor(position)?.unwrap_or(0);
    let (id, row) = campaign_of(api, call).await?;
    let pass = api.read(move |queries| pass(queries, id, after)).await?;
    let shown = after.saturating_add(i64::try_from(pass.lines.len()).unwrap_or(i64::MAX));
    let out = ProofOut {
        campaign_id: id,
        name: &row.terms.name,
        total: row.terms.total,
        issued: pass.issued,
        per_user: row.terms.per_user,
        gapless: pass.gapless,
        most_per_user: pass.held.values().copied().max().unwrap_or(0),
        first_at: pass.times.map(|(first, _)| At(first)),
        last_at: pass.times.map(|(_, last)| At(last)),
        sha256: hex(&pass.digest.finalize()),
        lines: pass.lines,
        next_cursor: (shown < pass.issued).then(|| shown.to_string()),
    };
    Ok(if call.html { Reply::html(rendered(&out, &row)) } else { Reply::ok(&out) })
}

fn rendered(out: &ProofOut<'_>, row: &Campaign) -> String {
    let time = |at: Option<At>| at.map_or_else(|| "—".to_owned(), |at| at.to_string());
    let yes = |holds: bool| if holds { "yes" } else { "NO" };
    let facts = [
        ("Coupons promised", out.total.to_string()),
        ("Issued", out.issued.to_string()),
        ("Never more than promised", yes(out.issued <= out.total).to_owned()),
        ("Positions 1 to the last, each once", yes(out.gapless).to_owned()),
        ("Allowed for one user", out.per_user.to_string()),
        ("Most that one user has", out.most_per_user.to_string()),
        ("Issue began", At(row.terms.starts).to_string()),
        ("First coupon", time(out.first_at)),
        ("Last coupon", time(out.last_at)),
        ("SHA-256 over all lines", out.sha256.clone()),
    ];
    let mut body =
        format!("<h1>{}</h1><p class=quiet>{}</p><table>", escaped(out.name), out.campaign_id);
    for (name, value) in facts {
        let _ = write!(body, "<tr><th>{name}</th><td>{value}</td></tr>");
    }
    body.push_str(
        "</table><p>Each line is <code>position,coupon,owner,time</code>. The owner is the first 16 \
         digits of SHA-256 over <code>campaign:user</code>, so that you can find your own line. To \
         check the digest, save all lines, each ended by a line feed, and run \
         <code>sha256sum</code>.</p>",
    );
    if let Some(next) = &out.next_cursor {
        let _ = write!(body, "<p>More lines: add <code>?cursor={next}</code> to the address.</p>");
    }
    let _ = write!(body, "<pre>{}</pre>", out.lines.join("\n"));
    page(&format!("Proof of {}", out.name), &body)
}

#[cfg(test)]
mod tests {
    use jangbu_kernel::{CouponId, UserId};

    use super::*;

    #[test]
    fn a_line_names_the_owner_by_a_hash_that_the_owner_can_compute() {
        let issue = Issue { coupon: CouponId(7), user: UserId(9), at: Time(1_795_000_000_123_456) };
        let written = line(CampaignId(5), 3, &issue);
        let known = Sha256::digest("cmp_0000000000005:usr_0000000000009");
        let wanted =
            format!("3,cpn_0000000000007,{},2026-11-18T11:06:40.123456Z", hex(&known[..8]));
        assert_eq!(written, wanted);
    }
}
