//! The rules of inventory. Each function checks everything first and then changes rows, so a
//! refusal leaves nothing behind.

use jangbu_kernel::id::MovementId;
use jangbu_kernel::{Ctx, Domain, OrderId, Out, SkuId, Time, UnitId, rows};

use super::Inventory;
use super::command::{self, Command, Event, Line, Reject, Reply};
use super::model::{Kind, LIMIT, Movement, Reservation, Returned, Rows, State, Stock};

impl Domain for Inventory {
    const UNIT: UnitId = command::UNIT;
    type Command = Command;
    type Reply = Reply;
    type Reject = Reject;
    type Event = Event;
    type Rows = Rows;

    fn want(command: &Command, rows: &mut Rows) {
        match command {
            Command::Receive { movement, sku, .. } | Command::Adjust { movement, sku, .. } => {
                rows.movement.want(*movement);
                rows.stock.want(*sku);
            }
            Command::Open { first } => {
                for (sku, _) in first {
                    rows.movement.want(MovementId(sku.0));
                    rows.stock.want(*sku);
                }
            }
            Command::Reserve { order, lines, .. } => {
                rows.reservation.want(*order);
                for line in lines {
                    rows.stock.want(line.sku);
                }
            }
            Command::Pin { order } => rows.reservation.want(*order),
            Command::Commit { order }
            | Command::Release { order }
            | Command::Expire { order }
            | Command::Return { order, .. } => want_with_stock(*order, rows),
        }
    }

    fn decide(
        command: &Command,
        ctx: &Ctx,
        rows: &mut Rows,
        _out: &mut Out<Event>,
    ) -> Result<Reply, Reject> {
        match command {
            Command::Receive { movement, sku, quantity, reason } => {
                let new = asked(*sku, Kind::Receive, *quantity, reason, ctx);
                book(*movement, new, ctx, rows)
            }
            Command::Open { first } => open(first, ctx, rows),
            Command::Adjust { movement, sku, delta, reason } => {
                let new = asked(*sku, Kind::Adjust, *delta, reason, ctx);
                book(*movement, new, ctx, rows)
            }
            Command::Reserve { order, lines, pin, expires_at } => {
                let until = (!pin).then_some(*expires_at);
                reserve(*order, summed(lines)?, until, ctx, rows)
            }
            Command::Pin { order } => pin(*order, rows),
            Command::Commit { order } => commit(*order, ctx, rows),
            Command::Release { order } => release(*order, ctx, rows),
            Command::Expire { order } => Ok(expire(*order, ctx, rows)),
            Command::Return { order, no, lines, restock } => {
                let back = Returned { no: *no, lines: summed(lines)?, restock: *restock };
                take_back(*order, back, ctx, rows)
            }
        }
    }

    fn resource(command: &Command) -> i64 {
        match command {
            Command::Receive { movement, .. } | Command::Adjust { movement, .. } => movement.0,
            Command::Open { first } => first.first().map_or(0, |(sku, _)| sku.0),
            Command::Reserve { order, .. }
            | Command::Pin { order }
            | Command::Commit { order }
            | Command::Release { order }
            | Command::Expire { order }
            | Command::Return { order, .. } => order.0,
        }
    }

    fn adopt(command: &mut Command, resource: i64) {
        match command {
            Command::Receive { movement, .. } | Command::Adjust { movement, .. } => {
                *movement = MovementId(resource);
            }
            // A fact, which comes without a key.
            Command::Open { .. } => {}
            Command::Reserve { order, .. }
            | Command::Pin { order }
            | Command::Commit { order }
            | Command::Release { order }
            | Command::Expire { order }
            | Command::Return { order, .. } => *order = OrderId(resource),
        }
    }

