//! `jangbu demo`: a Korean shop to play with, of any size, made over HTTP: merchants, categories,
//! products, campaigns, and customers with points. Run twice, it changes nothing: every call has
//! its own idempotency key, and customers who are there log in.

mod goods;
mod welcome;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::args;
use crate::exit::{self, Exit};
use crate::keys::{self, KeyFiles};

/// Requests under way at a time.
const AT_ONCE: usize = 8;
/// Name, discount, coupons in all.
type Campaign = (&'static str, fn() -> Value, u64);
const CAMPAIGNS: [Campaign; 3] = [
    ("첫 구매 5,000원", || json!({ "type": "FIXED", "amount": 5_000 }), 10_000),
    ("선착순 100명 30%", || json!({ "type": "PERCENT", "basisPoints": 3_000, "cap": 20_000 }), 100),
    ("주말 10%", || json!({ "type": "PERCENT", "basisPoints": 1_000, "cap": 10_000 }), 5_000),
];
/// Names of customers; the rest of them are numbered.
const PEOPLE: [(&str, &str); 5] = [
    ("김서연", "seoyeon"),
    ("이도윤", "doyun"),
    ("박하은", "haeun"),
    ("최지호", "jiho"),
    ("정수아", "sua"),
];
/// The password of every customer of the demo.
const PASSWORD: &str = "jangbu-demo-2026";

/// What was made.
struct Shop {
    products: Vec<Value>,
    campaigns: Vec<Value>,
    users: Vec<Value>,
}

pub(crate) fn demo(args: &args::Demo) -> Result<Exit> {
    let files = KeyFiles::of(&args.data);
    let target = Target {
        url: args.target.trim_end_matches('/').to_owned(),
        operator: keys::read(&files.operator)?.reveal().to_owned(),
        agent: ureq::Agent::config_builder().http_status_as_error(false).build().into(),
    };
    let shop = make(&target, args)?;
    let text = if args.json {
        let Shop { products, campaigns, users } = shop;
        let made = json!({ "products": products, "campaigns": campaigns, "users": users });
        serde_json::to_string_pretty(&made)? + "\n"
    } else {
        welcome::text(&target.url, &files, &shop)
    };
    exit::print(&text)
}

fn make(target: &Target, args: &args::Demo) -> Result<Shop> {
    for (code, name) in goods::MERCHANTS {
        let body = json!({ "merchantId": code, "name": name });
        target.make("/api/v1/merchants", &format!("demo-merchant-{code}"), &body)?;
    }
    let categories = categories(target)?;
    let products =
        each("products", args.products, |n| target.product(n, &goods::product(n), &categories))?;
    let campaigns = each("campaigns", CAMPAIGNS.len(), |n| target.campaign(n))?;
    let users = each("customers", args.users, |n| target.customer(n))?;
    Ok(Shop { products, campaigns, users })
}

/// Ids of the categories by code.
fn categories(target: &Target) -> Result<BTreeMap<&'static str, Value>> {
    let mut ids = BTreeMap::new();
    for [(above, name), (code, of_leaf)] in goods::categories() {
        for (code, name, parent) in [(above, name, None), (code, of_leaf, Some(above))] {
            if ids.contains_key(code) {
                continue;
            }
            let parent = parent.and_then(|above| ids.get(above)).cloned();
            let body = json!({ "code": code, "name": name, "parentId": parent });
            let made =
                target.make("/api/v1/categories", &format!("demo-category-{code}"), &body)?;
            ids.insert(code, made["id"].clone());
        }
    }
    Ok(ids)
}

