//! The texts of mails. Each kind has one in each language; an operator may replace it.
//!
//! A text names what it tells in double braces, as `{{order}}`; nothing else in it means anything. What
//! is known by which name stands in [`VARIABLES`], and a text with another name is not taken. There are
//! neither conditions nor loops: a text cannot fail, and not take long, when it is sent.
//!
//! Who changed a text, and why, is a line of the audit log with the whole text in it. The table is made
//! from these lines, also when the derived store is made anew.

use std::collections::BTreeMap;

use jangbu_engine::books::AUDIT;
use jangbu_engine::port::{Col, Fault, Mode, Table, WritePlan};
use jangbu_kernel::coded;
use serde::{Deserialize, Serialize};

use super::Kind;
use crate::queries::{Queries, range};

/// The operation of the audit log that changes a text.
const OPERATION: &str = "notification.template";

/// Characters of a subject, and of a text.
const LONGEST: (usize, usize) = (200, 10_000);

/// What a text may name.
pub const VARIABLES: &[&str] = &[
    "shop", "name", "order", "total", "amount", "items", "reason", "carrier", "tracking",
    "placedAt",
];

coded! {
    /// The language of a text.
    Language {
        /// Korean.
        Korean = 1 "ko",
        /// English.
        English = 2 "en",
    }
}

impl Language {
    /// By its name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|language| language.name() == name)
    }
}

/// Texts that an operator has changed.
pub static TEMPLATE: Table = Table {
    rank: 53,
    name: "template",
    key: &["kind", "language"],
    cols: &[Col::text("subject"), Col::text("body"), Col::int("line")],
    versioned: false,
    due: false,
    lists: &[],
    hot: false,
};

/// A text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// The subject of the mail.
    pub subject: String,
    /// Its text.
    pub body: String,
}

/// What a line of the audit log says of a text.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    kind: String,
    language: String,
    subject: String,
    body: String,
}

impl Template {
    /// The text that a shop begins with.
    pub fn first(kind: Kind, language: Language) -> Self {
        let (subject, body) = match language {
            Language::Korean => korean(kind),
            Language::English => english(kind),
        };
        Self { subject: subject.to_owned(), body: body.to_owned() }
    }

    /// The state of the audit log that has this text.
    pub fn line(&self, kind: Kind, language: Language) -> serde_json::Value {
        serde_json::json!({
            "kind": kind.name(), "language": language.name(),
            "subject": self.subject, "body": self.body,
        })
    }

    /// Subject and text with everything put in that they name.
    pub(super) fn filled(&self, values: &BTreeMap<&str, String>) -> (String, String) {
        // A line break in a value must not begin a header.
        let subject = fill(&self.subject, values).replace(['\r', '\n'], " ");
        (subject, fill(&self.body, values))
    }
}

/// What is wrong with a text: the field, and a sentence.
pub fn check(template: &Template) -> Result<(), (&'static str, String)> {
    let Template { subject, body } = template;
    for (field, text, most) in [("subject", subject, LONGEST.0), ("body", body, LONGEST.1)] {
        if text.trim().is_empty() || text.chars().count() > most {
            return Err((field, format!("must have 1 to {most} characters")));
        }
        let odd = |c: char| c.is_control() && !(field == "body" && c == '\n');
        if text.contains(odd) {
            return Err((field, "must have no control characters".to_owned()));
        }
        for name in names(text) {
            let name = name.map_err(|()| (field, "a {{ has no }}".to_owned()))?;
            if !VARIABLES.contains(&name) {
                let known = VARIABLES.join(", ");
                return Err((field, format!("{{{{{name}}}}} is not known; these are: {known}")));
            }
        }
    }
    Ok(())
}

/// The names in a text; an error where one does not end.
fn names(text: &str) -> impl Iterator<Item = Result<&str, ()>> {
    text.split("{{")
        .skip(1)
        .map(|rest| rest.split_once("}}").map(|(name, _)| name.trim()).ok_or(()))
}

fn fill(text: &str, values: &BTreeMap<&str, String>) -> String {
    let mut parts = text.split("{{");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once("}}").unwrap_or(("", part));
        filled.push_str(values.get(name.trim()).map_or("", String::as_str));
        filled.push_str(rest);
    }
    filled
}

impl Queries {
    /// The text of a kind in a language, as it is now.
    pub fn template(&self, kind: Kind, language: Language) -> Result<Template, Fault> {
        Ok(known(self)?
            .remove(&(kind, language))
            .unwrap_or_else(|| Template::first(kind, language)))
    }
}

/// Every text that an operator has changed.
pub fn known(queries: &Queries) -> Result<BTreeMap<(Kind, Language), Template>, Fault> {
    let mut found = BTreeMap::new();
    let read = range(&TEMPLATE, [i64::MIN; 3], [i64::MAX; 3], u32::MAX);
    queries.derived.read(&[read], &mut |_, row| {
        let place = Kind::from_code(row.int(0)).zip(Language::from_code(row.int(1)));
        let (subject, body) = (row.text(2).to_owned(), row.text(3).to_owned());
        found.extend(place.map(|place| (place, Template { subject, body })));
    })?;
    Ok(found)
}

