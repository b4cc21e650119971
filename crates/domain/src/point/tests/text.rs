//! The words of the tables: commands in, answers and rows out.

use std::fmt::Write;

use jangbu_kernel::domain::Coded;
use jangbu_kernel::{Currency, Domain, GrantId, OrderId, PaymentId, RefundId, Time, UserId};

use super::world::{Answer, World};
use crate::point::Points;
use crate::point::command::{Command, Kind, Move, Moved, Reject, Reply, What, posting};
use crate::point::model::{Account, Both, Credit, LOTS, Lot, Refund, Use};
use crate::point::rules::Rules;

const DAY: i64 = 86_400_000_000;
/// 2026-01-01 in Seoul.
const FIRST: i64 = 1_767_193_200_000_000;

pub(super) fn day(n: i64) -> Time {
    Time(FIRST + n * DAY)
}

pub(super) fn check(table: &str) {
    let mut world = World::at(Time(FIRST + 1));
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (asked, expected) = line.split_once(" => ").unwrap_or((line, ""));
        assert_eq!(answer(&mut world, asked.trim()), expected, "{line}");
    }
}

fn answer(world: &mut World, line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    match *words.as_slice() {
        ["at", now] => world.now = date(now).0,
        ["bought", "points", "live", days, "days"] => {
            let valid = day(number(days)) - day(0);
            world.rows.rules = Rules { paid_valid: Some(valid), ..Rules::default() };
        }
        ["points", user] => return show_account(world, UserId(number(user))),
        ["order", order] => {
            let found = world.store.usage.get(&OrderId(number(order)));
            return found.map_or_else(|| "nothing".to_owned(), |(row, _)| show_use(row));
        }
        ["credit", id] => {
            let found = world.store.credit.get(&number(id));
            return found.map_or_else(|| "nothing".to_owned(), |(row, _)| show_credit(row));
        }
        ["changed"] => return show_changed(&world.changed),
        ["many", "grants", first, user, count] => {
            for n in 0..number(count) {
                let text = format!("grant G{} {user} 1 until d{}", number(first) + n, n + 40);
                world.run(&command(&text)).unwrap();
            }
            let lots = world.store.account[&UserId(number(user))].0.lots.len();
            assert_eq!(lots, LOTS);
            return format!("{lots} lots");
        }
        ["many", "refunds", payment, user, count] => {
            for n in 1_000..1_000 + number(count) {
                world.run(&command(&format!("refund R{n} {payment} {user} 1"))).unwrap();
                world.run(&command(&format!("ended R{n} {payment} {user} given"))).unwrap();
            }
            return format!("{count} given");
        }
        ["fill", user] => return fill(world, UserId(number(user))),
        _ => return commit(world, line),
    }
    String::new()
}

fn commit(world: &mut World, line: &str) -> String {
    let now = Time(world.now);
    let batch: Vec<_> = line.split(';').map(|text| (now, command(text))).collect();
    let answers = world.commit(&batch);
    let mut shown = Vec::new();
    for (at, answer) in answers.iter().enumerate() {
        shown.push(show(answer));
        let own = world.posted.iter().filter(|(by, _)| *by == at);
        // The posting of a grant is always the same: the answer says all of it.
        let own = own.filter(|(_, moved)| {
            moved.seq != posting::GRANT || !matches!(answer, Ok(Reply::Granted { .. }))
        });
        shown.extend(own.map(|(_, moved)| show_posting(moved)));
    }
    shown.join("; ")
}

/// An account that has had as many points as it can count.
fn fill(world: &mut World, user: UserId) -> String {
    let mut account = Account::new(Currency::KRW);
    account.charged = i64::MAX / 4;
    account.spent = Both { paid: i64::MAX / 4, earned: 0 };
    account.assert_lawful(user);
    world.store.account.insert(user, (account, 1));
    "filled".to_owned()
}

pub(super) fn command(text: &str) -> Command {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (order, user) = (|word| OrderId(number(word)), |word| UserId(number(word)));
    let no = |word: &str| u32::try_from(number(word)).unwrap();
    let (words, currency) = match words.as_slice() {
        [rest @ .., "USD"] => (rest, Currency::parse("USD").unwrap()),
        all => (all, Currency::KRW),
    };
    match *words {
        ["charge", id, who, n] => {
            let (payment, amount) = (PaymentId(number(id)), number(n));
            Command::Charge { payment, user: user(who), amount, currency }
        }
        ["grant", id, who, n, ref until @ ..] => Command::Grant {
            grant: GrantId(number(id)),
            user: user(who),
            amount: number(n),
            currency,
            expires_at: until.get(1).map(|at| date(at)),
            reason: "why".into(),
        },
        ["earn", id, who, n] => {
            Command::Earn { order: order(id), user: user(who), amount: number(n), currency }
        }
        ["spend", id, who, n] => {
            Command::Spend { order: order(id), user: user(who), amount: number(n), currency }
        }
        ["restore", id, who, "0"] => {
            Command::Restore { order: order(id), user: user(who), no: 0, paid: 0, earned: 0 }
        }
        ["restore", id, who, n, parts] => {
            let (paid, earned) = parts.split_once('+').unwrap();
            let (paid, earned) = (number(paid), number(earned));
            Command::Restore { order: order(id), user: user(who), no: no(n), paid, earned }
        }
        ["claw", id, who, n, amount] => {
            let amount = number(amount);
            Command::ClawBack { order: order(id), user: user(who), no: no(n), amount }
        }
        ["unclaw", id, who, n] => Command::UnClaw { order: order(id), user: user(who), no: no(n) },
        ["refund", id, of, who, ref wish @ ..] => Command::Refund {
            refund: RefundId(number(id)),
            payment: PaymentId(number(of)),
            user: user(who),
            amount: wish.first().map(|amount| number(amount)),
            reason: "why".into(),
        },
        ["ended", id, of, who, said] => {
            let (refund, payment) = (RefundId(number(id)), PaymentId(number(of)));
            Command::RefundEnded { payment, refund, user: user(who), given: said == "given" }
        }
        ["expire", who] => Points::wake("point_timer", number(who)),
        _ => panic!("no command: {text}"),
    }
}

