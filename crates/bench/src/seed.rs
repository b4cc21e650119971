//! Puts the products on sale, and coupons and points into the hands of the buyers, through the API
//! like anybody else.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use indicatif::ProgressBar;
use serde_json::{Value, json};

use crate::Error;
use crate::control::{Address, Call, Client};
use crate::purse::{CAMPAIGNS, POINTS, owner, user};
use crate::world::{Id, Product, merchant, price};

/// Threads with one connection each.
const WIDTH: usize = 32;
/// Coupons that one request gives away.
const GRANT: usize = 500;

/// What to seed and as whom.
#[derive(Debug)]
pub(crate) struct Seeding<'a> {
    pub(crate) address: &'a Address,
    pub(crate) operator_key: &'a str,
    /// Start of every idempotency key.
    pub(crate) tag: &'a str,
}

/// Creates one published product with one SKU per entry of `stock`.
pub(crate) fn products(
    seeding: &Seeding<'_>,
    stock: &[u64],
    bar: &ProgressBar,
) -> Result<Vec<Product>, Error> {
    each(seeding, stock.len(), bar, |client, index| create(client, seeding, index, stock[index]))
}

/// Gives every user points.
pub(crate) fn points(seeding: &Seeding<'_>, users: u64, bar: &ProgressBar) -> Result<(), Error> {
    let users = usize::try_from(users).unwrap_or(0);
    each(seeding, users, bar, |client, index| {
        let user = text(&user(index as u64));
        let body = json!({ "amount": POINTS, "reason": "load test" }).to_string();
        let key = format!("{}-points-{index}", seeding.tag);
        let path = format!("/api/v1/users/{user}/points/grants");
        let call = Call { method: "POST", path: &path, key: Some(&key), body: &body };
        client.expect(&call).map(|_| ())
    })?;
    Ok(())
}

/// Makes the campaigns and gives `count` coupons away; coupon `k` is the `k`-th of the list.
pub(crate) fn coupons(
    seeding: &Seeding<'_>,
    (draw, count): ((u64, u64), usize),
    bar: &ProgressBar,
) -> Result<Vec<Id>, Error> {
    let per_campaign = count / CAMPAIGNS;
    let idle = ProgressBar::hidden();
    let campaigns = each(seeding, CAMPAIGNS, &idle, |client, index| {
        campaign(client, seeding, &terms(index, per_campaign), index)
    })?;
    let calls = per_campaign.div_ceil(GRANT);
    let given = each(seeding, CAMPAIGNS * calls, bar, |client, call| {
        let (at, call) = (call % CAMPAIGNS, call / CAMPAIGNS);
        let first = call * GRANT;
        let own = (first..per_campaign.min(first + GRANT)).map(|turn| turn * CAMPAIGNS + at);
        let own: Vec<usize> = own.collect();
        let users = own.iter().map(|&coupon| text(&user(owner(draw, coupon)))).collect();
        let order = Grant { campaign: &campaigns[at], at: (at, call), users };
        let ids = grant(client, seeding, &order)?;
        Ok(own.into_iter().zip(ids).collect::<Vec<_>>())
    })?;
    let mut coupons: Vec<(usize, Id)> = given.into_iter().flatten().collect();
    coupons.sort_unstable_by_key(|(coupon, _)| *coupon);
    Ok(coupons.into_iter().map(|(_, id)| id).collect())
}

/// Campaigns of the `coupons` preset, with so many coupons each.
pub(crate) fn campaigns_of(seeding: &Seeding<'_>, totals: [u64; 2]) -> Result<[String; 2], Error> {
    let mut client = Client::new(seeding.address, seeding.operator_key, Duration::from_secs(30));
    let discount = json!({ "type": "FIXED", "amount": 1_000 });
    let mut make = |index: usize| {
        let terms = campaign_terms(&format!("First come {index}"), &discount, totals[index], 1);
        campaign(&mut client, seeding, &terms, index)
    };
    Ok([make(0)?, make(1)?])
}

