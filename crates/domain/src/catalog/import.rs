//! Imports: entries that say how products shall be, brought about in one commit or not at all.
//!
//! An entry is a product, its items are SKUs. A SKU is known by its merchant's code, or by its id;
//! what an entry says of it becomes so, and a code that is new becomes a SKU. The same entry again
//! changes nothing: codes are the idempotency keys. The stock of an item is what a *new* SKU
//! begins with; that of a SKU which is there moves by receipts and adjustments alone.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use jangbu_kernel::{Ctx, Out, ProductId, SkuId};

use super::category::{self, Category, DEPTH};
use super::code::CodeKey;
use super::command::{Event, NewSku, Offered, Reject, Reply};
use super::decide::{self, SKUS};
use super::model::{Product, Rows, State};
use super::{option, price};

/// A product as a file has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its id if it is new, minted at the edge.
    pub product: ProductId,
    /// Who sells it.
    pub merchant: Arc<str>,
    /// What it is called.
    pub name: Box<str>,
    /// What it is.
    pub description: Box<str>,
    /// Codes of the categories from a root to its own; none: it has none. Made where missing.
    pub category: Vec<Box<str>>,
    /// Names of its options.
    pub options: Vec<Box<str>>,
    /// Whether it is on sale.
    pub publish: bool,
    /// Its SKUs, or some of them.
    pub items: Vec<Item>,
}

/// A SKU as a file has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Its line, for the report.
    pub line: u32,
    /// How it is known.
    pub by: By,
    /// How it shall be; the id is that of a new one.
    pub new: NewSku,
    /// What a new one begins with.
    pub stock: i64,
}

/// How an item is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum By {
    /// By its code.
    Code,
    /// By the id of its SKU, which must be there.
    Id(SkuId),
}

/// What an import does with an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fate {
    /// It becomes a SKU.
    Created,
    /// Something of its SKU changes, or, in the first item of a product, of the product.
    Updated,
    /// It is so already.
    Unchanged,
}

/// What an import does with an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// One fate for each item.
    Done(Vec<Fate>),
    /// Nothing: this is wrong with that line.
    Wrong(u32, Reject),
}

/// Names the rows of `entries`: codes, ids and categories first, then what they lead to.
pub(super) fn want(entries: &[Entry], rows: &mut Rows) {
    for entry in entries {
        rows.product.want(entry.product);
        for id in category::along(entry.category.iter().map(|code| &**code)) {
            rows.category.want(id);
        }
        for item in &entry.items {
            rows.sku.want(item.new.sku);
            match (item.by, &item.new.code) {
                (By::Id(sku), _) => decide::want_with_product(sku, rows),
                (By::Code, Some(code)) => want_code(CodeKey::of(&entry.merchant, code), rows),
                (By::Code, None) => {}
            }
        }
    }
}

fn want_code(key: CodeKey, rows: &mut Rows) {
    rows.code.want(key);
    if rows.code.version(key) > 0
        && let Some((sku, product)) = rows.code.get(key).map(|code| (code.sku, code.product))
    {
        rows.sku.want(sku);
        rows.product.want(product);
    }
}

/// Carries out every entry, or none: a reject is rolled back.
pub(super) fn run(
    entries: &[Entry],
    ctx: &Ctx,
    rows: &mut Rows,
    out: &mut Out<Event>,
) -> Result<Reply, Reject> {
    let mut made = Made::default();
    let verdicts: Vec<_> =
        entries.iter().map(|entry| carry_out(entry, ctx, (rows, out), &mut made)).collect();
    if verdicts.iter().any(|verdict| matches!(verdict, Verdict::Wrong(..))) {
        return Err(Reject::Import(verdicts));
    }
    let Made { offered, stocked } = made;
    if !offered.is_empty() {
        out.emit(Event::Offered(offered));
    }
    if !stocked.is_empty() {
        out.emit(Event::Stocked(stocked));
    }
    Ok(Reply::Imported)
}

/// What [`run`] would do with each entry: does it, and is rolled back.
pub(super) fn rehearse(entries: &[Entry], ctx: &Ctx, rows: &mut Rows) -> Reject {
    let (mut made, mut out) = (Made::default(), Out::default());
    let verdict = |entry| carry_out(entry, ctx, (&mut *rows, &mut out), &mut made);
    Reject::Import(entries.iter().map(verdict).collect())
}

/// What an import states at its end.
#[derive(Default)]
struct Made {
    offered: Vec<Offered>,
    stocked: Vec<(SkuId, i64)>,
}

fn carry_out(
    entry: &Entry,
    ctx: &Ctx,
    (rows, out): (&mut Rows, &mut Out<Event>),
    made: &mut Made,
) -> Verdict {
    let plan = match plan(entry, rows) {
        Ok(plan) => plan,
        Err((line, reject)) => return Verdict::Wrong(line, reject),
    };
    let items = entry.items.iter().zip(&plan.fates);
    let new = items.filter(|(item, fate)| **fate == Fate::Created && item.stock > 0);
    made.stocked.extend(new.map(|(item, _)| (item.new.sku, item.stock)));
    apply(entry, &plan, ctx, (rows, out), made);
    Verdict::Done(plan.fates)
}

