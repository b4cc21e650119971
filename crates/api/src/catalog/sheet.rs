//! Products as CSV: what a row means, how rows become products, and how products are written.
//!
//! One row is one SKU. Rows of one product stand together and agree in everything but `sku`,
//! `options`' values, `variant`, `price`, `currency` and `stock`. The header names all columns, in
//! any order:
//!
//! | column | |
//! |---|---|
//! | `merchant` | who sells it |
//! | `product` | a label that is the same for the rows of one product and another for the next one; empty: the name is |
//! | `name`, `description` | of the product |
//! | `category` | codes from a root to its own, such as `clothes/shirts`; empty: in none |
//! | `published` | `true` or `false` |
//! | `sku` | the merchant's code of the SKU, by which it is known for ever; or the id of one without a code |
//! | `options` | `size=M;color=black`; empty: the product has none |
//! | `variant` | what the SKU is called; empty: its values, or the product's name |
//! | `price`, `currency` | minor units, ISO 4217 |
//! | `stock` | units of a *new* SKU; of one that is there it is not read, since stock moves by receipts and adjustments alone |

use std::collections::HashSet;
use std::sync::Arc;

use jangbu_domain::catalog::command::NewSku;
use jangbu_domain::catalog::import::{By, Entry, Item};
use jangbu_domain::catalog::{category, option};
use jangbu_domain::inventory::model::LIMIT;
use jangbu_kernel::words::{is_line, is_prose};
use jangbu_kernel::{Currency, Money, ProductId, SkuId};
use serde::Serialize;

use crate::codes::Own;

/// The columns, in the order in which they are written.
pub const COLUMNS: [&str; 12] = [
    "merchant",
    "product",
    "name",
    "description",
    "category",
    "published",
    "sku",
    "options",
    "variant",
    "price",
    "currency",
    "stock",
];

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wrong {
    /// Which line of the file; the header is line 1.
    pub line: u64,
    /// Which column, or none.
    pub column: Option<&'static str>,
    /// The code.
    pub code: &'static str,
    /// What must be.
    pub message: String,
}

impl Wrong {
    fn new(line: u64, column: &'static str, code: &'static str, message: &str) -> Self {
        Self { line, column: Some(column), code, message: message.to_owned() }
    }
}

/// A product as it is read.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) entry: Entry,
    /// What is wrong with its lines; such a product is left alone.
    pub(super) wrong: Vec<Wrong>,
}

/// Where each column of [`COLUMNS`] stands.
type Places = [usize; COLUMNS.len()];

/// Reads a file. `first` is the number of the line behind the header; `mint` makes ids.
pub(super) fn read(text: &str, first: u64, mint: &dyn Fn() -> i64) -> Result<Vec<Group>, Wrong> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let places = header(reader.headers().map_err(|error| broken(1, &error))?)?;
    let (mut groups, mut label) = (Vec::<Group>::new(), None);
    let mut seen = HashSet::new();
    let mut record = csv::StringRecord::new();
    loop {
        let line = |position: &csv::Position| position.line() + first - 2;
        let at = line(reader.position());
        if !reader.read_record(&mut record).map_err(|error| broken(at, &error))? {
            return Ok(groups);
        }
        let at = record.position().map_or(at, line);
        if record.len() != COLUMNS.len() {
            let message = format!("has {} fields, and the header {}", record.len(), COLUMNS.len());
            return Err(Wrong { line: at, column: None, code: code(), message });
        }
        let row = Row { record: &record, places: &places, line: at };
        let of = (row.get("merchant").to_owned(), row.label().to_owned());
        if label.as_ref() != Some(&of) {
            groups.push(row.group(mint));
            label = Some(of);
        }
        let Some(group) = groups.last_mut() else { continue };
        row.add_to(group, mint, &mut seen);
    }
}

/// The code of a file that is no such table.
pub(super) const fn code() -> &'static str {
    Own::MalformedCsv.code()
}

fn broken(line: u64, error: &csv::Error) -> Wrong {
    Wrong { line, column: None, code: code(), message: error.to_string() }
}

fn header(record: &csv::StringRecord) -> Result<Places, Wrong> {
    let mut places = [0; COLUMNS.len()];
    let names: Vec<&str> = record.iter().map(|name| name.trim_start_matches('\u{feff}')).collect();
    for (place, column) in places.iter_mut().zip(COLUMNS) {
        let at = names.iter().position(|name| name == &column);
        let lacks = || Wrong::new(1, column, code(), "the header lacks this column");
        *place = at.ok_or_else(lacks)?;
    }
    if names.len() == COLUMNS.len() {
        return Ok(places);
    }
    let message = format!("the header has {} columns; it must have {COLUMNS:?}", names.len());
    Err(Wrong { line: 1, column: None, code: code(), message })
}

