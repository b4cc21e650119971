//! Tables of rules: a line is one commit, `commands => answers`; `offers` shows what it left.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "test oracles count in plain numbers and may panic"
)]

mod properties;
mod world;

use jangbu_kernel::domain::Coded;
use jangbu_kernel::{Currency, Domain, Money, ProductId, SkuId};

use self::world::{Answer, World};
use super::Catalog;
use super::command::{Command, Event, NewSku, Reject, Reply};
use super::model::{Sku, State};

fn check(table: &str) {
    let mut world = World::default();
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (asked, expected) = line.split_once(" => ").unwrap();
        assert_eq!(answer(&mut world, asked.trim()), expected, "{line}");
    }
}

fn answer(world: &mut World, line: &str) -> String {
    if line == "offers" {
        let said: Vec<_> = world.said.iter().map(show_offer).collect();
        return if said.is_empty() { "none".to_owned() } else { said.join(", ") };
    }
    let batch: Vec<_> = line.split(';').map(command).collect();
    world.commit(&batch).iter().map(show).collect::<Vec<_>>().join("; ")
}

/// `create P1 merchant/name S1:100KRW …`, and `publish` or `draft` at the end.
fn command(text: &str) -> Command {
    let words: Vec<&str> = text.split_whitespace().collect();
    match words.as_slice() {
        ["create", product, named, skus @ .., last] => {
            let (merchant, name) = named.split_once('/').unwrap();
            let (skus, publish) = (skus.iter().map(|word| new_sku(word)), *last == "publish");
            let skus = skus.collect();
            let (product, name) = (ProductId(number(product)), name_of(name).into());
            Command::Create { product, merchant: name_of(merchant).into(), name, skus, publish }
        }
        ["publish", product] => Command::Publish { product: ProductId(number(product)) },
        ["price", sku, amount] => {
            Command::SetPrice { sku: SkuId(number(sku)), price: money(amount) }
        }
        _ => panic!("no command: {text}"),
    }
}

/// `S1:100KRW`, or `S1:100KRW:name`.
fn new_sku(word: &str) -> NewSku {
    let mut parts = word.split(':');
    let (sku, price) = (parts.next().unwrap(), parts.next().unwrap());
    let name = name_of(parts.next().unwrap_or("M"));
    NewSku { sku: SkuId(number(sku)), name: name.into(), price: money(price) }
}

fn name_of(word: &str) -> String {
    match word {
        "NONE" => String::new(),
        "BLANK" => " ".to_owned(),
        "FULL" => "가".repeat(200),
        "LONG" => "가".repeat(201),
        _ => word.to_owned(),
    }
}

fn number(word: &str) -> i64 {
    word.trim_start_matches(['P', 'S']).parse().unwrap()
}

fn money(word: &str) -> Money {
    let (amount, currency) = word.split_at(word.len().checked_sub(3).unwrap());
    let amount = if amount == "MAX" { Money::MAX } else { amount.parse().unwrap() };
    Money::new(amount, Currency::parse(currency).unwrap())
}

fn show(answer: &Answer) -> String {
    let Reply { product, skus } = match answer {
        Ok(reply) => reply,
        Err(reject) => return reject.code().to_owned(),
    };
    let state = format!("{:?}", product.state).to_lowercase();
    let sku = |sku: &Sku| {
        assert_eq!(sku.product, product.id);
        format!(" S{}:{}{}#{}", sku.id.0, sku.price.amount, sku.price.currency, sku.price_version)
    };
    format!("{state} P{}{}", product.id.0, skus.iter().map(sku).collect::<String>())
}

fn show_offer(event: &Event) -> String {
    let Event::Offered { product, sku, merchant, price, on_sale, price_version } = event;
    let sale = if *on_sale { "on sale" } else { "hidden" };
    format!("P{} S{} {merchant} {price} #{price_version} {sale}", product.0, sku.0)
}