    fn recall(command: &Command, rows: &Rows) -> Option<Reply> {
        let seen = |order, reply| rows.reservation.get(order).map(|_| reply);
        match command {
            Command::Receive { movement, .. } | Command::Adjust { movement, .. } => {
                rows.movement.get(*movement).map(|row| moved(*movement, row))
            }
            Command::Open { first } => {
                let movement = MovementId(first.last()?.0.0);
                rows.movement.get(movement).map(|row| moved(movement, row))
            }
            Command::Reserve { order, .. } => seen(*order, Reply::Reserved),
            Command::Pin { order } => seen(*order, Reply::Pinned),
            Command::Commit { order } => seen(*order, Reply::Committed),
            Command::Release { order } => seen(*order, Reply::Released),
            Command::Expire { order } => seen(*order, Reply::Expired),
            Command::Return { order, .. } => seen(*order, Reply::Returned),
        }
    }

    fn wake(table: &str, key: i64) -> Command {
        assert_eq!(table, "reservation", "only reservations have a timer");
        Command::Expire { order: OrderId(key) }
    }

    /// States the availability of every SKU whose `available` this commit changed.
    fn seal(ctx: &Ctx, rows: &mut Rows, out: &mut Out<Event>) {
        let moved = rows.stock.changed().filter(|dirty| dirty.row.moved_in == ctx.commit);
        let mut stocks: Vec<_> = moved.map(|dirty| (*dirty.key, dirty.row.available)).collect();
        if !stocks.is_empty() {
            stocks.sort_unstable();
            out.emit(Event::Changed { stocks });
        }
    }
}

/// Wants the reservation of `order` and, once that is there, the stock it may still change.
fn want_with_stock(order: OrderId, rows: &mut Rows) {
    rows.reservation.want(order);
    if rows.reservation.version(order) == 0 {
        return; // not read yet, or not there
    }
    if let Some(reservation) = rows.reservation.get(order).filter(|row| row.state.is_open()) {
        for line in &reservation.lines {
            rows.stock.want(line.sku);
        }
    }
}

/// The movement that a command asks for; `available` is filled in when it is booked.
fn asked(sku: SkuId, kind: Kind, quantity: i64, reason: &str, ctx: &Ctx) -> Movement {
    Movement { sku, kind, quantity, reason: reason.into(), available: 0, at: ctx.now }
}

/// The first stock of new SKUs; answers with the last of the receipts.
fn open(first: &[(SkuId, i64)], ctx: &Ctx, rows: &mut Rows) -> Result<Reply, Reject> {
    let mut last = Err(Reject::QuantityInvalid);
    for (sku, quantity) in first {
        let new = asked(*sku, Kind::Receive, *quantity, "first stock", ctx);
        last = Ok(book(MovementId(sku.0), new, ctx, rows)?);
    }
    last
}

/// Receive and Adjust.
fn book(id: MovementId, new: Movement, ctx: &Ctx, rows: &mut Rows) -> Result<Reply, Reject> {
    let (sku, quantity) = (new.sku, new.quantity);
    let change: fn(&mut Stock, i64) = match new.kind {
        Kind::Receive => Stock::receive,
        Kind::Adjust => Stock::adjust,
    };
    check_quantity(&new)?;
    if let Some(old) = rows.movement.get(id) {
        let same = old.is_repeated_by(&new);
        return if same { Ok(moved(id, old)) } else { Err(Reject::MovementDiffers) };
    }
    match rows.stock.get(sku) {
        Some(stock) => check_room(stock, &new)?,
        None if new.kind == Kind::Adjust => return Err(Reject::StockUnknown { sku }),
        None => {
            check_room(&Stock::default(), &new)?;
            rows.stock.insert(sku, Stock::default());
        }
    }
    let available = alter(&mut rows.stock, Line { sku, quantity }, ctx, change);
    let booked = Movement { available, ..new };
    let reply = moved(id, &booked);
    rows.movement.insert(id, booked);
    Ok(reply)
}

/// Whether a movement of that many units makes sense at all.
fn check_quantity(new: &Movement) -> Result<(), Reject> {
    let fits = match new.kind {
        Kind::Receive => new.quantity >= 1,
        Kind::Adjust => new.quantity != 0,
    };
    if fits { Ok(()) } else { Err(Reject::QuantityInvalid) }
}

