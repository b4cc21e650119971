//! The rules of users. Each function checks everything first and then changes rows.

use jangbu_kernel::time::Span;
use jangbu_kernel::{Ctx, Domain, Out, UnitId, UserId};

use super::User;
use super::command::{self, Change, Changes, Command, Event, Reject, Reply};
use super::model::{Account, EmailIndex, Holder, Profile, Rows, Sealed, State};

/// So many wrong passwords in a row lock a user.
pub const FAILURES: i64 = 5;
/// For so long.
pub const LOCK: Span = Span(15 * 60 * 1_000_000);

impl Domain for User {
    const UNIT: UnitId = command::UNIT;
    type Command = Command;
    type Reply = Reply;
    type Reject = Reject;
    type Event = Event;
    type Rows = Rows;

    fn want(command: &Command, rows: &mut Rows) {
        let user = command.user();
        rows.account.want(user);
        match command {
            Command::Register { index, .. } => rows.email.want(*index),
            Command::Update { changes: Changes { email: Some((index, _)), .. }, .. } => {
                rows.email.want(*index);
                if rows.account.holds(user)
                    && let Some(account) = rows.account.get(user)
                {
                    rows.email.want(account.index);
                }
            }
            Command::Update { .. }
            | Command::Login { .. }
            | Command::ChangePassword { .. }
            | Command::Deactivate { .. } => {}
        }
    }

    fn decide(
        command: &Command,
        ctx: &Ctx,
        rows: &mut Rows,
        out: &mut Out<Event>,
    ) -> Result<Reply, Reject> {
        match command {
            Command::Register { user, index, profile, password } => {
                register(*user, *index, (profile, password), ctx, rows)
            }
            Command::Update { user, changes } => update(*user, changes, ctx, rows),
            Command::Login { user, seen, good } => login((*user, *seen), *good, ctx, rows),
            Command::ChangePassword { user, seen, password } => {
                change_password((*user, *seen), password, (ctx, out), rows)
            }
            Command::Deactivate { user } => deactivate(*user, (ctx, out), rows),
        }
    }

    fn resource(command: &Command) -> i64 {
        command.user().0
    }

    fn adopt(command: &mut Command, resource: i64) {
        match command {
            Command::Register { user, .. }
            | Command::Update { user, .. }
            | Command::Login { user, .. }
            | Command::ChangePassword { user, .. }
            | Command::Deactivate { user } => *user = UserId(resource),
        }
    }

    fn recall(command: &Command, rows: &Rows) -> Option<Reply> {
        let user = command.user();
        let account = rows.account.get(user)?;
        Some(match command {
            Command::Login { good, .. } => tried(*good, account),
            Command::Register { .. }
            | Command::Update { .. }
            | Command::ChangePassword { .. }
            | Command::Deactivate { .. } => Reply::Done(user),
        })
    }

    fn wake(table: &str, _key: i64) -> Command {
        unreachable!("table {table} has no timer")
    }

    fn seal(_ctx: &Ctx, _rows: &mut Rows, _out: &mut Out<Event>) {}
}

fn register(
    user: UserId,
    index: EmailIndex,
    (profile, password): (&Profile, &Sealed),
    ctx: &Ctx,
    rows: &mut Rows,
) -> Result<Reply, Reject> {
    if let Some(account) = rows.account.get(user) {
        return if account.index == index {
            Ok(Reply::Done(user))
        } else {
            Err(Reject::UserExists)
        };
    }
    take(index, user, rows)?;
    let account = Account {
        state: State::Active,
        index,
        profile: profile.clone(),
        password: password.clone(),
        generation: 0,
        failures: 0,
        locked_until: None,
        created_at: ctx.now,
        changed_at: ctx.now,
    };
    rows.account.insert(user, account);
    Ok(Reply::Done(user))
}

