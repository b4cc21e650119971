//! Tables of rules: a line is one commit, `commands => answers`; `offers` shows what it left.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "test oracles count in plain numbers and may panic"
)]

mod import;
mod properties;
mod world;

use jangbu_kernel::domain::Coded;
use jangbu_kernel::{CategoryId, Currency, Domain, Money, ProductId, SkuId, Time};

use self::world::{Answer, World};
use super::Catalog;
use super::category;
use super::command::{About, Change, Command, Event, NewSku, Offered, Place, Reject, Reply};
use super::model::{PriceKey, Product, Sku, State};
use super::option;

fn check(table: &str) {
    check_in(&mut World::default(), table);
}

fn check_in(world: &mut World, table: &str) {
    for line in table.lines().map(str::trim_start).filter(|line| !line.trim().is_empty()) {
        let (asked, expected) = line.split_once(" => ").unwrap();
        assert_eq!(answer(world, asked.trim()), expected, "{line}");
    }
}

fn answer(world: &mut World, line: &str) -> String {
    match line.split_whitespace().collect::<Vec<_>>().as_slice() {
        ["offers"] => {
            let said: Vec<_> = world.said.iter().flat_map(offers).map(show_offer).collect();
            return if said.is_empty() { "none".to_owned() } else { said.join(", ") };
        }
        ["events"] => return world.said.iter().map(show_event).collect::<Vec<_>>().join(", "),
        ["history", sku] => return history(world, SkuId(number(sku))),
        ["product", id] => return show_product(&world.store.product[&ProductId(number(id))].0),
        ["at", now] => {
            world.now = now.parse().unwrap();
            return "ok".to_owned();
        }
        _ => {}
    }
    let batch: Vec<_> = line.split(';').map(command).collect();
    world.commit(&batch).iter().map(show).collect::<Vec<_>>().join("; ")
}