/// How an entry becomes true.
struct Plan {
    /// The product as it shall be; as it is, if nothing of it changes.
    product: Product,
    /// Whether it is new.
    is_new: bool,
    /// SKUs that are there, each with its item.
    known: Vec<(SkuId, usize)>,
    /// SKUs to be made.
    new: Vec<NewSku>,
    fates: Vec<Fate>,
}

type Wrong = (u32, Reject);

fn plan(entry: &Entry, rows: &Rows) -> Result<Plan, Wrong> {
    let first = entry.items.first().map_or(0, |item| item.line);
    let at_first = |reject| (first, reject);
    decide::check_text([&entry.merchant, &entry.name], &entry.description).map_err(at_first)?;
    if entry.category.len() > usize::try_from(DEPTH).unwrap_or(0) {
        return Err((first, Reject::CategoryTooDeep));
    }
    if !entry.category.iter().all(|code| category::is_code(code)) {
        return Err((first, Reject::CategoryInvalid));
    }
    let (known, new, old) = sorted(entry, rows)?;
    let is_new = old.is_none();
    let mut product = match old {
        Some(old) => old.clone(),
        None => blank(entry).map_err(at_first)?,
    };
    let names = product.options.iter().map(|option| &option.name);
    if !names.eq(&entry.options) {
        return Err((first, Reject::OptionsInvalid));
    }
    check_known(entry, &product, &known, rows)?;
    check_added(&product, &new, &known, rows).map_err(at_first)?;
    let grown = option::grown(&product, &new).map_err(at_first)?;
    (product.options, product.choices) = grown;
    product.skus.extend(new.iter().map(|new| new.sku));
    product.name.clone_from(&entry.name);
    product.description.clone_from(&entry.description);
    product.category = category::along(entry.category.iter().map(|code| &**code)).pop();
    product.state = if entry.publish { State::Published } else { State::Draft };
    let state_changes = old.is_some_and(|old| old.state != product.state);
    if state_changes && known.len().saturating_add(new.len()) < product.skus.len() {
        return Err((first, Reject::SkusMissing));
    }
    let fates = fates(entry, (old, &product), &known, rows);
    Ok(Plan { product, is_new, known, new, fates })
}

/// A product that is not there yet, without SKUs.
fn blank(entry: &Entry) -> Result<Product, Reject> {
    Ok(Product {
        id: entry.product,
        merchant: entry.merchant.clone(),
        name: entry.name.clone(),
        state: State::Draft,
        skus: Vec::new(),
        at: jangbu_kernel::Time(0),
        description: Box::default(),
        category: None,
        options: option::named(&entry.options)?,
        choices: Vec::new(),
    })
}

type Sorted<'r> = (Vec<(SkuId, usize)>, Vec<NewSku>, Option<&'r Product>);

/// The SKUs of an entry that are there, those that are not, and the product of the former.
fn sorted<'r>(entry: &Entry, rows: &'r Rows) -> Result<Sorted<'r>, Wrong> {
    let (mut known, mut new, mut product) = (Vec::new(), Vec::new(), None);
    for (at, item) in entry.items.iter().enumerate() {
        let wrong = |reject| (item.line, reject);
        let Some(id) = found(entry, item, rows).map_err(wrong)? else {
            new.push(item.new.clone());
            continue;
        };
        if known.iter().any(|(other, _)| *other == id) {
            return Err(wrong(Reject::SkuCodeTaken));
        }
        known.push((id, at));
        let sku = rows.sku.get(id).ok_or_else(|| wrong(Reject::SkuUnknown))?;
        if product.is_some_and(|product| product != sku.product) {
            return Err(wrong(Reject::ProductDiffers));
        }
        product = Some(sku.product);
    }
    let first = entry.items.first().map_or(0, |item| item.line);
    let product = product.and_then(|id| rows.product.get(id));
    if product.is_some_and(|product| product.merchant != entry.merchant) {
        return Err((first, Reject::ProductDiffers));
    }
    Ok((known, new, product))
}

/// The SKU that an item means, if it is there.
fn found(entry: &Entry, item: &Item, rows: &Rows) -> Result<Option<SkuId>, Reject> {
    match (item.by, &item.new.code) {
        (By::Id(id), _) => rows.sku.get(id).map(|_| Some(id)).ok_or(Reject::SkuUnknown),
        (By::Code, None) => Err(Reject::SkuCodeInvalid),
        (By::Code, Some(code)) => match rows.code.get(CodeKey::of(&entry.merchant, code)) {
            Some(row) if row.is(&entry.merchant, code) => Ok(Some(row.sku)),
            Some(_) => Err(Reject::SkuCodeTaken),
            None => Ok(None),
        },
    }
}

