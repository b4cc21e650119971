//! Laws that hold under any commands, whatever the order and the grouping into commits.

use jangbu_kernel::{Currency, Domain, Money, ProductId, SkuId, Time};
use proptest::prelude::*;

use super::world::{Store, World, each};
use crate::catalog::Catalog;
use crate::catalog::category;
use crate::catalog::code::CodeKey;
use crate::catalog::command::{About, Change, Command, NewSku, Offered, Place};
use crate::catalog::model::{PriceKey, State};

fn some_price() -> impl Strategy<Value = Money> {
    let amount = prop_oneof![9 => 0_i64..4, 1 => any::<i64>(), 1 => Money::MAX - 1..=Money::MAX];
    (amount, prop_oneof![9 => Just("KRW"), 1 => Just("USD")])
        .prop_map(|(amount, code)| Money::new(amount, Currency::parse(code).unwrap()))
}

/// Products 1 to 4; SKUs of product n are 10n, 10n + 1, …, now and then one of another product.
fn some_command() -> impl Strategy<Value = Command> {
    let product = || (1_i64..5).prop_map(ProductId);
    let created = (1_i64..5, any::<bool>(), prop::collection::vec(some_price(), 0..4), 0_i64..12);
    prop_oneof![
        3 => created.prop_map(|(product, publish, prices, shift)| {
            let first = product * 10 + if shift == 0 { 9 } else { 0 };
            let skus = (first..).zip(prices).map(|(id, price)| some_sku(id, price, shift)).collect();
            let (merchant, name) = ("shop".into(), if shift == 1 { "" } else { "tea" }.into());
            let options = if shift % 3 == 0 { vec!["size".into()] } else { Vec::new() };
            let about = About { options, ..About::default() };
            Command::Create { product: ProductId(product), merchant, name, about, skus, publish }
        }),
        1 => product().prop_map(|product| Command::Publish { product }),
        1 => product().prop_map(|product| Command::Unpublish { product }),
        1 => (1_i64..5, some_price(), 0_i64..12).prop_map(|(product, price, shift)| {
            let skus = vec![some_sku(product * 10 + 3 + shift % 2, price, shift)];
            Command::Extend { product: ProductId(product), merchant: "shop".into(), skus }
        }),
        1 => (product(), prop::option::of(0..3_usize)).prop_map(|(product, place)| {
            let ids = |at: usize| category::along(PATHS[at].split('/'));
            let category = place.map_or(Place::Nowhere, |at| ids(at).pop().map_or(Place::Stays, Place::In));
            let name = place.map(|at| format!("tea {at}").into());
            Command::Update { product, change: Change { name, category, ..Change::default() } }
        }),
        1 => (0..3_usize).prop_map(|at| {
            let (above, code) = PATHS[at].rsplit_once('/').unwrap_or(("", PATHS[at]));
            let parent = (!above.is_empty()).then(|| category::along(above.split('/'))).and_then(|mut ids| ids.pop());
            let category = category::id_of(parent, code);
            Command::CreateCategory { category, parent, code: code.into(), name: Some("n".into()) }
        }),
        2 => (1_i64..5, 0_i64..3, some_price(), 5_i64..12).prop_map(|(product, nth, price, from)|
            Command::PlanPrice { sku: SkuId(product * 10 + nth), price, from: Time(from) }),
        1 => (1_i64..5, 0_i64..3, 5_i64..12).prop_map(|(product, nth, from)|
            Command::UnplanPrice { sku: SkuId(product * 10 + nth), from: Time(from) }),
        1 => (1_i64..5, 0_i64..3).prop_map(|(product, nth)|
            Command::Ripen { sku: SkuId(product * 10 + nth) }),
        4 => (1_i64..5, 0_i64..3, some_price()).prop_map(|(product, nth, price)|
            Command::SetPrice { sku: SkuId(product * 10 + nth), price }),
    ]
}

const PATHS: [&str; 3] = ["a", "a/b", "a/b/c"];

/// Every third one has a value, every fourth a code that others may have, too.
fn some_sku(id: i64, price: Money, shift: i64) -> NewSku {
    let values = if shift % 3 == 0 { vec![format!("v{id}").into()] } else { Vec::new() };
    let code = (shift % 4 == 0).then(|| format!("C-{}", id % 7).into());
    NewSku { code, values, ..NewSku::new(SkuId(id), "M", price) }
}

fn some_commands() -> impl Strategy<Value = Vec<Command>> {
    prop::collection::vec(some_command(), 1..60)
}