/// A line.
struct Row<'r> {
    record: &'r csv::StringRecord,
    places: &'r Places,
    line: u64,
}

impl<'r> Row<'r> {
    fn get(&self, column: &str) -> &'r str {
        let at = COLUMNS.iter().position(|name| *name == column).unwrap_or(0);
        self.record.get(self.places[at]).unwrap_or("")
    }

    fn label(&self) -> &'r str {
        let label = self.get("product");
        if label.is_empty() { self.get("name") } else { label }
    }

    fn wrong(&self, column: &'static str, message: &str) -> Wrong {
        Wrong::new(self.line, column, "INVALID_FIELD", message)
    }

    /// The product that begins with this line, still without SKUs.
    fn group(&self, mint: &dyn Fn() -> i64) -> Group {
        let category = self.get("category");
        let codes = category.split('/').filter(|_| !category.is_empty());
        let (options, _) = self.options();
        Group {
            entry: Entry {
                product: ProductId(mint()),
                merchant: Arc::from(self.get("merchant")),
                name: self.get("name").into(),
                description: self.get("description").into(),
                category: codes.map(Into::into).collect(),
                options,
                publish: self.get("published") == "true",
                items: Vec::new(),
            },
            wrong: self.checked(),
        }
    }

    /// What is wrong with what the lines of a product have in common.
    fn checked(&self) -> Vec<Wrong> {
        let mut wrong = Vec::new();
        let mut must = |right: bool, column: &'static str, message: &str| {
            if !right {
                wrong.push(self.wrong(column, message));
            }
        };
        let named = is_line;
        must(named(self.get("merchant"), 200), "merchant", "must have 1 to 200 characters");
        must(named(self.get("name"), 200), "name", "must have 1 to 200 characters");
        let described = is_prose(self.get("description"), 4_000);
        must(described, "description", "must have at most 4000 characters");
        let path = self.get("category");
        let placed = path.is_empty() || path.split('/').all(category::is_code);
        must(placed, "category", "must be codes of 1 to 60 characters, separated by `/`");
        let flag = matches!(self.get("published"), "true" | "false");
        must(flag, "published", "must be true or false");
        wrong
    }

    /// Names and values.
    fn options(&self) -> (Vec<Box<str>>, Vec<Box<str>>) {
        let text = self.get("options");
        let pairs = text.split(';').filter(|_| !text.is_empty());
        pairs
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(n, v)| (n.into(), v.into()))
            .unzip()
    }

    /// Adds the SKU of this line, or what is wrong with it.
    fn add_to(
        &self,
        group: &mut Group,
        mint: &dyn Fn() -> i64,
        seen: &mut HashSet<(Arc<str>, String)>,
    ) {
        let mut wrong = Vec::new();
        let (names, values) = self.options();
        self.check_common(group, &names, &mut wrong);
        if !values.iter().all(|value| option::is_word(value))
            || !names.iter().all(|n| option::is_word(n))
        {
            wrong.push(self.wrong("options", "must be such as size=M;color=black"));
        }
        let sku = self.get("sku");
        let by = SkuId::parse(sku).map(By::Id);
        if by.is_none() && !jangbu_domain::catalog::code::is_code(sku) {
            wrong.push(self.wrong("sku", "must be 1 to 64 visible ASCII characters, or an id"));
        }
        if !seen.insert((group.entry.merchant.clone(), sku.to_owned())) {
            let message = "stands in the file already";
            wrong.push(Wrong::new(self.line, "sku", "SKU_CODE_TAKEN", message));
        }
        let number = |column, most: i64| {
            let read = self.get(column).parse().ok();
            read.filter(|n: &i64| (0..=most).contains(n))
        };
        let (price, stock) = (number("price", Money::MAX), number("stock", LIMIT));
        if price.is_none() {
            wrong.push(self.wrong("price", "must be an amount in minor units"));
        }
        if stock.is_none() {
            wrong.push(self.wrong("stock", "must be a number of units"));
        }
        let currency = Currency::parse(self.get("currency"));
        if currency.is_none() {
            wrong.push(self.wrong("currency", "must be an ISO 4217 code that is known"));
        }
        let variant = match self.get("variant") {
            "" if values.is_empty() => self.get("name").to_owned(),
            "" => values.join(" / "),
            variant => variant.to_owned(),
        };
        if !is_line(&variant, 200) {
            wrong.push(self.wrong("variant", "must have at most 200 characters"));
        }
        let price = Money::new(price.unwrap_or(0), currency.unwrap_or(Currency::KRW));
        let code = by.is_none().then(|| sku.into());
        let new = NewSku { code, values, ..NewSku::new(SkuId(mint()), &variant, price) };
        let (line, by) = (u32::try_from(self.line).unwrap_or(u32::MAX), by.unwrap_or(By::Code));
        group.entry.items.push(Item { line, by, new, stock: stock.unwrap_or(0) });
        group.wrong.append(&mut wrong);
    }

    /// Whether this line says the same of the product as its first one.
    fn check_common(&self, group: &Group, names: &[Box<str>], wrong: &mut Vec<Wrong>) {
        let Entry { name, description, category, options, publish, .. } = &group.entry;
        let same = [
            ("name", **name == *self.get("name")),
            ("description", **description == *self.get("description")),
            ("category", category.join("/") == self.get("category")),
            ("options", **options == *names),
            ("published", *publish == (self.get("published") == "true")),
        ];
        for (column, _) in same.into_iter().filter(|(_, same)| !same) {
            wrong.push(self.wrong(column, "must be as in the first line of the product"));
        }
    }
}

