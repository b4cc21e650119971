//! The rules of point. Each function checks everything first and then changes rows, so a refusal
//! leaves nothing behind.

use jangbu_kernel::{
    Ctx, Currency, Domain, GrantId, OrderId, Out, PaymentId, RefundId, Time, UnitId, UserId,
};

use super::Points;
use super::claw::{claw_back, clawed, unclaw};
use super::command::{self, Command, Event, Kind, Move, Moved, Reject, Reply, What, posting};
use super::model::{Account, Back, Both, Claw, Credit, LIMIT, LOTS, Lot, Rows, Timer, Use};
use super::refund::{ended, known, refund};
use super::spend::{restore, spend, spent};

impl Domain for Points {
    const UNIT: UnitId = command::UNIT;
    type Command = Command;
    type Reply = Reply;
    type Reject = Reject;
    type Event = Event;
    type Rows = Rows;

    fn want(command: &Command, rows: &mut Rows) {
        let timer = match command {
            Command::Charge { payment: PaymentId(id), .. }
            | Command::Grant { grant: GrantId(id), .. }
            | Command::Refund { payment: PaymentId(id), .. }
            | Command::RefundEnded { payment: PaymentId(id), .. } => {
                rows.credit.want(*id);
                true
            }
            Command::Spend { order, .. } | Command::ClawBack { order, .. } => {
                rows.usage.want(*order);
                false
            }
            Command::Earn { order, .. }
            | Command::Restore { order, .. }
            | Command::UnClaw { order, .. } => {
                rows.usage.want(*order);
                true
            }
            Command::Expire { .. } => true,
        };
        let user = owner(command);
        rows.account.want(user);
        if timer {
            rows.timer.want(user);
        }
    }

    fn decide(
        command: &Command,
        ctx: &Ctx,
        rows: &mut Rows,
        out: &mut Out<Event>,
    ) -> Result<Reply, Reject> {
        match command {
            Command::Charge { payment, user, amount, currency } => {
                let until = rows.rules.paid_until(ctx.now);
                let lot = Lot { kind: Kind::Paid, until, amount: *amount };
                let income = Income { user: *user, about: payment.0, lot, currency: *currency };
                credit(&income, "", ctx, rows, out)
            }
            Command::Grant { grant, user, amount, currency, expires_at, reason } => {
                let rules = &rows.rules;
                let usual = || rules.earned_until(ctx.now);
                let until = Some(expires_at.map_or_else(usual, |at| rules.end_of_day(at)));
                let lot = Lot { kind: Kind::Earned, until, amount: *amount };
                let income = Income { user: *user, about: grant.0, lot, currency: *currency };
                credit(&income, reason, ctx, rows, out)
            }
            Command::Earn { order, user, amount, currency } => {
                let until = Some(rows.rules.earned_until(ctx.now));
                let lot = Lot { kind: Kind::Earned, until, amount: *amount };
                let income = Income { user: *user, about: order.0, lot, currency: *currency };
                earn(*order, &income, ctx, rows, out)
            }
            Command::Spend { order, user, amount, currency } => {
                spend(*order, (*user, *currency), *amount, ctx, rows)
            }
            Command::Restore { order, user, no, paid, earned } => {
                let amounts = Both { paid: *paid, earned: *earned };
                restore(*order, *user, Back { no: *no, amounts }, ctx, rows)
            }
            Command::ClawBack { order, user, no, amount } => {
                let claw = Claw { no: *no, asked: *amount, taken: 0, gone: 0, undone: false };
                claw_back(*order, *user, claw, ctx, (rows, out))
            }
            Command::UnClaw { order, user, no } => unclaw(*order, *user, *no, ctx, (rows, out)),
            Command::Expire { user } => Ok(expire(*user, ctx, rows, out)),
            Command::Refund { refund: id, payment, user, amount, reason } => {
                refund((*payment, *id), *user, (*amount, reason), ctx, (rows, out))
            }
            Command::RefundEnded { payment, refund, user, given } => {
                ended((*payment, *refund), *user, *given, ctx, (rows, out))
            }
        }
    }