/// What of a SKU never changes is in the file as it is.
fn check_known(
    entry: &Entry,
    product: &Product,
    known: &[(SkuId, usize)],
    rows: &Rows,
) -> Result<(), Wrong> {
    for (id, item) in known.iter().filter_map(|(id, at)| Some((id, entry.items.get(*at)?))) {
        let wrong = |reject| Err((item.line, reject));
        let place = product.skus.iter().position(|sku| sku == id).unwrap_or(usize::MAX);
        let same =
            option::values(product, place).into_iter().eq(item.new.values.iter().map(|v| &**v));
        if !same {
            return wrong(Reject::OptionsInvalid);
        }
        if !decide::is_name(&item.new.name) {
            return wrong(Reject::NameInvalid);
        }
        if !price::is_price(item.new.price) {
            return wrong(Reject::PriceInvalid);
        }
        let currency = rows.sku.get(*id).map(|sku| sku.price.currency);
        if currency != Some(item.new.price.currency) {
            return wrong(Reject::CurrencyMixed);
        }
    }
    Ok(())
}

/// What must be true of the SKUs to be made.
fn check_added(
    product: &Product,
    new: &[NewSku],
    known: &[(SkuId, usize)],
    rows: &Rows,
) -> Result<(), Reject> {
    if new.is_empty() {
        return Ok(());
    }
    decide::check_new(new)?;
    if product.skus.len().saturating_add(new.len()) > SKUS {
        return Err(Reject::SkuCountInvalid);
    }
    decide::check_unused(new, &product.merchant, rows)?;
    let before = known.first().and_then(|(id, _)| rows.sku.get(*id)).map(|sku| sku.price.currency);
    let currency = new.first().map(|new| new.price.currency);
    if before.is_some() && before != currency { Err(Reject::CurrencyMixed) } else { Ok(()) }
}

fn fates(
    entry: &Entry,
    (old, new): (Option<&Product>, &Product),
    known: &[(SkuId, usize)],
    rows: &Rows,
) -> Vec<Fate> {
    let mut fates = vec![Fate::Created; entry.items.len()];
    let texts = |product: &Product| {
        (product.name.clone(), product.description.clone(), product.category, product.state)
    };
    let edited = old.is_some_and(|old| texts(old) != texts(new));
    for (id, at) in known {
        let (Some(item), Some(sku)) = (entry.items.get(*at), rows.sku.get(*id)) else { continue };
        let same = sku.name == item.new.name && sku.price == item.new.price;
        let fate = if same && !(edited && *at == 0) { Fate::Unchanged } else { Fate::Updated };
        if let Some(slot) = fates.get_mut(*at) {
            *slot = fate;
        }
    }
    fates
}

/// Makes a plan true.
fn apply(
    entry: &Entry,
    plan: &Plan,
    ctx: &Ctx,
    (rows, out): (&mut Rows, &mut Out<Event>),
    made: &mut Made,
) {
    categories(&entry.category, rows, out);
    decide::add(&plan.new, (plan.product.id, &plan.product.merchant), ctx, rows);
    let mut offered: Vec<_> = plan.new.iter().map(|new| new.sku).collect();
    for (id, item) in plan.known.iter().filter_map(|(id, at)| Some((*id, entry.items.get(*at)?))) {
        let old = rows.sku.get(id).expect("the SKU was there a moment ago");
        let (renamed, repriced) = (old.name != item.new.name, old.price != item.new.price);
        if renamed && let Some(sku) = rows.sku.edit(id) {
            sku.name.clone_from(&item.new.name);
        }
        if repriced {
            price::become_current(id, item.new.price.amount, ctx, rows);
            offered.push(id);
        }
    }
    if plan.is_new {
        let product = Product { at: ctx.now, ..plan.product.clone() };
        rows.product.insert(product.id, product);
    } else {
        let old = rows.product.get(plan.product.id).expect("the product was there a moment ago");
        if old.state != plan.product.state {
            offered.clone_from(&plan.product.skus);
        }
        if *old != plan.product {
            decide::edit(plan.product.clone(), rows, out);
        }
    }
    made.offered.extend(decide::offers(&plan.product, &offered, rows));
}

/// Makes the categories of a path that are not there.
fn categories(path: &[Box<str>], rows: &mut Rows, out: &mut Out<Event>) {
    let mut parent = None;
    let ids = category::along(path.iter().map(|code| &**code));
    for (depth, (id, code)) in (1..).zip(ids.into_iter().zip(path)) {
        if rows.category.get(id).is_none() {
            let (code, name) = (code.clone(), code.clone());
            let category = Category { parent, code, name, depth };
            rows.category.insert(id, category.clone());
            out.emit(Event::Categorised { id, category });
        }
        parent = Some(id);
    }
}
