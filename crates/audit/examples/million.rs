//! How long a proof of many orders takes, and in how much memory.
//!
//! ```sh
//! cargo run --release -p jangbu-audit --example million -- build DIR 1000000
//! cargo run --release -p jangbu-audit --example million -- full DIR 1000000
//! cargo run --release -p jangbu-audit --example million -- prove DIR
//! cargo run --release -p jangbu-audit --example million -- prove DIR postgres://… # its database is there
//! ```
//!
//! Nine orders in ten are sold (one to three lines), the others declined or refunded; 16 orders share
//! their commits. Full orders earn points, three in ten have a coupon, three in ten spend points, one in
//! twenty gives units back and half are sent; there is a customer to ten orders. `prove` prints the report and the peak of resident memory.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement run by hand")]

#[path = "../tests/it/full.rs"]
mod full;
#[path = "../tests/it/schema.rs"]
mod schema;
#[expect(dead_code, reason = "the tests use all of it")]
#[path = "../tests/it/shop.rs"]
mod shop;
#[expect(dead_code, reason = "the tests use all of it")]
#[path = "../tests/it/stories.rs"]
mod stories;

use std::path::Path;

use jangbu_audit::{Options, Store, prove};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["build", dir, orders] => build(Path::new(dir), orders.parse().unwrap()),
        ["full", dir, orders] => full(Path::new(dir), orders.parse().unwrap()),
        ["prove", dir] => show(&Options::new(*dir)),
        ["prove", dir, url] => {
            let (url, schema) = ((*url).to_owned(), "jangbu".to_owned());
            show(&Options { store: Store::Postgres { url, schema }, ..Options::new(*dir) });
        }
        _ => println!("build DIR ORDERS | full DIR ORDERS | prove DIR [URL]"),
    }
}

fn show(options: &Options) {
    println!("{}", prove(options).unwrap());
    println!("peak of resident memory: {}", peak());
}

fn build(dir: &Path, orders: usize) {
    std::fs::create_dir_all(dir).unwrap();
    let mut shop = shop::Shop::open(dir, 10_000);
    shop.batch = 16;
    for at in 0..orders {
        let sku = |step: usize| (1 + (at * 7_919 + step * 104_729) % 9_999, 1 + step.into_i64());
        let lines: Vec<(usize, i64)> = (0..=at % 3).map(sku).collect();
        shop.add(&match at % 20 {
            3 => stories::declined(&lines),
            7 => stories::refunded(&lines, 1, lines[0].0.into_i64() * 1_500, true),
            _ => stories::sold(&lines),
        });
    }
    shop.finish();
}

fn full(dir: &Path, orders: usize) {
    std::fs::create_dir_all(dir).unwrap();
    let mut shop = shop::Shop::open(dir, 10_000);
    shop.batch = 16;
    let mut full = full::Full::open(&mut shop);
    for at in 0..orders {
        let sku = |step: usize| (1 + (at * 7_919 + step * 104_729) % 9_999, 1 + step.into_i64());
        let lines: Vec<(usize, i64)> = (0..=at % 3).map(sku).collect();
        let wishes = full::Wishes {
            user: 1_000 + (at * 7 % orders.div_ceil(10)).into_i64(),
            coupon: at % 10 < 3,
            points: if at % 10 / 3 == 1 { [700, 333] } else { [0; 2] },
            back: (at % 20 == 7).then_some((1, 0)),
            sent: at % 2 == 0,
        };
        full.add(&lines, wishes);
    }
    full.close();
    shop.finish();
}

trait IntoI64 {
    fn into_i64(self) -> i64;
}

impl IntoI64 for usize {
    fn into_i64(self) -> i64 {
        i64::try_from(self).unwrap()
    }
}

fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    line.unwrap_or("unknown here").to_owned()
}
