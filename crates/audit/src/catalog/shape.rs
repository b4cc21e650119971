//! What the catalog is built of: options and their choices, the tree of categories, the history of
//! prices, and the codes of merchants.

use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};

use super::Catalog;
use crate::{
    Error,
    book::{Book, rules},
    ids,
    rows::{Source, scan},
};

rules! {
    OPTIONS = "catalog.options", Mismatched, "A product with options has one choice of existing values for each SKU, and no two alike.";
    TREE = "catalog.tree", Mismatched, "The id of a category follows from its parent and code, its parent stands one level above it, and there are five levels.";
    CATEGORY = "catalog.category", Mismatched, "The category of every product exists.";
    PRICES = "catalog.prices", Mismatched, "The prices of a SKU are numbered without a gap up to its version, one follows another in time, and the last is its price.";
    PLANNED = "catalog.planned", Mismatched, "Planned prices stand in the order of their moments, and the first is the timer of the SKU.";
    CODE = "catalog.code", Mismatched, "A code has the key that follows from merchant and code, and means the SKU that has it; a SKU has one code at most.";
}

/// The first eight bytes of a SHA-256, without the sign.
fn key_of(parts: &[&[u8]]) -> i64 {
    let hash = parts.iter().fold(Sha256::new(), Digest::chain_update);
    let digest: [u8; 32] = hash.finalize().into();
    i64::from_be_bytes(digest.first_chunk().copied().unwrap_or_default()) & i64::MAX
}

/// An option and its values.
type Named = (String, Vec<String>);

/// Checks the options and choices of a product with so many SKUs.
pub(super) fn options(
    product: i64,
    skus: usize,
    (options, choices): (&[Named], &[Vec<usize>]),
    book: &mut Book,
) {
    let names: HashSet<&String> = options.iter().map(|(name, _)| name).collect();
    let fits = |choice: &Vec<usize>| {
        let values = options.iter().map(|(_, values)| values.len());
        choice.len() == options.len() && choice.iter().zip(values).all(|(n, values)| *n < values)
    };
    let different = choices.iter().collect::<HashSet<_>>().len() == choices.len();
    let used = |(at, (_, values)): (usize, &Named)| {
        let distinct = values.iter().collect::<HashSet<_>>().len() == values.len();
        distinct
            && (0..values.len()).all(|n| choices.iter().any(|choice| choice.get(at) == Some(&n)))
    };
    let count = if options.is_empty() { 0 } else { skus };
    let lawful = choices.len() == count
        && names.len() == options.len()
        && different
        && choices.iter().all(fits)
        && options.iter().enumerate().all(used);
    if !lawful {
        let detail = format!("{options:?} of {skus} SKUs with choices {choices:?}");
        book.find(OPTIONS, ids::show("prd", product), detail);
    }
}

/// Checks the tree of categories; gives their ids. A cycle cannot be: an id is the hash of what
/// stands above it.
pub(super) fn tree(from: Source<'_>, book: &mut Book) -> Result<HashSet<i64>, Error> {
    let mut depths = HashMap::new();
    let mut below = Vec::new();
    let sql = "SELECT id, parent, code, name, depth FROM category";
    scan(from, book, sql, |cells, book| {
        let (id, parent, code) = (cells.int()?, cells.int_or_null()?, cells.text()?);
        let (name, depth) = (cells.text()?, cells.int_in(1..=5)?);
        let key = key_of(&[&parent.unwrap_or(0).to_be_bytes(), code.as_bytes()]).max(1);
        if key != id || name.is_empty() {
            let detail = format!("`{code}` called `{name}` below {parent:?} has key {key}");
            book.find(TREE, ids::show("cat", id), detail);
        }
        depths.insert(id, depth);
        below.push((id, parent, depth));
        Ok(())
    })?;
    for (id, parent, depth) in below {
        let above = parent.map_or(Some(0), |parent| depths.get(&parent).copied());
        if above.is_none_or(|above| above + 1 != depth) {
            let detail = format!("stands on level {depth} below {parent:?} on level {above:?}");
            book.find(TREE, ids::show("cat", id), detail);
        }
    }
    Ok(depths.into_keys().collect())
}