    fn resource(command: &Command) -> i64 {
        match command {
            Command::Charge { payment, .. } => payment.0,
            Command::Grant { grant, .. } => grant.0,
            Command::Earn { order, .. }
            | Command::Spend { order, .. }
            | Command::Restore { order, .. }
            | Command::ClawBack { order, .. }
            | Command::UnClaw { order, .. } => order.0,
            Command::Expire { user } => user.0,
            Command::Refund { refund, .. } | Command::RefundEnded { refund, .. } => refund.0,
        }
    }

    fn adopt(command: &mut Command, resource: i64) {
        match command {
            Command::Charge { payment, .. } => *payment = PaymentId(resource),
            Command::Grant { grant, .. } => *grant = GrantId(resource),
            Command::Earn { order, .. }
            | Command::Spend { order, .. }
            | Command::Restore { order, .. }
            | Command::ClawBack { order, .. }
            | Command::UnClaw { order, .. } => *order = OrderId(resource),
            Command::Expire { user } => *user = UserId(resource),
            Command::Refund { refund, .. } | Command::RefundEnded { refund, .. } => {
                *refund = RefundId(resource);
            }
        }
    }

    fn recall(command: &Command, rows: &Rows) -> Option<Reply> {
        let usage = |order: &OrderId| rows.usage.get(*order);
        match command {
            Command::Charge { payment: PaymentId(id), .. }
            | Command::Grant { grant: GrantId(id), .. } => {
                rows.credit.get(*id).map(|row| credited(*id, row))
            }
            Command::Earn { order, .. } => usage(order).map(|_| Reply::Earned),
            Command::Spend { order, .. } => usage(order).map(spent),
            Command::Restore { order, .. } => usage(order).map(|_| Reply::Restored),
            Command::ClawBack { order, no, amount, .. } => {
                usage(order)?.claw(*no).filter(|claw| claw.asked == *amount).map(clawed)
            }
            Command::UnClaw { order, .. } => usage(order).map(|_| Reply::UnClawed),
            Command::Expire { .. } => Some(Reply::Expired),
            Command::Refund { payment, refund, .. } => {
                rows.credit.get(payment.0)?.refund(*refund).map(|found| known(*payment, found))
            }
            Command::RefundEnded { .. } => Some(Reply::RefundEnded),
        }
    }

    fn wake(table: &str, key: i64) -> Command {
        assert_eq!(table, "point_timer", "only accounts have a timer");
        Command::Expire { user: UserId(key) }
    }

    /// States every movement of this commit.
    fn seal(ctx: &Ctx, rows: &mut Rows, out: &mut Out<Event>) {
        let moved = rows.account.changed().filter(|dirty| dirty.row.moved_in == ctx.commit);
        let moves: Vec<Move> = moved.flat_map(|dirty| dirty.row.moves.iter().copied()).collect();
        if !moves.is_empty() {
            out.emit(Event::Changed { moves });
        }
    }
}

/// Whose points `command` is about.
pub fn owner(command: &Command) -> UserId {
    match command {
        Command::Charge { user, .. }
        | Command::Grant { user, .. }
        | Command::Earn { user, .. }
        | Command::Spend { user, .. }
        | Command::Restore { user, .. }
        | Command::ClawBack { user, .. }
        | Command::UnClaw { user, .. }
        | Command::Refund { user, .. }
        | Command::RefundEnded { user, .. }
        | Command::Expire { user } => *user,
    }
}

/// Points that come in from outside.
struct Income {
    user: UserId,
    about: i64,
    lot: Lot,
    currency: Currency,
}

