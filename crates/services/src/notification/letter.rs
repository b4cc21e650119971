//! What is sent: made of the rows of the truth when it is sent, and forgotten then.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jangbu_domain::catalog::model::{Product, Sku};
use jangbu_domain::order::model::{Order, Range, Refund, Shipment};
use jangbu_engine::port::{By, Fault, Key, Read};
use jangbu_kernel::{Currency, ProductId, Secret, SkuId, Time};
use serde_json::json;

use super::template::{Language, Template};
use super::{Delivery, Kind};
use crate::bound::Stored;
use crate::queries::Queries;
use crate::sealing::Sealing;
use crate::user::column;

/// Something that is to be sent.
#[derive(Debug)]
pub enum Letter {
    /// To a buyer.
    Mail(Box<Mail>),
    /// To a hook: a JSON object without personal data.
    Hook {
        /// The same for every attempt.
        id: String,
        /// The topic of the event.
        topic: &'static str,
        /// The object.
        body: String,
    },
}

/// A mail. Whoever prints it sees none of it.
#[derive(Debug)]
pub struct Mail {
    /// The same for every attempt.
    pub id: String,
    /// Its address.
    pub to: Secret,
    /// What the buyer is called.
    pub name: Secret,
    /// Its subject.
    pub subject: Secret,
    /// Its text.
    pub body: Secret,
}

/// What a letter is made with.
#[derive(Debug, Clone)]
pub(super) struct Desk<'a> {
    pub(super) queries: &'a Queries,
    pub(super) sealing: &'a Sealing,
    pub(super) shop: &'a str,
    pub(super) language: Language,
}

