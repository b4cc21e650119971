//! The words of the tables: commands in, answers and rows out.
//!
//! `campaign K1 500off total 3` with any of: `10% cap 300`, `minimum 1000`, `starts 0`, `ends 100`,
//! `until 200`, `for 50`, `each 1`, `USD`, `of m-1`, `paid by merchant`.

use std::sync::Arc;

use jangbu_kernel::domain::Coded;
use jangbu_kernel::time::Span;
use jangbu_kernel::{CampaignId, CouponId, Currency, Domain, OrderId, Time, UserId};

use super::world::{Answer, World, find};
use crate::coupon::Coupons;
use crate::coupon::command::{Command, Event, Goods, Reject, Reply, Tally};
use crate::coupon::model::UserCoupon;
use crate::coupon::terms::{Funding, Kind, Terms, Valid};

pub(super) fn check(table: &str) {
    let mut world = World::default();
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (asked, expected) = line.split_once(" => ").unwrap_or((line, ""));
        assert_eq!(answer(&mut world, asked.trim()), expected, "{line}");
    }
}

fn answer(world: &mut World, line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    match *words.as_slice() {
        ["at", now] => world.now = number(now),
        ["tally", campaign] => {
            let row = find(&world.store.campaign, CampaignId(number(campaign)));
            return row.map_or_else(|| "none".into(), |row| show_tally(&row.tally, row.next_at));
        }
        ["coupon", coupon] => {
            return show_coupon(find(&world.store.coupon, CouponId(number(coupon))));
        }
        ["changed"] => return show_changed(&world.said),
        _ => {
            let now = Time(world.now);
            let batch: Vec<_> = line.split(';').map(|text| (now, command(text))).collect();
            let answers = world.commit(&batch);
            return answers.iter().map(show).collect::<Vec<_>>().join("; ");
        }
    }
    String::new()
}

pub(super) fn command(text: &str) -> Command {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (campaign, coupon) = (|word| CampaignId(number(word)), |word| CouponId(number(word)));
    let (order, user) = (|word| OrderId(number(word)), |word| UserId(number(word)));
    match words.as_slice() {
        ["campaign", id, given @ ..] => {
            Command::CreateCampaign { campaign: campaign(id), terms: terms(given) }
        }
        ["end", id] => Command::EndCampaign { campaign: campaign(id) },
        ["issue", of, id, to] => {
            Command::Issue { campaign: campaign(of), coupon: coupon(id), user: user(to) }
        }
        ["grant", of, given @ ..] => {
            let pair = |word: &&str| {
                let (id, to) = word.split_once(':').unwrap();
                (CouponId(number(id)), UserId(number(to)))
            };
            let coupons = given.iter().map(pair).collect();
            Command::Grant { campaign: campaign(of), coupons }
        }
        ["redeem", id, "for", by, of, given @ .., currency] => Command::Redeem {
            coupon: coupon(id),
            order: order(by),
            user: user(of),
            goods: given.iter().map(|word| goods(word)).collect(),
            currency: Currency::parse(currency).unwrap(),
        },
        ["restore", id, "of", by] => Command::Restore { coupon: coupon(id), order: order(by) },
        ["revoke", id] => Command::Revoke { coupon: coupon(id), reason: "abuse".into() },
        ["sweep", id] => Coupons::wake("campaign", number(id)),
        _ => panic!("no command: {text}"),
    }
}

fn goods(word: &str) -> Goods {
    let (merchant, amount) = word.split_once('=').unwrap();
    Goods { merchant: merchant.into(), amount: amount.parse().unwrap() }
}

/// `K1`, `C1`, `O1` and `U1` are number 1.
fn number(word: &str) -> i64 {
    word.trim_start_matches(['K', 'C', 'O', 'U']).parse().unwrap()
}

