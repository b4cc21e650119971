//! The words of the tables: commands in, answers and rows out.

use std::fmt::Write;

use jangbu_kernel::domain::Coded;
use jangbu_kernel::id::MovementId;
use jangbu_kernel::{Domain, OrderId, SkuId, Time};

use super::world::{Answer, World};
use crate::inventory::Inventory;
use crate::inventory::command::{Command, Line, Reject, Reply};
use crate::inventory::model::{LIMIT, Reservation, Stock};

pub(super) fn check(table: &str) {
    let mut world = World::default();
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (asked, expected) = line.split_once(" => ").unwrap_or((line, ""));
        assert_eq!(answer(&mut world, asked.trim()), expected, "{line}");
    }
}

pub(super) fn answer(world: &mut World, line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    match *words.as_slice() {
        ["at", now] => world.now = number(now),
        ["stock", sku] => return show_stock(&world.store.stock[&SkuId(number(sku))].0),
        ["order", order] => {
            return show_order(world.store.reservation.get(&OrderId(number(order))));
        }
        ["changed"] => return show_changed(&world.changed),
        _ => {
            let now = Time(world.now);
            let batch: Vec<_> = line.split(';').map(|text| (now, command(text))).collect();
            let answers = world.commit(&batch);
            return answers.iter().map(show).collect::<Vec<_>>().join("; ");
        }
    }
    String::new()
}

pub(super) fn command(text: &str) -> Command {
    let words: Vec<&str> = text.split_whitespace().collect();
    let order = |word| OrderId(number(word));
    let movement = |word| MovementId(number(word));
    match words.as_slice() {
        ["receive", id, sku, units, why @ ..] => {
            let (movement, quantity, reason) = (movement(id), number(units), why.concat().into());
            Command::Receive { movement, sku: SkuId(number(sku)), quantity, reason }
        }
        ["adjust", id, sku, units, why @ ..] => {
            let (movement, delta, reason) = (movement(id), number(units), why.concat().into());
            Command::Adjust { movement, sku: SkuId(number(sku)), delta, reason }
        }
        ["reserve", id, given @ .., "pinned"] => Command::Reserve {
            order: order(id),
            lines: lines(given),
            pin: true,
            expires_at: Time(0),
        },
        ["reserve", id, given @ .., "until", at] => {
            let expires_at = Time(number(at));
            Command::Reserve { order: order(id), lines: lines(given), pin: false, expires_at }
        }
        ["pin", id] => Command::Pin { order: order(id) },
        ["commit", id] => Command::Commit { order: order(id) },
        ["release", id] => Command::Release { order: order(id) },
        ["expire", id] => Inventory::wake("reservation", number(id)),
        ["return", id, no, given @ .., how] => Command::Return {
            order: order(id),
            no: number(no).try_into().unwrap(),
            lines: lines(given),
            restock: *how == "restocked",
        },
        _ => panic!("no command: {text}"),
    }
}

/// `S1`, `O1` and `M1` are number 1; `MAX` is the limit of a counter.
fn number(word: &str) -> i64 {
    if word == "MAX" { LIMIT } else { word.trim_start_matches(['S', 'O', 'M']).parse().unwrap() }
}

fn lines(words: &[&str]) -> Vec<Line> {
    let parts = words.iter().map(|word| word.split_once('x').unwrap());
    parts.map(|(sku, n)| Line { sku: SkuId(number(sku)), quantity: number(n) }).collect()
}

fn show(answer: &Answer) -> String {
    let reject = match answer {
        Ok(Reply::Moved { movement, sku, quantity, available }) => {
            return format!("moved M{} S{} {quantity:+}, {available} available", movement.0, sku.0);
        }
        Ok(reply) => return format!("{reply:?}").to_lowercase(),
        Err(reject) => reject,
    };
    let code = reject.code();
    if let Reject::InsufficientStock { sku, available } = reject {
        format!("{code} S{}, {available} available", sku.0)
    } else if let Reject::StockUnknown { sku } | Reject::ReturnExceedsSold { sku } = reject {
        format!("{code} S{}", sku.0)
    } else {
        code.to_owned()
    }
}

fn show_stock(stock: &Stock) -> String {
    let named = [
        ("received", stock.received),
        ("adjusted", stock.adjusted),
        ("returned", stock.returned),
        ("available", stock.available),
        ("reserved", stock.reserved),
        ("sold", stock.sold),
        ("written-off", stock.written_off),
    ];
    let shown = named.iter().filter(|(_, n)| *n != 0).map(|(name, n)| format!("{name} {n}"));
    shown.collect::<Vec<_>>().join(", ")
}

fn show_order(row: Option<&(Reservation, i64)>) -> String {
    let Some((row, _)) = row else { return "none".to_owned() };
    let mut text = format!("{:?}", row.state).to_lowercase();
    row.lines.iter().for_each(|line| write!(text, " S{}x{}", line.sku.0, line.quantity).unwrap());
    if let Some(at) = row.next_at {
        write!(text, " until {}", at.0).unwrap();
    }
    for back in &row.returns {
        write!(text, ", return {}", back.no).unwrap();
        back.lines.iter().for_each(|l| write!(text, " S{}x{}", l.sku.0, l.quantity).unwrap());
        text.push_str(if back.restock { " restocked" } else { " lost" });
    }
    text
}

fn show_changed(stocks: &[(SkuId, i64)]) -> String {
    if stocks.is_empty() {
        return "nothing".to_owned();
    }
    stocks.iter().map(|(sku, n)| format!("S{} {n}", sku.0)).collect::<Vec<_>>().join(", ")
}
