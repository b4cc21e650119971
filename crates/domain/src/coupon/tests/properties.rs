//! Laws that hold under any commands, whatever the order and the grouping into commits.

use std::collections::BTreeMap;

use jangbu_kernel::rows::RowSet;
use jangbu_kernel::time::Span;
use jangbu_kernel::{CampaignId, CouponId, Currency, Domain, OrderId, Time, UserId};
use proptest::prelude::*;

use super::text::terms;
use super::world::{Store, World, find};
use crate::coupon::Coupons;
use crate::coupon::command::{Command, Goods, Tally};
use crate::coupon::model::{Campaign, HolderKey, IssueKey, State};
use crate::coupon::terms::{Kind, Terms, Valid};

fn some_terms() -> impl Strategy<Value = Terms> {
    let valid = prop_oneof![
        (100_i64..260).prop_map(|at| Valid::Until(Time(at))),
        (1_i64..90).prop_map(|span| Valid::For(Span(span)))
    ];
    let kind = prop_oneof![
        (1_i64..900).prop_map(|amount| Kind::Fixed { amount }),
        (1_i64..=10_000).prop_map(|bp| Kind::Percent { bp, cap: Some(700) })
    ];
    (valid, kind, 1_i64..3, 1_i64..12, 0_i64..20).prop_map(
        |(valid, kind, per_user, total, starts)| {
            let (starts, ends, per_user) = (Time(starts), Time(100), per_user.min(total));
            Terms { kind, starts, ends, valid, per_user, total, ..terms(&[]) }
        },
    )
}

fn some_goods() -> impl Strategy<Value = Vec<Goods>> {
    let goods = (0_u8..2, 0_i64..2_000)
        .prop_map(|(n, amount)| Goods { merchant: format!("m-{n}").into(), amount });
    prop::collection::vec(goods, 0..3)
}

fn some_command() -> impl Strategy<Value = Command> {
    let campaign = || (1_i64..3).prop_map(CampaignId);
    let coupon = || (1_i64..16).prop_map(CouponId);
    let (order, user) = (|| (1_i64..6).prop_map(OrderId), || (1_i64..5).prop_map(UserId));
    let some = prop::collection::btree_map(coupon(), user(), 0..4);
    let redeemed = (coupon(), order(), user(), some_goods());
    prop_oneof![
        2 => (campaign(), some_terms())
            .prop_map(|(campaign, terms)| Command::CreateCampaign { campaign, terms }),
        1 => campaign().prop_map(|campaign| Command::EndCampaign { campaign }),
        9 => (campaign(), coupon(), user())
            .prop_map(|(campaign, coupon, user)| Command::Issue { campaign, coupon, user }),
        2 => (campaign(), some).prop_map(|(campaign, some)|
            Command::Grant { campaign, coupons: some.into_iter().collect() }),
        9 => redeemed.prop_map(|(coupon, order, user, goods)|
            Command::Redeem { coupon, order, user, goods, currency: Currency::KRW }),
        5 => (coupon(), order()).prop_map(|(coupon, order)| Command::Restore { coupon, order }),
        1 => coupon().prop_map(|coupon| Command::Revoke { coupon, reason: "abuse".into() }),
        3 => campaign().prop_map(|campaign| Command::Sweep { campaign }),
    ]
}

/// Commands with times that never go back, after a campaign of which there is enough.
fn some_commands() -> impl Strategy<Value = Vec<(Time, Command)>> {
    let first =
        some_terms().prop_map(|terms| Command::CreateCampaign { campaign: CampaignId(1), terms });
    let rest = prop::collection::vec((0_i64..7, some_command()), 1..70);
    (first, rest).prop_map(|(first, steps)| {
        let mut now = 0;
        let dated = steps.into_iter().map(|(later, command)| {
            now += later;
            (Time(now), command)
        });
        std::iter::once((Time(0), first)).chain(dated).collect()
    })
}

/// What the counters of `campaign` must be, from its coupons alone.
fn counted(store: &Store, campaign: CampaignId) -> Tally {
    let mut tally = Tally::default();
    for (_, coupon, _) in store.coupon.iter().filter(|(_, row, _)| row.campaign == campaign) {
        tally.issued += 1;
        *match coupon.state {
            State::Free => &mut tally.free,
            State::Used => &mut tally.used,
            State::Expired => &mut tally.expired,
            State::Revoked => &mut tally.revoked,
        } += 1;
    }
    tally
}

