//! A shop that has just been started knows what it knew: what is unique stays so, what was stored is
//! found by whoever asks, and lists come in pages.

use std::sync::Arc;

use jangbu_domain::catalog::command::{About, Command as Shelf, NewSku};
use jangbu_domain::coupon::command::Command as Coupons;
use jangbu_domain::coupon::model::State;
use jangbu_domain::coupon::terms::{Funding, Kind, Terms, Valid};
use jangbu_domain::ledger::Draft;
use jangbu_domain::ledger::command::Command as Books;
use jangbu_domain::ledger::model::AccountId;
use jangbu_domain::merchant::command::Command as Sellers;
use jangbu_domain::merchant::fees::Fee;
use jangbu_domain::point::command::{Command as Points, Kind as PointKind, What};
use jangbu_domain::user::command::{Changes, Command as Accounts};
use jangbu_domain::user::model::{EmailIndex, Profile, Sealed};
use jangbu_domain::{catalog, coupon, ledger, merchant, point, user};
use jangbu_engine::port::Backend;
use jangbu_kernel::id::JournalId;
use jangbu_kernel::time::Span;
use jangbu_kernel::{
    CampaignId, CouponId, Currency, Envelope, GrantId, KeyId, OrderId, Origin, ProductId, SkuId,
    Time, UserId,
};
use jangbu_services::projections::Projections;
use jangbu_services::queries::{Queries, Source};
use jangbu_store::Memory;

use crate::rig::{Bench, Hand, START, Seen};
use crate::stage::{place_with, refund, won};

const KRW: Currency = Currency::KRW;

fn done(bench: &mut Bench, envelope: Envelope) {
    let seen = bench.run(envelope);
    assert!(seen.is_done(), "{seen:?}");
    bench.settle_with_gateway();
}

fn refused(bench: &mut Bench, envelope: Envelope) -> &'static str {
    match bench.run(envelope) {
        Seen::Refused(code, _) => code,
        other => panic!("{other:?}"),
    }
}

/// What can be read once the projections have followed.
fn queries(bench: &Bench) -> Queries {
    let derived: Arc<dyn Backend> = Arc::new(Memory::new());
    let clock = Arc::new(Hand::at(START));
    Projections::follow(&bench.memory, Arc::clone(&derived), clock).unwrap().stop().unwrap();
    Queries::new(Arc::new(bench.memory.clone()), derived)
}

fn coded(n: i64, merchant: &str) -> Envelope {
    let mut new = NewSku::new(SkuId(n * 10), "one", won(5));
    new.code = Some("T-1".into());
    let (product, about) = (ProductId(n), About::default());
    let (merchant, name, skus) = (merchant.into(), "x".into(), vec![new]);
    let create = Shelf::Create { product, merchant, name, about, skus, publish: true };
    Envelope::new(catalog::command::UNIT, Origin::Client, create)
}

#[test]
fn a_sku_code_stays_taken() {
    let mut bench = Bench::new();
    done(&mut bench, coded(500, "m-1"));
    bench.rig.restart();
    assert_eq!(refused(&mut bench, coded(501, "m-1")), "SKU_CODE_TAKEN");
    done(&mut bench, coded(502, "m-2"));
}

fn act(command: Accounts) -> Envelope {
    Envelope::new(user::command::UNIT, Origin::Client, command)
}

fn register(id: i64, mail: i64) -> Envelope {
    let sealed = |byte| Sealed(vec![byte; 40].into());
    let profile = Profile { email: sealed(1), name: sealed(2), phone: None, address: None };
    let (user, index) = (UserId(id), EmailIndex([mail, -mail]));
    act(Accounts::Register { user, index, profile, password: sealed(4) })
}