fn update(user: UserId, changes: &Changes, ctx: &Ctx, rows: &mut Rows) -> Result<Reply, Reject> {
    let old = active(user, rows)?.index;
    if let Some((index, _)) = &changes.email
        && *index != old
    {
        take(*index, user, rows)?;
        rows.email.edit(old).expect("a user is found by its address").user = None;
    }
    let account = edit(user, rows);
    account.changed_at = ctx.now;
    let profile = &mut account.profile;
    if let Some((index, email)) = &changes.email {
        (account.index, profile.email) = (*index, email.clone());
    }
    if let Some(name) = &changes.name {
        profile.name = name.clone();
    }
    change(&mut profile.phone, &changes.phone);
    change(&mut profile.address, &changes.address);
    Ok(Reply::Done(user))
}

fn change(field: &mut Option<Sealed>, change: &Change<Sealed>) {
    match change {
        Change::Keep => {}
        Change::Clear => *field = None,
        Change::Set(sealed) => *field = Some(sealed.clone()),
    }
}

/// Gives an address to a user, if nobody else has it.
fn take(index: EmailIndex, user: UserId, rows: &mut Rows) -> Result<(), Reject> {
    match rows.email.get(index).map(|holder| holder.user) {
        None => rows.email.insert(index, Holder { user: Some(user) }),
        Some(Some(other)) if other != user => return Err(Reject::EmailTaken),
        Some(_) => {
            let holder = rows.email.edit(index).expect("it was there a moment ago");
            holder.user = Some(user);
        }
    }
    Ok(())
}

/// Invariant 2. A password that was tried against another hash than the one that stands proves
/// nothing either way.
fn login(
    (user, seen): (UserId, i64),
    good: bool,
    ctx: &Ctx,
    rows: &mut Rows,
) -> Result<Reply, Reject> {
    let account = active(user, rows)?;
    if account.locked(ctx.now).is_some() {
        return Ok(tried(good, account));
    }
    let Account { generation, failures, locked_until, .. } = *account;
    if generation != seen {
        return Err(Reject::PasswordChanged);
    }
    if good && failures == 0 && locked_until.is_none() {
        return Ok(tried(good, account));
    }
    let account = edit(user, rows);
    unlock(account);
    if !good {
        account.failures = failures.saturating_add(1);
    }
    if account.failures >= FAILURES {
        account.failures = 0;
        account.locked_until = Some(ctx.now + LOCK);
    }
    Ok(tried(good, account))
}

/// What a log-in has come to, from the row that it leaves: a lock that is over does not outlive
/// it.
fn tried(good: bool, account: &Account) -> Reply {
    match account.locked_until {
        None if good => Reply::LoggedIn { generation: account.generation },
        locked_until => Reply::Failed { locked_until },
    }
}

fn change_password(
    (user, seen): (UserId, Option<i64>),
    password: &Sealed,
    (ctx, out): (&Ctx, &mut Out<Event>),
    rows: &mut Rows,
) -> Result<Reply, Reject> {
    let generation = active(user, rows)?.generation;
    if seen.is_some_and(|seen| seen != generation) {
        return Err(Reject::PasswordChanged);
    }
    let account = edit(user, rows);
    unlock(account);
    account.password = password.clone();
    account.generation = generation.saturating_add(1);
    account.changed_at = ctx.now;
    out.emit(Event::Barred { user, least: account.generation });
    Ok(Reply::Done(user))
}

fn deactivate(
    user: UserId,
    (ctx, out): (&Ctx, &mut Out<Event>),
    rows: &mut Rows,
) -> Result<Reply, Reject> {
    let account = rows.account.get(user).ok_or(Reject::UserUnknown)?;
    if account.state == State::Active {
        let account = edit(user, rows);
        account.state = State::Deactivated;
        account.changed_at = ctx.now;
        out.emit(Event::Barred { user, least: i64::MAX });
    }
    Ok(Reply::Done(user))
}

fn unlock(account: &mut Account) {
    account.failures = 0;
    account.locked_until = None;
}

/// Invariant 4.
fn active(user: UserId, rows: &Rows) -> Result<&Account, Reject> {
    let account = rows.account.get(user).ok_or(Reject::UserUnknown)?;
    match account.state {
        State::Active => Ok(account),
        State::Deactivated => Err(Reject::UserDeactivated),
    }
}

fn edit(user: UserId, rows: &mut Rows) -> &mut Account {
    rows.account.edit(user).expect("the user was there a moment ago")
}
