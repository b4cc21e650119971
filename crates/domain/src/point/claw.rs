//! Taking back what an order has earned, and giving it again when its refund is refused after all.

use jangbu_kernel::{Ctx, OrderId, Out, UserId};

use super::command::{Event, Kind, Reject, Reply, What, posting};
use super::decide::{arm, check_amount, moved, note, owned, usage};
use super::model::{Both, Claw, Lot, Rows};

/// Takes back as many of the asked points as are there.
pub(super) fn claw_back(
    order: OrderId,
    user: UserId,
    claw: Claw,
    ctx: &Ctx,
    (rows, out): (&mut Rows, &mut Out<Event>),
) -> Result<Reply, Reject> {
    let Claw { no, asked, .. } = claw;
    if asked == 0 {
        return Ok(Reply::Clawed { taken: 0 });
    }
    check_amount(asked)?;
    let found = owned(order, user, rows)?.ok_or(Reject::UseUnknown)?;
    if let Some(old) = found.claw(no) {
        return match (old.undone, old.asked == asked) {
            (true, _) => Err(Reject::StepCancelled),
            (false, true) => Ok(clawed(old)),
            (false, false) => Err(Reject::UseDiffers),
        };
    }
    if found.earned == 0 {
        return Err(Reject::UseUnknown);
    }
    if asked > found.kept() {
        return Err(Reject::ClawExceedsEarned);
    }
    let lot = Lot { kind: Kind::Earned, until: found.until, amount: asked };
    let claw = take_back(order, user, (claw, lot), ctx, (rows, out));
    let reply = clawed(&claw);
    usage(order, user, rows).claws.push(claw);
    Ok(reply)
}

/// What need not be paid for in cash.
pub(super) fn clawed(claw: &Claw) -> Reply {
    Reply::Clawed { taken: claw.taken.saturating_add(claw.gone) }
}

/// Takes what is there of `lot`, and says how many that were.
fn take_back(
    order: OrderId,
    user: UserId,
    (claw, lot): (Claw, Lot),
    ctx: &Ctx,
    (rows, out): (&mut Rows, &mut Out<Event>),
) -> Claw {
    if !lot.is_live(ctx.now) {
        return Claw { gone: lot.amount, ..claw };
    }
    let there = rows.account.get(user).map_or(0, |account| account.holds(lot));
    let amount = there.min(lot.amount);
    if amount > 0 {
        let account = rows.account.edit(user).expect("it holds points");
        let lot = Lot { amount, ..lot };
        account.take(lot);
        account.clawed = account.clawed.saturating_add(amount);
        let seq = posting::CLAW.saturating_add(claw.no.into());
        let gone = Both::of(lot.kind, amount).negated();
        account.moved(note((user, What::ClawedBack, order.0), gone, seq), ctx.commit);
        out.emit(moved(order.0, seq, What::ClawedBack, lot, account.currency));
    }
    Claw { taken: amount, ..claw }
}

/// Gives again what a claw-back took.
pub(super) fn unclaw(
    order: OrderId,
    user: UserId,
    no: u32,
    ctx: &Ctx,
    (rows, out): (&mut Rows, &mut Out<Event>),
) -> Result<Reply, Reject> {
    let found = owned(order, user, rows)?;
    let claw = found.and_then(|used| used.claw(no)).copied();
    let until = found.and_then(|used| used.until);
    if claw.is_some_and(|claw| claw.undone) {
        return Ok(Reply::UnClawed);
    }
    if let Some(amount) = claw.map(|claw| claw.taken).filter(|taken| *taken > 0) {
        let until = rows.rules.back_until(until, ctx.now);
        let lot = Lot { kind: Kind::Earned, until, amount };
        let account = rows.account.edit(user).expect("points were taken from it");
        account.put(lot);
        account.clawed = account.clawed.saturating_sub(amount);
        let seq = posting::UNCLAW.saturating_add(no.into());
        let back = Both::of(lot.kind, amount);
        account.moved(note((user, What::Unclawed, order.0), back, seq), ctx.commit);
        out.emit(moved(order.0, seq, What::Unclawed, lot, account.currency));
        arm(user, rows);
    }
    let claws = &mut usage(order, user, rows).claws;
    match claws.iter_mut().find(|claw| claw.no == no) {
        Some(claw) => claw.undone = true,
        None => claws.push(Claw { no, asked: 0, taken: 0, gone: 0, undone: true }),
    }
    Ok(Reply::UnClawed)
}