#[test]
fn users_are_found_by_their_address_and_barred_as_before() {
    let mut bench = Bench::new();
    assert!(!queries(&bench).has_users().unwrap());
    for id in 1..=3 {
        done(&mut bench, register(id, 100 + id));
    }
    let password = Sealed(vec![9; 40].into());
    let change = Accounts::ChangePassword { user: UserId(2), seen: Some(0), password };
    done(&mut bench, act(change));
    done(&mut bench, act(Accounts::Deactivate { user: UserId(3) }));
    let email = Some((EmailIndex([111, -111]), Sealed(vec![5; 40].into())));
    let changes = Changes { email, ..Changes::default() };
    done(&mut bench, act(Accounts::Update { user: UserId(1), changes }));
    bench.rig.restart();
    let queries = queries(&bench);
    let of = |mail: i64| queries.user_of(EmailIndex([mail, -mail])).unwrap().map(|(id, _)| id.0);
    assert_eq!([101, 111, 102, 103].map(of), [None, Some(1), Some(2), Some(3)]);
    assert!(queries.has_users().unwrap());
    assert_eq!(queries.bars().unwrap(), [(UserId(2), 1), (UserId(3), i64::MAX)]);
    let account = queries.user(UserId(2)).unwrap().unwrap();
    assert_eq!((account.generation, &account.password), (1, &Sealed(vec![9; 40].into())));
    assert_eq!((&account.profile.phone, account.locked_until), (&None, None));
    assert_eq!(refused(&mut bench, register(4, 111)), "EMAIL_TAKEN");
    assert_eq!(refused(&mut bench, register(4, 103)), "EMAIL_TAKEN", "although its owner is gone");
    done(&mut bench, register(4, 101));
}

#[test]
fn merchants_keep_their_keys_and_fees() {
    let mut bench = Bench::new();
    let seller = |command| Envelope::new(merchant::command::UNIT, Origin::Client, command);
    let code = || Arc::<str>::from("m-7");
    let key = |id: i64| {
        let (key, sealed) = (KeyId(id), vec![7, 0, 255].into());
        seller(Sellers::AddKey { code: code(), key, sealed, legacy: id == 71 })
    };
    let from = Time(i64::MAX / 2);
    let fee = Fee { from, to: None, rate_bp: 300, fixed: 10, vat_bp: 1_000 };
    done(&mut bench, seller(Sellers::Create { code: code(), name: "Seven".into() }));
    done(&mut bench, key(71));
    done(&mut bench, key(72));
    done(&mut bench, seller(Sellers::RevokeKey { code: code(), key: KeyId(71) }));
    done(&mut bench, seller(Sellers::SetFees { code: code(), fees: vec![fee] }));
    done(&mut bench, seller(Sellers::Suspend { code: code() }));
    bench.rig.restart();
    done(&mut bench, key(73));
    assert_eq!(refused(&mut bench, key(74)), "MERCHANT_KEYS_FULL");
    let found = bench.queries().merchant("m-7").unwrap().unwrap();
    assert_eq!((found.state.name(), found.fees.as_slice()), ("SUSPENDED", &[fee][..]));
    let keys: Vec<_> = found.keys.iter().map(|k| (k.id.0, k.legacy, k.is_live())).collect();
    assert_eq!(keys, [(71, true, false), (72, false, true), (73, false, true)]);
    let sealed: Vec<&[u8]> = found.keys.iter().map(|key| &*key.sealed).collect();
    assert_eq!(sealed, [&[][..], &[7, 0, 255], &[7, 0, 255]], "a revoked secret is forgotten");
    assert_eq!(bench.queries().merchants().unwrap(), [found]);
    assert_eq!(bench.queries().merchant("m-8").unwrap(), None);
}

fn ask(command: Coupons) -> Envelope {
    Envelope::new(coupon::command::UNIT, Origin::Client, command)
}

fn campaign(id: i64, total: i64) -> Envelope {
    let terms = Terms {
        name: "spring".into(),
        kind: Kind::Percent { bp: 1_000, cap: Some(90) },
        currency: KRW,
        minimum: 0,
        starts: Time(0),
        ends: Time(i64::MAX / 2),
        valid: Valid::For(Span::mins(60)),
        per_user: 4,
        total,
        funding: Funding::Platform,
        scope: None,
    };
    ask(Coupons::CreateCampaign { campaign: CampaignId(id), terms })
}