/// The last price of a SKU so far.
#[derive(Clone, Copy)]
struct Last {
    no: i64,
    since: i64,
    amount: i64,
}

/// Checks what SKUs have cost and are to cost.
pub(super) fn history(
    from: Source<'_>,
    catalog: &mut Catalog,
    book: &mut Book,
) -> Result<(), Error> {
    let mut last: HashMap<i64, Last> = HashMap::with_capacity(catalog.skus.len());
    let sql = "SELECT sku, no, since, amount FROM price ORDER BY sku, no";
    scan(from, book, sql, |cells, book| {
        let (sku, no) = (cells.int()?, cells.int()?);
        let (since, amount) = (cells.int()?, cells.int()?);
        let follows = match last.get(&sku) {
            Some(before) => no == before.no + 1 && since >= before.since,
            // The history of a SKU that is older than histories begins with the version it had.
            None => no == 1 || (no > 1 && since == 0),
        };
        if !follows || amount < 0 || !catalog.skus.contains_key(&sku) {
            let detail = format!("version {no}, {amount} since {since}, does not follow");
            book.find(PRICES, ids::sku(sku), detail);
        }
        if let Some(before) = last.insert(sku, Last { no, since, amount }) {
            catalog.earlier.entry(sku).or_default().push(before.amount);
        } else if no > 1 {
            catalog.older.insert(sku);
        }
        Ok(())
    })?;
    for (id, sku) in &catalog.skus {
        let found = last.get(id).map(|last| (last.no, last.amount));
        if found != Some((sku.price_version, sku.price)) {
            let wanted = (sku.price_version, sku.price);
            book.find(PRICES, ids::sku(*id), format!("ends with {found:?}, is {wanted:?}"));
        }
    }
    let sql = "SELECT id, planned, next_at FROM sku WHERE planned <> '[]' OR next_at IS NOT NULL";
    scan(from, book, sql, |cells, book| {
        let (id, planned) = (cells.int()?, cells.json::<Vec<(i64, i64)>>()?);
        let next_at = cells.int_or_null()?;
        let ordered = planned.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let lawful = ordered && planned.iter().all(|(_, amount)| *amount >= 0);
        if !lawful || planned.first().map(|(from, _)| *from) != next_at {
            book.find(PLANNED, ids::sku(id), format!("{planned:?}, the timer is {next_at:?}"));
        }
        Ok(())
    })?;
    Ok(())
}

/// Checks that codes and SKUs name each other.
pub(super) fn codes(from: Source<'_>, catalog: &Catalog, book: &mut Book) -> Result<(), Error> {
    let mut of: HashMap<i64, String> = HashMap::new();
    let sql = "SELECT id, merchant, code, sku, product FROM sku_code";
    scan(from, book, sql, |cells, book| {
        let (id, merchant, code) = (cells.int()?, cells.text()?, cells.text()?);
        let (sku, product) = (cells.int()?, cells.int()?);
        let theirs = catalog.sku(sku).filter(|sku| sku.product == product);
        let same = theirs.and_then(|sku| catalog.merchant(sku)) == Some(merchant);
        let key = key_of(&[merchant.as_bytes(), &[0], code.as_bytes()]);
        if !same || key != id || of.insert(sku, code.to_owned()).is_some() {
            let detail = format!("`{code}` of {merchant} with key {id}, which should be {key}");
            book.find(CODE, ids::sku(sku), detail);
        }
        Ok(())
    })?;
    let sql = "SELECT id, code FROM sku WHERE code IS NOT NULL";
    scan(from, book, sql, |cells, book| {
        let (id, code) = (cells.int()?, cells.text()?);
        if of.remove(&id).as_deref() != Some(code) {
            book.find(CODE, ids::sku(id), format!("its code `{code}` does not mean it"));
        }
        Ok(())
    })?;
    for (sku, code) in of {
        book.find(CODE, ids::sku(sku), format!("`{code}` means it, and it has none"));
    }
    Ok(())
}