fn assert_laws(store: &Store, now: Time) {
    for (id, campaign, _) in &store.campaign {
        let Campaign { tally, terms, swept, next_at, .. } = campaign;
        assert_eq!(*tally, counted(store, *id), "{id}");
        assert!(tally.issued <= terms.total && *swept <= tally.issued, "{id}: {campaign:?}");
        assert_eq!(next_at.is_some(), *swept < tally.issued, "{id}: {campaign:?}");
        let mut last = Time(0);
        for position in 1..=tally.issued {
            let key = IssueKey { campaign: *id, position };
            let coupon = find(&store.issue, key).expect("positions have no gaps").coupon;
            let coupon = find(&store.coupon, coupon).expect("what was issued is there");
            assert_eq!((coupon.campaign, coupon.position), (*id, position));
            assert!(coupon.expires_at >= last, "{id}: position {position} ends too early");
            last = coupon.expires_at;
            let open = coupon.state == State::Free && position <= *swept;
            assert!(!open, "{id}: position {position} was looked at, and is free");
        }
    }
    let mut held: BTreeMap<(i64, i64), i64> = BTreeMap::new();
    for (id, coupon, _) in &store.coupon {
        *held.entry((coupon.campaign.0, coupon.user.0)).or_default() += 1;
        let used = coupon.state == State::Used;
        assert_eq!((coupon.order.is_some(), coupon.discount > 0), (used, used), "{id}");
        assert!(coupon.order.is_none_or(|order| !coupon.undone.contains(&order)), "{id}");
        assert!(coupon.issued_at <= now, "{id}");
    }
    let holders = store.holder.iter();
    let holders: BTreeMap<_, _> =
        holders.map(|(key, row, _)| ((key.campaign.0, key.user.0), row.held)).collect();
    assert_eq!(holders, held);
    for (HolderKey { campaign, .. }, row, _) in &store.holder {
        let most = find(&store.campaign, *campaign).expect("it is there").terms.per_user;
        assert!(row.most == most && row.held <= most, "{campaign}: {row:?}");
    }
}

/// Without the order in which rows first came to the store.
fn sorted(store: &Store) -> Store {
    let mut store = store.clone();
    store.campaign.sort_by_key(|(key, _, _)| *key);
    store.coupon.sort_by_key(|(key, _, _)| *key);
    store.holder.sort_by_key(|(key, _, _)| (key.campaign, key.user));
    store.issue.sort_by_key(|(key, _, _)| (key.campaign, key.position));
    store
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn counters_and_limits_follow_from_the_coupons(commands in some_commands()) {
        let mut world = World::default();
        for (now, command) in commands {
            world.now = now.0;
            let _answer = world.run(&command);
            assert_laws(&world.store, now);
        }
    }

    #[test]
    fn an_accepted_command_again_changes_nothing(commands in some_commands()) {
        let mut world = World::default();
        for (now, command) in commands {
            world.now = now.0;
            let Ok(reply) = world.run(&command) else { continue };
            if let Command::Sweep { .. } = command {
                continue; // it goes on where it was
            }
            let before = world.store.clone();
            prop_assert_eq!(world.run(&command), Ok(reply.clone()));
            prop_assert_eq!(&world.store, &before, "{:?}", command);
            prop_assert!(world.said.is_empty());

            let mut retry = command.clone();
            let several = matches!(&command, Command::Grant { .. });
            Coupons::adopt(&mut retry, 1_000);
            prop_assert_eq!(Coupons::resource(&retry), 1_000);
            if several {
                continue; // ids of a grant are a block of the mint
            }
            Coupons::adopt(&mut retry, Coupons::resource(&command));
            prop_assert_eq!(&retry, &command);
            for _pass in 0..2 {
                Coupons::want(&retry, &mut world.rows);
                world.load();
            }
            let nothing = matches!(&command, Command::Restore { coupon, .. }
                if find(&before.coupon, *coupon).is_none());
            let known = (!nothing).then_some(reply);
            prop_assert_eq!(Coupons::recall(&retry, &world.rows), known);
            world.each(|rows| RowSet::clear(rows));
        }
    }

    #[test]
    fn any_split_into_commits_gives_the_same(
        commands in some_commands(),
        cuts in prop::collection::vec(1_usize..9, 71),
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
        prop_assert_eq!(sorted(&single.store), sorted(&split.store));
        prop_assert_eq!(sorted(&single.store), sorted(&whole.store));
        for world in [&single, &split, &whole] {
            let tallies = world.store.campaign.iter().map(|(id, row, _)| (*id, row.tally));
            prop_assert_eq!(&world.told, &tallies.collect::<BTreeMap<_, _>>());
            let known = world.store.coupon.iter().map(|(id, row, _)| (*id, (row.user, row.state)));
            prop_assert_eq!(&world.known, &known.collect::<BTreeMap<_, _>>());
        }
    }
}
