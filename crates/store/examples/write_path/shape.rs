//! Tables of the shape of the embedded cell, and plans that write orders into them.

use jangbu_engine::port::{By, Col, Mode, Read, Table, WritePlan};
use jangbu_store::Migration;

const fn table(
    rank: u16,
    name: &'static str,
    key: &'static [&'static str],
    cols: &'static [Col],
    versioned: bool,
) -> Table {
    Table { rank, name, key, cols, versioned, due: false, lists: &[], hot: false }
}

static SHARD: Table =
    table(1, "shard", &["id"], &[Col::int("commits"), Col::int("events"), Col::int("clock")], true);
static IDEM: Table = table(2, "idem", &["hash"], &[Col::int("request")], false);
static REQUEST: Table = table(
    3,
    "request",
    &["id"],
    &[
        Col::text("scope"),
        Col::text("key"),
        Col::blob("body"),
        Col::int("resource"),
        Col::int("at"),
    ],
    false,
);
static STOCK: Table = table(
    4,
    "stock",
    &["sku"],
    &[Col::int("available"), Col::int("reserved"), Col::int("sold")],
    true,
);
static RESERVATION: Table = table(
    5,
    "reservation",
    &["order_id"],
    &[Col::int("state"), Col::text("lines"), Col::int("next_at").or_null()],
    true,
);
static ORDERS: Table = table(
    6,
    "orders",
    &["id"],
    &[
        Col::int("user_id"),
        Col::int("state"),
        Col::text("outcome").or_null(),
        Col::text("currency"),
        Col::int("total"),
        Col::text("lines"),
        Col::text("token").or_null(),
        Col::int("next_at").or_null(),
        Col::int("placed_at"),
        Col::int("settled_at").or_null(),
        Col::text("correlation").or_null(),
    ],
    true,
);
static PAYMENT: Table = table(
    7,
    "payment",
    &["id"],
    &[
        Col::int("state"),
        Col::text("split"),
        Col::text("currency"),
        Col::int("amount"),
        Col::int("captured"),
        Col::text("psp"),
        Col::text("psp_ref").or_null(),
        Col::int("next_at").or_null(),
        Col::int("at"),
    ],
    true,
);
static ACCOUNT: Table = table(
    8,
    "account",
    &["id"],
    &[Col::text("code"), Col::text("currency"), Col::int("debits"), Col::int("credits")],
    true,
);
static ENTRY: Table = table(
    9,
    "entry",
    &["source", "seq", "leg"],
    &[Col::int("account"), Col::int("amount"), Col::int("at"), Col::int("commit_no")],
    false,
);
static OUTBOX: Table = table(
    10,
    "outbox",
    &["seq"],
    &[
        Col::int("commit_no"),
        Col::int("at"),
        Col::text("topic"),
        Col::int("key"),
        Col::blob("payload"),
    ],
    false,
);

pub(crate) static TABLES: [&Table; 10] =
    [&SHARD, &IDEM, &REQUEST, &STOCK, &RESERVATION, &ORDERS, &PAYMENT, &ACCOUNT, &ENTRY, &OUTBOX];

pub(crate) const MIGRATIONS: [Migration; 1] =
    [Migration { version: 1, name: "shape", sql: include_str!("shape.sql") }];

const SKUS: u64 = 10_000;
const ACCOUNTS: u64 = 1_000;

/// An order that waits for its settlement.
struct Open {
    id: i64,
    lines: Vec<i64>,
    text: String,
    merchant: usize,
}

/// The rows as their owner knows them.
pub(crate) struct Shop {
    dice: u64,
    last_id: i64,
    commit: i64,
    events: i64,
    stock: Vec<(i64, i64)>,
    accounts: Vec<(i64, i64)>,
    open: Vec<Open>,
}

impl Shop {
    pub(crate) fn new() -> Self {
        Self {
            dice: 0x9E37_79B9_7F4A_7C15,
            last_id: 1 << 50,
            commit: 1,
            events: 0,
            stock: vec![(1_000_000_000, 1); usize::try_from(SKUS).unwrap_or(0)],
            accounts: vec![(0, 1); usize::try_from(ACCOUNTS).unwrap_or(0)],
            open: Vec::new(),
        }
    }