pub(super) fn terms(words: &[&str]) -> Terms {
    let mut terms = Terms {
        name: "spring".into(),
        kind: Kind::Fixed { amount: 500 },
        currency: Currency::KRW,
        minimum: 0,
        starts: Time(0),
        ends: Time(100),
        valid: Valid::Until(Time(200)),
        per_user: 1,
        total: 3,
        funding: Funding::Platform,
        scope: None,
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap().parse::<i64>().unwrap();
        match *word {
            "total" => terms.total = value(),
            "each" => terms.per_user = value(),
            "minimum" => terms.minimum = value(),
            "starts" => terms.starts = Time(value()),
            "ends" => terms.ends = Time(value()),
            "until" => terms.valid = Valid::Until(Time(value())),
            "for" => terms.valid = Valid::For(Span(value())),
            "of" => terms.scope = words.next().map(|merchant| Arc::from(*merchant)),
            "paid" => {
                terms.funding = Funding::Merchant;
                words.nth(1);
            }
            "nameless" => terms.name = "".into(),
            "cap" => {
                let cap = Some(value());
                let Kind::Percent { bp, .. } = terms.kind else { panic!("a cap of what?") };
                terms.kind = Kind::Percent { bp, cap };
            }
            word if word.ends_with("off") => {
                terms.kind = Kind::Fixed { amount: word[..word.len() - 3].parse().unwrap() };
            }
            word if word.ends_with("bp") => {
                let bp = word[..word.len() - 2].parse().unwrap();
                terms.kind = Kind::Percent { bp, cap: None };
            }
            word => terms.currency = Currency::parse(word).unwrap(),
        }
    }
    terms
}

fn show(answer: &Answer) -> String {
    let reject = match answer {
        Ok(Reply::Campaign(id, row)) => {
            let ended = if row.ended_at.is_some() { ", ended" } else { "" };
            return format!("K{} {} of {}{ended}", id.0, row.tally.issued, row.terms.total);
        }
        Ok(Reply::Issued { coupon, position, remaining, expires_at }) => {
            return format!("C{} is {position}, {remaining} left, to {}", coupon.0, expires_at.0);
        }
        Ok(Reply::Granted { coupons, remaining, expires_at }) => {
            let one = |(coupon, user, position): &(CouponId, UserId, i64)| {
                format!("C{} U{} is {position}", coupon.0, user.0)
            };
            let all: Vec<_> = coupons.iter().map(one).collect();
            return format!("{}, {remaining} left, to {}", all.join(", "), expires_at.0);
        }
        Ok(Reply::Redeemed { discount, scope, funding }) => {
            let scope = scope.as_ref().map_or(String::new(), |scope| format!(" of {scope}"));
            return format!("{discount} off{scope}, {}", funding.name());
        }
        Ok(Reply::Restored) => return "restored".into(),
        Ok(Reply::Expired) => return "expired".into(),
        Ok(Reply::Revoked(coupon)) => return format!("C{} revoked", coupon.0),
        Err(reject) => reject,
    };
    let code = reject.code();
    if let Reject::TermsInvalid { field, .. } = reject {
        format!("{code} {field}")
    } else if let Reject::CouponExhausted { remaining } = reject {
        format!("{code} {remaining} left")
    } else if let Reject::CouponLimitReached { user } = reject {
        format!("{code} U{}", user.0)
    } else if let Reject::CouponMinimum { minimum } = reject {
        format!("{code} {minimum}")
    } else {
        code.to_owned()
    }
}

fn show_tally(tally: &Tally, next_at: Option<Time>) -> String {
    let Tally { issued, used, free, expired, revoked } = *tally;
    let named = [("used", used), ("free", free), ("expired", expired), ("revoked", revoked)];
    let parts = named.iter().filter(|(_, n)| *n > 0).map(|(name, n)| format!(", {name} {n}"));
    let next = next_at.map_or(String::new(), |at| format!(", next at {}", at.0));
    format!("issued {issued}{}{next}", parts.collect::<String>())
}

fn show_coupon(row: Option<&UserCoupon>) -> String {
    let Some(row) = row else { return "none".to_owned() };
    let order = row.order.map_or(String::new(), |order| format!(" by O{}", order.0));
    let off = if row.discount > 0 { format!(" {} off", row.discount) } else { String::new() };
    let undone: Vec<_> = row.undone.iter().map(|order| format!(" not O{}", order.0)).collect();
    format!("U{} {}{order}{off}{}", row.user.0, row.state.name(), undone.concat())
}

fn show_changed(said: &[Event]) -> String {
    let one = |Event::Changed { campaign, tally, issued, moved }: &Event| {
        let issued =
            issued.iter().map(|h| format!(", C{} {} to U{}", h.coupon.0, h.state.name(), h.user.0));
        let moved = moved.iter().map(|h| format!(", C{} {}", h.coupon.0, h.state.name()));
        let all: String = issued.chain(moved).collect();
        format!("K{} {}{all}", campaign.0, show_tally(tally, None))
    };
    if said.is_empty() {
        return "nothing".to_owned();
    }
    said.iter().map(one).collect::<Vec<_>>().join("; ")
}
