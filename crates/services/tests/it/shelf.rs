//! Lists of products agree with a list that is made by looking at everything, on both stores, page by
//! page.

use std::collections::BTreeMap;
use std::sync::Arc;

use jangbu_domain::catalog::category::along;
use jangbu_domain::catalog::command::{About, Change, Command, NewSku, Place, UNIT};
use jangbu_domain::catalog::model::{Product, Sku, State};
use jangbu_engine::port::{Backend, Mode, Store, WritePlan};
use jangbu_kernel::time::Span;
use jangbu_kernel::{CategoryId, Currency, Envelope, Money, Origin, ProductId, SkuId, Time};
use jangbu_services::bound::Stored;
use jangbu_services::projections::Projections;
use jangbu_services::projections::shelf::{CATEGORY_CHILD, SHELF, folded, merchant};
use jangbu_services::queries::Queries;
use jangbu_services::queries::shelf::{LOOK, Sort, Wish};
use jangbu_services::{projections, registry};
use jangbu_store::{Memory, Sqlite};
use proptest::prelude::*;

use crate::history::{product, sku};
use crate::rig::{Bench, Hand, START, cases};
use crate::stage::{create, place};

const PATHS: [&str; 4] = ["a", "a/b", "a/b/c", "z"];
const NAMES: [&str; 5] = ["Tea", "tea pot", "TEA\u{30}", "면 양말", "mug"];

/// A product as a test knows it.
#[derive(Clone, Debug)]
struct Thing {
    name: usize,
    merchant: u8,
    place: Option<usize>,
    price: i64,
    usd: bool,
    published: bool,
}

impl Thing {
    fn currency(&self) -> Currency {
        if self.usd { Currency::parse("USD").unwrap() } else { Currency::KRW }
    }
}

fn some_thing() -> impl Strategy<Value = Thing> {
    let place = prop::option::of(0..PATHS.len());
    (0..NAMES.len(), 0_u8..3, place, 0_i64..5, prop::bool::weighted(0.2), prop::bool::weighted(0.7))
        .prop_map(|(name, merchant, place, price, usd, published)| Thing {
            name,
            merchant,
            place,
            price,
            usd,
            published,
        })
}

fn some_wish() -> impl Strategy<Value = Wish> {
    let published = prop::option::of(any::<bool>());
    let merchant = prop::option::of((0_u8..3).prop_map(|n| format!("m-{n}").into()));
    let category = prop::option::of((0..PATHS.len()).prop_map(id_of));
    let prices = (prop::option::of(0_i64..5), prop::option::of(0_i64..5));
    let currency = prop::option::of(any::<bool>());
    let prefix = prop::option::of(prop::sample::select(vec!["t", "tea", "TEA P", "면", "x"]));
    let sort = prop::sample::select(vec![Sort::Newest, Sort::PriceUp, Sort::PriceDown, Sort::Name]);
    (published, merchant, category, prices, currency, prefix, sort, 1_usize..5).prop_map(
        |(published, merchant, category, (least, most), usd, prefix, sort, limit)| Wish {
            published,
            merchant,
            category,
            prices: [least, most],
            currency: usd
                .map(|usd| if usd { Currency::parse("USD").unwrap() } else { Currency::KRW }),
            prefix: prefix.map(Into::into),
            sort,
            after: None,
            limit,
        },
    )
}

fn id_of(path: usize) -> CategoryId {
    along(PATHS[path].split('/')).pop().unwrap()
}

fn write(backend: &dyn Backend, plan: &mut WritePlan) {
    plan.sort();
    let write = &mut |store: &mut dyn Store| {
        let mut tx = store.begin().unwrap();
        tx.write(plan).unwrap();
        tx.commit().unwrap();
    };
    backend.with(write).unwrap();
}

/// Rows as the projector would have made them.
fn fill(things: &[Thing], truth: &dyn Backend, derived: &dyn Backend) {
    let (mut rows, mut shelf) = (WritePlan::default(), WritePlan::default());
    for (n, thing) in (1..).zip(things) {
        let (id, sku) = (ProductId(2 * n), SkuId(2 * n + 1));
        let product = Product {
            id,
            merchant: format!("m-{}", thing.merchant).into(),
            name: NAMES[thing.name].into(),
            state: if thing.published { State::Published } else { State::Draft },
            skus: vec![sku],
            at: Time(1),
            description: "".into(),
            category: thing.place.map(id_of),
            options: Vec::new(),
            choices: Vec::new(),
        };
        let price = Money::new(thing.price, thing.currency());
        let (name, planned) = ("one".into(), Vec::new());
        let row = Sku { id: sku, product: id, name, price, price_version: 1, code: None, planned };
        let mut to = rows.row(Product::TABLE, Mode::Insert);
        to.int(id.0);
        product.write(&mut to);
        to.int(1);
        let mut to = rows.row(Sku::TABLE, Mode::Insert);
        to.int(sku.0);
        row.write(&mut to);
        to.int(1);
        shelf
            .row(&SHELF, Mode::Upsert)
            .int(id.0)
            .int(i64::from(thing.published))
            .int(merchant(&product.merchant))
            .int(product.category.map_or(0, |category| category.0))
            .text(price.currency.as_str())
            .int(thing.price)
            .text(&folded(&product.name));
    }
    for path in PATHS {
        let ids = along(path.split('/'));
        let parent = ids.len().checked_sub(2).map_or(0, |at| ids[at].0);
        shelf.row(&CATEGORY_CHILD, Mode::Upsert).int(parent).int(ids[ids.len() - 1].0).int(1);
    }
    write(truth, &mut rows);
    write(derived, &mut shelf);
}