/// Whether a movement of that many points makes sense at all.
pub(super) fn check_amount(amount: i64) -> Result<(), Reject> {
    if (1..=LIMIT).contains(&amount) { Ok(()) } else { Err(Reject::AmountInvalid) }
}

/// Charge and Grant.
fn credit(
    income: &Income,
    reason: &str,
    ctx: &Ctx,
    rows: &mut Rows,
    out: &mut Out<Event>,
) -> Result<Reply, Reject> {
    let Income { user, about, lot: Lot { kind, until, amount }, currency: _ } = *income;
    check_amount(amount)?;
    if let Some(old) = rows.credit.get(about) {
        let same =
            old.user == user && (old.kind, old.amount, &*old.reason) == (kind, amount, reason);
        return if same { Ok(credited(about, old)) } else { Err(Reject::UseDiffers) };
    }
    check_end(&income.lot, ctx.now, rows)?;
    check_room(income, rows)?;
    let (what, seq) = match kind {
        Kind::Paid => (What::Charged, 0),
        Kind::Earned => (What::Granted, posting::GRANT),
    };
    let balance = take_in(income, (what, seq), ctx, rows, out);
    let (at, reason, refunds) = (ctx.now, reason.into(), Vec::new());
    let row = Credit { user, kind, amount, until, balance, at, reason, refunds };
    let reply = credited(about, &row);
    rows.credit.insert(about, row);
    Ok(reply)
}

fn credited(id: i64, row: &Credit) -> Reply {
    let Credit { amount, until, balance, .. } = *row;
    match row.kind {
        Kind::Paid => Reply::Charged { balance },
        Kind::Earned => Reply::Granted { grant: GrantId(id), amount, expires_at: until, balance },
    }
}

/// Whether a grant ends in time to come, but not too far ahead. What was bought is never refused.
fn check_end(lot: &Lot, now: Time, rows: &Rows) -> Result<(), Reject> {
    let last = rows.rules.end_of_day(now + rows.rules.horizon);
    let fits = lot.until.is_none_or(|until| until > now && until <= last);
    if fits || lot.kind == Kind::Paid { Ok(()) } else { Err(Reject::ExpiryInvalid) }
}

/// Whether the account can take the points in.
fn check_room(income: &Income, rows: &Rows) -> Result<(), Reject> {
    let account = rows.account.get(income.user);
    let currency = account.map_or(rows.rules.currency, |account| account.currency);
    if income.currency != currency {
        return Err(Reject::Currency { currency });
    }
    let Some(account) = account else { return Ok(()) };
    if !account.has_room(income.lot.amount) {
        return Err(Reject::Overflow);
    }
    // Only an operator can want an expiry of its own, and so have a lot more for each day.
    let other = Some(rows.rules.end_of_month(income.lot.until.unwrap_or_default()));
    let own = income.lot.until.is_some() && income.lot.until != other;
    let full = own && account.lots.len() >= LOTS && account.holds(income.lot) == 0;
    if full { Err(Reject::LotsFull) } else { Ok(()) }
}

/// Puts points into the account, which is made if need be; says its balance.
fn take_in(
    income: &Income,
    (what, seq): (What, i64),
    ctx: &Ctx,
    rows: &mut Rows,
    out: &mut Out<Event>,
) -> i64 {
    let Income { user, about, lot, currency } = *income;
    if rows.account.get(user).is_none() {
        rows.account.insert(user, Account::new(currency));
    }
    let account = rows.account.edit(user).expect("made above");
    let counter = match what {
        What::Charged => &mut account.charged,
        What::Granted => &mut account.granted,
        What::Earned => &mut account.rewarded,
        What::Spent
        | What::Restored
        | What::ClawedBack
        | What::Unclawed
        | What::Expired
        | What::Refunded
        | What::Unrefunded => {
            unreachable!("{what:?} is no income")
        }
    };
    *counter = counter.saturating_add(lot.amount);
    account.put(lot);
    account.moved(note((user, what, about), Both::of(lot.kind, lot.amount), seq), ctx.commit);
    let balance = account.left.sum();
    if seq > 0 {
        out.emit(moved(about, seq, what, lot, currency));
    }
    arm(user, rows);
    balance
}

