//! Orders with everything: coupon, points, earning, parcels, and units that come back.
//!
//! What a unit bears is the difference of what all units before and behind it bear, each rounded
//! down. Customers are as rich as it takes; each has been given points and has bought some.

use std::collections::BTreeMap;

use rusqlite::params;

use crate::shop::{Shop, Sku, time};

/// The ends of what customers were given, and of what their orders earn.
const ENDS: [i64; 2] = [1_910_000_000_000_000, 1_920_000_000_000_000];
const NEVER: i64 = 4_000_000_000_000_000;
/// Points that a customer begins with, of each kind.
const BEGIN: i64 = 1_000_000;
/// A tenth off, and no more than this.
const CAP: i64 = 5_000;
/// A hundredth of what the card pays.
const EARNS: i64 = 100;

/// What is special about an order.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wishes {
    pub(crate) user: i64,
    pub(crate) coupon: bool,
    /// Paid and earned points.
    pub(crate) points: [i64; 2],
    /// Units of the first line that come back, and the earned points that are gone by then.
    pub(crate) back: Option<(i64, i64)>,
    /// The first unit of the first line has arrived, the rest of that line is under way.
    pub(crate) sent: bool,
}

/// What units bear: card, paid points, earned points, coupon; and what the card's part earns.
type Shares = [i64; 5];

/// The points of a customer.
#[derive(Debug, Default)]
struct Purse {
    rewarded: i64,
    clawed: i64,
    /// Paid and earned.
    spent: [i64; 2],
    restored: [i64; 2],
    coupons: i64,
}

/// A shop where such orders are made.
#[derive(Debug)]
pub(crate) struct Full<'s> {
    shop: &'s mut Shop,
    campaign: i64,
    coupons: i64,
    purses: BTreeMap<i64, Purse>,
}

/// An order on its way into the tables.
struct Draft {
    id: i64,
    commit: i64,
    lines: Vec<(Sku, i64)>,
    coupon: Option<i64>,
    discount: i64,
    points: [i64; 2],
}

impl Draft {
    fn total(&self) -> i64 {
        self.lines.iter().map(|(sku, quantity)| sku.price * quantity).sum()
    }

    /// What the goods before this unit bear.
    fn before(&self, line: usize, unit: i64) -> Shares {
        let value = |(at, (sku, quantity)): (usize, &(Sku, i64))| {
            sku.price * if at == line { unit } else { *quantity }
        };
        let goods: i64 = self.lines.iter().enumerate().take(line + 1).map(value).sum();
        let slice = |whole: i64, part: i64, of: i64| {
            let exact = i128::from(whole) * i128::from(part) / i128::from(of.max(1));
            i64::try_from(exact).unwrap()
        };
        let coupon = slice(self.discount, goods, self.total());
        let (rest, [paid, earned]) = (self.total() - self.discount, self.points);
        let of_paid = slice(paid, goods - coupon, rest);
        let of_earned = slice(earned, goods - coupon - of_paid, rest - paid);
        let card = goods - coupon - of_paid - of_earned;
        [card, of_paid, of_earned, coupon, slice(EARNS, card, 10_000)]
    }

    /// What units of a line bear.
    fn shares(&self, line: usize, from: i64, to: i64) -> Shares {
        let (before, behind) = (self.before(line, from), self.before(line, to));
        std::array::from_fn(|at| behind[at] - before[at])
    }

    fn whole(&self) -> Shares {
        self.before(self.lines.len() - 1, self.lines[self.lines.len() - 1].1)
    }

    fn split(&self) -> BTreeMap<&str, Shares> {
        let mut split: BTreeMap<&str, Shares> = BTreeMap::new();
        for (line, (sku, quantity)) in self.lines.iter().enumerate() {
            let part = split.entry(&sku.merchant).or_default();
            for (sum, share) in part.iter_mut().zip(self.shares(line, 0, *quantity)) {
                *sum += share;
            }
        }
        split
    }
}

impl<'s> Full<'s> {
    /// Opens a campaign.
    pub(crate) fn open(shop: &'s mut Shop) -> Self {
        let (campaign, commit) = shop.begin();
        shop.ask("operator:campaign.create", campaign);
        shop.tell(commit, "coupon.changed", campaign, 1);
        Self { shop, campaign, coupons: 0, purses: BTreeMap::new() }
    }