/// The rows of changes that the audit log has and the table has not.
pub fn changes(queries: &Queries) -> Result<WritePlan, Fault> {
    const PAGE: u32 = 1_000;
    let mut line = 0;
    let read = range(&TEMPLATE, [i64::MIN; 3], [i64::MAX; 3], u32::MAX);
    queries.derived.read(&[read], &mut |_, row| line = line.max(row.int(4)))?;
    let mut latest = BTreeMap::new();
    loop {
        let mut rows = 0;
        let read = range(&AUDIT, [line + 1, 0, 0], [i64::MAX; 3], PAGE);
        queries.truth.read(&[read], &mut |_, row| {
            (line, rows) = (row.int(0), rows + 1);
            if row.text(3) == OPERATION {
                latest.extend(parsed(row.text(8)).map(|(place, text)| (place, (text, line))));
            }
        })?;
        if rows < PAGE {
            break;
        }
    }
    let mut plan = WritePlan::default();
    for ((kind, language), (Template { subject, body }, line)) in latest {
        let mut row = plan.row(&TEMPLATE, Mode::Upsert);
        row.int(kind.code()).int(language.code()).text(&subject).text(&body).int(line);
    }
    Ok(plan)
}

fn parsed(after: &str) -> Option<((Kind, Language), Template)> {
    let Line { kind, language, subject, body } = serde_json::from_str(after).ok()?;
    let place = (Kind::from_name(&kind)?, Language::from_name(&language)?);
    Some((place, Template { subject, body }))
}

fn korean(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Placed => (
            "[{{shop}}] 주문이 접수되었습니다",
            "{{name}}님, 주문 {{order}}이(가) 접수되었습니다.\n\n{{items}}\n\n주문 금액: {{total}}\n주문 일시: {{placedAt}}\n",
        ),
        Kind::Completed => (
            "[{{shop}}] 결제가 완료되었습니다",
            "{{name}}님, 주문 {{order}}의 결제가 완료되었습니다.\n\n{{items}}\n\n결제 금액: {{total}}\n",
        ),
        Kind::Cancelled => (
            "[{{shop}}] 주문이 취소되었습니다",
            "{{name}}님, 주문 {{order}}이(가) 취소되었습니다.\n\n{{items}}\n\n사유: {{reason}}\n",
        ),
        Kind::Refunded => (
            "[{{shop}}] 환불이 완료되었습니다",
            "{{name}}님, 주문 {{order}}의 환불이 완료되었습니다.\n\n{{items}}\n\n카드 환불 금액: {{amount}}\n",
        ),
        Kind::Shipped => (
            "[{{shop}}] 상품이 발송되었습니다",
            "{{name}}님, 주문 {{order}}의 상품이 발송되었습니다.\n\n{{items}}\n\n택배사: {{carrier}}\n운송장 번호: {{tracking}}\n",
        ),
    }
}

fn english(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Placed => (
            "[{{shop}}] We have your order",
            "{{name}}, we have your order {{order}}.\n\n{{items}}\n\nTotal: {{total}}\nPlaced: {{placedAt}}\n",
        ),
        Kind::Completed => (
            "[{{shop}}] Your payment is complete",
            "{{name}}, your order {{order}} is paid.\n\n{{items}}\n\nTotal: {{total}}\n",
        ),
        Kind::Cancelled => (
            "[{{shop}}] Your order was cancelled",
            "{{name}}, your order {{order}} was cancelled.\n\n{{items}}\n\nWhy: {{reason}}\n",
        ),
        Kind::Refunded => (
            "[{{shop}}] Your refund is complete",
            "{{name}}, a refund of your order {{order}} is complete.\n\n{{items}}\n\nBack to your card: {{amount}}\n",
        ),
        Kind::Shipped => (
            "[{{shop}}] Your order is on its way",
            "{{name}}, your order {{order}} is on its way.\n\n{{items}}\n\nCarrier: {{carrier}}\nNumber: {{tracking}}\n",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(subject: &str, body: &str) -> Template {
        Template { subject: subject.to_owned(), body: body.to_owned() }
    }

    #[test]
    fn the_first_texts_name_only_what_is_known() {
        for kind in Kind::ALL {
            for language in Language::ALL {
                assert_eq!(check(&Template::first(*kind, *language)), Ok(()), "{kind:?}");
            }
        }
    }

    #[test]
    fn a_text_that_cannot_be_filled_is_refused_with_its_field() {
        for (template, field, why) in [
            (text("", "x"), "subject", "characters"),
            (text("x", " \n"), "body", "characters"),
            (text("x\r\nBcc: me", "x"), "subject", "control"),
            (text("x", "{{password}}"), "body", "password"),
            (text("{{order", "x"), "subject", "no }}"),
            (text("x", &"x".repeat(10_001)), "body", "10000"),
        ] {
            let (at, told) = check(&template).unwrap_err();
            assert!(at == field && told.contains(why), "{at}: {told}");
        }
    }

    #[test]
    fn values_are_put_in_once_and_never_read_as_a_text() {
        let values = BTreeMap::from([
            ("name", "{{order}}\nBcc: x".to_owned()),
            ("order", "ord_1".to_owned()),
        ]);
        let (subject, body) = text("{{name}} {{ order }}", "{{name}}{{shop}}").filled(&values);
        assert_eq!(subject, "{{order}} Bcc: x ord_1");
        assert_eq!(body, "{{order}}\nBcc: x");
    }
}
