//! Tables of rules, and properties under generated commands. [`World`] plays the engine: it reads
//! what a batch wants, decides command by command, rolls a reject back, seals and writes. It
//! forgets every row after each commit, so a row that `want` does not name is missed at once.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "test oracles count in plain numbers and may panic"
)]

use std::collections::BTreeMap;
use std::fmt::{Debug, Write};
use std::hash::Hash;

use jangbu_kernel::domain::Coded;
use jangbu_kernel::id::MovementId;
use jangbu_kernel::rows::{self, RowSet};
use jangbu_kernel::{Ctx, Domain, OrderId, Out, SkuId, Time};
use proptest::prelude::*;

use super::Inventory;
use super::command::{Command, Event, Line, Reject, Reply};
use super::model::{Kind, LIMIT, Movement, Reservation, Returned, Rows, State, Stock};

type Table<K, R> = BTreeMap<K, (R, i64)>;
type Answer = Result<Reply, Reject>;

/// What a database would hold: rows with their versions.
#[derive(Clone, Debug, Default, PartialEq)]
struct Store {
    stock: Table<SkuId, Stock>,
    reservation: Table<OrderId, Reservation>,
    movement: Table<MovementId, Movement>,
}

#[derive(Default)]
struct World {
    store: Store,
    rows: Rows,
    now: i64,
    commits: i64,
    /// What the last commit said, and what all commits said together.
    changed: Vec<(SkuId, i64)>,
    told: BTreeMap<SkuId, i64>,
}

impl World {
    /// One commit of commands, each with its time.
    fn commit(&mut self, batch: &[(Time, Command)]) -> Vec<Answer> {
        self.commits += 1;
        for _pass in 0..2 {
            for (_, command) in batch {
                Inventory::want(command, &mut self.rows);
            }
            load(&mut self.rows.stock, &self.store.stock);
            load(&mut self.rows.reservation, &self.store.reservation);
            load(&mut self.rows.movement, &self.store.movement);
        }
        let mut out = Out::default();
        let answers =
            batch.iter().map(|(now, command)| self.decide(*now, command, &mut out)).collect();
        let ctx = Ctx { now: Time(self.now), commit: self.commits, correlation: None };
        Inventory::seal(&ctx, &mut self.rows, &mut out);
        self.hear(out);
        self.write();
        answers
    }

    fn decide(&mut self, now: Time, command: &Command, out: &mut Out<Event>) -> Answer {
        let ctx = Ctx { now, commit: self.commits, correlation: None };
        let rows = &mut self.rows;
        rows.stock.mark();
        rows.reservation.mark();
        rows.movement.mark();
        let before = dirty(rows);
        let answer = Inventory::decide(command, &ctx, rows, out);
        assert!(out.events.is_empty() && out.sends.is_empty() && out.calls.is_empty());
        if answer.is_err() {
            assert_eq!(dirty(rows), before, "a reject of {command:?} changed rows");
            rows.stock.rollback();
            rows.reservation.rollback();
            rows.movement.rollback();
            assert_eq!(dirty(rows), before, "a rollback of {command:?} changed rows");
        }
        answer
    }

    fn hear(&mut self, mut out: Out<Event>) {
        assert!(out.events.len() <= 1, "one folded event: {:?}", out.events);
        self.changed = out.events.pop().map_or_else(Vec::new, |Event::Changed { stocks }| stocks);
        assert!(self.changed.is_sorted_by_key(|(sku, _)| *sku));
        self.told.extend(self.changed.iter().copied());
    }

    fn write(&mut self) {
        save(&mut self.rows.stock, &mut self.store.stock);
        save(&mut self.rows.reservation, &mut self.store.reservation);
        save(&mut self.rows.movement, &mut self.store.movement);
        self.store.stock.values_mut().for_each(|(row, _)| row.moved_in = 0);
    }

    /// One commit of one command.
    fn run(&mut self, command: &Command) -> Answer {
        self.commit(&[(Time(self.now), command.clone())]).remove(0)
    }
}

fn load<K: Copy + Ord + Hash + Debug, R: Clone>(rows: &mut rows::Rows<K, R>, from: &Table<K, R>) {
    for key in rows.take_wanted() {
        rows.load(key, from.get(&key).cloned());
    }
}

fn save<K: Copy + Ord + Hash + Debug, R: Clone>(rows: &mut rows::Rows<K, R>, to: &mut Table<K, R>) {
    for row in rows.changed() {
        let old = to.insert(*row.key, (row.row.clone(), row.version));
        assert_eq!(old.map_or(0, |(_, version)| version), row.stored, "a lost update");
    }
    rows.clear();
}

