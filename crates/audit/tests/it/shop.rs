//! A shop's data directory, written by hand: valid rows for every way an order can go.
//!
//! Rows of orders are written at once in their last state; events, entries, movements and gateway
//! records are gathered, and `finish` derives the rest (outbox numbers, chain, balances, stock).

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    hash::Hasher,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};
use siphasher::sip::SipHasher24;

use crate::schema::{LATER, SCHEMA};

/// Microseconds at which the shop opened.
pub(crate) const OPENED: i64 = 1_760_000_000_000_000;
const KEY: [u8; 16] = [7; 16];
/// Of every event.
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// The category `clothes/shirts`.
pub(crate) const CATEGORY: i64 = 3_599_523_390_700_244_901;

/// A number made of a hash, never negative.
fn first_bytes(parts: &[&[u8]]) -> i64 {
    let hash = parts.iter().fold(Sha256::new(), Digest::chain_update);
    i64::from_be_bytes(hash.finalize()[..8].try_into().unwrap()) & i64::MAX
}

/// Two periods with a hole between them.
const FEES: &str = "[[100,200,350,0,1000],[300,0,300,100,1000]]";

/// How an order goes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Story {
    /// (index of the SKU, quantity)
    pub(crate) lines: Vec<(usize, i64)>,
    pub(crate) state: i64,
    pub(crate) stuck_in: i64,
    pub(crate) outcome: Option<&'static str>,
    pub(crate) steps: [i64; 2],
    /// State of the reservation, if there is one.
    pub(crate) reservation: Option<i64>,
    pub(crate) payment: Option<Pay>,
    pub(crate) refund: Option<Back>,
    /// State at the payment of what an operator has set aside for the customer.
    pub(crate) aside: Option<i64>,
    pub(crate) reason: Option<&'static str>,
    /// (commit of the story, topic)
    pub(crate) events: Vec<(i64, &'static str)>,
    /// (kind, refund number, amount or none for the total)
    pub(crate) psp: Vec<(u8, u32, Option<i64>)>,
    /// Seconds from now to its timer.
    pub(crate) timer: Option<i64>,
}

/// A payment's last state.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pay {
    pub(crate) state: i64,
    pub(crate) op: i64,
    pub(crate) mode: i64,
    pub(crate) authorized: bool,
    pub(crate) captured: bool,
}

/// A refund of the first units of line 0; number 0 is a full reversal.
#[derive(Debug, Clone)]
pub(crate) struct Back {
    pub(crate) no: i64,
    pub(crate) state: i64,
    pub(crate) at_payment: Option<i64>,
    pub(crate) units: i64,
    pub(crate) restock: bool,
}