    fn roll(&mut self) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice
    }

    /// A number below `n`, small ones more often.
    fn skewed(&mut self, n: u64) -> usize {
        let (a, b) = (self.roll() % n, self.roll() % n);
        usize::try_from(a * b / n).unwrap_or(0)
    }

    /// The rows that are there before the first order.
    pub(crate) fn opening(&mut self) -> WritePlan {
        let mut plan = WritePlan::default();
        plan.row(&SHARD, Mode::Insert).int(0).int(0).int(0).int(0).int(1);
        for (sku, (available, version)) in (0..).zip(&self.stock) {
            plan.row(&STOCK, Mode::Insert).int(sku).int(*available).int(0).int(0).int(*version);
        }
        for (id, (_, version)) in (0_i64..).zip(&self.accounts) {
            let mut row = plan.row(&ACCOUNT, Mode::Insert);
            row.int(id * 7_919).text("merchant:m-0001:payable").text("KRW").int(0).int(0);
            row.int(*version);
        }
        plan
    }

    /// `batch` places, and the settles of the places of the round before.
    pub(crate) fn round(&mut self, batch: u64, plan: &mut WritePlan) {
        let settling = std::mem::take(&mut self.open);
        let mut dirty_stock = Vec::new();
        let mut dirty_accounts = Vec::new();
        for _ in 0..batch {
            let open = self.place(plan);
            dirty_stock.extend(&open.lines);
            self.open.push(open);
        }
        for open in &settling {
            dirty_stock.extend(&open.lines);
            dirty_accounts.extend([0, open.merchant]);
            self.settle(open, plan);
        }
        self.put_folded(dirty_stock, dirty_accounts, plan);
        self.commit += 1;
        plan.row(&SHARD, Mode::Update { version: self.commit - 1 })
            .int(0)
            .int(self.commit)
            .int(self.events)
            .int(self.commit)
            .int(self.commit);
    }

    /// A read of `n` stock rows.
    pub(crate) fn reads(&mut self, n: usize) -> Vec<Read> {
        let key = |_| [i64::try_from(self.skewed(SKUS)).unwrap_or(0), 0, 0];
        vec![Read { table: &STOCK, by: By::Keys((0..n).map(key).collect()) }]
    }

    fn place(&mut self, plan: &mut WritePlan) -> Open {
        self.last_id += 1 << 10;
        let (id, hash, key) = (self.last_id, self.roll().cast_signed(), self.roll());
        let lines: Vec<i64> = (0..=(self.roll() % 2))
            .map(|_| i64::try_from(self.skewed(SKUS)).unwrap_or(0))
            .collect();
        let text =
            lines.iter().map(|sku| format!("[{sku},1,12000,\"m-0042\"]")).collect::<Vec<_>>();
        let text = format!("[{}]", text.join(","));
        plan.row(&IDEM, Mode::Insert).int(hash).int(id);
        let mut row = plan.row(&REQUEST, Mode::Insert);
        row.int(id).text("client order.place").text(&format!("{key:032x}-abc"));
        row.blob(&[7; 17]).int(id).int(id);
        plan.row(&RESERVATION, Mode::Insert).int(id).int(2).text(&text).opt_int(None).int(1);
        orders_row(plan, Mode::Insert, id, &text, 1);
        payment_row(plan, Mode::Insert, id, 1);
        self.event(plan, "order.placed", id);
        let merchant = self.skewed(ACCOUNTS);
        Open { id, lines, text, merchant }
    }

    fn settle(&mut self, open: &Open, plan: &mut WritePlan) {
        let update = Mode::Update { version: 1 };
        plan.row(&RESERVATION, update).int(open.id).int(3).text(&open.text).opt_int(None).int(2);
        orders_row(plan, update, open.id, &open.text, 2);
        payment_row(plan, update, open.id, 2);
        for (leg, amount) in [(0, 12_000), (1, -12_000)] {
            let mut row = plan.row(&ENTRY, Mode::Insert);
            row.int(open.id).int(1).int(leg).int(leg * 7_919).int(amount).int(open.id);
            row.int(self.commit);
        }
        self.event(plan, "payment.captured", open.id);
        self.event(plan, "order.completed", open.id);
    }

    fn event(&mut self, plan: &mut WritePlan, topic: &str, id: i64) {
        self.events += 1;
        let mut row = plan.row(&OUTBOX, Mode::Insert);
        row.int(self.events).int(self.commit).int(id).text(topic).int(id).blob(&[42; 110]);
    }

    /// Rows that several orders of a round touch are written once.
    fn put_folded(&mut self, mut stock: Vec<i64>, mut accounts: Vec<usize>, plan: &mut WritePlan) {
        stock.sort_unstable();
        stock.dedup();
        for sku in stock {
            let (available, version) = &mut self.stock[usize::try_from(sku).unwrap_or(0)];
            *available -= 1;
            *version += 1;
            let mut row = plan.row(&STOCK, Mode::Update { version: *version - 1 });
            row.int(sku).int(*available).int(0).int(1_000_000_000 - *available).int(*version);
        }
        accounts.sort_unstable();
        accounts.dedup();
        for at in accounts {
            let (credits, version) = &mut self.accounts[at];
            *credits += 12_000;
            *version += 1;
            let mut row = plan.row(&ACCOUNT, Mode::Update { version: *version - 1 });
            row.int(i64::try_from(at).unwrap_or(0) * 7_919).text("merchant:m-0001:payable");
            row.text("KRW").int(0).int(*credits).int(*version);
        }
    }
}

fn orders_row(plan: &mut WritePlan, mode: Mode, id: i64, lines: &str, version: i64) {
    let done = version > 1;
    let mut row = plan.row(&ORDERS, mode);
    row.int(id).int(id ^ 0xFFFF).int(if done { 8 } else { 3 }).opt_text(done.then_some("SOLD"));
    row.text("KRW").int(24_000).text(lines).opt_text((!done).then_some("tok_0123456789abcdef"));
    row.opt_int((!done).then_some(id)).int(id).opt_int(done.then_some(id)).opt_text(None);
    row.int(version);
}

fn payment_row(plan: &mut WritePlan, mode: Mode, id: i64, version: i64) {
    let done = version > 1;
    let mut row = plan.row(&PAYMENT, mode);
    row.int(id).int(if done { 6 } else { 2 }).text("[[\"m-0042\",24000]]").text("KRW").int(24_000);
    row.int(if done { 24_000 } else { 0 }).text("simulator");
    row.opt_text(done.then_some("psp_0123456789abcdef")).opt_int((!done).then_some(id)).int(id);
    row.int(version);
}