fn issue(of: i64, id: i64, user: i64) -> Envelope {
    let (campaign, coupon, user) = (CampaignId(of), CouponId(id), UserId(user));
    ask(Coupons::Issue { campaign, coupon, user })
}

#[test]
fn coupons_come_in_pages_by_owner_state_and_place() {
    let mut bench = Bench::stocked();
    done(&mut bench, campaign(1, 4));
    done(&mut bench, campaign(2, 9));
    for (id, user) in [(11, 7), (12, 8), (13, 7), (14, 7)] {
        done(&mut bench, issue(1, id, user));
    }
    done(&mut bench, place_with((5, 7), &[(0, 1)], (Some("ok"), Some(13), 0, None)));
    done(&mut bench, ask(Coupons::Revoke { coupon: CouponId(12), reason: "misused".into() }));
    bench.rig.restart();
    assert_eq!(refused(&mut bench, issue(1, 15, 9)), "COUPON_EXHAUSTED");
    let queries = queries(&bench);
    let of = |user, state, before: Option<i64>, limit| -> Vec<i64> {
        let page = queries.coupons_of((UserId(user), state), before.map(CouponId), limit).unwrap();
        page.into_iter().map(|(id, _)| id.0).collect()
    };
    assert_eq!(of(7, None, None, 2), [14, 13]);
    assert_eq!(of(7, None, Some(13), 2), [11]);
    assert_eq!(of(7, Some(State::Free), None, 9), [14, 11]);
    assert_eq!(of(7, Some(State::Used), None, 9), [13]);
    assert_eq!(of(8, Some(State::Free), None, 9), [0; 0]);
    let used = queries.coupon(CouponId(13)).unwrap().unwrap();
    assert_eq!((used.order, used.discount, used.position), (Some(OrderId(5)), 90, 3));
    let revoked = queries.coupon(CouponId(12)).unwrap().unwrap();
    assert_eq!((revoked.state, revoked.reason.as_deref()), (State::Revoked, Some("misused")));
    let issues = queries.issues(CampaignId(1), 1, 2).unwrap();
    let issues: Vec<_> = issues.iter().map(|(n, i)| (*n, i.coupon.0, i.user.0)).collect();
    assert_eq!(issues, [(2, 12, 8), (3, 13, 7)]);
    let all = |after: Option<i64>| -> Vec<i64> {
        let page = queries.campaigns(after.map(CampaignId), 9).unwrap();
        page.into_iter().map(|(id, _)| id.0).collect()
    };
    assert_eq!((all(None), all(Some(1))), (vec![1, 2], vec![2]));
    let row = queries.campaign(CampaignId(1)).unwrap().unwrap();
    assert_eq!((row.tally.used, row.tally.free, row.tally.revoked, row.remaining()), (1, 2, 1, 0));
}

fn grant(id: i64, user: i64, amount: i64, expires_at: Option<Time>) -> Envelope {
    let (grant, user, currency, reason) = (GrantId(id), UserId(user), KRW, "sorry".into());
    let grant = Points::Grant { grant, user, amount, currency, expires_at, reason };
    Envelope::new(point::command::UNIT, Origin::Client, grant)
}

/// User 7 was given 300 points and 40 that have expired, and paid order 5 with 200 of them, which
/// came back; the accountant has booked journal 900.
fn with_points() -> Bench {
    let mut bench = Bench::stocked();
    let soon = bench.rig.now() + Span::mins(24 * 60);
    done(&mut bench, grant(31, 7, 300, None));
    done(&mut bench, grant(32, 7, 40, Some(soon)));
    done(&mut bench, place_with((5, 8), &[(0, 1)], (Some("ok"), None, 0, None)));
    bench.rig.advance(Span::mins(3 * 24 * 60));
    bench.settle_with_gateway();
    done(&mut bench, place_with((6, 7), &[(0, 1)], (Some("ok"), None, 200, None)));
    done(&mut bench, refund(6, Some(&[(0, 1)])));
    bench.rig.advance(Span::mins(1));
    let mut draft = Draft::new(JournalId(900), "kim".into(), "statement");
    draft.posting(KRW, None);
    draft.leg("bank", 50);
    draft.leg("promo:points", -50);
    let book = Books::Book(Box::new(draft));
    done(&mut bench, Envelope::new(ledger::UNIT, Origin::Client, book));
    bench
}