/// All that a commit would write, as text.
fn dirty(rows: &Rows) -> String {
    fn list<K: Copy + Eq + Hash + Debug, R: Clone + Debug>(rows: &rows::Rows<K, R>) -> String {
        format!("{:?}", rows.changed().collect::<Vec<_>>())
    }
    [list(&rows.stock), list(&rows.reservation), list(&rows.movement)].concat()
}

// ---- tables: `commands => answers`, one commit each; `stock`, `order`, `changed` show state ----

fn check(table: &str) {
    let mut world = World::default();
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (asked, expected) = line.split_once(" => ").unwrap_or((line, ""));
        assert_eq!(answer(&mut world, asked.trim()), expected, "{line}");
    }
}

fn answer(world: &mut World, line: &str) -> String {
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

fn command(text: &str) -> Command {
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
    } else if let Reject::UnknownSku { sku } | Reject::ReturnExceedsSold { sku } = reject {
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

/// One test per table, and the list of all tables for [`every_code_has_a_line`].
macro_rules! tables {
    ($($name:ident: $text:literal)*) => {
        $(#[test] fn $name() { check($text); })*
        const TABLES: &[&str] = &[$($text),*];
    };
}

tables! {
    goods_come_in_and_counts_are_corrected: "
        receive M1 S1 10  => moved M1 S1 +10, 10 available
        receive M1 S1 10  => moved M1 S1 +10, 10 available
        receive M1 S1 11  => MOVEMENT_DIFFERS
        receive M1 S2 10  => MOVEMENT_DIFFERS
        adjust  M1 S1 10  => MOVEMENT_DIFFERS
        receive M1 S1 10 found => MOVEMENT_DIFFERS
        receive M2 S1 0   => QUANTITY_INVALID
        receive M2 S1 -1  => QUANTITY_INVALID
        adjust  M2 S1 0   => QUANTITY_INVALID
        adjust  M2 S2 5   => UNKNOWN_SKU S2
        adjust  M2 S1 -11 => INSUFFICIENT_STOCK S1, 10 available
        adjust  M2 S1 -4  => moved M2 S1 -4, 6 available
        receive M3 S1 5   => moved M3 S1 +5, 11 available
        adjust  M2 S1 -4  => moved M2 S1 -4, 6 available
        adjust  M4 S1 2   => moved M4 S1 +2, 13 available
        stock S1          => received 15, adjusted -2, available 13
    "
    a_correction_spares_what_is_reserved: "
        receive M1 S1 10 => moved M1 S1 +10, 10 available
        reserve O1 S1x8 pinned => reserved
        adjust M2 S1 -3  => INSUFFICIENT_STOCK S1, 2 available
        adjust M2 S1 -2  => moved M2 S1 -2, 0 available
        stock S1         => received 10, adjusted -2, reserved 8
    "
    counters_have_a_limit_where_units_come_in: "
        receive M1 S1 MAX => moved M1 S1 +1000000000000, 1000000000000 available
        receive M2 S1 1   => QUANTITY_OVERFLOW
        adjust  M2 S1 1   => QUANTITY_OVERFLOW
        adjust  M2 S1 9223372036854775807 => QUANTITY_OVERFLOW
        adjust  M2 S1 -9223372036854775808 => INSUFFICIENT_STOCK S1, 1000000000000 available
        receive M2 S2 9223372036854775807 => QUANTITY_OVERFLOW
        receive M3 S3 MAX; adjust M4 S3 -9 lost => moved M3 S3 +1000000000000, 1000000000000 available; moved M4 S3 -9, 999999999991 available
        receive M5 S3 1 => QUANTITY_OVERFLOW
        adjust  M5 S3 9 => moved M5 S3 +9, 1000000000000 available
        reserve O1 S1x9223372036854775807 S1x9223372036854775807 pinned => QUANTITY_OVERFLOW
        reserve O1 S1x1000000000000 S1x1 pinned => QUANTITY_OVERFLOW
        reserve O1 S1x1000000000000 pinned => reserved
        commit O1 => committed
        return O1 1 S1x1000000000000 restocked => returned
        reserve O2 S1x1 pinned => QUANTITY_OVERFLOW
        stock S1 => received 1000000000000, returned 1000000000000, available 1000000000000, sold 1000000000000
    "
    lines_are_summed_by_sku_and_held_all_or_none: "
        receive M1 S1 5; receive M2 S2 5 => moved M1 S1 +5, 5 available; moved M2 S2 +5, 5 available
        reserve O1 S1x3 S2x6 until 60      => INSUFFICIENT_STOCK S2, 5 available
        reserve O1 S1x3 S2x1 S1x3 until 60 => INSUFFICIENT_STOCK S1, 5 available
        reserve O1 S2x6 S1x6 until 60      => INSUFFICIENT_STOCK S1, 5 available
        reserve O1 S1x1 S3x1 until 60      => UNKNOWN_SKU S3
        reserve O1 S1x1 S2x0 until 60      => QUANTITY_INVALID
        reserve O1 S1x2 S1x-1 until 60     => QUANTITY_INVALID
        reserve O1 until 60                => QUANTITY_INVALID
        order O1 => none
        reserve O1 S2x1 S1x2 S2x1 until 60 => reserved
        order O1 => held S1x2 S2x2 until 60
        stock S1 => received 5, available 3, reserved 2
        stock S2 => received 5, available 3, reserved 2
    "
    a_repeated_reserve_is_recognised_by_its_lines: "
        receive M1 S1 5 => moved M1 S1 +5, 5 available
        reserve O1 S1x2 until 60      => reserved
        reserve O1 S1x1 S1x1 until 99 => reserved
        order O1                      => held S1x2 until 60
        reserve O1 S1x3 until 60      => RESERVATION_DIFFERS
        reserve O1 S1x2 pinned        => RESERVATION_DIFFERS
        pin O1                        => pinned
        reserve O1 S1x2 until 60      => reserved
        reserve O1 S1x2 pinned        => reserved
        reserve O1 S1x3 pinned        => RESERVATION_DIFFERS
        commit O1                     => committed
        reserve O1 S1x2 pinned        => reserved
        reserve O1 S1x1 pinned        => RESERVATION_DIFFERS
        stock S1                      => received 5, available 3, sold 2
    "
    from_the_shelf_to_the_customer: "
        receive M1 S1 5 => moved M1 S1 +5, 5 available
        commit O1 => RESERVATION_UNKNOWN
        pin O1    => RESERVATION_UNKNOWN
        reserve O1 S1x2 until 60 => reserved
        commit O1 => RESERVATION_NOT_PINNED
        pin O1    => pinned
        pin O1    => pinned
        order O1  => pinned S1x2
        commit O1 => committed
        commit O1 => committed
        pin O1    => pinned
        release O1 => RESERVATION_COMMITTED
        order O1  => committed S1x2
        stock S1  => received 5, available 3, sold 2
    "
    a_release_gives_units_back_once: "
        receive M1 S1 5 => moved M1 S1 +5, 5 available
        reserve O1 S1x2 until 60 => reserved
        reserve O2 S1x3 pinned   => reserved
        release O1 => released
        release O1 => released
        release O2 => released
        order O1   => released S1x2
        stock S1   => received 5, available 5
        pin O1     => RESERVATION_RELEASED
        commit O2  => RESERVATION_RELEASED
        reserve O1 S1x2 until 60 => RESERVATION_RELEASED
        return O1 1 S1x1 lost => RESERVATION_RELEASED
    "
    a_release_before_the_reserve_leaves_a_tombstone: "
        receive M1 S1 5 => moved M1 S1 +5, 5 available
        release O1      => released
        order O1        => released
        release O1      => released
        reserve O1 S1x2 pinned => RESERVATION_RELEASED
        stock S1        => received 5, available 5
    "
    a_hold_ends_at_its_time_and_not_before: "
        receive M1 S1 5 => moved M1 S1 +5, 5 available
        reserve O1 S1x2 until 60 => reserved
        at 59
        expire O1 => expired
        order O1  => held S1x2 until 60
        at 60
        expire O1 => expired
        expire O1 => expired
        order O1  => expired S1x2
        stock S1  => received 5, available 5
        pin O1    => RESERVATION_EXPIRED
        commit O1 => RESERVATION_EXPIRED
        reserve O1 S1x2 until 99 => RESERVATION_EXPIRED
        return O1 1 S1x2 lost    => RESERVATION_EXPIRED
        release O1 => released
        order O1   => expired S1x2
        expire O9  => expired
        order O9   => none
    "
    a_pin_before_the_timer_wins_however_late: "
        receive M1 S1 5 => moved M1 S1 +5, 5 available
        reserve O1 S1x2 until 60 => reserved
        at 61
        pin O1    => pinned
        expire O1 => expired
        order O1  => pinned S1x2
        commit O1 => committed
        expire O1 => expired
        order O1  => committed S1x2
    "
    a_return_is_booked_once_and_never_exceeds_what_was_sold: "
        receive M1 S1 5; receive M2 S2 5 => moved M1 S1 +5, 5 available; moved M2 S2 +5, 5 available
        return O1 1 S1x1 restocked => RESERVATION_UNKNOWN
        reserve O1 S1x4 S2x1 until 60 => reserved
        return O1 1 S1x1 restocked => RETURN_EXCEEDS_SOLD S1
        pin O1 => pinned
        return O1 1 S1x1 restocked => RETURN_EXCEEDS_SOLD S1
        commit O1 => committed
        return O1 1 S3x1 restocked => RETURN_EXCEEDS_SOLD S3
        return O1 1 S1x5 restocked => RETURN_EXCEEDS_SOLD S1
        return O1 1 S1x2 S2x1 S1x3 lost => RETURN_EXCEEDS_SOLD S1
        return O1 1 S1x0 restocked => QUANTITY_INVALID
        return O1 1 restocked      => QUANTITY_INVALID
        return O1 1 S1x2 restocked => returned
        return O1 1 S1x1 S1x1 restocked => returned
        return O1 1 S1x1 restocked => RETURN_DIFFERS
        return O1 1 S1x2 lost      => RETURN_DIFFERS
        return O1 2 S1x3 lost      => RETURN_EXCEEDS_SOLD S1
        return O1 2 S1x1 S2x1 lost => returned
        return O1 3 S1x1 lost      => returned
        return O1 4 S1x1 lost      => RETURN_EXCEEDS_SOLD S1
        order O1 => committed S1x4 S2x1, return 1 S1x2 restocked, return 2 S1x1 S2x1 lost, return 3 S1x1 lost
        stock S1 => received 5, returned 4, available 3, sold 4, written-off 2
        stock S2 => received 5, returned 1, available 4, sold 1, written-off 1
    "
    one_commit_states_each_changed_availability_once: "
        receive M2 S2 5; receive M1 S1 5 => moved M2 S2 +5, 5 available; moved M1 S1 +5, 5 available
        changed => S1 5, S2 5
        reserve O1 S1x1 pinned; reserve O2 S1x1 pinned => reserved; reserved
        changed => S1 3
        reserve O3 S1x1 S2x9 pinned => INSUFFICIENT_STOCK S2, 5 available
        changed => nothing
        commit O1; reserve O4 S2x1 pinned => committed; reserved
        changed => S2 4
        return O1 1 S1x1 lost => returned
        changed => nothing
        release O2; release O4; adjust M3 S2 -9 => released; released; INSUFFICIENT_STOCK S2, 5 available
        changed => S1 4, S2 5
        release O2; pin O1 => released; pinned
        changed => nothing
    "
    a_whole_life_in_one_commit: "
        receive M1 S1 2; reserve O1 S1x2 until 9; pin O1; commit O1; return O1 1 S1x1 lost; reserve O2 S1x1 pinned => moved M1 S1 +2, 2 available; reserved; pinned; committed; returned; INSUFFICIENT_STOCK S1, 0 available
        stock S1 => received 2, returned 1, sold 2, written-off 1
    "
}

#[test]
fn an_ended_reservation_asks_for_no_stock() {
    let mut world = World::default();
    answer(&mut world, "receive M1 S1 9; reserve O1 S1x1 pinned; reserve O2 S1x1 pinned");
    answer(&mut world, "release O1; commit O2");
    let mut stock_of = |text: &str| {
        Inventory::want(&command(text), &mut world.rows);
        load(&mut world.rows.reservation, &world.store.reservation);
        Inventory::want(&command(text), &mut world.rows);
        world.rows.stock.take_wanted()
    };
    assert_eq!(stock_of("release O1"), []);
    assert_eq!(stock_of("release O2"), [SkuId(1)]);
    assert_eq!(stock_of("release O3"), []);
}

#[test]
fn every_code_has_a_line() {
    let sku = SkuId(1);
    let all = [
        Reject::QuantityInvalid,
        Reject::InsufficientStock { sku, available: 0 },
        Reject::UnknownSku { sku },
        Reject::ReservationDiffers,
        Reject::ReservationExpired,
        Reject::ReservationReleased,
        Reject::ReservationUnknown,
        Reject::ReservationCommitted,
        Reject::ReservationNotPinned,
        Reject::ReturnExceedsSold { sku },
        Reject::ReturnDiffers,
        Reject::QuantityOverflow,
        Reject::MovementDiffers,
    ];
    for (at, reject) in all.iter().enumerate() {
        assert_eq!(ordinal(reject), at, "{reject:?} is not where it belongs in `all`");
        let line = format!("=> {}", reject.code());
        assert!(TABLES.iter().any(|table| table.contains(&line)), "no table shows {line}");
    }
    assert_eq!(all.len(), ordinal(&Reject::MovementDiffers) + 1, "`all` lacks the last variants");
}

/// Without a wildcard: a new variant does not compile until it is counted here.
fn ordinal(reject: &Reject) -> usize {
    match reject {
        Reject::QuantityInvalid => 0,
        Reject::InsufficientStock { .. } => 1,
        Reject::UnknownSku { .. } => 2,
        Reject::ReservationDiffers => 3,
        Reject::ReservationExpired => 4,
        Reject::ReservationReleased => 5,
        Reject::ReservationUnknown => 6,
        Reject::ReservationCommitted => 7,
        Reject::ReservationNotPinned => 8,
        Reject::ReturnExceedsSold { .. } => 9,
        Reject::ReturnDiffers => 10,
        Reject::QuantityOverflow => 11,
        Reject::MovementDiffers => 12,
    }
}

#[test]
fn numbers_in_the_store_are_those_of_the_contract() {
    let states = [1, 2, 3, 4, 5].map(|code| State::from_code(code).unwrap());
    let named = [State::Held, State::Pinned, State::Committed, State::Released, State::Expired];
    assert_eq!(states, named);
    assert_eq!(states.map(State::code), [1, 2, 3, 4, 5]);
    assert_eq!([0, 6].map(State::from_code), [None, None]);
    assert_eq!([1, 2].map(Kind::from_code), [Some(Kind::Receive), Some(Kind::Adjust)]);
    assert_eq!([Kind::Receive, Kind::Adjust].map(Kind::code), [1, 2]);
    assert_eq!([0, 3].map(Kind::from_code), [None, None]);
}

// ---- properties ----

/// Mostly a few units; sometimes nonsense or the very limit.
fn quantity() -> impl Strategy<Value = i64> {
    prop_oneof![12 => 1_i64..6, 1 => any::<i64>(), 1 => LIMIT - 2..=LIMIT, 1 => -2_i64..1]
}

fn some_lines() -> impl Strategy<Value = Vec<Line>> {
    let line =
        (1_i64..4, quantity()).prop_map(|(sku, quantity)| Line { sku: SkuId(sku), quantity });
    prop::collection::vec(line, 0..4)
}

fn some_command() -> impl Strategy<Value = Command> {
    let (order, sku) = (|| (1_i64..5).prop_map(OrderId), || (1_i64..4).prop_map(SkuId));
    let movement = || (1_i64..15).prop_map(MovementId);
    let received = (movement(), sku(), prop_oneof![4 => 10_i64..60, 1 => quantity()]);
    let adjusted = (movement(), sku(), prop_oneof![4 => -9_i64..9, 1 => quantity()]);
    prop_oneof![
        3 => received.prop_map(|(movement, sku, quantity)|
            Command::Receive { movement, sku, quantity, reason: "in".into() }),
        1 => adjusted.prop_map(|(movement, sku, delta)|
            Command::Adjust { movement, sku, delta, reason: "count".into() }),
        4 => (order(), some_lines(), any::<bool>(), 0_i64..200).prop_map(|(order, lines, pin, at)|
            Command::Reserve { order, lines, pin, expires_at: Time(at) }),
        3 => order().prop_map(|order| Command::Pin { order }),
        4 => order().prop_map(|order| Command::Commit { order }),
        1 => order().prop_map(|order| Command::Release { order }),
        1 => order().prop_map(|order| Command::Expire { order }),
        3 => (order(), 0_u32..4, some_lines(), any::<bool>()).prop_map(|(order, no, lines, restock)|
            Command::Return { order, no, lines, restock }),
    ]
}

/// Commands with times that never go back.
fn some_commands() -> impl Strategy<Value = Vec<(Time, Command)>> {
    prop::collection::vec((0_i64..9, some_command()), 1..60).prop_map(|steps| {
        let mut now = 0;
        let dated = steps.into_iter().map(|(later, command)| {
            now += later;
            (Time(now), command)
        });
        dated.collect()
    })
}

fn sum(lines: &[Line], sku: SkuId) -> i64 {
    lines.iter().filter(|line| line.sku == sku).map(|line| line.quantity).sum()
}

/// What the counters of `sku` must be, from the other tables alone.
fn counted(store: &Store, sku: SkuId) -> Stock {
    let mut stock = Stock::default();
    for (movement, _) in store.movement.values().filter(|(row, _)| row.sku == sku) {
        match movement.kind {
            Kind::Receive => stock.received += movement.quantity,
            Kind::Adjust => stock.adjusted += movement.quantity,
        }
    }
    for (row, _) in store.reservation.values() {
        match row.state {
            State::Held | State::Pinned => stock.reserved += sum(&row.lines, sku),
            State::Committed => stock.sold += sum(&row.lines, sku),
            State::Released | State::Expired => {}
        }
        for Returned { lines, restock, .. } in &row.returns {
            stock.returned += sum(lines, sku);
            stock.written_off += if *restock { 0 } else { sum(lines, sku) };
        }
    }
    stock.available = stock.received + stock.adjusted + stock.returned
        - stock.reserved
        - stock.sold
        - stock.written_off;
    stock
}

fn assert_laws(store: &Store) {
    for (sku, (stock, _)) in &store.stock {
        assert_eq!(*stock, counted(store, *sku), "{sku}");
        assert!(stock.available >= 0 && stock.reserved >= 0, "{sku}: {stock:?}");
    }
    for (order, (row, _)) in &store.reservation {
        assert_eq!(row.next_at.is_some(), row.state == State::Held, "{order}: {row:?}");
        assert!(row.lines.is_sorted_by(|a, b| a.sku < b.sku), "{order}: {row:?}");
        assert!(row.returns.is_empty() || row.state == State::Committed, "{order}: {row:?}");
        for line in &row.lines {
            let back: i64 = row.returns.iter().map(|back| sum(&back.lines, line.sku)).sum();
            assert!(back <= line.quantity, "{order}: {row:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn counters_follow_from_movements_and_reservations(commands in some_commands()) {
        let mut world = World::default();
        for (now, command) in commands {
            world.now = now.0;
            let _answer = world.run(&command);
            assert_laws(&world.store);
        }
    }

    #[test]
    fn an_accepted_command_again_changes_nothing(commands in some_commands()) {
        let mut world = World::default();
        for (now, command) in commands {
            world.now = now.0;
            let Ok(reply) = world.run(&command) else { continue };
            let before = world.store.clone();
            prop_assert_eq!(world.run(&command), Ok(reply.clone()));
            prop_assert_eq!(&world.store, &before, "{:?}", command);
            prop_assert_eq!(&world.changed, &vec![]);

            let mut retry = command.clone();
            Inventory::adopt(&mut retry, 1_000);
            prop_assert_eq!(Inventory::resource(&retry), 1_000);
            Inventory::adopt(&mut retry, Inventory::resource(&command));
            prop_assert_eq!(&retry, &command);
            Inventory::want(&retry, &mut world.rows);
            load(&mut world.rows.reservation, &before.reservation);
            load(&mut world.rows.movement, &before.movement);
            let nothing = matches!(&command, Command::Expire { order }
                if !before.reservation.contains_key(order));
            let known = (!nothing).then_some(reply);
            prop_assert_eq!(Inventory::recall(&retry, &world.rows), known);
            world.rows.stock.clear();
            world.rows.reservation.clear();
            world.rows.movement.clear();
        }
    }

    #[test]
    fn any_split_into_commits_gives_the_same(
        commands in some_commands(),
        cuts in prop::collection::vec(1_usize..9, 60),
    ) {
        let (mut single, mut split, mut whole) = <(World, World, World)>::default();
        let one: Vec<_> = commands.iter().flat_map(|c| single.commit(std::slice::from_ref(c))).collect();
        let (mut rest, mut some) = (commands.as_slice(), Vec::new());
        for cut in cuts {
            let (head, tail) = rest.split_at(cut.min(rest.len()));
            some.extend(split.commit(head));
            rest = tail;
        }
        let all = whole.commit(&commands);
        prop_assert_eq!(&one, &some);
        prop_assert_eq!(&one, &all);
        prop_assert_eq!(&single.store, &split.store);
        prop_assert_eq!(&single.store, &whole.store);
        for world in [&single, &split, &whole] {
            let available = world.store.stock.iter().map(|(sku, (row, _))| (*sku, row.available));
            prop_assert_eq!(&world.told, &available.collect::<BTreeMap<_, _>>());
        }
    }
}
