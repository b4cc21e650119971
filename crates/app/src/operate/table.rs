//! Answers as aligned text.

use serde_json::Value;

/// A column: its title, and where its value is in an item.
pub(super) type Column = (&'static str, &'static str);

/// A list, and how its next page is asked for.
pub(super) fn page(answer: &Value, columns: &[Column]) -> String {
    let items = answer["items"].as_array().map_or(&[][..], Vec::as_slice);
    if items.is_empty() {
        return "nothing\n".to_owned();
    }
    let titles = columns.iter().map(|(title, _)| (*title).to_owned()).collect();
    let row = |item: &Value| {
        let cell = |(title, at): &Column| cell(title, item.pointer(at).unwrap_or(&Value::Null));
        columns.iter().map(cell).collect()
    };
    let rows: Vec<Vec<String>> = std::iter::once(titles).chain(items.iter().map(row)).collect();
    let mut text = aligned(&rows);
    if let Some(next) = answer["nextCursor"].as_str() {
        text += &["more: --cursor ", &clean(next), "\n"].concat();
    }
    text
}

/// One thing: a line for each of its fields.
pub(super) fn show(answer: &Value) -> String {
    let mut rows = Vec::new();
    fields("", answer, &mut rows);
    aligned(&rows)
}

fn fields(at: &str, value: &Value, rows: &mut Vec<Vec<String>>) {
    let below = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
    match value {
        Value::Object(object) if money(value).is_none() => {
            for (name, value) in object {
                fields(&below(name), value, rows);
            }
        }
        Value::Array(items)
            if items.iter().any(|item| item.is_object() && money(item).is_none()) =>
        {
            for (n, item) in items.iter().enumerate() {
                fields(&below(&n.to_string()), item, rows);
            }
        }
        value => rows.push(vec![at.to_owned(), cell("", value)]),
    }
}

fn money(value: &Value) -> Option<String> {
    let fields = value.as_object().filter(|fields| fields.len() == 2)?;
    let (amount, currency) = (fields.get("amount")?, fields.get("currency")?.as_str()?);
    Some(format!("{amount} {currency}"))
}

fn cell(title: &str, value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => clean(text),
        Value::Number(seconds) if title == "AGE" => format!("{seconds} s"),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => {
            items.iter().map(|item| cell("", item)).collect::<Vec<_>>().join(", ")
        }
        value => money(value).unwrap_or_else(|| value.to_string()),
    }
}

/// What others wrote must not steer the terminal.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Columns as wide as their widest cell; the last one as it is.
pub(crate) fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cell = |(cell, width): (&String, &usize)| format!("{cell:<width$}", width = *width);
        let line = row.iter().zip(&widths).map(cell).collect::<Vec<_>>().join("  ");
        text += line.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_is_a_table_and_a_thing_its_fields() {
        let columns: &[Column] = &[("ORDER", "/id"), ("AGE", "/age"), ("WHY", "/why")];
        let answer = json!({
            "items": [
                { "id": "ord_1", "age": 5, "why": "it\u{1b}[2Jwaits" },
                { "id": "ord_22", "age": 10 },
            ],
            "nextCursor": "ord_22",
        });
        let wanted = "ORDER   AGE   WHY\nord_1   5 s   it [2Jwaits\nord_22  10 s  -\n\
                      more: --cursor ord_22\n";
        assert_eq!(page(&answer, columns), wanted);
        assert_eq!(page(&json!({ "items": [] }), columns), "nothing\n");
        let thing =
            json!({ "a": { "b": 1 }, "m": { "amount": 5, "currency": "KRW" }, "x": ["p", "q"] });
        assert_eq!(show(&thing), "a.b  1\nm    5 KRW\nx    p, q\n");
    }
}