impl Desk<'_> {
    /// The mail of a delivery; none: there is nobody who could get it.
    pub(super) fn mail(&self, delivery: &Delivery) -> Result<Option<Letter>, Fault> {
        let Some(order) = self.queries.order(delivery.order)? else { return Ok(None) };
        let user = order.user;
        let Some(account) = self.queries.user(user)? else { return Ok(None) };
        let open = |column, sealed: &jangbu_domain::user::model::Sealed| {
            let opened = self.sealing.open(column, user.0, &sealed.0);
            opened.map_err(|error| Fault::Item(format!("{column} does not open: {error}")))
        };
        let to = open(column::EMAIL, &account.profile.email)?;
        let name = open(column::NAME, &account.profile.name)?;
        let mut values = self.values(&order, delivery)?;
        values.insert("name", name.reveal().to_owned());
        let template = self.queries.template(delivery.kind, self.language)?;
        let (subject, body) = Template::filled(&template, &values);
        let (subject, body) = (Secret::new(subject), Secret::new(body));
        Ok(Some(Letter::Mail(Box::new(Mail { id: id(delivery), to, name, subject, body }))))
    }

    /// The call of a hook; none: there is no such order.
    pub(super) fn hook(&self, delivery: &Delivery) -> Result<Option<Letter>, Fault> {
        let Some(order) = self.queries.order(delivery.order)? else { return Ok(None) };
        let (id, topic) = (id(delivery), delivery.kind.topic());
        let money = |amount: i64| json!({ "amount": amount, "currency": order.currency.as_str() });
        let body = json!({
            "id": id,
            "type": topic,
            "at": delivery.at.to_string(),
            "data": {
                "orderId": delivery.order.to_string(),
                "userId": order.user.to_string(),
                "state": order.state.name(),
                "outcome": order.outcome.map(jangbu_domain::order::model::Outcome::name),
                "fulfilment": order.fulfilment().name(),
                "total": money(order.total),
                "refunded": money(order.refunded),
                "part": (delivery.part != 0).then_some(delivery.part),
            },
        });
        Ok(Some(Letter::Hook { id, topic, body: body.to_string() }))
    }

    /// What a text may name, but the buyer's name.
    fn values(
        &self,
        order: &Order,
        delivery: &Delivery,
    ) -> Result<BTreeMap<&'static str, String>, Fault> {
        let refund = order.refunds.iter().find(|refund| i64::from(refund.no) == delivery.part);
        let parcel = order.shipments.iter().find(|parcel| i64::from(parcel.no) == delivery.part);
        let whole: Vec<Range> = order.lines.iter().enumerate().map(whole).collect();
        let units: &[Range] = match (delivery.kind, refund, parcel) {
            (Kind::Refunded, Some(Refund { units, .. }), _)
            | (Kind::Shipped, _, Some(Shipment { units, .. })) => units,
            _ => &whole,
        };
        let money = |amount| self.money(amount, order.currency);
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        Ok(BTreeMap::from([
            ("shop", self.shop.to_owned()),
            ("order", delivery.order.to_string()),
            ("total", money(order.total)),
            ("amount", money(refund.map_or(0, |refund| refund.amount))),
            ("items", self.items(order, units)?),
            ("reason", text(order.outcome.map(jangbu_domain::order::model::Outcome::name))),
            ("carrier", text(parcel.map(|parcel| &*parcel.carrier))),
            ("tracking", text(parcel.map(|parcel| &*parcel.tracking))),
            ("placedAt", seoul(order.placed_at)),
        ]))
    }

    /// A line for each of the units: what they are called, and how many.
    fn items(&self, order: &Order, units: &[Range]) -> Result<String, Fault> {
        let lines = || units.iter().filter_map(|range| Some((order.lines.get(range.line)?, range)));
        let keys: Vec<Key> = lines().map(|(line, _)| [line.sku.0, 0, 0]).collect();
        let skus = self.queries.many::<Sku>(Read { table: Sku::TABLE, by: By::Keys(keys) })?;
        let skus: BTreeMap<SkuId, Sku> = skus.into_iter().collect();
        let keys = By::Keys(skus.values().map(|sku| [sku.product.0, 0, 0]).collect());
        let products = self.queries.many::<Product>(Read { table: Product::TABLE, by: keys })?;
        let products: BTreeMap<ProductId, Product> = products.into_iter().collect();
        let mut text = String::new();
        for (line, range) in lines() {
            let sku = skus.get(&line.sku);
            let product = sku.and_then(|sku| products.get(&sku.product));
            let name = product.map_or_else(|| line.sku.to_string(), |p| p.name.to_string());
            let variant = sku.map(|sku| &*sku.name).filter(|variant| !variant.is_empty());
            let variant = variant.map(|text| format!(" ({text})")).unwrap_or_default();
            let _ = writeln!(text, "- {name}{variant} × {}", range.quantity);
        }
        text.truncate(text.trim_end().len());
        Ok(text)
    }

    fn money(&self, amount: i64, currency: Currency) -> String {
        let scale = 10_i64.pow(u32::from(currency.exponent()));
        let mut text = grouped(amount / scale);
        if scale > 1 {
            let digits = usize::from(currency.exponent());
            let _ = write!(text, ".{:0digits$}", amount % scale);
        }
        match (self.language, currency) {
            (Language::Korean, Currency::KRW) => text + "원",
            _ => format!("{} {text}", currency.as_str()),
        }
    }
}

fn whole((at, line): (usize, &jangbu_domain::order::model::Line)) -> Range {
    Range { line: at, from: 0, quantity: line.quantity }
}

/// The id of all attempts of a delivery.
fn id(delivery: &Delivery) -> String {
    format!("{}-{}", delivery.seq(), delivery.channel())
}

/// Thousands apart.
fn grouped(n: i64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A moment as a buyer reads it: the clock of Seoul.
fn seoul(at: Time) -> String {
    let text = Time(at.0.saturating_add(9 * 3_600_000_000)).to_string();
    let (date, time) = text.split_once('T').unwrap_or_default();
    format!("{date} {}", time.get(..5).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_and_moments_are_written_as_they_are_read() {
        assert_eq!(
            [0, 7, 999, 1_000, 1_234_567].map(grouped),
            ["0", "7", "999", "1,000", "1,234,567"]
        );
        assert_eq!(seoul(Time(1_795_273_200_000_000)), "2026-11-22 00:00");
    }
}