/// Whether `stock` stays in its range, and no unit is taken that is not there.
fn check_room(stock: &Stock, new: &Movement) -> Result<(), Reject> {
    let left = stock.available.checked_add(new.quantity).ok_or(Reject::QuantityOverflow)?;
    if left < 0 {
        return Err(Reject::InsufficientStock { sku: new.sku, available: stock.available });
    }
    let fits = match new.kind {
        Kind::Receive => stock.can_receive(new.quantity),
        Kind::Adjust => stock.can_adjust(new.quantity),
    };
    if fits { Ok(()) } else { Err(Reject::QuantityOverflow) }
}

fn moved(movement: MovementId, row: &Movement) -> Reply {
    Reply::Moved { movement, sku: row.sku, quantity: row.quantity, available: row.available }
}

/// Sums lines by SKU, ascending.
fn summed(lines: &[Line]) -> Result<Vec<Line>, Reject> {
    if lines.is_empty() || lines.iter().any(|line| line.quantity < 1) {
        return Err(Reject::QuantityInvalid);
    }
    let mut lines = lines.to_vec();
    lines.sort_unstable_by_key(|line| line.sku);
    lines.dedup_by(|later, first| {
        let same = later.sku == first.sku;
        if same {
            first.quantity = first.quantity.saturating_add(later.quantity);
        }
        same
    });
    let fits = lines.iter().all(|line| line.quantity <= LIMIT);
    if fits { Ok(lines) } else { Err(Reject::QuantityOverflow) }
}

/// Holds all lines or none: until `until`, or pinned when that is `None`.
fn reserve(
    order: OrderId,
    lines: Vec<Line>,
    until: Option<Time>,
    ctx: &Ctx,
    rows: &mut Rows,
) -> Result<Reply, Reject> {
    if let Some(old) = rows.reservation.get(order) {
        return reserved_before(old, &lines, until);
    }
    lines.iter().try_for_each(|line| check_hold(rows.stock.get(line.sku), *line))?;
    alter_all(&mut rows.stock, &lines, ctx, Stock::hold);
    let state = if until.is_some() { State::Held } else { State::Pinned };
    rows.reservation.insert(order, Reservation { state, lines, returns: vec![], next_at: until });
    Ok(Reply::Reserved)
}

/// A Reserve that finds a reservation: the same again, another one, or too late. A first hold
/// keeps its expiry.
fn reserved_before(
    old: &Reservation,
    lines: &[Line],
    until: Option<Time>,
) -> Result<Reply, Reject> {
    match old.state {
        State::Released => Err(Reject::ReservationReleased),
        State::Expired => Err(Reject::ReservationExpired),
        State::Held if until.is_none() => Err(Reject::ReservationDiffers),
        State::Held | State::Pinned | State::Committed if old.lines == lines => Ok(Reply::Reserved),
        State::Held | State::Pinned | State::Committed => Err(Reject::ReservationDiffers),
    }
}

fn check_hold(stock: Option<&Stock>, line: Line) -> Result<(), Reject> {
    let sku = line.sku;
    let stock = stock.ok_or(Reject::StockUnknown { sku })?;
    if stock.available < line.quantity {
        return Err(Reject::InsufficientStock { sku, available: stock.available });
    }
    if stock.can_hold(line.quantity) { Ok(()) } else { Err(Reject::QuantityOverflow) }
}

/// Invariant 5: a hold that is still there can be pinned, whatever its `next_at` says.
fn pin(order: OrderId, rows: &mut Rows) -> Result<Reply, Reject> {
    let old = rows.reservation.get(order).ok_or(Reject::ReservationUnknown)?;
    match old.state {
        State::Released => return Err(Reject::ReservationReleased),
        State::Expired => return Err(Reject::ReservationExpired),
        State::Pinned | State::Committed => {}
        State::Held => enter(order, State::Pinned, rows),
    }
    Ok(Reply::Pinned)
}

