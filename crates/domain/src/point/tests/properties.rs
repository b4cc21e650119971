//! Laws that hold under any commands, whatever the order and the grouping into commits.

use std::collections::BTreeMap;

use jangbu_kernel::{Currency, Domain, GrantId, OrderId, PaymentId, RefundId, Time, UserId};
use proptest::prelude::*;

use super::text::{command, day};
use super::world::{Store, World};
use crate::point::Points;
use crate::point::command::{Command, Kind, Moved, What, posting};
use crate::point::model::{Account, Both, LIMIT, RefundState, total};

/// Mostly a few points; sometimes nonsense or the very limit.
fn amount() -> impl Strategy<Value = i64> {
    prop_oneof![16 => 1_i64..40, 1 => any::<i64>(), 1 => LIMIT - 2..=LIMIT, 1 => -2_i64..1]
}

fn some_command() -> impl Strategy<Value = Command> {
    let order = || (1_i64..7).prop_map(OrderId);
    let user = || (1_i64..4).prop_map(UserId);
    let money =
        || prop_oneof![15 => Just(Currency::KRW), 1 => Just(Currency::parse("USD").unwrap())];
    let until = prop::option::of((-2_i64..90).prop_map(day));
    let credit = || (1_i64..12, user(), amount(), money());
    let step = || (order(), user(), amount(), money());
    let refund = || (order(), user(), 0_u32..4);
    // The same refund is mostly of the same charge.
    let back = || (1_i64..12, 0_i64..3, user());
    let named = |payment: i64, n: i64| (PaymentId(payment), RefundId(10 * payment + n));
    prop_oneof![
        2 => credit().prop_map(|(id, user, amount, currency)|
            Command::Charge { payment: PaymentId(id), user, amount, currency }),
        2 => (credit(), until).prop_map(|((id, user, amount, currency), expires_at)|
            Command::Grant {
                grant: GrantId(id), user, amount, currency, expires_at, reason: "why".into(),
            }),
        3 => step().prop_map(|(order, user, amount, currency)|
            Command::Earn { order, user, amount, currency }),
        5 => step().prop_map(|(order, user, amount, currency)|
            Command::Spend { order, user, amount, currency }),
        4 => (refund(), amount(), amount()).prop_map(|((order, user, no), paid, earned)|
            Command::Restore { order, user, no, paid, earned }),
        3 => (refund(), amount()).prop_map(|((order, user, no), amount)|
            Command::ClawBack { order, user, no, amount }),
        2 => refund().prop_map(|(order, user, no)| Command::UnClaw { order, user, no }),
        2 => user().prop_map(|user| Command::Expire { user }),
        3 => (back(), prop::option::of(amount())).prop_map(move |((payment, n, user), amount)| {
            let (payment, refund) = named(payment, n);
            Command::Refund { refund, payment, user, amount, reason: "why".into() }
        }),
        3 => (back(), any::<bool>()).prop_map(move |((payment, n, user), given)| {
            let (payment, refund) = named(payment, n);
            Command::RefundEnded { payment, refund, user, given }
        }),
    ]
}

/// Commands with times that never go back; some months pass.
fn some_commands() -> impl Strategy<Value = Vec<(Time, Command)>> {
    let later = prop_oneof![8 => 0_i64..3, 2 => 3_i64..40, 1 => 300_i64..500];
    prop::collection::vec((later, some_command()), 1..60).prop_map(|steps| {
        let mut today = 0;
        let dated = steps.into_iter().map(|(later, command)| {
            today += later;
            (Time(day(today).0 + 7), command)
        });
        dated.collect()
    })
}