/// One test per table, and the list of all tables for [`every_code_has_a_line`].
macro_rules! tables {
    ($($name:ident: $text:literal)*) => {
        $(#[test] fn $name() { check($text); })*
        const TABLES: &[&str] = &[$($text),*];
    };
}

tables! {
    a_product_is_made_once: "
        create P1 shop/tea S2:100KRW:L S1:0KRW:M draft => draft P1 S2:100KRW#1 S1:0KRW#1
        offers => P1 S2 shop 100 KRW #1 hidden, P1 S1 shop 0 KRW #1 hidden
        create P1 shop/tea S2:100KRW:L S1:0KRW:M draft => draft P1 S2:100KRW#1 S1:0KRW#1
        offers => none
        create P1 shop/tea S2:100KRW:L S1:0KRW:M publish => PRODUCT_DIFFERS
        create P1 mart/tea S2:100KRW:L S1:0KRW:M draft => PRODUCT_DIFFERS
        create P1 shop/oil S2:100KRW:L S1:0KRW:M draft => PRODUCT_DIFFERS
        create P1 shop/tea S1:0KRW:M S2:100KRW:L draft => PRODUCT_DIFFERS
        create P1 shop/tea S2:100KRW:L draft => PRODUCT_DIFFERS
        create P1 shop/tea S2:101KRW:L S1:0KRW:M draft => PRODUCT_DIFFERS
        create P1 shop/tea S2:100KRW:X S1:0KRW:M draft => PRODUCT_DIFFERS
        create P1 shop/tea S2:100USD:L S1:0USD:M draft => PRODUCT_DIFFERS
        create P2 shop/oil S3:5KRW S1:5KRW draft => PRODUCT_DIFFERS
        create P2 shop/oil S3:5KRW S3:5KRW draft => PRODUCT_DIFFERS
    "
    a_repeated_create_shows_the_product_as_it_is_now: "
        create P1 shop/tea S1:100KRW draft => draft P1 S1:100KRW#1
        publish P1 => published P1 S1:100KRW#1
        price S1 120KRW => published P1 S1:120KRW#2
        create P1 shop/tea S1:100KRW draft => published P1 S1:120KRW#2
        create P1 shop/tea S1:100KRW publish => published P1 S1:120KRW#2
        create P1 shop/tea S1:100USD draft => PRODUCT_DIFFERS
    "
    names_prices_and_counts_are_checked: "
        create P1 NONE/tea S1:1KRW draft => NAME_INVALID
        create P1 shop/BLANK S1:1KRW draft => NAME_INVALID
        create P1 LONG/tea S1:1KRW draft => NAME_INVALID
        create P1 shop/LONG S1:1KRW draft => NAME_INVALID
        create P1 shop/tea S1:1KRW:NONE draft => NAME_INVALID
        create P1 shop/tea S1:1KRW:M S2:1KRW:LONG draft => NAME_INVALID
        create P1 shop/tea draft => SKU_COUNT_INVALID
        create P1 shop/tea S1:-1KRW draft => PRICE_INVALID
        create P1 shop/tea S1:1000000000000001KRW draft => PRICE_INVALID
        create P1 shop/tea S1:1KRW S2:1USD draft => CURRENCY_MIXED
        create P1 FULL/FULL S1:MAXKRW:FULL draft => draft P1 S1:1000000000000000KRW#1
    "
    a_product_goes_on_sale_once: "
        publish P1 => PRODUCT_UNKNOWN
        create P1 shop/tea S1:100KRW S2:100KRW draft => draft P1 S1:100KRW#1 S2:100KRW#1
        publish P1 => published P1 S1:100KRW#1 S2:100KRW#1
        offers => P1 S1 shop 100 KRW #1 on sale, P1 S2 shop 100 KRW #1 on sale
        publish P1 => published P1 S1:100KRW#1 S2:100KRW#1
        offers => none
        create P2 shop/oil S3:5KRW publish => published P2 S3:5KRW#1
        offers => P2 S3 shop 5 KRW #1 on sale
    "
    a_price_change_counts_and_is_offered: "
        price S1 5KRW => SKU_UNKNOWN
        create P1 shop/tea S1:100KRW S2:100KRW publish => published P1 S1:100KRW#1 S2:100KRW#1
        price S1 -1KRW => PRICE_INVALID
        price S1 1000000000000001KRW => PRICE_INVALID
        price S1 100USD => CURRENCY_MIXED
        price S1 100KRW => published P1 S1:100KRW#1
        offers => none
        price S1 90KRW => published P1 S1:90KRW#2
        offers => P1 S1 shop 90 KRW #2 on sale
        price S1 100KRW => published P1 S1:100KRW#3
        price S1 0KRW => published P1 S1:0KRW#4
        publish P1 => published P1 S1:0KRW#4 S2:100KRW#1
    "
    a_whole_life_in_one_commit: "
        create P1 shop/tea S1:9KRW draft; price S1 8KRW; publish P1; price S1 7KRW; publish P2 => draft P1 S1:9KRW#1; draft P1 S1:8KRW#2; published P1 S1:8KRW#2; published P1 S1:7KRW#3; PRODUCT_UNKNOWN
        offers => P1 S1 shop 9 KRW #1 hidden, P1 S1 shop 8 KRW #2 hidden, P1 S1 shop 8 KRW #2 on sale, P1 S1 shop 7 KRW #3 on sale
    "
}

#[test]
fn a_product_has_up_to_a_hundred_skus() {
    let create = |n: i64| {
        let sku = |id| NewSku { sku: SkuId(id), name: "M".into(), price: money("5KRW") };
        let (product, skus) = (ProductId(1), (1..=n).map(sku).collect());
        Command::Create { product, merchant: "m".into(), name: "n".into(), skus, publish: true }
    };
    let mut world = World::default();
    assert_eq!(world.run(&create(101)), Err(Reject::SkuCountInvalid));
    assert_eq!(world.run(&create(100)).unwrap().skus.len(), 100);
}

#[test]
fn every_code_has_a_line() {
    let all = [
        Reject::NameInvalid,
        Reject::PriceInvalid,
        Reject::SkuCountInvalid,
        Reject::CurrencyMixed,
        Reject::ProductUnknown,
        Reject::SkuUnknown,
        Reject::ProductDiffers,
    ];
    for (at, reject) in all.iter().enumerate() {
        assert_eq!(ordinal(reject), at, "{reject:?} is not where it belongs in `all`");
        let line = format!("=> {}", reject.code());
        assert!(TABLES.iter().any(|table| table.contains(&line)), "no table shows {line}");
    }
    assert_eq!(all.len(), ordinal(&Reject::ProductDiffers) + 1, "`all` lacks the last variants");
}

/// Without a wildcard: a new variant does not compile until it is counted here.
fn ordinal(reject: &Reject) -> usize {
    match reject {
        Reject::NameInvalid => 0,
        Reject::PriceInvalid => 1,
        Reject::SkuCountInvalid => 2,
        Reject::CurrencyMixed => 3,
        Reject::ProductUnknown => 4,
        Reject::SkuUnknown => 5,
        Reject::ProductDiffers => 6,
    }
}

#[test]
fn numbers_in_the_store_are_those_of_the_contract() {
    assert_eq!([1, 2].map(State::from_code), [Some(State::Draft), Some(State::Published)]);
    assert_eq!([State::Draft, State::Published].map(State::code), [1, 2]);
    assert_eq!([0, 3].map(State::from_code), [None, None]);
}

#[test]
#[should_panic(expected = "catalog has no timers")]
fn a_timer_of_catalog_is_a_bug() {
    Catalog::wake("product", 1);
}