/// `create P1 merchant/name S1:100KRW …`, and `publish` or `draft` at the end.
fn command(text: &str) -> Command {
    let words: Vec<&str> = text.split_whitespace().collect();
    match words.as_slice() {
        ["create", product, named, words @ .., last] => {
            let (merchant, name) = named.split_once('/').unwrap();
            let skus = words.iter().filter(|word| word.starts_with('S')).map(|word| new_sku(word));
            let (skus, publish) = (skus.collect(), *last == "publish");
            let (product, name) = (ProductId(number(product)), name_of(name).into());
            let (merchant, about) = (name_of(merchant).into(), about(words));
            Command::Create { product, merchant, name, about, skus, publish }
        }
        ["publish", product] => Command::Publish { product: ProductId(number(product)) },
        ["unpublish", product] => Command::Unpublish { product: ProductId(number(product)) },
        ["extend", product, skus @ ..] => {
            let skus = skus.iter().map(|word| new_sku(word)).collect();
            let (product, merchant) = match product.split_once('/') {
                Some((merchant, product)) => (product, merchant),
                None => (*product, "shop"),
            };
            Command::Extend { product: ProductId(number(product)), merchant: merchant.into(), skus }
        }
        ["update", product, words @ ..] => {
            let text = |key: &str| {
                let found = words.iter().find_map(|word| word.strip_prefix(key));
                found.map(|text| name_of(text).into_boxed_str())
            };
            let place = words.iter().find_map(|word| word.strip_prefix("in="));
            let category = match place {
                None => Place::Stays,
                Some("NOWHERE") => Place::Nowhere,
                Some(path) => Place::In(place_of(path)),
            };
            let change = Change { name: text("name="), description: text("is="), category };
            Command::Update { product: ProductId(number(product)), change }
        }
        ["plan", sku, amount, from] => {
            let (price, from) = (money(amount), Time(from.parse().unwrap()));
            Command::PlanPrice { sku: SkuId(number(sku)), price, from }
        }
        ["unplan", sku, from] => {
            Command::UnplanPrice { sku: SkuId(number(sku)), from: Time(from.parse().unwrap()) }
        }
        ["ripen", sku] => Command::Ripen { sku: SkuId(number(sku)) },
        ["category", path, name] => {
            let (above, code) = path.rsplit_once('/').unwrap_or(("", path));
            let parent = (!above.is_empty()).then(|| place_of(above));
            let code = name_of(code);
            let category = category::id_of(parent, &code);
            Command::CreateCategory {
                category,
                parent,
                code: code.into(),
                name: Some(name_of(name).into()),
            }
        }
        ["rename", path, name] => {
            Command::RenameCategory { category: place_of(path), name: name_of(name).into() }
        }
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
    let values = parts.next().unwrap_or_default();
    let values =
        values.split('+').filter(|value| !value.is_empty()).map(|value| name_of(value).into());
    let code = parts.next().map(|code| name_of(code).into());
    let new = NewSku::new(SkuId(number(sku)), &name, money(price));
    NewSku { values: values.collect(), code, ..new }
}

/// `by=size+color` names options, `in=a/b` a category, `is=text` is the description.
fn about(words: &[&str]) -> About {
    let word = |key: &str| words.iter().find_map(|word| word.strip_prefix(key));
    let options = word("by=").unwrap_or_default().split('+');
    About {
        description: word("is=").map(name_of).unwrap_or_default().into(),
        category: word("in=").map(place_of),
        options: options.filter(|name| !name.is_empty()).map(|name| name_of(name).into()).collect(),
    }
}

fn place_of(path: &str) -> CategoryId {
    *category::along(path.split('/')).last().unwrap()
}

fn name_of(word: &str) -> String {
    match word {
        "NONE" => String::new(),
        "BLANK" => " ".to_owned(),
        "FULL" => "가".repeat(200),
        "LONG" => "가".repeat(201),
        "ENDLESS" => "가".repeat(4_001),
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
    let (product, skus) = match answer {
        Ok(Reply::Product { product, skus }) => (product, skus),
        Ok(Reply::Category { id: _, category }) => {
            return format!(
                "{} called {} on level {}",
                category.code, category.name, category.depth
            );
        }
        Ok(Reply::Imported) => return "imported".to_owned(),
        Err(reject) => return reject.code().to_owned(),
    };
    let state = format!("{:?}", product.state).to_lowercase();
    let sku = |sku: &Sku| {
        assert_eq!(sku.product, product.id);
        format!(" S{}:{}{}#{}", sku.id.0, sku.price.amount, sku.price.currency, sku.price_version)
    };
    format!("{state} P{}{}", product.id.0, skus.iter().map(sku).collect::<String>())
}

fn offers(event: &Event) -> &[Offered] {
    match event {
        Event::Offered(offers) => offers,
        Event::Edited { .. } | Event::Categorised { .. } | Event::Stocked(_) => &[],
    }
}

fn show_event(event: &Event) -> String {
    match event {
        Event::Offered(offers) => format!("{} offered", offers.len()),
        Event::Edited { product, name, category } => {
            format!(
                "P{} edited: {name}{}",
                product.0,
                if category.is_some() { " placed" } else { "" }
            )
        }
        Event::Categorised { id: _, category } => format!("category {}", category.name),
        Event::Stocked(first) => {
            let first = first.iter().map(|(sku, units)| format!("S{}:{units}", sku.0));
            format!("stock {}", first.collect::<Vec<_>>().join(" "))
        }
    }
}

fn show_product(product: &Product) -> String {
    let at = 0..product.skus.len();
    let values: Vec<_> = at.map(|at| option::values(product, at).join("+")).collect();
    let names: Vec<_> = product.options.iter().map(|option| &*option.name).collect();
    format!(
        "{} `{}` by {}: {}",
        product.name,
        product.description,
        names.join("+"),
        values.join(" ")
    )
}

fn history(world: &World, sku: SkuId) -> String {
    let of = PriceKey { sku, version: 0 }..=PriceKey { sku, version: i64::MAX };
    let line = |(key, price): (&PriceKey, &super::model::Price)| {
        format!("#{} {} since {}", key.version, price.amount, price.from.0)
    };
    let mut lines: Vec<_> = world.store.price.range(of).map(line).collect();
    let plans = &world.store.sku[&sku].0.planned;
    lines.extend(plans.iter().map(|plan| format!("{} from {}", plan.amount, plan.from.0)));
    lines.join(", ")
}

fn show_offer(offered: &Offered) -> String {
    let Offered { product, sku, merchant, price, on_sale, price_version } = offered;
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
    a_product_leaves_the_shelf_and_comes_back: "
        unpublish P1 => PRODUCT_UNKNOWN
        create P1 shop/tea S1:100KRW publish => published P1 S1:100KRW#1
        unpublish P1 => draft P1 S1:100KRW#1
        offers => P1 S1 shop 100 KRW #1 hidden
        unpublish P1 => draft P1 S1:100KRW#1
        offers => none
        publish P1 => published P1 S1:100KRW#1
    "
    options_say_in_what_skus_differ: "
        create P1 shop/tee by=size+color S1:1KRW:a:S+red S2:1KRW:b:M+red draft => draft P1 S1:1KRW#1 S2:1KRW#1
        product P1 => tee `` by size+color: S+red M+red
        extend P1 S3:1KRW:c:S+blue S4:1KRW:d:L+red => draft P1 S1:1KRW#1 S2:1KRW#1 S3:1KRW#1 S4:1KRW#1
        offers => P1 S3 shop 1 KRW #1 hidden, P1 S4 shop 1 KRW #1 hidden
        product P1 => tee `` by size+color: S+red M+red S+blue L+red
        extend P1 S3:1KRW:c:S+blue => draft P1 S1:1KRW#1 S2:1KRW#1 S3:1KRW#1 S4:1KRW#1
        extend P1 S5:1KRW:e:S+blue => VARIANT_TAKEN
        extend P1 S5:1KRW:e:S => OPTIONS_INVALID
        extend P1 S5:1KRW:e => OPTIONS_INVALID
        extend P1 S5:1USD:e:XL+red => CURRENCY_MIXED
        extend P1 => SKU_COUNT_INVALID
        extend P9 S5:1KRW => PRODUCT_UNKNOWN
        create P2 shop/tee by=size+size S9:1KRW:a:S+M draft => OPTIONS_INVALID
        create P2 shop/tee by=a+b+c+d S9:1KRW:a:S+M+L+X draft => OPTIONS_INVALID
        create P2 shop/tee by=size S9:1KRW:a:S=M draft => OPTIONS_INVALID
        create P2 shop/tee by=size S8:1KRW:a:S S9:1KRW:b:S draft => VARIANT_TAKEN
        create P2 shop/tee by=size S8:1KRW:a S9:1KRW:b:S draft => OPTIONS_INVALID
        create P2 shop/tee S8:1KRW:a:S draft => OPTIONS_INVALID
    "
    a_code_means_one_sku_of_its_merchant: "
        create P1 shop/tea S1:1KRW:M::T-1 draft => draft P1 S1:1KRW#1
        create P1 shop/tea S1:1KRW:M::T-1 draft => draft P1 S1:1KRW#1
        create P1 shop/tea S1:1KRW:M::T-2 draft => PRODUCT_DIFFERS
        create P2 shop/oil S2:1KRW:M::T-1 draft => SKU_CODE_TAKEN
        create P2 shop/oil S2:1KRW:M::T-2 S3:1KRW:L::T-2 draft => SKU_CODE_TAKEN
        create P2 mart/oil S2:1KRW:M::T-1 draft => draft P2 S2:1KRW#1
        extend mart/P2 S3:1KRW:L::T-1 => SKU_CODE_TAKEN
        extend P2 S3:1KRW:L::T-9 => PRODUCT_UNKNOWN
        create P3 shop/oil S4:1KRW:M::FULL draft => SKU_CODE_INVALID
        create P3 shop/oil S4:1KRW:M::sku_1 draft => SKU_CODE_INVALID
        create P3 shop/oil S4:1KRW:M::NONE draft => SKU_CODE_INVALID
    "
    a_product_is_edited_and_told: "
        create P1 shop/tea S1:1KRW draft => draft P1 S1:1KRW#1
        category drinks Drinks => drinks called Drinks on level 1
        update P1 name=oolong is=Green. in=drinks => draft P1 S1:1KRW#1
        events => P1 edited: oolong placed
        product P1 => oolong `Green.` by : 
        update P1 name=oolong => draft P1 S1:1KRW#1
        events => 
        update P1 in=NOWHERE => draft P1 S1:1KRW#1
        events => P1 edited: oolong
        update P1 name=BLANK => NAME_INVALID
        update P1 is=ENDLESS => DESCRIPTION_INVALID
        update P1 in=food => CATEGORY_UNKNOWN
        update P2 name=x => PRODUCT_UNKNOWN
        create P2 shop/tea in=food S2:1KRW draft => CATEGORY_UNKNOWN
        create P2 shop/tea in=drinks is=ENDLESS S2:1KRW draft => DESCRIPTION_INVALID
        create P2 shop/tea in=drinks is=Black. S2:1KRW draft => draft P2 S2:1KRW#1
    "
    categories_are_a_tree_of_five_levels: "
        category a A => a called A on level 1
        events => category A
        category a A => a called A on level 1
        events => 
        category a/b B => b called B on level 2
        category x/b B => CATEGORY_UNKNOWN
        category a/b/c C => c called C on level 3
        category a/b/c/d D => d called D on level 4
        category a/b/c/d/e E => e called E on level 5
        category a/b/c/d/e/f F => CATEGORY_TOO_DEEP
        category NONE A => CATEGORY_INVALID
        category FULL A => CATEGORY_INVALID
        category z BLANK => NAME_INVALID
        rename a/b Beta => b called Beta on level 2
        events => category Beta
        rename a/b Beta => b called Beta on level 2
        events => 
        category a/b Other => CATEGORY_EXISTS
        rename a/b BLANK => NAME_INVALID
        rename q X => CATEGORY_UNKNOWN
    "
    a_price_to_come_becomes_the_price_at_its_moment: "
        create P1 shop/tea S1:100KRW publish => published P1 S1:100KRW#1
        plan S1 90KRW 20 => published P1 S1:100KRW#1
        offers => none
        events => P1 edited: tea
        plan S1 80KRW 30; plan S1 85KRW 20 => published P1 S1:100KRW#1; published P1 S1:100KRW#1
        history S1 => #1 100 since 7, 85 from 20, 80 from 30
        at 19 => ok
        ripen S1 => published P1 S1:100KRW#1
        at 20 => ok
        ripen S1 => published P1 S1:85KRW#2
        events => 1 offered
        offers => P1 S1 shop 85 KRW #2 on sale
        ripen S1 => published P1 S1:85KRW#2
        events => 
        history S1 => #1 100 since 7, #2 85 since 20, 80 from 30
        unplan S1 30; unplan S1 30 => published P1 S1:85KRW#2; published P1 S1:85KRW#2
        history S1 => #1 100 since 7, #2 85 since 20
        plan S1 70KRW 20 => published P1 S1:70KRW#3
        history S1 => #1 100 since 7, #2 85 since 20, #3 70 since 20
    "
    of_prices_that_are_late_the_last_one_counts: "
        create P1 shop/tea S1:100KRW publish => published P1 S1:100KRW#1
        plan S1 90KRW 20; plan S1 100KRW 30; plan S1 70KRW 40 => published P1 S1:100KRW#1; published P1 S1:100KRW#1; published P1 S1:100KRW#1
        at 35 => ok
        ripen S1 => published P1 S1:100KRW#1
        events => P1 edited: tea
        history S1 => #1 100 since 7, 70 from 40
    "
    a_plan_is_checked_as_a_price_is: "
        plan S1 5KRW 20 => SKU_UNKNOWN
        unplan S1 20 => SKU_UNKNOWN
        ripen S1 => SKU_UNKNOWN
        create P1 shop/tea S1:100KRW publish => published P1 S1:100KRW#1
        plan S1 -1KRW 20 => PRICE_INVALID
        plan S1 1USD 20 => CURRENCY_MIXED
    "
    a_whole_life_in_one_commit: "
        create P1 shop/tea S1:9KRW draft; price S1 8KRW; publish P1; price S1 7KRW; publish P2 => draft P1 S1:9KRW#1; draft P1 S1:8KRW#2; published P1 S1:8KRW#2; published P1 S1:7KRW#3; PRODUCT_UNKNOWN
        offers => P1 S1 shop 9 KRW #1 hidden, P1 S1 shop 8 KRW #2 hidden, P1 S1 shop 8 KRW #2 on sale, P1 S1 shop 7 KRW #3 on sale
    "
}

#[test]
fn a_product_has_up_to_a_hundred_skus() {
    let create = |n: i64| {
        let sku = |id| NewSku::new(SkuId(id), "M", money("5KRW"));
        let (product, skus) = (ProductId(1), (1..=n).map(sku).collect());
        let (merchant, name, about) = ("m".into(), "n".into(), About::default());
        Command::Create { product, merchant, name, about, skus, publish: true }
    };
    let mut world = World::default();
    assert_eq!(world.run(&create(101)), Err(Reject::SkuCountInvalid));
    world.run(&create(100)).unwrap();
    assert_eq!(world.store.sku.len(), 100);
    let one_more = vec![NewSku::new(SkuId(101), "M", money("5KRW"))];
    let (product, merchant) = (ProductId(1), "m".into());
    let extend = Command::Extend { product, merchant, skus: one_more };
    assert_eq!(world.run(&extend), Err(Reject::SkuCountInvalid));
}

#[test]
fn twenty_prices_may_wait() {
    let mut world = World::default();
    check_in(&mut world, "create P1 shop/tea S1:100KRW draft => draft P1 S1:100KRW#1");
    for from in 20..40 {
        check_in(&mut world, &format!("plan S1 5KRW {from} => draft P1 S1:100KRW#1"));
    }
    check_in(&mut world, "plan S1 5KRW 40 => PRICE_PLANS_FULL");
    check_in(&mut world, "plan S1 6KRW 39 => draft P1 S1:100KRW#1");
}

#[test]
fn every_code_has_a_line() {
    let all = [
        Reject::NameInvalid,
        Reject::DescriptionInvalid,
        Reject::PriceInvalid,
        Reject::SkuCountInvalid,
        Reject::CurrencyMixed,
        Reject::OptionsInvalid,
        Reject::VariantTaken,
        Reject::SkuCodeInvalid,
        Reject::SkuCodeTaken,
        Reject::CategoryInvalid,
        Reject::CategoryTooDeep,
        Reject::CategoryUnknown,
        Reject::PricePlansFull,
        Reject::ProductUnknown,
        Reject::SkuUnknown,
        Reject::ProductDiffers,
        Reject::SkusMissing,
        Reject::Import(Vec::new()),
        Reject::CategoryNamed { category: CategoryId(1), name: "x".into() },
    ];
    for (at, reject) in all.iter().enumerate() {
        assert_eq!(ordinal(reject), at, "{reject:?} is not where it belongs in `all`");
        let line = format!("=> {}", reject.code());
        let elsewhere = ["PRICE_PLANS_FULL", "SKUS_MISSING", "IMPORT_REFUSED"];
        let shown = TABLES.iter().any(|table| table.contains(&line));
        assert!(shown || elsewhere.contains(&reject.code()), "no table shows {line}");
    }
    assert_eq!(
        all.len(),
        ordinal(&Reject::CategoryNamed { category: CategoryId(1), name: "x".into() }) + 1,
        "`all` lacks the last variants"
    );
}

/// Without a wildcard: a new variant does not compile until it is counted here.
fn ordinal(reject: &Reject) -> usize {
    match reject {
        Reject::NameInvalid => 0,
        Reject::DescriptionInvalid => 1,
        Reject::PriceInvalid => 2,
        Reject::SkuCountInvalid => 3,
        Reject::CurrencyMixed => 4,
        Reject::OptionsInvalid => 5,
        Reject::VariantTaken => 6,
        Reject::SkuCodeInvalid => 7,
        Reject::SkuCodeTaken => 8,
        Reject::CategoryInvalid => 9,
        Reject::CategoryTooDeep => 10,
        Reject::CategoryUnknown => 11,
        Reject::PricePlansFull => 12,
        Reject::ProductUnknown => 13,
        Reject::SkuUnknown => 14,
        Reject::ProductDiffers => 15,
        Reject::SkusMissing => 16,
        Reject::Import(_) => 17,
        Reject::CategoryNamed { .. } => 18,
    }
}

#[test]
fn numbers_in_the_store_are_those_of_the_contract() {
    assert_eq!([1, 2].map(State::from_code), [Some(State::Draft), Some(State::Published)]);
    assert_eq!([State::Draft, State::Published].map(State::code), [1, 2]);
    assert_eq!([0, 3].map(State::from_code), [None, None]);
}

#[test]
fn the_timer_of_a_sku_ripens_its_prices() {
    assert_eq!(Catalog::wake("sku", 1), Command::Ripen { sku: SkuId(1) });
}

#[test]
#[should_panic(expected = "catalog has no other timers")]
fn another_timer_of_catalog_is_a_bug() {
    Catalog::wake("product", 1);
}