/// Does `work` for each number below `count`, some at a time; the results in order.
fn each(
    what: &'static str,
    count: usize,
    work: impl Fn(usize) -> Result<Value> + Sync,
) -> Result<Vec<Value>> {
    let bar = ProgressBar::new(count as u64);
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    bar.set_message(what);
    let (next, made) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(count)));
    let worker = || -> Result<()> {
        while let Some(n) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|&n| n < count) {
            let one = work(n).inspect_err(|_| next.store(count, Ordering::Relaxed))?;
            made.lock().map_err(|_| anyhow::anyhow!("another thread failed"))?.push((n, one));
            bar.inc(1);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE.min(count)).map(|_| scope.spawn(worker)).collect();
        let ended = workers.into_iter().map(|worker| {
            worker.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a thread has failed")))
        });
        ended.collect::<Result<Vec<()>>>()
    })?;
    bar.finish_and_clear();
    let mut made = made.into_inner().map_err(|_| anyhow::anyhow!("a thread has failed"))?;
    made.sort_by_key(|(n, _)| *n);
    Ok(made.into_iter().map(|(_, one)| one).collect())
}

/// The shop that is filled.
struct Target {
    url: String,
    operator: String,
    agent: ureq::Agent,
}

impl Target {
    /// Status and body of a POST.
    fn post(&self, path: &str, key: &str, body: &Value) -> Result<(u16, Value)> {
        let url = format!("{}{path}", self.url);
        let mut answer = self
            .agent
            .post(&url)
            .header("Authorization", format!("Bearer {}", self.operator))
            .header("Idempotency-Key", key)
            .send_json(body)
            .with_context(|| format!("POST {url}; is the shop running?"))?;
        let made: Value = answer.body_mut().read_json().context("the answer is no JSON")?;
        Ok((answer.status().as_u16(), made))
    }

    /// Makes something, or finds that it was made before.
    fn make(&self, path: &str, key: &str, body: &Value) -> Result<Value> {
        let (status, made) = self.post(path, key, body)?;
        anyhow::ensure!(matches!(status, 200 | 201), "POST {path} was refused ({status}): {made}");
        Ok(made)
    }

    fn product(
        &self,
        n: usize,
        product: &goods::Product,
        categories: &BTreeMap<&'static str, Value>,
    ) -> Result<Value> {
        let sku = |(at, sku): (usize, &goods::Sku)| {
            let price = json!({ "amount": sku.price, "currency": "KRW" });
            let code = format!("D{n:06}-{}", at + 1);
            json!({ "code": code, "values": sku.values, "price": price, "stock": sku.stock })
        };
        let skus: Vec<Value> = product.skus.iter().enumerate().map(sku).collect();
        let [_, (category, _)] = product.category;
        let body = json!({
            "merchantId": product.merchant, "name": product.name, "publish": true,
            "categoryId": categories.get(category), "options": product.options, "skus": skus,
        });
        self.make("/api/v1/products", &format!("demo-product-{n}"), &body)
    }

    fn campaign(&self, n: usize) -> Result<Value> {
        let (name, discount, total) = CAMPAIGNS[n];
        let body = json!({
            "name": name, "discount": discount(), "currency": "KRW", "total": total, "perUser": 1,
        });
        self.make("/api/v1/campaigns", &format!("demo-campaign-{n}"), &body)
    }

    /// A customer with a session and 10,000 points.
    fn customer(&self, n: usize) -> Result<Value> {
        let (name, email) = PEOPLE.get(n).map_or_else(
            || (format!("고객 {n}"), format!("customer{n}@example.com")),
            |(name, email)| ((*name).to_owned(), format!("{email}@example.com")),
        );
        let body = json!({ "email": email, "password": PASSWORD, "name": name });
        let (status, made) = self.post("/api/v1/users", "", &body)?;
        let known = made["code"] == "EMAIL_TAKEN";
        anyhow::ensure!(status == 201 || known, "{email} was refused ({status}): {made}");
        let login = json!({ "email": email, "password": PASSWORD });
        let session = self.make("/api/v1/sessions", "", &login)?;
        let user = session["userId"].as_str().unwrap_or_default().to_owned();
        let points = json!({ "amount": 10_000, "reason": "가입 축하" });
        let path = format!("/api/v1/users/{user}/points/grants");
        self.make(&path, &format!("demo-points-{n}"), &points)?;
        Ok(json!({ "id": user, "email": email }))
    }
}