fn assert_laws(world: &World) {
    let Store { product: products, sku: skus, category: categories, code: codes, price: prices } =
        &world.store;
    for (category, _) in categories.values() {
        let above = category.parent.map_or(0, |parent| categories[&parent].0.depth);
        assert_eq!(category.depth, above + 1);
    }
    let coded = skus.values().filter(|(sku, _)| sku.code.is_some()).count();
    assert_eq!(codes.len(), coded, "each code means one SKU");
    for (sku, _) in skus.values() {
        assert!(sku.planned.windows(2).all(|pair| pair[0].from < pair[1].from));
        let of = PriceKey { sku: sku.id, version: 0 }..=PriceKey { sku: sku.id, version: i64::MAX };
        let versions: Vec<_> =
            prices.range(of).map(|(key, price)| (key.version, price.amount)).collect();
        let numbers = versions.iter().map(|(no, _)| *no);
        assert!(numbers.eq(1..=sku.price_version), "a gap in {versions:?}");
        assert_eq!(versions.last(), Some(&(sku.price_version, sku.price.amount)));
    }
    let listed: usize = products.values().map(|(product, _)| product.skus.len()).sum();
    assert_eq!(listed, skus.len(), "each SKU belongs to one product");
    for (product, _) in products.values() {
        let of = |id: &SkuId| &skus[id].0;
        let first = of(product.skus.first().unwrap());
        let choices = if product.options.is_empty() { 0 } else { product.skus.len() };
        assert_eq!(product.choices.len(), choices);
        for sku in product.skus.iter().map(of) {
            assert_eq!(sku.product, product.id);
            assert_eq!(sku.price.currency, first.price.currency, "{product:?}");
            assert!((0..=Money::MAX).contains(&sku.price.amount) && sku.price_version >= 1);
            if let Some(code) = &sku.code {
                let row = &codes[&CodeKey::of(&product.merchant, code)].0;
                assert_eq!((row.sku, row.product), (sku.id, product.id));
            }
            let offer = Offered {
                product: product.id,
                sku: sku.id,
                merchant: product.merchant.clone(),
                price: sku.price,
                on_sale: product.state == State::Published,
                price_version: sku.price_version,
            };
            assert_eq!(world.offers.get(&sku.id), Some(&offer), "the last word is the truth");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_offers_say_what_the_rows_say(commands in some_commands()) {
        let mut world = World::default();
        for command in commands {
            let before = world.store.clone();
            let _answer = world.run(&command);
            assert_laws(&world);
            for (id, (sku, _)) in &before.sku {
                let now = &world.store.sku[id].0;
                let steps = i64::from(now.price != sku.price);
                prop_assert_eq!(now.price_version, sku.price_version + steps);
            }
            for (id, (product, _)) in &before.product {
                let now = &world.store.product[id].0;
                prop_assert!(now.skus.starts_with(&product.skus), "a list of SKUs only grows");
                prop_assert!(now.choices.starts_with(&product.choices));
            }
        }
    }

    #[test]
    fn an_accepted_command_again_changes_nothing(commands in some_commands()) {
        let mut world = World::default();
        for command in commands {
            let Ok(reply) = world.run(&command) else { continue };
            let before = world.store.clone();
            prop_assert_eq!(world.run(&command), Ok(reply.clone()));
            prop_assert_eq!(&world.store, &before, "{:?}", command);
            prop_assert_eq!(&world.said, &vec![]);

            let mut retry = command.clone();
            Catalog::adopt(&mut retry, 1_000);
            prop_assert_eq!(Catalog::resource(&retry), 1_000);
            world.read(&retry);
            prop_assert_eq!(Catalog::recall(&retry, &world.rows), None);
            Catalog::adopt(&mut retry, Catalog::resource(&command));
            prop_assert_eq!(&retry, &command);
            world.read(&retry);
            prop_assert_eq!(Catalog::recall(&retry, &world.rows), Some(reply));
            each(&mut world.rows, |set| set.clear());
        }
    }

    #[test]
    fn any_split_into_commits_gives_the_same(commands in some_commands(), cut in 1_usize..9) {
        let (mut single, mut split, mut whole) = <(World, World, World)>::default();
        let one: Vec<_> = commands.iter().map(|command| single.run(command)).collect();
        let some: Vec<_> = commands.chunks(cut).flat_map(|batch| split.commit(batch)).collect();
        prop_assert_eq!(&one, &some);
        prop_assert_eq!(&one, &whole.commit(&commands));
        prop_assert_eq!(&single.store, &split.store);
        prop_assert_eq!(&single.store, &whole.store);
        prop_assert_eq!(&single.offers, &whole.offers);
    }
}