/// Does `work` for each number below `count`, on several connections; the results in order.
fn each<T: Send + Clone>(
    seeding: &Seeding<'_>,
    count: usize,
    bar: &ProgressBar,
    work: impl Fn(&mut Client, usize) -> Result<T, Error> + Sync,
) -> Result<Vec<T>, Error> {
    let (made, failure) = (Mutex::new(vec![None; count]), Mutex::new(None));
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut client =
            Client::new(seeding.address, seeding.operator_key, Duration::from_secs(30));
        while let Some(index) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|&i| i < count) {
            match work(&mut client, index) {
                Ok(done) => locked(&made)[index] = Some(done),
                Err(error) => {
                    next.store(count, Ordering::Relaxed);
                    locked(&failure).get_or_insert(error);
                }
            }
            bar.inc(1);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..WIDTH.min(count) {
            scope.spawn(worker);
        }
    });
    if let Some(error) = locked(&failure).take() {
        return Err(error);
    }
    Ok(locked(&made).drain(..).flatten().collect())
}

/// Half of the campaigns take off a fixed amount, half a share with a cap.
fn terms(index: usize, coupons: usize) -> Value {
    let kind = if index.is_multiple_of(2) {
        json!({ "type": "FIXED", "amount": 500 })
    } else {
        json!({ "type": "PERCENT", "basisPoints": 1_000, "cap": 500 })
    };
    campaign_terms(&format!("Campaign {index}"), &kind, coupons as u64, coupons as u64)
}

/// The terms of a campaign of the platform.
fn campaign_terms(name: &str, kind: &Value, total: u64, per_user: u64) -> Value {
    json!({ "name": name, "discount": kind, "currency": "KRW", "total": total, "perUser": per_user })
}

/// Makes a campaign; gives its id.
fn campaign(
    client: &mut Client,
    seeding: &Seeding<'_>,
    terms: &Value,
    index: usize,
) -> Result<String, Error> {
    let (key, body) = (format!("{}-campaign-{index}", seeding.tag), terms.to_string());
    let call = Call { method: "POST", path: "/api/v1/campaigns", key: Some(&key), body: &body };
    let answer = client.expect(&call)?;
    let made: Value = serde_json::from_slice(&answer).unwrap_or_default();
    made["id"]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| Error::Http("a campaign without id".into()))
}

/// One request that gives coupons away.
struct Grant<'a> {
    campaign: &'a str,
    /// Number of the campaign, and of the request to it.
    at: (usize, usize),
    users: Vec<String>,
}

/// Gives coupons to their owners; their ids, in the same order.
fn grant(client: &mut Client, seeding: &Seeding<'_>, grant: &Grant<'_>) -> Result<Vec<Id>, Error> {
    let Grant { campaign, at, users } = grant;
    let key = format!("{}-grant-{}-{}", seeding.tag, at.0, at.1);
    let path = format!("/api/v1/campaigns/{campaign}/grants");
    let body = json!({ "userIds": users }).to_string();
    let call = Call { method: "POST", path: &path, key: Some(&key), body: &body };
    let made: Value = serde_json::from_slice(&client.expect(&call)?).unwrap_or_default();
    let ids = made["coupons"].as_array().map(Vec::as_slice).unwrap_or_default();
    let id =
        |coupon: &Value| -> Option<Id> { coupon["couponId"].as_str()?.as_bytes().try_into().ok() };
    let ids: Vec<Id> = ids.iter().filter_map(id).collect();
    if ids.len() == users.len() {
        return Ok(ids);
    }
    Err(Error::Http(format!("{} coupons were given instead of {}", ids.len(), users.len())))
}

fn text(id: &Id) -> String {
    String::from_utf8_lossy(id).into_owned()
}

fn create(
    client: &mut Client,
    seeding: &Seeding<'_>,
    index: usize,
    stock: u64,
) -> Result<Product, Error> {
    let price = price(index);
    let body = json!({
        "merchantId": merchant(index),
        "name": format!("Product {index}"),
        "publish": true,
        "skus": [{
            "name": "one size",
            "price": { "amount": price, "currency": "KRW" },
            "stock": stock,
        }],
    });
    let (key, body) = (format!("{}-product-{index}", seeding.tag), body.to_string());
    let call = Call { method: "POST", path: "/api/v1/products", key: Some(&key), body: &body };
    let answer = client.expect(&call)?;
    let sku = sku_of(&answer).ok_or_else(|| {
        Error::Http(format!("a product without a SKU id: {}", String::from_utf8_lossy(&answer)))
    })?;
    Ok(Product { sku, price })
}

fn sku_of(answer: &[u8]) -> Option<Id> {
    let product: Value = serde_json::from_slice(answer).ok()?;
    product["skus"][0]["id"].as_str()?.as_bytes().try_into().ok()
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