    /// Adds a sold order; its id.
    pub(crate) fn add(&mut self, lines: &[(usize, i64)], wishes: Wishes) -> i64 {
        let user = wishes.user;
        if !self.purses.contains_key(&user) {
            self.enrich(user);
        }
        let lines: Vec<(Sku, i64)> =
            lines.iter().map(|&(at, quantity)| (self.shop.skus[at].clone(), quantity)).collect();
        let coupon = wishes.coupon.then(|| self.shop.begin().0);
        let (id, commit) = self.shop.begin();
        let mut draft = Draft { id, commit, lines, coupon, discount: 0, points: wishes.points };
        if coupon.is_some() {
            draft.discount = (draft.total() / 10).min(CAP);
        }
        self.shop.ask("c:order.place", id);
        self.coupon(user, &draft);
        self.used(&draft, wishes);
        self.order(&draft, wishes);
        self.payment(&draft, wishes);
        self.reservation(&draft, wishes);
        for topic in ["order.placed", "payment.captured", "order.completed", "point.changed"] {
            let key = if topic == "point.changed" { user } else { id };
            self.shop.tell(commit + i64::from(topic != "order.placed"), topic, key, 1);
        }
        id
    }

    /// Gives a customer points and sells it some.
    fn enrich(&mut self, user: i64) {
        let shop = &mut *self.shop;
        shop.person(user);
        let (grant, commit) = shop.begin();
        shop.ask("op:point.grant", grant);
        shop.leg(grant, [1, 0, commit], "promo:points", BEGIN);
        shop.leg(grant, [1, 1, commit], "points:earned", -BEGIN);
        let bought = shop.bought(user, BEGIN);
        let sql = "INSERT INTO point_credit VALUES (?1, ?2, ?3, ?4, NULL, ?4, ?5, '', '[]', 1)";
        shop.run(sql, params![grant, user, 1, BEGIN, time(commit)]);
        shop.run(sql, params![bought, user, 2, BEGIN, time(commit)]);
        self.purses.insert(user, Purse::default());
    }

    fn coupon(&mut self, user: i64, draft: &Draft) {
        let Some(coupon) = draft.coupon else { return };
        self.coupons += 1;
        let (position, at) = (self.coupons, time(draft.commit));
        self.purses.get_mut(&user).unwrap().coupons += 1;
        self.shop.ask("client:coupon.issue", coupon);
        let sql =
            "INSERT INTO user_coupon VALUES (?1, ?2, ?3, ?4, 2, ?5, ?6, '[]', ?7, ?8, NULL, 2)";
        let Draft { id, discount, .. } = draft;
        let values = params![coupon, self.campaign, user, position, id, discount, at, NEVER];
        self.shop.run(sql, values);
        let sql = "INSERT INTO coupon_issue VALUES (?1, ?2, ?3, ?4, ?5)";
        self.shop.run(sql, params![self.campaign, position, coupon, user, at]);
        self.shop.tell(draft.commit, "coupon.changed", self.campaign, position + 1);
    }

    /// What the order spends and earns, and what the units that come back take with them.
    fn used(&mut self, draft: &Draft, wishes: Wishes) {
        let (id, commit, [paid, earned]) = (draft.id, draft.commit, draft.points);
        let [.., earns] = draft.whole();
        if earned + paid + earns == 0 {
            return;
        }
        let purse = self.purses.get_mut(&wishes.user).unwrap();
        let lots = [(1, ENDS[0], earned), (2, 0, paid)];
        let (mut restores, mut claws) = ("[]".to_owned(), "[]".to_owned());
        let mut postings = vec![(1_000_000, earns)];
        if let Some((units, gone)) = wishes.back {
            let [_, paid, earned, _, earns] = draft.shares(0, 0, units);
            if paid + earned > 0 {
                restores = format!("[[1,{paid},{earned}]]");
            }
            claws = format!("[[1,{earns},{},{gone},0]]", earns - gone);
            postings.push((2_000_001, gone - earns));
            purse.clawed += earns - gone;
            purse.restored[0] += paid;
            purse.restored[1] += earned;
        }
        purse.spent[0] += paid;
        purse.spent[1] += earned;
        purse.rewarded += earns;
        let state = if paid + earned == 0 { 1 } else { 2 };
        let sql = "INSERT INTO point_use VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 2)";
        let (user, until) = (wishes.user, ENDS[1]);
        let values = params![id, user, state, packed(&lots), restores, earns, until, claws];
        self.shop.run(sql, values);
        for (seq, amount) in postings.into_iter().filter(|(_, amount)| *amount != 0) {
            let codes = ["promo:points", "points:earned"];
            let debit = usize::from(amount < 0);
            self.shop.leg(id, [seq, 0, commit + 1], codes[debit], amount.abs());
            self.shop.leg(id, [seq, 1, commit + 1], codes[1 - debit], -amount.abs());
        }
    }