/// A file cut into parts: each begins with the header, has whole products, and at most so many rows
/// and about so many bytes. With each part comes the number of its first line behind the header.
pub fn parts(
    text: &str,
    (rows, bytes): (usize, usize),
    each: &mut dyn FnMut(&str, u64, usize) -> bool,
) -> Result<(), Wrong> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let places = header(reader.headers().map_err(|error| broken(1, &error))?)?;
    let body = usize::try_from(reader.position().byte()).unwrap_or(0);
    let head = &text[..body];
    let (mut part, mut product) = ((body, reader.position().line(), 0_usize), (body, 0_usize));
    let (mut label, mut record) = (None, csv::StringRecord::new());
    let mut line_of_product = part.1;
    let mut cut = |from: (usize, u64, usize), to: usize, count: usize| {
        count == 0 || each(&format!("{head}{}", &text[from.0..to]), from.1, count)
    };
    loop {
        let (start, line) =
            (usize::try_from(reader.position().byte()).unwrap_or(0), reader.position().line());
        if !reader.read_record(&mut record).map_err(|error| broken(line, &error))? {
            cut(part, text.len(), part.2);
            return Ok(());
        }
        let row = Row { record: &record, places: &places, line };
        let of = (row.get("merchant").to_owned(), row.label().to_owned());
        if label.as_ref() != Some(&of) {
            (label, product, line_of_product) = (Some(of), (start, part.2), line);
        }
        part.2 += 1;
        let full = part.2 > rows || start - part.0 > bytes;
        if full && product.1 > 0 {
            if !cut(part, product.0, product.1) {
                return Ok(());
            }
            part = (product.0, line_of_product, part.2 - product.1);
            product.1 = 0;
        }
    }
}