fn commit(order: OrderId, ctx: &Ctx, rows: &mut Rows) -> Result<Reply, Reject> {
    let old = rows.reservation.get(order).ok_or(Reject::ReservationUnknown)?;
    match old.state {
        State::Held => return Err(Reject::ReservationNotPinned),
        State::Released => return Err(Reject::ReservationReleased),
        State::Expired => return Err(Reject::ReservationExpired),
        State::Committed => {}
        State::Pinned => {
            alter_all(&mut rows.stock, &old.lines, ctx, Stock::sell);
            enter(order, State::Committed, rows);
        }
    }
    Ok(Reply::Committed)
}

fn release(order: OrderId, ctx: &Ctx, rows: &mut Rows) -> Result<Reply, Reject> {
    let Some(old) = rows.reservation.get(order) else {
        rows.reservation.insert(order, Reservation::tombstone());
        return Ok(Reply::Released);
    };
    match old.state {
        State::Committed => return Err(Reject::ReservationCommitted),
        State::Released | State::Expired => {}
        State::Held | State::Pinned => {
            alter_all(&mut rows.stock, &old.lines, ctx, Stock::free);
            enter(order, State::Released, rows);
        }
    }
    Ok(Reply::Released)
}

/// A timer may be early, late or double: it acts on a hold that has run out and on nothing else.
fn expire(order: OrderId, ctx: &Ctx, rows: &mut Rows) -> Reply {
    let held = rows.reservation.get(order).filter(|row| row.state == State::Held);
    if let Some(old) = held.filter(|row| row.next_at.is_none_or(|at| at <= ctx.now)) {
        alter_all(&mut rows.stock, &old.lines, ctx, Stock::free);
        enter(order, State::Expired, rows);
    }
    Reply::Expired
}

/// Takes units of a sold order back, once per refund.
fn take_back(order: OrderId, back: Returned, ctx: &Ctx, rows: &mut Rows) -> Result<Reply, Reject> {
    let old = rows.reservation.get(order).ok_or(Reject::ReservationUnknown)?;
    match old.state {
        State::Released => return Err(Reject::ReservationReleased),
        State::Expired => return Err(Reject::ReservationExpired),
        State::Held | State::Pinned | State::Committed => {}
    }
    if let Some(before) = old.returns.iter().find(|before| before.no == back.no) {
        return if *before == back { Ok(Reply::Returned) } else { Err(Reject::ReturnDiffers) };
    }
    if let Some(line) = back.lines.iter().find(|line| line.quantity > old.returnable(line.sku)) {
        return Err(Reject::ReturnExceedsSold { sku: line.sku });
    }
    let change = if back.restock { Stock::restock } else { Stock::write_off };
    alter_all(&mut rows.stock, &back.lines, ctx, change);
    edit(order, rows).returns.push(back);
    Ok(Reply::Returned)
}

fn enter(order: OrderId, state: State, rows: &mut Rows) {
    edit(order, rows).enter(state);
}

fn edit(order: OrderId, rows: &mut Rows) -> &mut Reservation {
    rows.reservation.edit(order).expect("the reservation was there a moment ago")
}

fn alter_all(
    stock: &mut rows::Rows<SkuId, Stock>,
    lines: &[Line],
    ctx: &Ctx,
    change: fn(&mut Stock, i64),
) {
    for line in lines {
        alter(stock, *line, ctx, change);
    }
}

/// Changes one stock row by one line and gives what is available then. The only way to a counter:
/// here the laws are asserted and changed availability is noted for [`Domain::seal`].
fn alter(
    stock: &mut rows::Rows<SkuId, Stock>,
    line: Line,
    ctx: &Ctx,
    change: fn(&mut Stock, i64),
) -> i64 {
    let row = stock.edit(line.sku).expect("a reserved SKU has a stock row");
    let before = row.available;
    change(row, line.quantity);
    row.assert_lawful(line.sku);
    if row.available != before {
        row.moved_in = ctx.commit;
    }
    row.available
}