    fn order(&mut self, draft: &Draft, wishes: Wishes) {
        let Draft { id, commit, coupon, discount, points: [paid, earned], .. } = *draft;
        let line = |(Sku { id, price, merchant, .. }, quantity): &(Sku, i64)| {
            format!("[{id},{quantity},{price},\"{merchant}\"]")
        };
        let lines: Vec<String> = draft.lines.iter().map(line).collect();
        let [card, .., earns] = draft.whole();
        let (mut refunds, mut refunded) = ("[]".to_owned(), 0);
        if let Some((units, gone)) = wishes.back {
            let [card, paid, earned, _, earns] = draft.shares(0, 0, units);
            refunded = card - gone;
            let more = format!("{paid},{earned},{},{gone},0", earns - gone);
            refunds = format!("[[1,4,{refunded},[[0,0,{units}]],1,\"wish\",{more}]]");
        }
        let (left, units) = (time(commit + 2), draft.lines[0].1);
        let shipments = wishes.sent.then(|| {
            self.shop.tell(commit + 2, "order.shipped", id, 2);
            self.shop.tell(commit + 2, "order.delivered", id, 2);
            let first = format!("[1,[[0,0,1]],\"CJ\",\"1234\",{left},{left}]");
            if units == 1 {
                return format!("[{first}]");
            }
            self.shop.tell(commit + 2, "order.shipped", id, 3);
            format!("[{first},[2,[[0,1,{}]],\"CJ\",\"1235\",{left},0]]", units - 1)
        });
        let sql = "INSERT INTO orders (id, user_id, state, stuck_in, def_version, stock_step, \
                   pay_step, pay_mode, cancel_wanted, outcome, reason, currency, total, refunded, \
                   lines, refunds, token, tries, next_at, placed_at, settled_at, correlation, \
                   version, coupon_id, coupon_step, discount, points, point_step, points_paid, \
                   points_earned, expects, earn_step, earn_bp, earned, shipments) VALUES \
                   (?1, ?2, 8, 0, 1, 2, 2, 1, 0, 'SOLD', NULL, 'KRW', ?3, ?4, ?5, ?6, NULL, 0, \
                   NULL, ?7, ?8, 'c-1', 5, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)";
        let done = |has: bool| if has { 2 } else { 0 };
        let values = params![
            id,
            wishes.user,
            draft.total(),
            refunded,
            format!("[{}]", lines.join(",")),
            refunds,
            time(commit),
            time(commit + 1),
            coupon,
            done(coupon.is_some()),
            discount,
            paid + earned,
            done(paid + earned > 0),
            paid,
            earned,
            card,
            done(earns > 0),
            if earns > 0 { EARNS } else { 0 },
            earns,
            shipments
        ];
        self.shop.run(sql, values);
    }

    fn payment(&mut self, draft: &Draft, wishes: Wishes) {
        let (id, commit) = (draft.id, draft.commit);
        let [card, ..] = draft.whole();
        let split = draft.split();
        self.post(id, [1, commit + 1], None, &split);
        self.shop.record(id, 1, 0, card);
        let (mut refunds, mut refunded) = ("[]".to_owned(), 0);
        if let Some((units, gone)) = wishes.back {
            let part = draft.shares(0, 0, units);
            refunded = part[0] - gone;
            let parts = BTreeMap::from([(draft.lines[0].0.merchant.as_str(), part)]);
            refunds = format!("[[1,3,{refunded},{},null,0,\"\",2,{gone}]]", named(&parts));
            self.post(id, [2, commit + 2], Some(gone), &parts);
            self.shop.record(id, 5, 1, refunded);
            for topic in ["payment.refund-requested", "payment.refunded", "order.refunded"] {
                self.shop.tell(commit + 2, topic, id, 4);
            }
        }
        let sql = "INSERT INTO payment VALUES (?1, ?1, 6, 0, 1, ?2, 'KRW', ?3, ?3, ?3, ?4, \
                   0, 'sim', 'ref', NULL, 0, ?5, NULL, NULL, ?6, NULL, 0, 5)";
        let postings = 1 + i64::from(wishes.back.is_some());
        self.shop.run(sql, params![id, named(&split), card, refunded, postings, refunds]);
    }

