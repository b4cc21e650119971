//! Campaigns of the toy, and what the load says of them.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::toy::{Request, Ways, with};
use crate::{CLEAN, bench};

/// How campaigns misbehave.
#[derive(Debug, Clone, Default)]
pub(crate) struct CouponWays {
    /// One coupon too many.
    pub(crate) generous: bool,
    /// Two people are told the same position.
    pub(crate) confused: bool,
}

/// A campaign: coupons in all, and issued.
type Campaign = (u64, u64);

/// What the toy has given away.
#[derive(Debug, Default)]
pub(crate) struct Coupons {
    campaigns: Mutex<Vec<Campaign>>,
    issued: Mutex<HashMap<String, String>>,
    given: AtomicU64,
    pub(crate) points: AtomicU64,
}

impl Coupons {
    pub(crate) fn points(&self, request: &Request) {
        let body: Value = serde_json::from_str(&request.body).unwrap();
        self.points.fetch_add(body["amount"].as_u64().unwrap(), Ordering::Relaxed);
    }

    pub(crate) fn campaign(
        &self,
        path: &str,
        request: &Request,
        ways: &CouponWays,
    ) -> Option<String> {
        let body: Value = serde_json::from_str(&request.body).unwrap();
        let rest = path.strip_prefix("/api/v1/campaigns")?;
        let Some((id, verb)) = rest.strip_prefix('/').and_then(|rest| rest.split_once('/')) else {
            let mut campaigns = self.campaigns.lock().unwrap();
            campaigns.push((body["total"].as_u64().unwrap(), 0));
            let id = format!("cmp_{:013}", campaigns.len() - 1);
            return Some(with("201 Created", "", &json!({ "id": id }).to_string()));
        };
        if verb == "grants" {
            let users = body["userIds"].as_array().unwrap().len();
            let coupons: Vec<Value> =
                (0..users).map(|_| json!({ "couponId": self.id() })).collect();
            return Some(with("201 Created", "", &json!({ "coupons": coupons }).to_string()));
        }
        let earlier = self.issued.lock().unwrap().get(&request.key).cloned();
        earlier.or_else(|| Some(self.issue(id.strip_prefix("cmp_")?.parse().ok()?, request, ways)))
    }

    fn id(&self) -> String {
        format!("cpn_{:013}", self.given.fetch_add(1, Ordering::Relaxed))
    }

    fn issue(&self, campaign: usize, request: &Request, ways: &CouponWays) -> String {
        let mut campaigns = self.campaigns.lock().unwrap();
        let (total, issued) = &mut campaigns[campaign];
        if *issued >= *total + u64::from(ways.generous) {
            return with("409 Conflict", "", r#"{"code":"COUPON_EXHAUSTED"}"#);
        }
        *issued += 1;
        let position = if ways.confused { (*issued).max(2) } else { *issued };
        let body = json!({
            "couponId": self.id(), "position": position,
            "remaining": total.saturating_sub(position),
        });
        let answer = with("201 Created", "", &body.to_string());
        self.issued.lock().unwrap().insert(request.key.clone(), answer.clone());
        answer
    }
}

const LINE: &str = "coupons --units 50 --rate 1000 --duration 1s --warmup 100ms --connections 16";

#[test]
fn exactly_so_many_coupons() {
    let (of, _) = bench(Ways { proof: CLEAN, ..Ways::default() }, LINE);
    assert_eq!(of.outcomes["ISSUED"], 50);
    let positions = of.positions.unwrap();
    assert_eq!((positions.total, positions.told), (50, 50));
    assert_eq!((positions.doubled, positions.lies), (0, 0));
    for mark in &of.marks {
        assert!(mark.pass || mark.name == "requests/s", "{mark:?}");
    }
}

#[test]
fn one_coupon_too_many_is_seen() {
    let coupons = CouponWays { generous: true, ..CouponWays::default() };
    let (of, _) = bench(Ways { proof: CLEAN, coupons, ..Ways::default() }, LINE);
    let missed = |name: &str| of.marks.iter().any(|mark| mark.name == name && !mark.pass);
    assert!(missed("ISSUED") && missed("positions doubled"), "{:?}", of.marks);
}

#[test]
fn one_place_for_two_people_is_seen() {
    let coupons = CouponWays { confused: true, ..CouponWays::default() };
    let (of, _) = bench(Ways { proof: CLEAN, coupons, ..Ways::default() }, LINE);
    let positions = of.positions.unwrap();
    assert_eq!((positions.told, positions.doubled), (49, 1));
    assert!(!of.pass);
}

#[test]
fn a_full_order_brings_coupons_and_points() {
    let line = "spread --rate 300 --duration 1s --warmup 0 --connections 16";
    let (of, toy) = bench(Ways { proof: CLEAN, ..Ways::default() }, line);
    assert_eq!(of.conditions.coupons, 400, "whole campaigns");
    assert!(of.with_coupon >= 85 && of.with_points >= 60, "{} {}", of.with_coupon, of.with_points);
    assert_eq!(toy.seen.coupons.points.load(Ordering::Relaxed), 20 * 100_000_000);
    let (of, toy) = bench(Ways { proof: CLEAN, ..Ways::default() }, &format!("{line} --plain"));
    assert_eq!((of.with_coupon, of.with_points, of.conditions.coupons), (0, 0, 0));
    assert_eq!(toy.seen.coupons.points.load(Ordering::Relaxed), 0);
}