/// The same list, by looking at everything.
fn expected(things: &[Thing], wish: &Wish) -> Vec<i64> {
    let by_price = matches!(wish.sort, Sort::PriceUp | Sort::PriceDown);
    let currency = wish.currency.or_else(|| by_price.then_some(Currency::KRW));
    let within = |place: Option<usize>| {
        wish.category.is_none_or(|root| {
            let path = place.map_or_else(Vec::new, |at| along(PATHS[at].split('/')));
            path.contains(&root)
        })
    };
    let wanted = |(_, thing): &(i64, &Thing)| {
        wish.published.is_none_or(|published| thing.published == published)
            && wish.merchant.as_ref().is_none_or(|m| **m == format!("m-{}", thing.merchant))
            && within(thing.place)
            && wish.prices[0].is_none_or(|least| thing.price >= least)
            && wish.prices[1].is_none_or(|most| thing.price <= most)
            && currency.is_none_or(|currency| thing.currency() == currency)
            && wish
                .prefix
                .as_ref()
                .is_none_or(|p| folded(NAMES[thing.name]).starts_with(&folded(p)))
    };
    let mut found: Vec<_> = (1..).zip(things).filter(wanted).collect();
    match wish.sort {
        Sort::Newest => found.sort_by_key(|(n, _)| -n),
        Sort::PriceUp => found.sort_by_key(|(n, thing)| (thing.price, *n)),
        Sort::PriceDown => found.sort_by_key(|(n, thing)| (-thing.price, -n)),
        Sort::Name => found.sort_by_key(|(n, thing)| (folded(NAMES[thing.name]), *n)),
    }
    found.into_iter().map(|(n, _)| 2 * n).collect()
}

/// All pages of a list.
fn listed(queries: &Queries, wish: &Wish) -> Vec<i64> {
    let (mut wish, mut found) = (wish.clone(), Vec::new());
    loop {
        let page = queries.shelf(&wish).unwrap();
        assert!(page.items.len() <= wish.limit);
        found.extend(page.items.iter().map(|(product, skus)| {
            assert_eq!(skus.len(), 1);
            product.id.0
        }));
        match page.next {
            Some(next) => wish.after = Some(next),
            None => return found,
        }
    }
}

fn stores() -> (tempfile::TempDir, [[Arc<dyn Backend>; 2]; 2]) {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, tables, migrations| -> Arc<dyn Backend> {
        Arc::new(Sqlite::new(dir.path().join(name), tables, migrations))
    };
    let files = [
        file("truth.db", registry::TABLES, registry::MIGRATIONS),
        file("derived.db", projections::TABLES, projections::MIGRATIONS),
    ];
    (dir, [[Arc::new(Memory::new()), Arc::new(Memory::new())], files])
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn a_list_of_products_is_what_looking_at_everything_gives(
        things in prop::collection::vec(some_thing(), 0..40),
        wishes in prop::collection::vec(some_wish(), 1..12),
    ) {
        let (_dir, stores) = stores();
        for [truth, derived] in stores {
            fill(&things, &*truth, &*derived);
            let queries = Queries::new(truth, derived);
            for wish in &wishes {
                prop_assert_eq!(listed(&queries, wish), expected(&things, wish), "{:?}", wish);
            }
        }
    }
}

#[test]
fn a_page_that_no_index_tells_looks_at_so_many_rows_and_goes_on_from_there() {
    let thing = |n: usize| Thing {
        name: 0,
        merchant: 0,
        place: None,
        price: i64::from(n < 3),
        usd: false,
        published: true,
    };
    let things: Vec<_> = (0..2 * LOOK + 10).map(thing).collect();
    let (_dir, [[truth, derived], _]) = stores();
    fill(&things, &*truth, &*derived);
    let queries = Queries::new(truth, derived);
    let wish = Wish {
        published: Some(true),
        merchant: None,
        category: None,
        prices: [Some(1), None],
        currency: None,
        prefix: None,
        sort: Sort::Newest,
        after: None,
        limit: 20,
    };
    let first = queries.shelf(&wish).unwrap();
    assert!(first.items.is_empty() && first.next.is_some());
    assert_eq!(listed(&queries, &wish), [6, 4, 2]);
    let counted: BTreeMap<i64, usize> =
        listed(&queries, &wish).into_iter().map(|id| (id, 1)).collect();
    assert_eq!(counted.len(), 3);
}