#[test]
fn the_history_of_points_adds_up_to_the_account() {
    let mut bench = with_points();
    bench.rig.restart();
    let queries = queries(&bench);
    let account = queries.points(UserId(7)).unwrap().unwrap();
    assert_eq!((account.left.sum(), account.spent.sum(), account.restored.sum()), (300, 200, 200));
    assert_eq!(queries.points(UserId(99)).unwrap(), None);
    let granted = queries.point_credit(31).unwrap().unwrap();
    assert_eq!((granted.user, granted.kind, granted.amount), (UserId(7), PointKind::Earned, 300));
    assert_eq!((&*granted.reason, granted.balance), ("sorry", 300));
    let page = queries.point_history(UserId(7), None, 3).unwrap();
    let rest = queries.point_history(UserId(7), Some(page[2].n), 9).unwrap();
    let seen: Vec<_> = page.iter().chain(&rest).map(|m| (m.what, m.about, m.earned)).collect();
    let wanted = [
        (What::Restored, 6, 200),
        (What::ClawedBack, 6, -8),
        (What::Earned, 6, 8),
        (What::Spent, 6, -200),
        (What::Expired, 0, -40),
        (What::Granted, 32, 40),
        (What::Granted, 31, 300),
    ];
    assert_eq!(seen, wanted);
    let balances: Vec<_> = page.iter().chain(&rest).map(|m| m.balance).collect();
    assert_eq!(balances, [300, 100, 108, 100, 300, 340, 300]);
}

#[test]
fn entries_name_what_caused_them_and_a_balance_is_known_for_every_moment() {
    let bench = with_points();
    let queries = queries(&bench);
    let promo = AccountId::of("promo:points", KRW);
    let entries = queries.entries(promo, None, 99).unwrap();
    let sources: Vec<_> = entries.iter().map(|entry| entry.source).collect();
    assert_eq!(sources.first(), Some(&Source::Journal(JournalId(900))));
    assert_eq!(sources.iter().filter(|s| **s == Source::Grant(GrantId(31))).count(), 1);
    assert_eq!(sources.iter().filter(|s| **s == Source::User(UserId(7))).count(), 1);
    let receivable = AccountId::of("psp:sim:receivable", KRW);
    let paid = queries.entries(receivable, None, 99).unwrap();
    assert!(paid.iter().all(|entry| matches!(entry.source, Source::Payment(_))), "{paid:?}");
    let (last, before) = (&entries[0], &entries[1]);
    let page = queries.entries(promo, Some((last.at, last.n)), 1).unwrap();
    assert_eq!(page, [*before]);
    assert_eq!(queries.balance_at(promo, last.at).unwrap(), last.balance);
    assert_eq!(queries.balance_at(promo, Time(last.at.0 - 1)).unwrap(), before.balance);
    assert_eq!(queries.balance_at(promo, Time(0)).unwrap(), 0);
    assert_eq!(queries.projected_sum().unwrap(), 0);
    let booked = queries.journal(JournalId(900)).unwrap().unwrap();
    let amounts: Vec<_> = booked.entries.iter().map(|(_, entry)| entry.amount).collect();
    assert_eq!(
        (amounts, booked.accounts.len(), &*booked.journal.reason),
        (vec![50, -50], 2, "statement")
    );
    assert_eq!(booked.accounts.get(&promo), queries.account(promo).unwrap().as_ref());
    assert!(queries.journal(JournalId(901)).unwrap().is_none());
    let all = queries.accounts(None, 99).unwrap();
    let later = queries.accounts(Some(all[0].0), 99).unwrap();
    assert_eq!(later, all[1..]);
}
