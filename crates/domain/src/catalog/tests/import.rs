//! Imports: entries as a file has them.

use jangbu_kernel::{Currency, Money, ProductId, SkuId};

use super::world::World;
use crate::catalog::command::{Command, Event, NewSku, Reject, Reply};
use crate::catalog::import::{By, Entry, Fate, Item, Verdict};
use crate::catalog::model::State;

/// An entry whose items are `(code, value, price)`; `n` makes the ids of what is new.
fn entry(n: i64, name: &str, items: &[(&str, &str, i64)]) -> Entry {
    let item = |(at, (code, value, price)): (i64, &(&str, &str, i64))| Item {
        line: u32::try_from(at + 2).unwrap(),
        by: By::Code,
        new: NewSku {
            code: Some((*code).into()),
            values: vec![(*value).into()],
            ..NewSku::new(SkuId(n * 10 + at), value, Money::new(*price, Currency::KRW))
        },
        stock: 3,
    };
    Entry {
        product: ProductId(n),
        merchant: "shop".into(),
        name: name.into(),
        description: "Of cotton.".into(),
        category: vec!["clothes".into(), "shirts".into()],
        options: vec!["size".into()],
        publish: true,
        items: (0..).zip(items).map(item).collect(),
    }
}

fn import(world: &mut World, entries: &[Entry]) -> Result<Reply, Reject> {
    world.run(&Command::Import { entries: entries.to_vec() })
}

/// What would become of the entries.
fn fates(world: &mut World, entries: &[Entry]) -> Vec<Verdict> {
    let before = world.store.clone();
    let refused = world.run(&Command::Rehearse { entries: entries.to_vec() });
    assert_eq!(world.store, before, "a rehearsal changes nothing");
    assert_eq!(world.said, vec![]);
    match refused {
        Err(Reject::Import(verdicts)) => verdicts,
        other => panic!("{other:?}"),
    }
}

fn tee(price: i64) -> Entry {
    entry(1, "Tee", &[("T-S", "S", price), ("T-M", "M", 1_000)])
}

#[test]
fn a_file_makes_products_categories_and_first_stock_and_again_changes_nothing() {
    let mut world = World::default();
    let file = [tee(900), entry(2, "Mug", &[("M-1", "S", 5)])];
    let created = |n| Verdict::Done(vec![Fate::Created; n]);
    assert_eq!(fates(&mut world, &file), [created(2), created(1)]);
    assert_eq!(import(&mut world, &file), Ok(Reply::Imported));
    let stocked = vec![(SkuId(10), 3), (SkuId(11), 3), (SkuId(20), 3)];
    assert_eq!(world.said.last(), Some(&Event::Stocked(stocked)));
    assert_eq!((world.store.product.len(), world.store.category.len()), (2, 2));
    assert_eq!((world.store.sku.len(), world.store.code.len()), (3, 3));

    let before = world.store.clone();
    // Other ids are minted for the same file.
    let again = [entry(7, "Tee", &[("T-S", "S", 900), ("T-M", "M", 1_000)])];
    assert_eq!(fates(&mut world, &again), [Verdict::Done(vec![Fate::Unchanged; 2])]);
    assert_eq!(import(&mut world, &again), Ok(Reply::Imported));
    assert_eq!((&world.store, &world.said), (&before, &vec![]));
}

#[test]
fn a_file_changes_what_it_says_and_nothing_else() {
    let mut world = World::default();
    import(&mut world, &[tee(900)]).unwrap();
    let mut changed = entry(7, "Shirt", &[("T-M", "M", 1_000), ("T-S", "S", 800), ("T-L", "L", 7)]);
    changed.items[2].stock = 0;
    let fate = vec![Fate::Updated, Fate::Updated, Fate::Created];
    assert_eq!(fates(&mut world, std::slice::from_ref(&changed)), [Verdict::Done(fate)]);
    import(&mut world, &[changed]).unwrap();
    let (product, _) = &world.store.product[&ProductId(1)];
    assert_eq!((&*product.name, product.skus.len()), ("Shirt", 3));
    assert_eq!(world.store.sku[&SkuId(10)].0.price_version, 2);
    assert_eq!(world.store.sku[&SkuId(11)].0.price_version, 1);
    let stocked = world.said.iter().any(|event| matches!(event, Event::Stocked(_)));
    assert!(!stocked, "a SKU that is there keeps its stock: {:?}", world.said);
}

#[test]
fn all_entries_or_none() {
    let mut world = World::default();
    let mut bad = entry(2, "Mug", &[("M-1", "S", 5), ("M-2", "S", 5)]);
    let wrong = Verdict::Wrong(2, Reject::VariantTaken);
    let refused = Err(Reject::Import(vec![Verdict::Done(vec![Fate::Created; 2]), wrong]));
    assert_eq!(import(&mut world, &[tee(900), bad.clone()]), refused);
    assert_eq!(world.store, World::default().store);
    bad.items.pop();
    assert_eq!(import(&mut world, &[tee(900), bad]), Ok(Reply::Imported));
}

/// A spoilt entry, and how it is refused.
type Spoilt = (fn(&mut Entry), u32, Reject);

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let mut world = World::default();
    import(&mut world, &[tee(900), entry(2, "Mug", &[("M-1", "S", 5)])]).unwrap();
    let cases: [Spoilt; 11] = [
        (|e| e.items[1].new.values = vec!["L".into()], 3, Reject::OptionsInvalid),
        (
            |e| e.items[1].new.price.currency = Currency::parse("USD").unwrap(),
            3,
            Reject::CurrencyMixed,
        ),
        (|e| e.items[1].new.price.amount = -1, 3, Reject::PriceInvalid),
        (|e| e.items[1].new.name = "".into(), 3, Reject::NameInvalid),
        (|e| e.items[1].new.code = Some("T-S".into()), 3, Reject::SkuCodeTaken),
        (|e| e.items[1].new.code = Some("M-1".into()), 3, Reject::ProductDiffers),
        (|e| e.items[1].by = By::Id(SkuId(99)), 3, Reject::SkuUnknown),
        (|e| e.options = vec!["color".into()], 2, Reject::OptionsInvalid),
        (|e| e.category = vec!["x".into(); 6], 2, Reject::CategoryTooDeep),
        (|e| e.category = vec!["a/b".into()], 2, Reject::CategoryInvalid),
        (
            |e| {
                e.publish = false;
                e.items.pop();
            },
            2,
            Reject::SkusMissing,
        ),
    ];
    for (spoil, line, reject) in cases {
        let mut spoilt = tee(900);
        spoil(&mut spoilt);
        assert_eq!(fates(&mut world, &[spoilt]), [Verdict::Wrong(line, reject)]);
    }
}

#[test]
fn a_sku_without_a_code_is_known_by_its_id() {
    let mut world = World::default();
    import(&mut world, &[tee(900)]).unwrap();
    let mut named = tee(950);
    for (item, id) in named.items.iter_mut().zip([10, 11]) {
        (item.by, item.new.code) = (By::Id(SkuId(id)), None);
    }
    let fate = vec![Fate::Updated, Fate::Unchanged];
    assert_eq!(fates(&mut world, std::slice::from_ref(&named)), [Verdict::Done(fate)]);
    named.publish = false;
    import(&mut world, &[named]).unwrap();
    assert_eq!(world.store.product[&ProductId(1)].0.state, State::Draft);
    let Some(Event::Offered(offers)) = world.said.last() else { panic!("{:?}", world.said) };
    assert!(offers.len() == 2 && offers.iter().all(|offered| !offered.on_sale));
}