/// A directory that is being filled.
#[derive(Debug)]
pub(crate) struct Shop {
    pub(crate) dir: PathBuf,
    db: Connection,
    /// The columns of each table of [`SCHEMA`].
    columns: BTreeMap<String, String>,
    /// Orders that share their commits.
    pub(crate) batch: i64,
    stories: i64,
    requests: i64,
    pub(crate) skus: Vec<Sku>,
    accounts: BTreeMap<(String, &'static str), [i64; 2]>,
    events: Vec<(i64, &'static str, i64, i64)>,
    legs: Vec<[i64; 7]>,
    psp: Vec<u8>,
    records: i64,
}

/// Goods, and what has become of them.
#[derive(Debug, Clone)]
pub(crate) struct Sku {
    pub(crate) id: i64,
    pub(crate) merchant: String,
    pub(crate) price: i64,
    received: i64,
    adjusted: i64,
    pub(crate) returned: i64,
    reserved: i64,
    pub(crate) sold: i64,
    written_off: i64,
}

impl Shop {
    /// An empty shop with `skus` SKUs; the first costs nothing.
    pub(crate) fn open(dir: &Path, skus: i64) -> Self {
        let db = Connection::open(dir.join("jangbu.db")).unwrap();
        db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF").unwrap();
        db.execute_batch(SCHEMA).unwrap();
        let columns = columns(&db);
        db.execute_batch(LATER).unwrap();
        let log = "CREATE TABLE hot_log (no INTEGER PRIMARY KEY, rows TEXT NOT NULL)";
        db.execute_batch(log).unwrap(); // by the store itself
        db.execute_batch("BEGIN").unwrap();
        let mut psp = b"JBPSPLOG\x01\0\0\0".to_vec();
        psp.extend(crc32fast::hash(&psp).to_le_bytes());
        let mut shop = Self {
            dir: dir.to_owned(),
            db,
            columns,
            batch: 1,
            stories: 0,
            requests: 0,
            skus: Vec::new(),
            accounts: BTreeMap::new(),
            events: Vec::new(),
            legs: Vec::new(),
            psp,
            records: 0,
        };
        shop.categorise();
        shop.people();
        (0..skus).for_each(|at| shop.sell(at));
        shop
    }

    /// Clothes, and shirts below them.
    fn categorise(&mut self) {
        let sql = "INSERT INTO category VALUES (?1, ?2, ?3, 'a name', ?4, 1)";
        let root = first_bytes(&[&0_i64.to_be_bytes(), b"clothes"]);
        self.run(sql, params![root, None::<i64>, "clothes", 1]);
        let shirts = first_bytes(&[&root.to_be_bytes(), b"shirts"]);
        assert_eq!(shirts, CATEGORY);
        self.run(sql, params![shirts, root, "shirts", 2]);
        for id in [root, shirts] {
            self.events.push((1, "category.changed", id, 1));
        }
    }

    /// A customer who just came, and one who is gone and whose first address is free again.
    fn people(&mut self) {
        let sealed = |length: usize| [vec![1_u8], vec![7; length - 1]].concat();
        let sql = "INSERT INTO users VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?6, ?7, ?8, ?9, 0, NULL, 1, ?10, 1)";
        let (text, password) = (sealed(40), sealed(90));
        self.run(sql, params![9, 1, 11, 12, text, None::<Vec<u8>>, password, 0, 0, 1]);
        self.run(sql, params![10, 2, 13, 14, text, text, password, 3, 1, 2]);
        let sql = "INSERT INTO user_email VALUES (?1, ?2, ?3, 1)";
        for (high, low, user) in [(11, 12, Some(9)), (13, 14, Some(10)), (15, 16, None)] {
            self.run(sql, params![high, low, user]);
        }
    }

    fn sell(&mut self, at: i64) {
        let (product, id) = (1_000 + at / 2, 5_000 + at);
        let merchant = format!("m-{}", product % 100);
        let (price, received, adjusted) = (at * 1_500, 10_000_000, -(at % 3));
        if at % 2 == 0 {
            let skus = format!("[{id},{}]", id + 1);
            let sql = "INSERT INTO product VALUES (?1, ?2, 'Tee', 2, ?3, 0, 1)";
            self.run(sql, params![product, merchant, skus]);
            let sql = "UPDATE product SET description = 'Of cotton.', category = ?2, \
                       options = '[[\"size\",[\"M\",\"L\"]]]', choices = '[[0],[1]]' WHERE id = ?1";
            self.run(sql, params![product, CATEGORY]);
            self.events.push((1, "product.changed", product, 1));
            self.ask("op:catalog.create", product);
            let sql = "INSERT INTO audit_log VALUES (?1, 0, 'kim', 'product.create', 'catalog', \
                       'prd', 'new', NULL, '{\"skus\":2}', NULL)";
            self.run(sql, params![at / 2 + 1]);
        }
        let sql = "INSERT INTO sku VALUES (?1, ?2, 'M', 'KRW', ?3, 2, 1)";
        self.run(sql, params![id, product, price]);
        let sql = "UPDATE sku SET code = ?2, planned = '[[9,5],[10,6]]', next_at = 9 WHERE id = ?1";
        let code = format!("T-{id}");
        self.run(sql, params![id, code]);
        let sql = "INSERT INTO price VALUES (?1, ?2, ?3, ?4)";
        self.run(sql, params![id, 1, 6, price + 1]);
        self.run(sql, params![id, 2, 6, price]);
        let sql = "INSERT INTO sku_code VALUES (?1, ?2, ?3, ?4, ?5, 1)";
        let key = first_bytes(&[merchant.as_bytes(), &[0], code.as_bytes()]);
        self.run(sql, params![key, merchant, code, id, product]);
        let sql = "INSERT INTO offer VALUES (?1, ?2, 'KRW', ?3, 1, 2, 1)";
        self.run(sql, params![id, merchant, price]);
        let sql = "INSERT INTO movement VALUES (?1, ?2, ?3, ?4, 'count', ?5, 0)";
        self.run(sql, params![20_000 + at * 2, id, 1, received, received]);
        self.ask("op:inventory.receive", 20_000 + at * 2);
        if adjusted != 0 {
            self.run(sql, params![20_001 + at * 2, id, 2, adjusted, received + adjusted]);
        }
        let sku = Sku {
            id,
            merchant,
            price,
            received,
            adjusted,
            returned: 0,
            reserved: 0,
            sold: 0,
            written_off: 0,
        };
        self.skus.push(sku);
    }

    /// Adds an order that went this way; its id.
    pub(crate) fn add(&mut self, story: &Story) -> i64 {
        let (id, commit) = self.begin();
        let line = |&(at, quantity): &(usize, i64)| (self.skus[at].clone(), quantity);
        let lines: Vec<(Sku, i64)> = story.lines.iter().map(line).collect();
        let total = sum(&lines);
        self.ask("c:order.place", id);
        self.reservation(id, story, &lines);
        self.order(id, commit, story, &lines);
        self.payment(id, commit, story, &lines);
        for &(step, topic) in &story.events {
            self.events.push((commit + step, topic, id, 1));
        }
        for &(kind, no, amount) in &story.psp {
            self.record(id, kind, no, amount.unwrap_or(total));
        }
        id
    }

    /// Adds a payment of 10,000 without an order, authorised, captured, and 4,000 given back; its id.
    pub(crate) fn charge(&mut self) -> i64 {
        let (id, commit) = self.begin();
        self.ask("merchant:m-50:payment.authorize", id);
        self.ask("merchant:m-50:payment.refund", id + 1);
        self.post(id, (1, commit + 1), 1, &[("m-50", 10_000)]);
        self.post(id, (2, commit + 2), -1, &[("m-50", 4_000)]);
        let refunds = format!(r#"[[1,3,4000,[["m-50",4000]],null,{},"broken",2]]"#, id + 1);
        let sql = "INSERT INTO payment VALUES (?1, NULL, 6, 0, 2, '[[\"m-50\",10000]]', 'KRW', \
                   10000, 10000, 10000, 4000, 0, 'sim', NULL, NULL, 0, 2, NULL, NULL, ?2, NULL, 0, 5)";
        self.run(sql, params![id, refunds]);
        for (step, topic) in [
            (0, "payment.authorized"),
            (1, "payment.capture-requested"),
            (1, "payment.captured"),
            (2, "payment.refund-requested"),
            (2, "payment.refunded"),
        ] {
            self.events.push((commit + step, topic, id, 1));
        }
        for (kind, no, amount) in [(2, 0, 10_000), (3, 0, 10_000), (5, 1, 4_000)] {
            self.record(id, kind, no, amount);
        }
        id
    }

    /// Adds a payment of which the card pays a part, and a refund with something deducted; its id.
    pub(crate) fn shared(&mut self) -> i64 {
        let (id, commit) = self.begin();
        self.ask("merchant:m-50:payment.authorize", id);
        let taken = [
            ("psp:sim:receivable", 6_000),
            ("points:paid", 500),
            ("points:earned", 250),
            ("promo:coupon", 750),
            ("merchant:m-50:payable", -4_500),
            ("merchant:m-51:payable", -3_000),
        ];
        let back = [
            ("psp:sim:receivable", -2_376),
            ("promo:points", -24),
            ("points:paid", -200),
            ("points:earned", -100),
            ("promo:coupon", -300),
            ("merchant:m-50:payable", 3_000),
        ];
        let rest = [("points:earned", -50), ("merchant:m-50:payable", 50)];
        for (n, legs) in (0..).zip([&taken[..], &back[..], &rest[..]]) {
            for (leg, (code, amount)) in (0..).zip(legs) {
                self.leg(id, [n + 1, leg, commit + n], code, *amount);
            }
        }
        let split = r#"[["m-50",3600,300,150,450],["m-51",2400,200,100,300]]"#;
        let refunds = r#"[[1,3,2376,[["m-50",2400,200,100,300]],null,0,"",2,24],[2,3,0,[["m-50",0,0,50,0]],null,0,"",3]]"#;
        let sql = "INSERT INTO payment VALUES (?1, NULL, 6, 0, 1, ?2, 'KRW', 6000, 6000, 6000, \
                   2376, 0, 'sim', NULL, NULL, 0, 3, NULL, NULL, ?3, NULL, 0, 5)";
        self.run(sql, params![id, split, refunds]);
        for (step, topic) in [
            (0, "payment.captured"),
            (1, "payment.refund-requested"),
            (1, "payment.refunded"),
            (2, "payment.refunded"),
        ] {
            self.events.push((commit + step, topic, id, 1));
        }
        self.record(id, 1, 0, 6_000);
        self.record(id, 5, 1, 2_376);
        id
    }

    /// Adds a customer's payment for points; its id.
    pub(crate) fn bought(&mut self, user: i64, points: i64) -> i64 {
        let (id, commit) = self.begin();
        self.ask("client:point.charge", id);
        self.leg(id, [1, 0, commit], "psp:sim:receivable", points);
        self.leg(id, [1, 1, commit], "points:paid", -points);
        let sql = "INSERT INTO payment VALUES (?1, NULL, 6, 0, 1, '[]', 'KRW', ?2, ?2, ?2, \
                   0, 0, 'sim', NULL, NULL, 0, 1, NULL, NULL, '[]', NULL, 0, 5)";
        self.run(sql, params![id, points]);
        self.run("UPDATE payment SET points_of = ?2 WHERE id = ?1", params![id, user]);
        self.events.push((commit, "payment.captured", id, 1));
        self.record(id, 1, 0, points);
        id
    }

    /// Adds a customer whom no rule is about in particular.
    pub(crate) fn person(&mut self, id: i64) {
        let sealed = |length: usize| [vec![1_u8], vec![7; length - 1]].concat();
        let sql =
            "INSERT INTO users VALUES (?1, 1, ?2, 17, ?3, ?3, ?3, ?3, ?4, 0, 0, 0, NULL, 1, 1, 1)";
        let high = id.wrapping_mul(0x1E37_79B9_7F4A_7C15);
        self.run(sql, params![id, high, sealed(60), sealed(90)]);
        self.run("INSERT INTO user_email VALUES (?1, 17, ?2, 1)", params![high, id]);
    }

    /// Adds a command that was set aside, and that an operator has closed.
    pub(crate) fn poisoned(&mut self) {
        let sql = "INSERT INTO poison (id, at, unit, command, error, owner, state, why) \
                   VALUES (1, 1, 'order', 'x', 'broken', 'x', 3, 'of no use')";
        self.run(sql, params![]);
        let sql = "INSERT INTO audit_log SELECT max(id) + 1, 0, 'kim', 'poison.discard', 'desk', \
                   '1', 'of no use', NULL, NULL, NULL FROM audit_log";
        self.run(sql, params![]);
    }

    /// The goods with this id.
    pub(crate) fn stocked(&mut self, id: i64) -> &mut Sku {
        let at = usize::try_from(id - self.skus[0].id).unwrap();
        &mut self.skus[at]
    }

    /// The id and the first commit of the next story.
    pub(crate) fn begin(&mut self) -> (i64, i64) {
        let id = (55_932_800_000 + self.stories) << 22;
        let commit = 2 + (self.stories / self.batch) * 4;
        self.stories += 1;
        (id, commit)
    }

    /// Adds a suspended merchant without keys, and one with a live and a revoked key.
    pub(crate) fn merchants(&mut self) {
        let id = |code: &str| {
            let hash = Sha256::digest(code);
            i64::from_be_bytes(hash[..8].try_into().unwrap()) & i64::MAX
        };
        let mut all = [("m-8", 2, "[]".to_owned(), "[]"), ("m-9", 1, String::new(), FEES)];
        all[1].2 = format!("[[71,0,5,9,\"\"],[72,1,6,0,\"{}\"]]", "ab".repeat(70));
        all.sort_by_key(|(code, ..)| (*code != "m-8", id(code)));
        for (code, state, keys, fees) in all {
            self.ask("op:merchant.create", id(code));
            let sql = "INSERT INTO merchant VALUES (?1, ?2, 'Kim', ?3, ?4, ?5, 5, 3)";
            self.db.execute(sql, params![id(code), code, state, keys, fees]).unwrap();
        }
        self.ask("op:merchant.key", 71);
        self.ask("op:merchant.key", 72);
    }

    /// Adds an event.
    pub(crate) fn tell(&mut self, commit: i64, topic: &'static str, key: i64, version: i64) {
        self.events.push((commit, topic, key, version));
    }

    /// Adds a journal of two postings; its id.
    pub(crate) fn journal(&mut self) -> i64 {
        let (id, commit) = self.begin();
        self.ask("operator:ledger.journal", id);
        let sql = "INSERT INTO journal VALUES (?1, ?2, 'kim', 'statement', 2, 4, '[[2,\"fee\"]]')";
        self.run(sql, params![id, time(commit)]);
        let legs = [(1, "bank", 700), (1, "suspense", -700), (2, "psp:fee", 30), (2, "bank", -30)];
        for (n, (seq, code, amount)) in (0..).zip(legs) {
            self.leg(id, [seq, n % 2, commit], code, amount);
        }
        self.events.push((commit, "journal.posted", id, 1));
        id
    }

    pub(crate) fn leg(
        &mut self,
        source: i64,
        [seq, leg, commit]: [i64; 3],
        code: &str,
        amount: i64,
    ) {
        let account = account_id(code, "KRW");
        let sums = self.accounts.entry((code.to_owned(), "KRW")).or_default();
        sums[usize::from(amount < 0)] += amount.abs();
        self.legs.push([source, seq, leg, account, amount, time(commit), commit]);
    }

    fn reservation(&mut self, id: i64, story: &Story, lines: &[(Sku, i64)]) {
        let Some(state) = story.reservation else { return };
        let mut sums: BTreeMap<i64, i64> = BTreeMap::new();
        for (sku, quantity) in lines {
            *sums.entry(sku.id).or_default() += quantity;
        }
        for (at, quantity) in &story.lines {
            let sku = &mut self.skus[*at];
            match state {
                1 | 2 => sku.reserved += quantity,
                3 => sku.sold += quantity,
                _ => {}
            }
        }
        let mut returns = "[]".to_owned();
        if let Some(back) = story.refund.as_ref().filter(|back| back.no > 0 && back.state == 4) {
            let sku = &mut self.skus[story.lines[0].0];
            sku.returned += back.units;
            sku.written_off += if back.restock { 0 } else { back.units };
            let restock = i64::from(back.restock);
            returns = format!("[[{},[[{},{}]],{restock}]]", back.no, sku.id, back.units);
        }
        let sums: Vec<(i64, i64)> = sums.into_iter().collect();
        let expiry = (state == 1).then(|| Self::now() + 60_000_000);
        let sql = "INSERT INTO reservation VALUES (?1, ?2, ?3, ?4, ?5, 3)";
        self.run(sql, params![id, state, pairs(&sums), returns, expiry]);
    }

    fn order(&mut self, id: i64, at: i64, story: &Story, lines: &[(Sku, i64)]) {
        let total = sum(lines);
        let mut packed = String::from("[");
        for (sku, quantity) in lines {
            let comma = if packed.len() > 1 { "," } else { "" };
            let Sku { id, price, merchant, .. } = sku;
            write!(packed, "{comma}[{id},{quantity},{price},\"{merchant}\"]").unwrap();
        }
        packed.push(']');
        let (mut refunds, mut refunded) = ("[]".to_owned(), 0);
        if let Some(back) = &story.refund {
            let amount = back.amount(lines, total);
            refunded = if back.state == 4 { amount } else { 0 };
            let units = if back.no == 0 { String::new() } else { format!("[0,{}]", back.units) };
            let Back { no, state, restock, .. } = back;
            let restock = i64::from(*restock);
            refunds = format!("[[{no},{state},{amount},[{units}],{restock},\"wish\"]]");
        }
        if let Some(aside) = story.aside {
            let state = if aside == 5 { 7 } else { 5 };
            let more = format!(",[1001,{state},{total},[],0,\"abandoned\"]]");
            refunds = refunds.trim_end_matches(']').to_owned() + "]" + &more;
        }
        let timer = story.timer.map(|seconds| Self::now() + seconds * 1_000_000);
        let settled = matches!(story.state, 8 | 9).then(|| time(at + 1));
        let [stock, pay] = story.steps;
        let sql = "INSERT INTO orders VALUES (?1, 9, ?2, ?3, 1, ?4, ?5, 1, 0, ?6, ?14, 'KRW', \
                   ?7, ?8, ?9, ?10, NULL, 0, ?11, ?12, ?13, NULL, 4)";
        let Story { state, stuck_in, outcome, .. } = story;
        let placed = time(at);
        self.run(
            sql,
            params![
                id,
                state,
                stuck_in,
                stock,
                pay,
                outcome,
                total,
                refunded,
                packed,
                refunds,
                timer,
                placed,
                settled,
                story.reason
            ],
        );
    }

    fn payment(&mut self, id: i64, at: i64, story: &Story, lines: &[(Sku, i64)]) {
        let total = sum(lines);
        let Some(pay) = &story.payment else { return };
        let mut split: BTreeMap<&str, i64> = BTreeMap::new();
        for (sku, quantity) in lines {
            *split.entry(&sku.merchant).or_default() += sku.price * quantity;
        }
        let split: Vec<(&str, i64)> = split.into_iter().collect();
        let mut postings = 0;
        if pay.captured && total > 0 {
            postings += 1;
            self.post(id, (postings, at + 1), 1, &split);
        }
        let (mut refunds, mut refunded, mut pending) = ("[]".to_owned(), 0, 0);
        if let Some(back) = &story.refund
            && let Some(state) = back.at_payment
        {
            let amount = back.amount(lines, total);
            let parts = [(lines[0].0.merchant.as_str(), amount)];
            let parts = if back.no == 0 { split.as_slice() } else { &parts };
            refunded = if state == 3 { amount } else { 0 };
            pending = if state < 3 || story.aside == Some(5) { amount } else { 0 };
            let mut more = String::new();
            if let Some(aside) = story.aside {
                postings = self.set_aside((id, postings, at + 2), aside, parts);
                more = format!(",[1001,{aside},{amount},{},null]", named(parts));
            }
            if state == 3 {
                postings += 1;
                self.post(id, (postings, at + 2), -1, parts);
            }
            refunds = format!("[[{},{state},{amount},{},null]{more}]", back.no, named(parts));
        }
        let amount = |held: bool| if held { total } else { 0 };
        let waits = matches!(pay.state, 2 | 4 | 5);
        let deadline = waits.then(|| Self::now() + 5_000_000);
        let sql = "INSERT INTO payment VALUES (?1, ?1, ?2, ?3, ?4, ?5, 'KRW', ?6, ?7, ?8, ?9, \
                   ?10, 'sim', NULL, NULL, 0, ?11, NULL, ?12, ?13, NULL, 0, 3)";
        let (authorized, captured) = (amount(pay.authorized), amount(pay.captured));
        let Pay { state, op, mode, .. } = pay;
        let split = named(&split);
        self.run(
            sql,
            params![
                id, state, op, mode, split, total, authorized, captured, refunded, pending,
                postings, deadline, refunds
            ],
        );
    }

    /// Debits the gateway and credits the merchants (`sign` 1), or the reverse.
    fn post(&mut self, source: i64, seq: (i64, i64), sign: i64, parts: &[(&str, i64)]) {
        self.post_by("psp:sim:receivable", (source, seq.0, seq.1), sign, parts);
    }

    /// Puts a refund aside (state 5), and releases it again (6); gives the last posting's number.
    fn set_aside(
        &mut self,
        (id, postings, commit): (i64, i64, i64),
        aside: i64,
        parts: &[(&str, i64)],
    ) -> i64 {
        let signs: &[i64] = if aside == 5 { &[-1] } else { &[-1, 1] };
        for (seq, sign) in (postings + 1..).zip(signs) {
            self.post_by("customer:refundable", (id, seq, commit), *sign, parts);
        }
        postings + i64::try_from(signs.len()).unwrap()
    }

    /// The same by way of another account.
    fn post_by(
        &mut self,
        code: &str,
        (source, seq, commit): (i64, i64, i64),
        sign: i64,
        parts: &[(&str, i64)],
    ) {
        let total: i64 = parts.iter().map(|(_, part)| part).sum();
        let payables = parts.iter().map(|(name, part)| (format!("merchant:{name}:payable"), -part));
        let receivable = (code.to_owned(), total);
        let legs = std::iter::once(receivable).chain(payables).filter(|(_, amount)| *amount != 0);
        for (leg, (code, amount)) in (0..).zip(legs) {
            self.leg(source, [seq, leg, commit], &code, sign * amount);
        }
    }

    /// Appends a gateway record.
    pub(crate) fn record(&mut self, payment: i64, kind: u8, no: u32, amount: i64) {
        self.records += 1;
        self.psp.extend(psp_record(self.records, payment, kind, no, amount));
    }

    pub(crate) fn ask(&mut self, scope: &str, resource: i64) {
        self.requests += 1;
        let (id, key) = (self.requests, key_of(resource));
        let mut body = [3_u8; 17];
        body[0] = 1;
        let mut hasher = SipHasher24::new_with_key(&KEY);
        hasher.write(format!("{scope}\0{key}").as_bytes());
        let hash = hasher.finish().cast_signed();
        let sql = "INSERT INTO request VALUES (?1, ?2, ?3, ?4, ?5, 0)";
        self.run(sql, params![id, scope, key, body, resource]);
        self.run("INSERT INTO idem VALUES (?1, ?2)", params![hash, id]);
    }

    /// Writes everything that is derived, and closes the shop.
    pub(crate) fn finish(mut self) {
        let commits = 2 + (self.stories / self.batch) * 4 + 3;
        for sku in std::mem::take(&mut self.skus) {
            let Sku { id, received, adjusted, returned, reserved, sold, written_off, .. } = sku;
            let available = received + adjusted + returned - reserved - sold - written_off;
            let sql = "INSERT INTO stock VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 1)";
            let row =
                params![id, received, adjusted, returned, available, reserved, sold, written_off];
            self.run(sql, row);
        }
        for ((code, currency), [debits, credits]) in std::mem::take(&mut self.accounts) {
            let kind = match code.as_str() {
                "psp:fee" | "promo:coupon" | "promo:points" => 5,
                "bank" => 1,
                code if code.starts_with("psp:") => 1,
                _ => 2,
            };
            let id = account_id(&code, currency);
            let sql = "INSERT INTO account VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1)";
            self.run(sql, params![id, code, currency, kind, debits, credits]);
        }
        self.events.push((1, "stock.changed", 0, 1));
        self.events.push((1, "point.changed", 0, 1));
        self.events.sort_by_key(|(commit, ..)| *commit);
        let (stocks, moves) = (self.stocks(), self.moves());
        for (seq, (commit, topic, key, version)) in (1_i64..).zip(std::mem::take(&mut self.events))
        {
            let sql = "INSERT INTO outbox VALUES (?1, ?2, ?3, ?4, ?5, ?6, NULL, ?7)";
            let told = match (topic, key) {
                ("stock.changed", _) => stocks.clone(),
                ("point.changed", 0) => moves.clone(),
                ("point.changed", _) => payload(15, &[]), // the last one tells all of it
                _ => vec![0; 120],
            };
            self.run(sql, params![seq, commit, time(commit), topic, key, version, told]);
            self.records = seq;
        }
        self.run("UPDATE outbox SET trace = ?1", params![TRACE]);
        self.entries();
        let (events, requests, now) = (self.records, self.requests, Self::now());
        let sql =
            "UPDATE shard SET commits = ?1, events = ?2, requests = ?3, clock = ?4, idem_key = ?5";
        self.run(sql, params![commits, events, requests, now, KEY]);
        self.db.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        std::fs::write(self.dir.join("psp.log"), &self.psp).unwrap();
    }

    /// The event that tells all stock.
    fn stocks(&self) -> Vec<u8> {
        payload(11, &self.rows("SELECT sku, available FROM stock ORDER BY sku", 2))
    }

    /// The event that tells how each account came to its points.
    fn moves(&self) -> Vec<u8> {
        let sql = "SELECT user_id, charged, granted, rewarded, spent_paid, spent_earned, \
                   restored_paid, restored_earned, expired_paid, expired_earned, clawed \
                   FROM point_account ORDER BY user_id";
        let mut moves = Vec::new();
        for row in self.rows(sql, 11) {
            let mut balance = 0;
            for (what, paid, earned) in [
                (1, row[1], 0),
                (2, 0, row[2]),
                (3, 0, row[3]),
                (5, row[6], row[7]),
                (4, -row[4], -row[5]),
                (8, -row[8], -row[9]),
                (6, 0, -row[10]),
            ] {
                balance += paid + earned;
                moves.push(vec![row[0], what, 0, paid, earned, 0, balance]);
            }
        }
        payload(15, &moves)
    }

    fn rows(&self, sql: &str, width: usize) -> Vec<Vec<i64>> {
        let mut statement = self.db.prepare(sql).unwrap();
        let row = |row: &rusqlite::Row<'_>| (0..width).map(|at| row.get(at)).collect();
        let rows = statement.query_map([], row).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    fn entries(&mut self) {
        let mut legs = std::mem::take(&mut self.legs);
        for [source, seq, leg, account, amount, at, commit] in &legs {
            let sql = "INSERT INTO entry VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
            self.run(sql, params![source, seq, leg, account, amount, at, commit]);
        }
        legs.sort_by_key(|leg| (leg[6], leg[0], leg[1], leg[2]));
        let mut previous = [0_u8; 32];
        for legs in legs.chunk_by(|a, b| a[6] == b[6]) {
            let commit = legs[0][6];
            let mut digest = Sha256::new();
            for number in legs.iter().flat_map(|leg| &leg[..6]) {
                digest.update(number.to_be_bytes());
            }
            let digest: [u8; 32] = digest.finalize().into();
            let count = i64::try_from(legs.len()).unwrap();
            let mut hash = Sha256::new_with_prefix(previous);
            for number in [commit, time(commit), count] {
                hash.update(number.to_be_bytes());
            }
            previous = hash.chain_update(digest).finalize().into();
            let sql = "INSERT INTO chain VALUES (?1, ?2, ?3, ?4, ?5)";
            self.run(sql, params![commit, time(commit), count, digest, previous]);
        }
    }

    fn now() -> i64 {
        time(1 << 40)
    }

    pub(crate) fn run(&self, sql: &str, values: &[&dyn rusqlite::ToSql]) {
        let table = sql.strip_prefix("INSERT INTO ").and_then(|rest| rest.split_once(" VALUES"));
        let named = table.and_then(|(table, values)| {
            let columns = self.columns.get(table)?;
            Some(format!("INSERT INTO {table} ({columns}) VALUES{values}"))
        });
        let sql = named.as_deref().unwrap_or(sql);
        self.db.prepare_cached(sql).unwrap().execute(values).unwrap();
    }
}

fn columns(db: &Connection) -> BTreeMap<String, String> {
    let sql = "SELECT m.name, group_concat(c.name, ', ' ORDER BY c.cid) FROM sqlite_schema m, \
               pragma_table_info(m.name) c WHERE m.type = 'table' GROUP BY m.name";
    let mut tables = db.prepare(sql).unwrap();
    let tables = tables.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    tables.map(Result::unwrap).collect()
}

impl Back {
    fn amount(&self, lines: &[(Sku, i64)], total: i64) -> i64 {
        if self.no == 0 { total } else { lines[0].0.price * self.units }
    }
}

fn sum(lines: &[(Sku, i64)]) -> i64 {
    lines.iter().map(|(sku, quantity)| sku.price * quantity).sum()
}

/// The payload of event number `event`: rows of numbers with a sign.
fn payload(event: i64, rows: &[Vec<i64>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let count = i64::try_from(rows.len()).unwrap();
    let folded = rows.iter().flatten().map(|n| (n << 1) ^ (n >> 63));
    for mut number in [event, count].into_iter().chain(folded).map(i64::cast_unsigned) {
        while number >= 0x80 {
            bytes.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
            number >>= 7;
        }
        bytes.push(u8::try_from(number).unwrap());
    }
    bytes
}

/// The idempotency key under which a resource was made.
pub(crate) fn key_of(resource: i64) -> String {
    format!("key-{resource}")
}

/// The public form of an id.
pub(crate) fn show(prefix: &str, id: i64) -> String {
    let alphabet = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let digit = |at: u32| char::from(alphabet[usize::try_from(id >> (5 * at) & 31).unwrap()]);
    let digits: String = (0..13).rev().map(digit).collect();
    format!("{prefix}_{digits}")
}

/// A record of the gateway's log.
pub(crate) fn psp_record(at: i64, payment: i64, kind: u8, no: u32, amount: i64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(40);
    bytes.extend((OPENED + at).to_le_bytes());
    bytes.extend(payment.to_le_bytes());
    bytes.push(kind);
    bytes.extend(no.to_le_bytes());
    bytes.extend(amount.to_le_bytes());
    bytes.extend(b"KRW");
    bytes.extend([kind, 0, 0, 0]);
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

/// The id of an account.
pub(crate) fn account_id(code: &str, currency: &str) -> i64 {
    let hash = Sha256::digest(format!("{code}\0{currency}"));
    i64::from_be_bytes(hash[..8].try_into().unwrap()) & i64::MAX
}

/// Everything happens a millisecond after the commit before it, and the clock stops at an hour.
pub(crate) fn time(commit: i64) -> i64 {
    OPENED + commit.min(3_600_000) * 1_000
}

fn pairs(all: &[(i64, i64)]) -> String {
    let all: Vec<String> = all.iter().map(|(one, other)| format!("[{one},{other}]")).collect();
    format!("[{}]", all.join(","))
}

fn named(all: &[(&str, i64)]) -> String {
    let all: Vec<String> = all.iter().map(|(one, other)| format!("[\"{one}\",{other}]")).collect();
    format!("[{}]", all.join(","))
}
