//! What a page of products costs: fills a truth and a `derived.db` with a million products of one SKU
//! each, and asks for the first page and for one that lies deep, in every combination of filter and
//! order.
//!
//! ```text
//! cargo run --release -p jangbu-services --example shelf -- DIR [products]
//! ```
//!
//! Measured with the dev profile on two busy cores, everything in memory: 1,000,000 products,
//! `derived.db` 279 MiB; a page of 20 takes 0.2 to 2 ms by any index, up to 2.5 ms for 10 categories, 3
//! to 18 ms for 100, and 6 to 19 ms where 2,000 rows are looked at; a deep page costs what the first does.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement takes the time and tells its figures"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use jangbu_domain::catalog::category::along;
use jangbu_domain::catalog::model::{Product, Sku, State};
use jangbu_engine::port::{Backend, Datum, Mode, Store, WritePlan};
use jangbu_kernel::{CategoryId, Currency, Money, ProductId, SkuId, Time};
use jangbu_services::bound::Stored;
use jangbu_services::projections::shelf::{CATEGORY_CHILD, SHELF, folded, merchant};
use jangbu_services::queries::Queries;
use jangbu_services::queries::shelf::{Listed, Mark, Sort, Wish};
use jangbu_services::{projections, registry};
use jangbu_store::{Durability, Options, Sqlite};

const MERCHANTS: i64 = 1_000;
/// Ten roots with ten children with ten children each.
const LEAVES: i64 = 1_000;
const WORDS: [&str; 8] = ["Cotton", "Linen", "Wool", "Silk", "Denim", "Fleece", "면", "Canvas"];
const THINGS: [&str; 8] = ["tee", "shirt", "coat", "scarf", "jacket", "bag", "양말", "hat"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let dir = PathBuf::from(args.next().ok_or("where to? give a directory")?);
    let count: i64 = args.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let backend = |name: &str, tables, migrations| -> Arc<dyn Backend> {
        // Room for all indexes: a million rows in any order touch every page of them.
        let cache_kib = 600_000;
        let options = Options { durability: Durability::Normal, cache_kib, ..Options::default() };
        Arc::new(Sqlite::new(dir.join(name), tables, migrations).with_options(options))
    };
    let truth = backend("jangbu.db", registry::TABLES, registry::MIGRATIONS);
    let derived = backend("derived.db", projections::TABLES, projections::MIGRATIONS);
    std::fs::create_dir_all(&dir)?;
    if !dir.join("jangbu.db").exists() {
        let began = Instant::now();
        truth.with(&mut |store| fill(store, count, &truth_rows))?;
        println!("truth filled in {:.1} s", began.elapsed().as_secs_f64());
    }
    if !dir.join("derived.db").exists() {
        let began = Instant::now();
        derived.with(&mut |store| fill(store, count, &derived_rows))?;
        println!("shelf filled in {:.1} s", began.elapsed().as_secs_f64());
    }
    println!("{count} products; derived.db has {} MiB", mib(&dir.join("derived.db"))?);
    let queries = Queries::new(truth, derived);
    println!("| filter | order | first page ms | deep page ms | rows |");
    println!("|---|---|---|---|---|");
    for (name, wish) in wishes() {
        let first = measure(&queries, &wish)?;
        let deep = Wish { after: middle(&queries, &wish)?, ..wish.clone() };
        let later = measure(&queries, &deep)?;
        let order = format!("{:?}", wish.sort);
        println!(
            "| {name} | {order} | {:.2} | {:.2} | {}, {} |",
            first.0, later.0, first.1, later.1
        );
    }
    Ok(())
}

fn mib(path: &Path) -> std::io::Result<u64> {
    Ok(std::fs::metadata(path)?.len() >> 20)
}

/// Every product has a number, and everything about it follows.
fn name(n: i64) -> String {
    let at = |n: i64| usize::try_from(n & 7).unwrap_or(0);
    format!("{} {} {n}", WORDS[at(n * 7 + n / 11)], THINGS[at(n * 3 + n / 17)])
}

fn price(n: i64) -> i64 {
    1_000 + (n * 7_919 % 500) * 100
}

fn place(leaf: i64) -> Vec<CategoryId> {
    let code = |n: i64| format!("c{n}");
    let path = [code(leaf / 100), code(leaf / 10 % 10), code(leaf % 10)];
    along(path.iter().map(String::as_str))
}

fn leaf(n: i64) -> i64 {
    n * 104_729 % LEAVES
}

fn seller(n: i64) -> String {
    format!("m-{}", n * 31 % MERCHANTS)
}