/// A line of the history; the balance is filled in when it is noted.
pub(super) const fn note(
    (user, what, about): (UserId, What, i64),
    amounts: Both,
    seq: i64,
) -> Move {
    let Both { paid, earned } = amounts;
    Move { user, what, about, paid, earned, seq, balance: 0 }
}

/// What the ledger posts by itself.
pub(super) const fn moved(
    source: i64,
    seq: i64,
    what: What,
    lot: Lot,
    currency: Currency,
) -> Event {
    Event::Moved(Moved { source, seq, what, kind: lot.kind, amount: lot.amount, currency })
}

/// Sets the account's timer if its first lot now ends before that.
pub(super) fn arm(user: UserId, rows: &mut Rows) {
    let Some(account) = rows.account.edit(user) else { return };
    let Some(end) = account.first_end() else { return };
    if account.armed.is_none_or(|armed| end < armed) {
        account.armed = Some(end);
        set_timer(user, Some(end), rows);
    }
}

fn set_timer(user: UserId, next_at: Option<Time>, rows: &mut Rows) {
    match rows.timer.edit(user) {
        Some(timer) => timer.next_at = next_at,
        None => rows.timer.insert(user, Timer { next_at }),
    }
}

fn earn(
    order: OrderId,
    income: &Income,
    ctx: &Ctx,
    rows: &mut Rows,
    out: &mut Out<Event>,
) -> Result<Reply, Reject> {
    let Lot { amount, until, .. } = income.lot;
    if amount == 0 {
        return Ok(Reply::Earned);
    }
    check_amount(amount)?;
    if let Some(old) = owned(order, income.user, rows)?.filter(|old| old.earned > 0) {
        return if old.earned == amount { Ok(Reply::Earned) } else { Err(Reject::UseDiffers) };
    }
    check_room(income, rows)?;
    take_in(income, (What::Earned, posting::EARN), ctx, rows, out);
    let used = usage(order, income.user, rows);
    used.earned = amount;
    used.until = until;
    Ok(Reply::Earned)
}

/// What `user`'s order has to do with points, if anything; another's order is refused.
pub(super) fn owned(order: OrderId, user: UserId, rows: &Rows) -> Result<Option<&Use>, Reject> {
    match rows.usage.get(order) {
        Some(found) if found.user != user => Err(Reject::UseDiffers),
        found => Ok(found),
    }
}

/// The same to change it, made if need be.
pub(super) fn usage(order: OrderId, user: UserId, rows: &mut Rows) -> &mut Use {
    if rows.usage.get(order).is_none() {
        rows.usage.insert(order, Use::new(user));
    }
    rows.usage.edit(order).expect("made above")
}

/// Takes the lots whose time is over, and sets the timer for the next one.
fn expire(user: UserId, ctx: &Ctx, rows: &mut Rows, out: &mut Out<Event>) -> Reply {
    let armed = rows.account.get(user).and_then(|account| account.armed);
    if armed.is_none_or(|armed| armed > ctx.now) {
        return Reply::Expired; // overtaken
    }
    let account = rows.account.edit(user).expect("looked at above");
    while let Some(lot) = account.due(ctx.now) {
        let amounts = Both::of(lot.kind, lot.amount);
        account.take(lot);
        account.expired.add(amounts);
        account.postings = account.postings.saturating_add(1);
        let seq = account.postings;
        account.moved(note((user, What::Expired, 0), amounts.negated(), seq), ctx.commit);
        out.emit(moved(user.0, seq, What::Expired, lot, account.currency));
    }
    account.armed = account.first_end();
    let next = account.armed;
    set_timer(user, next, rows);
    Reply::Expired
}