/// Appends a row.
pub(super) fn write(fields: &[&str; COLUMNS.len()], to: &mut String) {
    for (at, field) in fields.iter().enumerate() {
        if at > 0 {
            to.push(',');
        }
        let plain = !field.contains(['"', ',', '\n', '\r']) && field.trim() == *field;
        if plain {
            to.push_str(field);
        } else {
            to.push('"');
            to.push_str(&field.replace('"', "\"\""));
            to.push('"');
        }
    }
    to.push('\n');
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;

    use super::*;

    const GOOD: [&str; 12] =
        ["m-1", "p1", "Tee", "Of cotton", "a/b", "true", "T-S", "size=S", "", "900", "KRW", "5"];

    fn file(rows: &[[&str; 12]]) -> String {
        let mut text = String::new();
        write(&COLUMNS, &mut text);
        for row in rows {
            write(row, &mut text);
        }
        text
    }

    fn groups(text: &str) -> Result<Vec<Group>, Wrong> {
        let last = Cell::new(0);
        read(text, 2, &|| {
            last.set(last.get() + 1);
            last.get()
        })
    }

    fn with(column: &str, value: &'static str) -> [&'static str; 12] {
        let mut row = GOOD;
        row[COLUMNS.iter().position(|name| *name == column).unwrap()] = value;
        row
    }

    /// What each bad value of a column is told; the line is always the second row's.
    #[test]
    fn every_bad_field_is_told_with_line_and_column() {
        let bad: &[(&str, &str)] = &[
            ("name", ""),
            ("name", "Shirt"),
            ("description", "Of wool"),
            ("category", "a//b"),
            ("category", "a"),
            ("published", "yes"),
            ("published", "false"),
            ("sku", ""),
            ("sku", "a b"),
            ("sku", "T-S"),
            ("sku", "면"),
            ("options", "size"),
            ("options", "color=S"),
            ("options", ""),
            ("options", "size="),
            ("price", ""),
            ("price", "-1"),
            ("price", "1.5"),
            ("price", "1e3"),
            ("price", "99999999999999999999"),
            ("currency", "krw"),
            ("currency", "XXX"),
            ("stock", "-1"),
            ("stock", "many"),
            ("stock", ""),
        ];
        for (column, value) in bad {
            let mut second = with("sku", "T-M");
            second[COLUMNS.iter().position(|name| name == column).unwrap()] = value;
            let groups = groups(&file(&[GOOD, second])).unwrap();
            let wrong: Vec<_> = groups.iter().flat_map(|group| &group.wrong).collect();
            let told = wrong.iter().any(|wrong| wrong.line == 3 && wrong.column == Some(column));
            assert!(told, "{column} = {value:?}: {wrong:?}");
        }
    }

    #[test]
    fn a_file_that_is_no_such_table_is_refused_as_a_whole() {
        let short = file(&[GOOD]).replace(",5\n", "\n");
        let long = file(&[GOOD]).replace(",5\n", ",5,6\n");
        let lacks = file(&[GOOD]).replace("sku,", "");
        let more = file(&[GOOD]).replace("sku,", "sku,more,");
        for (text, line) in [(short, 2), (long, 2), (lacks, 1), (more, 1), (String::new(), 1)] {
            let wrong = groups(&text).unwrap_err();
            assert_eq!((wrong.code, wrong.line), ("MALFORMED_CSV", line), "{text}");
        }
    }

    #[test]
    fn rows_that_stand_together_are_a_product() {
        let other = with("product", "p2");
        let rows = [
            GOOD,
            with("sku", "T-M"),
            [other[0], other[1], "Mug", "", "", "false", "M-1", "", "", "5", "KRW", "0"],
        ];
        let groups = groups(&file(&rows)).unwrap();
        let shape: Vec<_> =
            groups.iter().map(|g| (&*g.entry.name, g.entry.items.len(), g.wrong.len())).collect();
        assert_eq!(shape, [("Tee", 2, 0), ("Mug", 1, 0)]);
        assert_eq!(groups[0].entry.items.iter().map(|item| item.line).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(&*groups[1].entry.items[0].new.name, "Mug");
        assert_eq!(&*groups[0].entry.items[0].new.name, "S");
    }

    proptest! {
        #[test]
        fn a_file_in_parts_is_the_file(
            rows in prop::collection::vec((0_u8..6, "[a-z \"\n,]{0,8}"), 0..40), most in 1_usize..9,
        ) {
            let codes: Vec<String> = (0..rows.len()).map(|n| format!("C-{n}")).collect();
            let labels: Vec<String> = rows.iter().map(|(n, _)| format!("p{n}")).collect();
            let row = |at: usize| {
                let mut row = GOOD;
                (row[1], row[3], row[6]) = (&labels[at], &rows[at].1, &codes[at]);
                row
            };
            let table: Vec<_> = (0..rows.len()).map(row).collect();
            let text = file(&table);
            let whole = groups(&text).unwrap();
            let (mut found, mut counted) = (Vec::new(), 0);
            parts(&text, (most, usize::MAX), &mut |part, first, count| {
                counted += count;
                found.extend(read(part, first, &|| 1).unwrap());
                true
            }).unwrap();
            prop_assert_eq!(counted, rows.len());
            let shape = |groups: &[Group]| {
                let lines = |g: &Group| g.entry.items.iter().map(|item| item.line).collect::<Vec<_>>();
                groups.iter().map(|g| (g.entry.description.clone(), lines(g))).collect::<Vec<_>>()
            };
            prop_assert_eq!(shape(&found), shape(&whole));
        }
    }
}
