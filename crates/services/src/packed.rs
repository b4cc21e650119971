//! Packed columns: lists inside a row as JSON arrays of integers and text, so that SQL reads them
//! with `json_each` and `prove` needs no code of ours.

use serde::Serialize;
use serde::de::DeserializeOwned;

use jangbu_engine::port::RowWriter;

/// Writes a packed column.
pub(crate) fn write(to: &mut RowWriter<'_>, value: &impl Serialize) {
    // Writing numbers and text into a vector cannot fail.
    to.text_with(|bytes| serde_json::to_writer(bytes, value).unwrap_or_default());
}

/// Reads a packed column. One that does not parse was not written by us: the row is damaged, and
/// whoever wants it is set aside rather than told a guess.
pub(crate) fn read<T: DeserializeOwned>(column: &str, text: &str) -> T {
    serde_json::from_str(text)
        .unwrap_or_else(|error| panic!("column {column} is damaged: {error}: {text}"))
}

/// A coded column. A number that means nothing is damage, as above.
pub(crate) fn coded<T>(column: &str, code: i64, from: impl Fn(i64) -> Option<T>) -> T {
    from(code).unwrap_or_else(|| panic!("column {column} is damaged: no such code: {code}"))
}

/// A currency column.
pub(crate) fn currency(text: &str) -> jangbu_kernel::Currency {
    jangbu_kernel::Currency::parse(text)
        .unwrap_or_else(|| panic!("column currency is damaged: {text}"))
}
