//! Spending points, and giving them back to the lots that they came from.

use jangbu_kernel::{Ctx, Currency, OrderId, UserId};

use super::command::{Reject, Reply, What};
use super::decide::{arm, check_amount, note, owned, usage};
use super::model::{Back, Both, LIMIT, Rows, State, Use, total};

/// Takes the whole amount or nothing.
pub(super) fn spend(
    order: OrderId,
    (user, currency): (UserId, Currency),
    amount: i64,
    ctx: &Ctx,
    rows: &mut Rows,
) -> Result<Reply, Reject> {
    check_amount(amount)?;
    let old = owned(order, user, rows)?.filter(|old| old.state != State::None);
    if let Some(old) = old {
        let same = total(&old.parts).sum() == amount;
        return match old.state {
            State::Spent if same => Ok(spent(old)),
            State::Spent => Err(Reject::UseDiffers),
            State::Restored | State::None => Err(Reject::StepCancelled),
        };
    }
    let Some(account) = rows.account.get(user) else {
        return Err(Reject::Insufficient { available: 0 });
    };
    if account.currency != currency {
        return Err(Reject::Currency { currency: account.currency });
    }
    let available = account.available(ctx.now);
    if available < amount {
        return Err(Reject::Insufficient { available });
    }
    let account = rows.account.edit(user).expect("looked at above");
    let parts = account.spend(amount, ctx.now);
    let gone = total(&parts).negated();
    account.moved(note((user, What::Spent, order.0), gone, 0), ctx.commit);
    let used = usage(order, user, rows);
    used.state = State::Spent;
    used.parts = parts;
    Ok(spent(used))
}

/// What an order has spent.
pub(super) fn spent(used: &Use) -> Reply {
    let Both { paid, earned } = total(&used.parts);
    Reply::Spent { paid, earned }
}

/// Gives points back, once for each number.
pub(super) fn restore(
    order: OrderId,
    user: UserId,
    back: Back,
    ctx: &Ctx,
    rows: &mut Rows,
) -> Result<Reply, Reject> {
    let found = owned(order, user, rows)?;
    let Some(amounts) = to_restore(found, back)? else { return Ok(Reply::Restored) };
    let rules = &rows.rules;
    let mut lots = found.map(|used| used.back(amounts)).unwrap_or_default();
    for lot in &mut lots {
        lot.until = rules.back_until(lot.until, ctx.now);
    }
    if !lots.is_empty() {
        let account = rows.account.edit(user).expect("points were spent from it");
        for lot in lots {
            account.put(lot);
        }
        account.restored.add(amounts);
        account.moved(note((user, What::Restored, order.0), amounts, 0), ctx.commit);
        arm(user, rows);
    }
    let used = usage(order, user, rows);
    if back.no == 0 {
        used.state = State::Restored;
    }
    if amounts.sum() > 0 {
        used.restores.push(Back { no: back.no, amounts });
    }
    Ok(Reply::Restored)
}

/// How many points have to go back; none: it has been done.
fn to_restore(found: Option<&Use>, back: Back) -> Result<Option<Both>, Reject> {
    let Back { no, amounts } = back;
    if no == 0 {
        let open = found.is_none_or(|used| used.state != State::Restored);
        return Ok(open.then(|| found.map(Use::out).unwrap_or_default()));
    }
    let range = 0..=LIMIT;
    if !range.contains(&amounts.paid) || !range.contains(&amounts.earned) {
        return Err(Reject::AmountInvalid);
    }
    if amounts.sum() == 0 {
        return Ok(None);
    }
    let found = found.filter(|used| !used.parts.is_empty()).ok_or(Reject::UseUnknown)?;
    if let Some(old) = found.restores.iter().find(|old| old.no == no) {
        return if *old == back { Ok(None) } else { Err(Reject::UseDiffers) };
    }
    let out = found.out();
    let fits = amounts.paid <= out.paid && amounts.earned <= out.earned;
    if fits { Ok(Some(amounts)) } else { Err(Reject::RestoreExceedsSpent) }
}