fn fill(store: &mut dyn Store, count: i64, rows: &dyn Fn(i64, &mut WritePlan)) {
    let mut plan = WritePlan::default();
    for n in 1..=count {
        rows(n, &mut plan);
        if n % 20_000 == 0 || n == count {
            plan.sort();
            let write = |store: &mut dyn Store, plan: &WritePlan| {
                let mut tx = store.begin()?;
                tx.write(plan)?;
                tx.commit()
                    .map_err(|error| jangbu_engine::port::Fault::Fatal(error.to_string()))?;
                store.between()
            };
            if let Err(fault) = write(store, &plan) {
                panic!("{fault}");
            }
            plan.clear();
        }
    }
}

fn truth_rows(n: i64, plan: &mut WritePlan) {
    let product = Product {
        id: ProductId(2 * n),
        merchant: seller(n).into(),
        name: name(n).into(),
        state: State::Published,
        skus: vec![SkuId(2 * n + 1)],
        at: Time(n),
        description: "A thing.".into(),
        category: place(leaf(n)).pop(),
        options: Vec::new(),
        choices: Vec::new(),
    };
    let sku = Sku {
        id: SkuId(2 * n + 1),
        product: product.id,
        name: "one".into(),
        price: Money::new(price(n), Currency::KRW),
        price_version: 1,
        code: Some(format!("T-{n}").into()),
        planned: Vec::new(),
    };
    let mut row = plan.row(Product::TABLE, Mode::Insert);
    row.int(product.id.0);
    product.write(&mut row);
    row.int(1);
    let mut row = plan.row(Sku::TABLE, Mode::Insert);
    row.int(sku.id.0);
    sku.write(&mut row);
    row.int(1);
}

fn derived_rows(n: i64, plan: &mut WritePlan) {
    if n <= LEAVES {
        let ids = place(n - 1);
        for (at, (parent, id)) in
            std::iter::once(0).chain(ids.iter().map(|id| id.0)).zip(&ids).enumerate()
        {
            let depth = i64::try_from(at).unwrap_or(0) + 1;
            plan.row(&CATEGORY_CHILD, Mode::Upsert).int(parent).int(id.0).int(depth);
        }
    }
    plan.row(&SHELF, Mode::Upsert)
        .int(2 * n)
        .int(i64::from(n % 50 != 0))
        .int(merchant(&seller(n)))
        .int(place(leaf(n)).pop().map_or(0, |id| id.0))
        .text("KRW")
        .int(price(n))
        .text(&folded(&name(n)));
}

/// Every filter with every order.
fn wishes() -> Vec<(String, Wish)> {
    let plain = Wish {
        published: Some(true),
        merchant: None,
        category: None,
        prices: [None, None],
        currency: Some(Currency::KRW),
        prefix: None,
        sort: Sort::Newest,
        after: None,
        limit: 20,
    };
    let category = |levels: usize| place(123).get(levels - 1).copied();
    let filters = [
        ("on sale", Wish { currency: None, ..plain.clone() }),
        ("all states", Wish { published: None, currency: None, ..plain.clone() }),
        ("merchant", Wish { merchant: Some("m-7".into()), currency: None, ..plain.clone() }),
        ("category", Wish { category: category(3), currency: None, ..plain.clone() }),
        ("10 categories", Wish { category: category(2), currency: None, ..plain.clone() }),
        ("100 categories", Wish { category: category(1), currency: None, ..plain.clone() }),
        ("price range", Wish { prices: [Some(20_000), Some(25_000)], ..plain.clone() }),
        ("prefix", Wish { prefix: Some("linen sh".into()), currency: None, ..plain.clone() }),
        (
            "merchant + category",
            Wish { merchant: Some("m-7".into()), category: category(1), currency: None, ..plain },
        ),
    ];
    let sorts = [Sort::Newest, Sort::PriceUp, Sort::PriceDown, Sort::Name];
    let with = |(name, wish): &(&str, Wish)| {
        sorts.map(|sort| ((*name).to_owned(), Wish { sort, ..wish.clone() }))
    };
    filters.iter().flat_map(with).collect()
}

/// Somewhere in the middle of a list: behind a value of its middle.
fn middle(queries: &Queries, wish: &Wish) -> Result<Option<Mark>, Box<dyn std::error::Error>> {
    let value = match wish.sort {
        Sort::Newest => Datum::Int(0),
        Sort::PriceUp | Sort::PriceDown => Datum::Int(23_000),
        Sort::Name => Datum::Text("linen shirt 5".into()),
    };
    let after = Some(Mark { value, product: ProductId(1_000_000) });
    let page = queries.shelf(&Wish { after, limit: 1, ..wish.clone() })?;
    Ok(page.next)
}

/// The mean of 50 pages in milliseconds, and the length of one.
fn measure(queries: &Queries, wish: &Wish) -> Result<(f64, usize), Box<dyn std::error::Error>> {
    let mut length = queries.shelf(wish)?.items.len();
    let began = Instant::now();
    for _ in 0..50 {
        let Listed { items, next: _ } = queries.shelf(wish)?;
        length = items.len();
    }
    Ok((began.elapsed().as_secs_f64() * 1_000.0 / 50.0, length))
}