/// `U1`, `O1`, `P1`, `G1` and `R1` are number 1.
fn number(word: &str) -> i64 {
    word.trim_start_matches(['U', 'O', 'P', 'G', 'R']).parse().unwrap()
}

fn date(word: &str) -> Time {
    day(word.trim_start_matches('d').parse().unwrap())
}

fn show_date(at: Time) -> String {
    assert_eq!((at.0 - FIRST) % DAY, 0, "not a midnight in Seoul: {at:?}");
    format!("d{}", (at.0 - FIRST) / DAY)
}

fn show(answer: &Answer) -> String {
    match answer {
        Ok(Reply::Charged { balance }) => format!("charged, {balance} in all"),
        Ok(Reply::Granted { grant: _, amount, expires_at, balance }) => {
            let until = show_date(expires_at.unwrap());
            format!("granted {amount} until {until}, {balance} in all")
        }
        Ok(Reply::Spent { paid, earned }) => format!("spent {paid} paid and {earned} earned"),
        Ok(Reply::Clawed { taken }) => format!("clawed {taken}"),
        Ok(Reply::Earned | Reply::Restored | Reply::UnClawed | Reply::Expired) => {
            format!("{:?}", answer.as_ref().unwrap()).to_lowercase()
        }
        Ok(Reply::Refunding { amount, .. }) => format!("refunding {amount}"),
        Ok(Reply::RefundEnded) => "heard".to_owned(),
        Err(reject @ Reject::RefundExceedsLeft { left }) => {
            format!("{}, {left} left", reject.code())
        }
        Err(reject @ Reject::Insufficient { available }) => {
            format!("{}, {available} available", reject.code())
        }
        Err(reject) => reject.code().to_owned(),
    }
}

fn show_posting(moved: &Moved) -> String {
    let Moved { source, seq, what, kind, amount, currency: _ } = moved;
    let gone = matches!(what, What::ClawedBack | What::Expired);
    let (sign, kind) = (if gone { '-' } else { '+' }, letter(*kind));
    format!("{sign}{amount} {kind} posted {source}/{seq}")
}

fn letter(kind: Kind) -> char {
    if kind == Kind::Paid { 'P' } else { 'E' }
}

fn show_lots(lots: &[Lot]) -> String {
    let lot = |lot: &Lot| {
        let until = lot.until.map(|at| format!("@{}", show_date(at))).unwrap_or_default();
        format!("{}{}{until}", letter(lot.kind), lot.amount)
    };
    lots.iter().map(lot).collect::<Vec<_>>().join(" ")
}

fn show_account(world: &World, user: UserId) -> String {
    let Some((row, _)) = world.store.account.get(&user) else { return "none".to_owned() };
    let timer = world.store.timer.get(&user).and_then(|(timer, _)| timer.next_at);
    assert_eq!(timer, row.armed, "the timer is not the account's");
    let lots = if row.lots.is_empty() { "empty".to_owned() } else { show_lots(&row.lots) };
    let one = |name, n: i64| (n != 0).then(|| format!("{name} {n}"));
    let both = |name, Both { paid, earned }: Both| {
        (paid + earned != 0).then(|| format!("{name} {paid}+{earned}"))
    };
    let counters = [
        one("charged", row.charged),
        one("granted", row.granted),
        one("rewarded", row.rewarded),
        both("spent", row.spent),
        both("restored", row.restored),
        both("expired", row.expired),
        one("clawed", row.clawed),
    ];
    let counters = counters.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let woken =
        timer.map_or_else(|| "not woken".to_owned(), |at| format!("woken {}", show_date(at)));
    format!("{lots}; {counters}; {woken}")
}

fn show_use(row: &Use) -> String {
    let mut text = row.state.name().to_lowercase();
    if !row.parts.is_empty() {
        write!(text, " {}", show_lots(&row.parts)).unwrap();
    }
    for back in &row.restores {
        write!(text, ", back {} {}+{}", back.no, back.amounts.paid, back.amounts.earned).unwrap();
    }
    if row.earned > 0 {
        write!(text, ", earned {} until {}", row.earned, show_date(row.until.unwrap())).unwrap();
    }
    for claw in &row.claws {
        write!(text, ", claw {} {} of {}", claw.no, claw.taken, claw.asked).unwrap();
        if claw.gone > 0 {
            write!(text, " and {} gone", claw.gone).unwrap();
        }
        text.push_str(if claw.undone { " undone" } else { "" });
    }
    text
}

fn show_credit(row: &Credit) -> String {
    let mut text = format!("{} of U{}", row.amount, row.user.0);
    for Refund { id, amount, state, missing } in &row.refunds {
        write!(text, ", R{} {amount} {}", id.0, state.name().to_lowercase()).unwrap();
        if *missing > 0 {
            write!(text, ", {missing} missing").unwrap();
        }
    }
    text
}

fn show_changed(moves: &[Move]) -> String {
    if moves.is_empty() {
        return "nothing".to_owned();
    }
    let line = |line: &Move| {
        let Move { user, what, about, paid, earned, seq: _, balance } = line;
        format!("U{} {} {about} {paid}{earned:+} ={balance}", user.0, what.name())
    };
    moves.iter().map(line).collect::<Vec<_>>().join(", ")
}