/// What the counters of `user` must be, from the other tables and the history alone.
fn counted(world: &World, user: UserId) -> Account {
    let mut account = Account::new(Currency::KRW);
    for (row, _) in world.store.credit.values().filter(|(row, _)| row.user == user) {
        match row.kind {
            Kind::Paid => {
                let live = row.refunds.iter().filter(|r| r.state != RefundState::Returned);
                let back = live.map(|refund| refund.amount - refund.missing).sum::<i64>();
                account.charged += row.amount - back;
            }
            Kind::Earned => account.granted += row.amount,
        }
    }
    for (row, _) in world.store.usage.values().filter(|(row, _)| row.user == user) {
        account.rewarded += row.earned;
        account.spent.add(total(&row.parts));
        row.restores.iter().for_each(|back| account.restored.add(back.amounts));
        let live = row.claws.iter().filter(|claw| !claw.undone);
        account.clawed += live.map(|claw| claw.taken).sum::<i64>();
    }
    for line in world.told.get(&user).into_iter().flatten() {
        account.left.add(Both { paid: line.paid, earned: line.earned });
        if line.what == What::Expired {
            account.expired.add(Both { paid: -line.paid, earned: -line.earned });
            account.postings += 1;
        }
    }
    account
}

fn assert_laws(world: &World) {
    let Store { account, usage, timer, .. } = &world.store;
    for (user, (row, _)) in account {
        row.assert_lawful(*user);
        let expected = counted(world, *user);
        let (lots, armed) = (row.lots.clone(), row.armed);
        assert_eq!(*row, Account { lots, armed, ..expected }, "{user}");
        let last = world.told[user].last().unwrap();
        assert_eq!(last.balance, row.left.sum(), "{user}");
        assert_eq!(timer.get(user).and_then(|(timer, _)| timer.next_at), row.armed, "{user}");
        let woken = row.first_end().is_none_or(|end| row.armed.is_some_and(|at| at <= end));
        assert!(woken, "{user} sleeps too long: {row:?}");
    }
    for (order, (row, _)) in usage {
        let out = row.out();
        assert!(out.paid >= 0 && out.earned >= 0, "{order}: {row:?}");
        assert!(row.kept() >= 0, "{order}: {row:?}");
        assert!(row.claws.iter().all(|c| c.taken + c.gone <= c.asked), "{order}: {row:?}");
    }
    assert_books(world);
}

/// The ledger owes what the lots hold and orders have spent; every posting has a number of its own.
fn assert_books(world: &World) {
    let mut posted: BTreeMap<(i64, i64), Moved> = BTreeMap::new();
    let mut sums = Both::default();
    // Points that were spent when their money went back: the payment has posted them once more.
    for (credit, _) in world.store.credit.values() {
        let missing = credit.refunds.iter().map(|refund| refund.missing).sum();
        sums.add(Both { paid: missing, earned: 0 }.negated());
    }
    for moved in &world.books {
        let before = posted.insert((moved.source, moved.seq), *moved);
        // Grants, orders and users share numbers here: of each other they are told by `what`.
        let clash = before.is_some_and(|old| old.what == moved.what && old.seq >= posting::EARN);
        assert!(!clash, "posted twice: {moved:?}");
        let sign = if matches!(moved.what, What::ClawedBack | What::Expired) { -1 } else { 1 };
        sums.add(Both::of(moved.kind, sign * moved.amount));
    }
    for (row, _) in world.store.account.values() {
        sums.add(Both { paid: row.charged, earned: 0 });
        sums.add(row.left.negated());
        sums.add(row.spent.negated());
        sums.add(row.restored);
    }
    assert_eq!(sums, Both::default(), "lots and ledger differ");
}

