//! Laws that hold under any commands, whatever the order and the grouping into commits.

use jangbu_kernel::rows::RowSet;
use jangbu_kernel::{Currency, Domain, Money, ProductId, SkuId};
use proptest::prelude::*;

use super::world::{Store, World};
use crate::catalog::Catalog;
use crate::catalog::command::{Command, Event, NewSku};
use crate::catalog::model::State;

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
            let sku = |(id, price)| NewSku { sku: SkuId(id), name: "M".into(), price };
            let skus = (first..).zip(prices).map(sku).collect();
            let (merchant, name) = ("shop".into(), if shift == 1 { "" } else { "tea" }.into());
            Command::Create { product: ProductId(product), merchant, name, skus, publish }
        }),
        1 => product().prop_map(|product| Command::Publish { product }),
        4 => (1_i64..5, 0_i64..3, some_price()).prop_map(|(product, nth, price)|
            Command::SetPrice { sku: SkuId(product * 10 + nth), price }),
    ]
}

fn some_commands() -> impl Strategy<Value = Vec<Command>> {
    prop::collection::vec(some_command(), 1..60)
}

fn assert_laws(world: &World) {
    let Store { product: products, sku: skus } = &world.store;
    let listed: usize = products.values().map(|(product, _)| product.skus.len()).sum();
    assert_eq!(listed, skus.len(), "each SKU belongs to one product");
    for (product, _) in products.values() {
        let of = |id: &SkuId| &skus[id].0;
        let first = of(product.skus.first().unwrap());
        for sku in product.skus.iter().map(of) {
            assert_eq!(sku.product, product.id);
            assert_eq!(sku.price.currency, first.price.currency, "{product:?}");
            assert!((0..=Money::MAX).contains(&sku.price.amount) && sku.price_version >= 1);
            let offer = Event::Offered {
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
            world.rows.product.clear();
            world.rows.sku.clear();
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
