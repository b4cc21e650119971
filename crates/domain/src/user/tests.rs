//! Tables of rules: a line is one commit, `commands => answers`; the words are in [`command`].
//! Texts stand where sealed bytes would be, and `A` for the address whose index is that of `A`.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "test oracles count in plain numbers and may panic"
)]

mod world;

use std::collections::BTreeMap;

use jangbu_kernel::domain::Coded;
use jangbu_kernel::{Time, UserId};
use proptest::prelude::*;

use self::world::{Answer, World, check, email, index};
use super::command::{Changes, Command, Reject, Reply};
use super::decide::{FAILURES, LOCK};
use super::model::{EmailIndex, State};

macro_rules! tables {
    ($($name:ident: $text:literal)*) => {
        $(#[test] fn $name() { check($text); })*
        const TABLES: &[&str] = &[$($text),*];
    };
}

tables! {
    an_address_belongs_to_one_user: "
        register U1 A => done
        register U1 A => done
        register U1 B => USER_EXISTS
        register U2 A => EMAIL_TAKEN
        register U2 B; register U3 B => done; EMAIL_TAKEN
        email U2 A => EMAIL_TAKEN
        email U2 B => done
        email U2 C => done
        register U3 B => done
        email U1 C => EMAIL_TAKEN
        email U2 D; email U1 C => done; done
        holder A => nobody
        holder C => U1
        register U4 A => done
        email U9 Z => USER_UNKNOWN
        user U1 => ACTIVE C 0
    "
    a_profile_changes_field_by_field: "
        register U1 A => done
        profile U1 => A Kim - -
        phone U1 010 => done
        name U1 Lee => done
        profile U1 => A Lee 010 -
        address U1 Seoul => done
        phone U1 - => done
        profile U1 => A Lee - Seoul
        name U9 Kim => USER_UNKNOWN
    "
    the_fifth_wrong_password_locks_for_fifteen_minutes: "
        register U1 A => done
        wrong U1 0 => failed
        wrong U1 0; wrong U1 0; wrong U1 0 => failed; failed; failed
        right U1 0 => in 0
        wrong U1 0; wrong U1 0; wrong U1 0; wrong U1 0 => failed; failed; failed; failed
        wrong U1 0; right U1 0 => locked until 900; locked until 900
        at 899
        right U1 0 => locked until 900
        wrong U1 0 => locked until 900
        at 900
        wrong U1 0 => failed
        right U1 0 => in 0
        right U9 0 => USER_UNKNOWN
    "
    a_new_password_ends_what_the_old_one_began: "
        register U1 A => done
        wrong U1 0; wrong U1 0; wrong U1 0; wrong U1 0; wrong U1 0 => failed; failed; failed; failed; locked until 900
        password U1 1 => PASSWORD_CHANGED
        password U1 0 => done, bar U1 1
        right U1 0 => PASSWORD_CHANGED
        wrong U1 0 => PASSWORD_CHANGED
        right U1 1 => in 1
        password U1 any; password U1 1 => done, bar U1 2; PASSWORD_CHANGED
        user U1 => ACTIVE A 2
        password U9 any => USER_UNKNOWN
    "
    a_deactivated_user_stays_as_it_was: "
        register U1 A => done
        deactivate U9 => USER_UNKNOWN
        deactivate U1 => done, bar U1 MAX
        deactivate U1 => done
        right U1 0 => USER_DEACTIVATED
        wrong U1 0 => USER_DEACTIVATED
        name U1 Lee => USER_DEACTIVATED
        email U1 B => USER_DEACTIVATED
        password U1 any => USER_DEACTIVATED
        register U2 A => EMAIL_TAKEN
        user U1 => DEACTIVATED A 0
        holder A => U1
    "
}

#[test]
fn every_code_has_a_line() {
    for reject in [
        Reject::UserExists,
        Reject::EmailTaken,
        Reject::UserUnknown,
        Reject::UserDeactivated,
        Reject::PasswordChanged,
    ] {
        let code = reject.code();
        assert!(TABLES.iter().any(|table| table.contains(code)), "{code}");
    }
}

fn some_command() -> impl Strategy<Value = Command> {
    let user = || (1_i64..5).prop_map(UserId);
    let letter = || (0_u8..5).prop_map(|n| char::from(b'A' + n).to_string());
    prop_oneof![
        4 => (user(), letter()).prop_map(|(user, mail)| world::register(user, &mail)),
        3 => (user(), letter()).prop_map(|(user, mail)| {
            let changes = Changes { email: Some(email(&mail)), ..Changes::default() };
            Command::Update { user, changes }
        }),
        6 => (user(), 0_i64..3, any::<bool>())
            .prop_map(|(user, seen, good)| Command::Login { user, seen, good }),
        1 => (user(), prop::option::of(0_i64..3)).prop_map(|(user, seen)| {
            Command::ChangePassword { user, seen, password: world::sealed("new") }
        }),
        1 => user().prop_map(|user| Command::Deactivate { user }),
    ]
}

fn some_commands() -> impl Strategy<Value = Vec<(Time, Command)>> {
    prop::collection::vec((0_i64..LOCK.0 / 6, some_command()), 1..80).prop_map(|steps| {
        let mut now = 0;
        let dated = steps.into_iter().map(|(later, command)| {
            now += later;
            (Time(now), command)
        });
        dated.collect()
    })
}

/// Invariant 1, and what the rows say of themselves.
fn assert_lawful(world: &World) {
    let holders = world.email.iter().filter_map(|(index, (row, _))| Some((row.user?, *index)));
    let holders: BTreeMap<UserId, EmailIndex> = holders.collect();
    let users: BTreeMap<_, _> =
        world.account.iter().map(|(user, (row, _))| (*user, row.index)).collect();
    assert_eq!(holders, users, "addresses and users are one to one");
    for (row, _) in world.account.values() {
        assert!((0..FAILURES).contains(&row.failures), "{row:?}");
        assert!(row.locked_until.is_none() || row.failures == 0, "{row:?}");
    }
}

proptest! {
    #[test]
    fn users_and_addresses_are_one_to_one_whatever_comes(commands in some_commands()) {
        let mut world = World::default();
        for (now, command) in &commands {
            world.now = now.0;
            world.commit(std::slice::from_ref(command));
            assert_lawful(&world);
        }
    }

    /// A batch equals its commands in order, whatever the split.
    #[test]
    fn a_batch_is_its_commands_in_order(commands in some_commands(), cut in 1_usize..9) {
        let plain: Vec<Command> = commands.into_iter().map(|(_, command)| command).collect();
        let (mut one, mut many) = (World::default(), World::default());
        let single: Vec<Answer> =
            plain.iter().flat_map(|command| one.commit(std::slice::from_ref(command))).collect();
        let batched: Vec<Answer> = plain.chunks(cut).flat_map(|batch| many.commit(batch)).collect();
        prop_assert_eq!(single, batched);
        prop_assert_eq!(one.account, many.account);
        prop_assert_eq!(one.email, many.email);
        prop_assert_eq!(one.bars, many.bars);
    }

    /// Invariant 2: of any number of guesses at a time, five count, and a right one among the later
    /// ones is not told.
    #[test]
    fn guesses_at_the_same_time_all_count(guesses in prop::collection::vec(prop::bool::weighted(0.05), 1..100)) {
        let mut world = World::default();
        world.commit(&[world::register(UserId(1), "A")]);
        let tried: Vec<_> = guesses
            .iter()
            .map(|good| Command::Login { user: UserId(1), seen: 0, good: *good })
            .collect();
        let answers = world.commit(&tried);
        let mut wrong = 0;
        for (good, answer) in guesses.iter().zip(answers) {
            let was_locked = wrong >= FAILURES;
            wrong = if was_locked { wrong } else if *good { 0 } else { wrong + 1 };
            let locked_until = (wrong >= FAILURES).then_some(Time(LOCK.0));
            let expected = if *good && !was_locked {
                Reply::LoggedIn { generation: 0 }
            } else {
                Reply::Failed { locked_until }
            };
            prop_assert_eq!(answer, Ok(expected));
        }
    }

    /// Invariant 3: bars are what the rows say.
    #[test]
    fn bars_follow_the_rows(commands in some_commands()) {
        let mut world = World::default();
        for (now, command) in &commands {
            world.now = now.0;
            world.commit(std::slice::from_ref(command));
        }
        let rows = world.account.iter().filter_map(|(user, (row, _))| Some((*user, row.bar()?)));
        prop_assert_eq!(rows.collect::<BTreeMap<_, _>>(), world.bars);
    }
}

#[test]
fn an_index_keeps_its_bytes() {
    let bytes: [u8; 16] = std::array::from_fn(|at| u8::try_from(200 + at).unwrap_or(7));
    let EmailIndex([high, low]) = EmailIndex::from(bytes);
    assert_eq!([high.to_be_bytes(), low.to_be_bytes()].concat(), bytes);
    assert_ne!(index("A"), index("B"));
    assert_eq!(State::from_code(2), Some(State::Deactivated));
}