#[test]
fn what_another_claw_back_of_the_same_refund_was_told_is_not_remembered() {
    let mut world = World::default();
    let (order, user) = (OrderId(2), UserId(3));
    let claw = |amount| Command::ClawBack { order, user, no: 1, amount };
    world.run(&Command::Earn { order, user, amount: 7, currency: Currency::KRW }).unwrap();
    let told = world.run(&claw(1)).unwrap();
    for (amount, known) in [(1, Some(told)), (0, None), (2, None)] {
        Points::want(&claw(amount), &mut world.rows);
        world.load();
        assert_eq!(Points::recall(&claw(amount), &world.rows), known, "{amount}");
        world.forget();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn balances_follow_from_what_orders_and_credits_say(commands in some_commands()) {
        let mut world = World::default();
        for (now, command) in commands {
            world.now = now.0;
            let _answer = world.run(&command);
            assert_laws(&world);
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
            prop_assert!(world.changed.is_empty() && world.posted.is_empty());

            let mut retry = command.clone();
            Points::adopt(&mut retry, 1_000);
            prop_assert_eq!(Points::resource(&retry), 1_000);
            Points::adopt(&mut retry, Points::resource(&command));
            prop_assert_eq!(&retry, &command);
            Points::want(&retry, &mut world.rows);
            world.load();
            let known = Points::recall(&retry, &world.rows);
            prop_assert!(known.is_none() || known == Some(reply), "{:?}", command);
            let kept = matches!(
                command,
                Command::Charge { .. }
                    | Command::Grant { .. }
                    | Command::Spend { .. }
                    | Command::Refund { .. }
            );
            prop_assert!(known.is_some() || !kept, "{:?}", command);
            world.forget();
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
        for world in [&split, &whole] {
            prop_assert_eq!(&single.told, &world.told);
            prop_assert_eq!(&single.books, &world.books);
        }
    }

    /// Whatever is spent by several orders and given back in parts, in any order: the same lots.
    #[test]
    fn spent_and_given_back_in_any_order_leaves_the_same_lots(
        grants in prop::collection::vec((1_i64..30, 1_i64..60), 1..8),
        bought in 0_i64..100,
        spends in prop::collection::vec(1_i64..60, 1..5),
        parts in prop::collection::vec((0_usize..5, 1_u32..40, 0_i64..40, 0_i64..40), 0..30),
        undo in any::<bool>(),
    ) {
        let mut world = World::at(day(0));
        for (n, (amount, end)) in grants.iter().enumerate() {
            world.run(&command(&format!("grant G{n} U1 {amount} until d{end}"))).unwrap();
        }
        let _none = world.run(&command(&format!("charge P90 U1 {bought}")));
        let before = world.store.account[&UserId(1)].0.lots.clone();
        for (order, amount) in spends.iter().enumerate() {
            let _poor = world.run(&command(&format!("spend O{order} U1 {amount}")));
        }
        for (order, no, paid, earned) in parts {
            let _more = world.run(&command(&format!("restore O{order} U1 {no} {paid}+{earned}")));
        }
        let open: Vec<_> = world.store.usage.iter().map(|(id, (row, _))| (id.0, row.out())).collect();
        for (order, out) in open {
            let rest = format!("restore O{order} U1 50 {}+{}", out.paid, out.earned);
            let rest = if undo { format!("restore O{order} U1 0") } else { rest };
            world.run(&command(&rest)).unwrap();
        }
        prop_assert_eq!(&world.store.account[&UserId(1)].0.lots, &before);
        assert_laws(&world);
    }
}

#[test]
fn five_thousand_orders_have_few_lots() {
    let mut world = World::at(day(0));
    let mut most = 0;
    for n in 0_i64..5_000 {
        world.now = day(n / 10).0;
        let run = |world: &mut World, text: String| world.run(&command(&text));
        run(&mut world, "expire U1".to_owned()).unwrap();
        run(&mut world, format!("earn O{n} U1 {}", 10 + n % 7)).unwrap();
        if n % 3 == 0 {
            run(&mut world, format!("spend O{} U1 {}", 10_000 + n, 5 + n % 20)).unwrap();
        }
        if n % 30 == 0 {
            // Some of what was spent long ago comes back.
            run(&mut world, format!("restore O{} U1 0", 10_000 + n * 7 / 10)).unwrap();
        }
        most = most.max(world.store.account[&UserId(1)].0.lots.len());
    }
    assert!((13..=17).contains(&most), "{most} lots");
    assert_laws(&world);
}