    /// Posts a capture, or a refund of which so much is kept.
    fn post(&mut self, id: i64, at: [i64; 2], kept: Option<i64>, parts: &BTreeMap<&str, Shares>) {
        let (sign, kept) = kept.map_or((1, 0), |kept| (-1, kept));
        let sum = |at: usize| parts.values().map(|part| part[at]).sum::<i64>();
        let mut legs = vec![
            ("psp:sim:receivable".to_owned(), sum(0) - kept),
            ("promo:points".to_owned(), kept),
            ("points:paid".to_owned(), sum(1)),
            ("points:earned".to_owned(), sum(2)),
            ("promo:coupon".to_owned(), sum(3)),
        ];
        legs.extend(parts.iter().map(|(merchant, part)| {
            (format!("merchant:{merchant}:payable"), -part[..4].iter().sum::<i64>())
        }));
        let legs = legs.into_iter().filter(|(_, amount)| *amount != 0);
        for (leg, (code, amount)) in (0..).zip(legs) {
            self.shop.leg(id, [at[0], leg, at[1]], &code, sign * amount);
        }
    }

    fn reservation(&mut self, draft: &Draft, wishes: Wishes) {
        let mut sums: BTreeMap<i64, i64> = BTreeMap::new();
        for (sku, quantity) in &draft.lines {
            *sums.entry(sku.id).or_default() += quantity;
            self.shop.stocked(sku.id).sold += quantity;
        }
        let sums: Vec<String> = sums.iter().map(|(sku, n)| format!("[{sku},{n}]")).collect();
        let mut returns = "[]".to_owned();
        if let Some((units, _)) = wishes.back {
            let sku = draft.lines[0].0.id;
            self.shop.stocked(sku).returned += units;
            returns = format!("[[1,[[{sku},{units}]],1]]");
        }
        let sql = "INSERT INTO reservation VALUES (?1, 3, ?2, ?3, NULL, 3)";
        let lines = format!("[{}]", sums.join(","));
        self.shop.run(sql, params![draft.id, lines, returns]);
    }

    /// Writes campaign and accounts.
    pub(crate) fn close(self) {
        let (campaign, coupons) = (self.campaign, self.coupons);
        let sql = "INSERT INTO campaign VALUES (?1, 'Sale', 2, 1000, ?2, 'KRW', 0, 5, ?3, ?3, \
                   NULL, 1000, 10000000, 1, NULL, ?4, ?4, 0, 0, 0, NULL, 0, 6, ?5, ?6)";
        let due = (coupons > 0).then_some(NEVER);
        self.shop.run(sql, params![campaign, CAP, NEVER, coupons, due, coupons + 1]);
        for (user, purse) in &self.purses {
            let Purse { rewarded, clawed, spent, restored, coupons } = *purse;
            if coupons > 0 {
                let sql = "INSERT INTO coupon_holder VALUES (?1, ?2, ?3, 1000, ?3)";
                self.shop.run(sql, params![campaign, user, coupons]);
            }
            let given = BEGIN + restored[1] - spent[1];
            let (won, paid) = (rewarded - clawed, BEGIN + restored[0] - spent[0]);
            let lots = [(1, ENDS[0], given), (1, ENDS[1], won), (2, 0, paid)];
            let sql = "INSERT INTO point_account VALUES (?1, 'KRW', ?2, ?3, ?4, ?5, ?5, ?6, ?7, \
                       ?8, ?9, ?10, 0, 0, ?11, 0, ?12, 9)";
            let lots = packed(&lots);
            let values = params![
                user,
                lots,
                paid,
                given + won,
                BEGIN,
                rewarded,
                spent[0],
                spent[1],
                restored[0],
                restored[1],
                clawed,
                ENDS[0]
            ];
            self.shop.run(sql, values);
            self.shop.run("INSERT INTO point_timer VALUES (?1, ?2, 1)", params![user, ENDS[0]]);
        }
    }
}

fn packed(lots: &[(i64, i64, i64)]) -> String {
    let full = lots.iter().filter(|(.., points)| *points > 0);
    let lots: Vec<String> =
        full.map(|(kind, end, points)| format!("[{kind},{end},{points}]")).collect();
    format!("[{}]", lots.join(","))
}

fn named(parts: &BTreeMap<&str, Shares>) -> String {
    let part = |(name, [card, paid, earned, coupon, _]): (&&str, &Shares)| {
        format!("[\"{name}\",{card},{paid},{earned},{coupon}]")
    };
    let parts: Vec<String> = parts.iter().map(part).collect();
    format!("[{}]", parts.join(","))
}