/// What the shelf says of a product, once everything is taken in.
fn shown(bench: &Bench, derived: &Arc<dyn Backend>, wish: &Wish) -> Vec<i64> {
    let clock = Arc::new(Hand::at(START));
    let projections = Projections::follow(&bench.memory, Arc::clone(derived), clock).unwrap();
    projections.stop().unwrap();
    let queries = Queries::new(Arc::new(bench.memory.clone()), Arc::clone(derived));
    listed(&queries, wish)
}

#[test]
fn the_shelf_follows_what_is_said_of_a_product() {
    let (mut bench, derived) = (Bench::new(), Arc::new(Memory::new()) as Arc<dyn Backend>);
    let shelf = |command| Envelope::new(UNIT, Origin::Client, command);
    let wish = |prices, category, prefix: &str| Wish {
        published: Some(true),
        merchant: None,
        category,
        prices,
        currency: None,
        prefix: Some(prefix.into()),
        sort: Sort::PriceUp,
        after: None,
        limit: 5,
    };
    let (one, id) = (product(1), sku(1));
    assert!(bench.run(create(1)).is_done());
    assert_eq!(shown(&bench, &derived, &wish([None, Some(1_000)], None, "thing")), [one.0]);
    let price = Money::new(7_000, Currency::KRW);
    assert!(bench.run(shelf(Command::SetPrice { sku: id, price })).is_done());
    assert_eq!(shown(&bench, &derived, &wish([None, Some(1_000)], None, "")), [0; 0]);
    assert_eq!(shown(&bench, &derived, &wish([Some(7_000), None], None, "")), [one.0]);
    let (root, below) = (id_of(0), id_of(1));
    for (category, parent, code) in [(root, None, "a"), (below, Some(root), "b")] {
        let (code, name) = (code.into(), Some("x".into()));
        assert!(
            bench.run(shelf(Command::CreateCategory { category, parent, code, name })).is_done()
        );
    }
    let change = Change { name: Some("mug".into()), category: Place::In(below), description: None };
    assert!(bench.run(shelf(Command::Update { product: one, change })).is_done());
    assert_eq!(shown(&bench, &derived, &wish([None; 2], Some(root), "mug")), [one.0]);
    assert_eq!(shown(&bench, &derived, &wish([None; 2], Some(root), "thing")), [0; 0]);
    assert!(bench.run(shelf(Command::Unpublish { product: one })).is_done());
    assert_eq!(shown(&bench, &derived, &wish([None; 2], None, "")), [0; 0]);
    let again = Arc::new(Memory::new()) as Arc<dyn Backend>;
    let hidden = Wish { published: Some(false), ..wish([None; 2], Some(below), "m") };
    assert_eq!(shown(&bench, &again, &hidden), [one.0], "a rebuild gives the same");
}

#[test]
fn a_planned_price_comes_by_its_timer_and_is_offered_and_listed() {
    let (mut bench, derived) = (Bench::stocked(), Arc::new(Memory::new()) as Arc<dyn Backend>);
    let price = Money::new(300, Currency::KRW);
    let from = bench.rig.now() + Span::mins(5);
    let plan = Command::PlanPrice { sku: sku(0), price, from };
    assert!(bench.run(Envelope::new(UNIT, Origin::Client, plan)).is_done());
    bench.rig.advance(Span::mins(6));
    bench.settle_with_gateway();
    let queries = Queries::new(Arc::new(bench.memory.clone()), Arc::clone(&derived));
    let history = queries.prices(sku(0), i64::MAX, 10).unwrap();
    assert_eq!(
        history.iter().map(|(key, price)| (key.version, price.amount)).collect::<Vec<_>>(),
        [(2, 300), (1, 1_000),]
    );
    let cheap = Wish {
        published: Some(true),
        merchant: None,
        category: None,
        prices: [None, Some(300)],
        currency: Some(Currency::KRW),
        prefix: None,
        sort: Sort::PriceUp,
        after: None,
        limit: 5,
    };
    assert_eq!(shown(&bench, &derived, &cheap), [product(0).0]);
    let refused = bench.run(place(77, &[(0, 1)], "ok"));
    assert!(!refused.is_done(), "orders know the price, too: {refused:?}");
}

#[test]
fn a_product_of_a_hundred_skus_is_made_published_and_hidden_at_once() {
    let mut bench = Bench::new();
    let skus = (0..100).map(|n| NewSku::new(SkuId(9_000 + n), "one", Money::new(5, Currency::KRW)));
    let (product, merchant, name) = (ProductId(900), "m-1".into(), "wide".into());
    let about = About::default();
    let create =
        Command::Create { product, merchant, name, about, skus: skus.collect(), publish: true };
    for command in [create, Command::Unpublish { product }, Command::Publish { product }] {
        assert!(bench.run(Envelope::new(UNIT, Origin::Client, command)).is_done());
    }
}
