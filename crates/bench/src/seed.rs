//! Puts the products on sale, through the API like any other merchant.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use indicatif::ProgressBar;
use serde_json::{Value, json};

use crate::Error;
use crate::control::{Address, Call, Client};
use crate::world::{Id, Product, merchant, price};

/// Threads with one connection each.
const WIDTH: usize = 32;

/// What to seed and as whom.
#[derive(Debug)]
pub(crate) struct Seeding<'a> {
    pub(crate) address: &'a Address,
    pub(crate) operator_key: &'a str,
    /// Start of every idempotency key.
    pub(crate) tag: &'a str,
    /// Units of each product.
    pub(crate) stock: &'a [u64],
}

/// Creates one published product with one SKU per entry of `stock`.
pub(crate) fn products(seeding: &Seeding<'_>, bar: &ProgressBar) -> Result<Vec<Product>, Error> {
    let count = seeding.stock.len();
    let (made, failure) = (Mutex::new(vec![None; count]), Mutex::new(None));
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut client =
            Client::new(seeding.address, seeding.operator_key, Duration::from_secs(30));
        while let Some(index) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|&i| i < count) {
            match create(&mut client, seeding, index) {
                Ok(product) => locked(&made)[index] = Some(product),
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
    Ok(locked(&made).iter().copied().flatten().collect())
}

fn create(client: &mut Client, seeding: &Seeding<'_>, index: usize) -> Result<Product, Error> {
    let price = price(index);
    let body = json!({
        "merchantId": merchant(index),
        "name": format!("Product {index}"),
        "publish": true,
        "skus": [{
            "name": "one size",
            "price": { "amount": price, "currency": "KRW" },
            "stock": seeding.stock[index],
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
