//! Every kind of row, corrupted by hand: (rule, SQL, subject).
//!
//! `$name` in SQL and subject is the id of the order with that name in `stories::one_of_each`;
//! `ord $name` as a subject is its public form.

/// Breaches of the database.
pub(crate) const SQL: &[(&str, &str, &str)] = &[
    ("store.row", "UPDATE orders SET state = 11 WHERE id = $sold", "orders $sold"),
    ("store.row", "UPDATE orders SET lines = '[[1,2]]' WHERE id = $sold", "orders $sold"),
    (
        "store.row",
        "UPDATE payment SET psp = 5.5, amount = 'much' WHERE id = $sold",
        "payment $sold",
    ),
    ("store.row", "UPDATE chain SET hash = x'00' WHERE commit_no = 3", "chain 3"),
    ("store.row", "UPDATE reservation SET state = 0 WHERE order_id = $sold", "reservation $sold"),
    ("store.row", "UPDATE product SET state = 3 WHERE id = 1000", "product 1000"),
    ("store.row", "UPDATE movement SET kind = 3 WHERE id = 20002", "movement 20002"),
    ("store.row", "UPDATE entry SET amount = 'much' WHERE source = $sold", "entry $sold"),
    ("store.row", "UPDATE outbox SET at = 'noon' WHERE seq = 1", "outbox 1"),
    ("store.row", "UPDATE request SET scope = x'FF' WHERE id = 1", "request 1"),
    // engine
    ("shard.counters", "UPDATE shard SET events = events + 1", "shard"),
    ("shard.counters", "UPDATE shard SET requests = requests - 1", "shard"),
    ("shard.counters", "UPDATE shard SET commits = 4", "shard"),
    ("shard.counters", "UPDATE shard SET idem_key = x'00'", "shard"),
    ("shard.counters", "DELETE FROM shard", "shard"),
    ("shard.clock", "UPDATE shard SET clock = 0", "shard"),
    ("idem.missing", "DELETE FROM idem WHERE request = 1", "request 1"),
    ("idem.missing", "UPDATE request SET key = 'other' WHERE id = 1", "request 1"),
    ("idem.orphan", "INSERT INTO idem VALUES (77, 1)", "hash 77"),
    (
        "request.doubled",
        "INSERT INTO request SELECT 9999, scope, key, body, resource, at FROM request WHERE id = 1",
        "request 9999",
    ),
    ("request.body", "UPDATE request SET body = x'02' WHERE id = 1", "request 1"),
    ("request.resource", "UPDATE request SET resource = 12345 WHERE id = 1", "request 1"),
    (
        "request.resource",
        "UPDATE request SET resource = 5, id = 9000 WHERE resource = $sold",
        "request 9000",
    ),
    ("order.unasked", "DELETE FROM request WHERE resource = $sold", "ord $sold"),
    (
        "order.asked-twice",
        "INSERT INTO request SELECT 9999, scope, 'other', body, resource, at FROM request \
         WHERE resource = $sold",
        "ord $sold",
    ),
    // outbox
    ("outbox.gap", "DELETE FROM outbox WHERE seq = 3", "event 3"),
    ("outbox.order", "UPDATE outbox SET commit_no = 99 WHERE seq = 2", "event 3"),
    ("outbox.topic", "UPDATE outbox SET topic = 'order.lost' WHERE seq = 1", "event 1"),
    ("event.product", "UPDATE outbox SET key = 77 WHERE seq = 1", "prd 77"),
    (
        "event.missing",
        "UPDATE outbox SET topic = 'order.advanced' WHERE key = $sold AND topic = 'order.completed'",
        "ord $sold",
    ),
    (
        "event.missing",
        "UPDATE outbox SET topic = 'order.advanced' WHERE key = $declined AND topic = 'order.cancelled'",
        "ord $declined",
    ),
    (
        "event.missing",
        "UPDATE outbox SET topic = 'order.advanced' WHERE key = $declined AND topic = 'order.placed'",
        "ord $declined",
    ),
    (
        "event.missing",
        "UPDATE outbox SET topic = 'order.advanced' WHERE key = $sold AND topic = 'payment.captured'",
        "pay $sold",
    ),
    (
        "event.missing",
        "UPDATE outbox SET topic = 'order.advanced' WHERE key = $refunded AND topic = 'order.refunded'",
        "ord $refunded",
    ),
    (
        "event.missing",
        "UPDATE outbox SET topic = 'order.advanced' WHERE key = $refunded AND topic = 'payment.refunded'",
        "pay $refunded",
    ),
    (
        "event.missing",
        "UPDATE outbox SET topic = 'order.advanced' WHERE key = $authorized AND topic = 'payment.authorized'",
        "pay $authorized",
    ),
    (
        "event.doubled",
        "UPDATE outbox SET topic = 'order.placed' WHERE key = $sold AND topic = 'order.completed'",
        "ord $sold",
    ),
    (
        "event.doubled",
        "UPDATE outbox SET topic = 'payment.captured' WHERE key = $two_step AND topic = 'payment.authorized'",
        "pay $two_step",
    ),
    (
        "event.invented",
        "UPDATE outbox SET topic = 'order.cancelled' WHERE key = $sold AND topic = 'order.placed'",
        "ord $sold",
    ),
    (
        "event.invented",
        "UPDATE outbox SET topic = 'payment.captured' WHERE key = $declined AND topic = 'order.placed'",
        "pay $declined",
    ),
    (
        "event.invented",
        "UPDATE outbox SET key = 123 WHERE key = $sold AND topic = 'order.placed'",
        "ord 123",
    ),
    (
        "event.version",
        "UPDATE outbox SET version = 99 WHERE key = $sold AND topic = 'order.placed'",
        "ord $sold",
    ),
    ("event.version", "UPDATE payment SET version = 0 WHERE id = $sold", "pay $sold"),
    // catalog
    ("catalog.skus", "UPDATE product SET skus = '[5000]' WHERE id = 1000", "sku 5001"),
    ("catalog.skus", "UPDATE product SET skus = '[5000,5001,5002]' WHERE id = 1000", "prd 1000"),
    ("catalog.product", "DELETE FROM product WHERE id = 1000", "sku 5000"),
    ("catalog.currency", "UPDATE sku SET currency = 'krw' WHERE id = 5001", "sku 5001"),
    ("catalog.currency", "UPDATE sku SET price_version = 0 WHERE id = 5001", "sku 5001"),
    ("catalog.offer", "UPDATE offer SET price = 1 WHERE sku = 5001", "sku 5001"),
    ("catalog.offer", "UPDATE offer SET merchant = 'm-x' WHERE sku = 5001", "sku 5001"),
    ("catalog.offer", "UPDATE offer SET price_version = 2 WHERE sku = 5001", "sku 5001"),
    ("catalog.offer", "UPDATE product SET state = 1 WHERE id = 1000", "sku 5000"),
    ("catalog.offer", "DELETE FROM sku WHERE id = 5001", "sku 5001"),
    // inventory
    ("stock.equation", "UPDATE stock SET available = available + 1 WHERE sku = 5001", "sku 5001"),
    (
        "stock.equation",
        "UPDATE stock SET available = -1, received = received - available - 1 WHERE sku = 5001",
        "sku 5001",
    ),
    ("stock.received", "UPDATE movement SET quantity = quantity + 1 WHERE id = 20002", "sku 5001"),
    ("stock.received", "DELETE FROM movement WHERE id = 20002", "sku 5001"),
    ("stock.adjusted", "UPDATE movement SET quantity = -2 WHERE id = 20003", "sku 5001"),
    (
        "stock.reserved",
        "UPDATE stock SET reserved = reserved + 1, available = available - 1 WHERE sku = 5001",
        "sku 5001",
    ),
    ("stock.reserved", "UPDATE reservation SET state = 4 WHERE order_id = $awaiting", "sku 5001"),
    (
        "stock.sold",
        "UPDATE stock SET sold = sold - 1, available = available + 1 WHERE sku = 5001",
        "sku 5001",
    ),
    (
        "stock.returned",
        "UPDATE stock SET returned = returned + 1, available = available + 1 WHERE sku = 5001",
        "sku 5001",
    ),
    (
        "stock.written-off",
        "UPDATE stock SET written_off = written_off + 1, available = available - 1 WHERE sku = 5001",
        "sku 5001",
    ),
    ("stock.missing", "DELETE FROM stock WHERE sku = 5001", "sku 5001"),
    ("stock.sku", "INSERT INTO stock VALUES (777, 0, 0, 0, 0, 0, 0, 0, 1)", "sku 777"),
    ("stock.movement", "INSERT INTO movement VALUES (30000, 5001, 1, 0, '', 1, 0)", "mov 30000"),
    ("stock.movement", "UPDATE movement SET available = -1 WHERE id = 20002", "mov 20002"),
    (
        "reservation.lines",
        "UPDATE reservation SET lines = '[[5004,2],[5001,1]]' WHERE order_id = $sold",
        "ord $sold",
    ),
    (
        "reservation.lines",
        "UPDATE reservation SET lines = '[]' WHERE order_id = $sold",
        "ord $sold",
    ),
    ("reservation.order", "DELETE FROM orders WHERE id = $awaiting", "ord $awaiting"),
    (
        "reservation.returns",
        "UPDATE reservation SET returns = '[]' WHERE order_id = $refunded",
        "ord $refunded",
    ),
    (
        "reservation.returns",
        "UPDATE reservation SET returns = '[[1,[[5001,2]],0]]' WHERE order_id = $refunded",
        "ord $refunded",
    ),
    (
        "reservation.returns",
        "UPDATE reservation SET returns = '[[1,[[5001,2]],1]]' WHERE order_id = $sold",
        "ord $sold",
    ),
    (
        "reservation.return-doubled",
        "UPDATE reservation SET returns = '[[1,[[5001,2]],1],[1,[[5001,2]],1]]' WHERE order_id = $refunded",
        "ord $refunded",
    ),
    (
        "reservation.timer",
        "UPDATE reservation SET next_at = NULL WHERE order_id = $awaiting",
        "ord $awaiting",
    ),
    // order
    ("order.lines", "UPDATE orders SET lines = '[]' WHERE id = $sold", "ord $sold"),
    (
        "order.lines",
        "UPDATE orders SET lines = '[[5001,-1,1500,\"m-0\"]]' WHERE id = $sold",
        "ord $sold",
    ),
    ("order.total", "UPDATE orders SET total = total + 1 WHERE id = $sold", "ord $sold"),
    ("order.sku", "UPDATE sku SET currency = 'USD' WHERE id = 5001", "ord $sold"),
    ("order.sku", "DELETE FROM sku WHERE id = 5001", "ord $sold"),
    ("order.sku", "UPDATE product SET merchant = 'm-x' WHERE id = 1000", "ord $sold"),
    ("order.price", "UPDATE sku SET price = 1 WHERE id = 5001", "ord $sold"),
    ("order.reservation", "UPDATE reservation SET state = 4 WHERE order_id = $sold", "ord $sold"),
    ("order.reservation", "DELETE FROM reservation WHERE order_id = $sold", "ord $sold"),
    (
        "order.reservation",
        "UPDATE reservation SET state = 2 WHERE order_id = $declined",
        "ord $declined",
    ),
    (
        "order.reservation",
        "UPDATE reservation SET state = 1 WHERE order_id = $paying",
        "ord $paying",
    ),
    ("order.reservation", "UPDATE reservation SET state = 3 WHERE order_id = $stuck", "ord $stuck"),
    (
        "order.reserved",
        "UPDATE reservation SET lines = '[[5001,1],[5004,3]]' WHERE order_id = $sold",
        "ord $sold",
    ),
    ("order.payment", "UPDATE payment SET state = 7 WHERE id = $sold", "ord $sold"),
    (
        "order.payment",
        "UPDATE payment SET amount = 9, authorized = 9, captured = 9 WHERE id = $sold",
        "ord $sold",
    ),
    (
        "order.payment",
        "UPDATE payment SET state = 2, pending_op = 1 WHERE id = $declined",
        "ord $declined",
    ),
    (
        "order.payment",
        "UPDATE payment SET state = 6, authorized = amount, captured = amount WHERE id = $awaiting",
        "ord $awaiting",
    ),
    ("order.unpaid", "DELETE FROM payment WHERE id = $sold", "ord $sold"),
    (
        "order.net",
        "UPDATE payment SET state = 6, authorized = amount, captured = amount WHERE id = $declined",
        "ord $declined",
    ),
    ("order.net", "UPDATE payment SET refunded = 1 WHERE id = $reversed", "ord $reversed"),
    ("order.outcome", "UPDATE orders SET outcome = 'DECLINED' WHERE id = $sold", "ord $sold"),
    ("order.outcome", "UPDATE orders SET outcome = 'SOLD' WHERE id = $declined", "ord $declined"),
    ("order.outcome", "UPDATE orders SET outcome = NULL WHERE id = $declined", "ord $declined"),
    ("order.outcome", "UPDATE orders SET outcome = 'SOLD' WHERE id = $paying", "ord $paying"),
    ("order.outcome", "UPDATE orders SET settled_at = NULL WHERE id = $sold", "ord $sold"),
    ("order.steps", "UPDATE orders SET pay_step = 1 WHERE id = $sold", "ord $sold"),
    ("order.steps", "UPDATE orders SET stock_step = 4 WHERE id = $declined", "ord $declined"),
    ("order.steps", "UPDATE orders SET stuck_in = 3 WHERE id = $paying", "ord $paying"),
    (
        "order.refunded",
        "UPDATE orders SET refunded = refunded + 1 WHERE id = $refunded",
        "ord $refunded",
    ),
    (
        "order.refund-lines",
        "UPDATE orders SET refunds = '[[1,4,3000,[[0,1]],1,\"\"]]' WHERE id = $refunded",
        "ord $refunded",
    ),
    (
        "order.refund-lines",
        "UPDATE orders SET refunds = '[[1,4,3000,[[7,2]],1,\"\"]]' WHERE id = $refunded",
        "ord $refunded",
    ),
    (
        "order.refund-lines",
        "UPDATE orders SET refunds = '[[1,4,6000,[[0,4]],1,\"\"]]' WHERE id = $refunded",
        "ord $refunded",
    ),
    (
        "order.refund-doubled",
        "UPDATE orders SET refunds = '[[1,4,3000,[[0,2]],1,\"\"],[1,4,3000,[[0,2]],1,\"\"]]' WHERE id = $refunded",
        "ord $refunded",
    ),
    (
        "order.refund-payment",
        "UPDATE payment SET refunds = '[]', refunded = 0 WHERE id = $refunded",
        "ord $refunded",
    ),
    (
        "order.refund-payment",
        "UPDATE orders SET refunds = replace(refunds, '[[1,4,', '[[1,5,') WHERE id = $refunded",
        "ord $refunded",
    ),
    ("order.timer", "UPDATE orders SET next_at = NULL WHERE id = $paying", "ord $paying"),
    ("order.timer", "UPDATE orders SET next_at = NULL WHERE id = $refunding", "ord $refunding"),
    ("order.overdue", "UPDATE orders SET next_at = 1 WHERE id = $paying", "ord $paying"),
    ("order.committing", "UPDATE shard SET clock = clock + 40000000", "ord $committing"),
    // payment
    ("payment.key", "UPDATE payment SET order_id = 123 WHERE id = $sold", "pay $sold"),
    ("payment.key", "UPDATE payment SET order_id = NULL WHERE id = $sold", "pay $sold"),
    ("payment.order", "DELETE FROM orders WHERE id = $sold", "pay $sold"),
    (
        "payment.amount",
        "UPDATE payment SET amount = amount + 1 WHERE id = $declined",
        "pay $declined",
    ),
    ("payment.amount", "UPDATE payment SET currency = 'USD' WHERE id = $sold", "pay $sold"),
    (
        "payment.split",
        "UPDATE payment SET split = '[[\"m-0\",1500]]' WHERE id = $sold",
        "pay $sold",
    ),
    (
        "payment.split",
        "UPDATE payment SET split = '[[\"m-0\",12000],[\"m-2\",1500]]' WHERE id = $sold",
        "pay $sold",
    ),
    ("payment.limits", "UPDATE payment SET authorized = amount + 1 WHERE id = $sold", "pay $sold"),
    ("payment.limits", "UPDATE payment SET pending = captured + 1 WHERE id = $sold", "pay $sold"),
    ("payment.state", "UPDATE payment SET captured = 0 WHERE id = $sold", "pay $sold"),
    ("payment.state", "UPDATE payment SET pending_op = 1 WHERE id = $sold", "pay $sold"),
    ("payment.state", "UPDATE payment SET pending_op = 0 WHERE id = $unknown", "pay $unknown"),
    ("payment.state", "UPDATE payment SET deadline = NULL WHERE id = $paying", "pay $paying"),
    (
        "payment.state",
        "UPDATE payment SET refunds = replace(refunds, ',2,', ',1,') WHERE id = $refunding",
        "pay $refunding",
    ),
    ("payment.intent", "UPDATE payment SET state = 1 WHERE id = $declined", "pay $declined"),
    (
        "payment.refunded",
        "UPDATE payment SET refunded = refunded - 1 WHERE id = $refunded",
        "pay $refunded",
    ),
    ("payment.refunded", "UPDATE payment SET pending = 0 WHERE id = $refunding", "pay $refunding"),
    (
        "payment.refund-split",
        "UPDATE payment SET refunds = '[[1,3,3000,[[\"m-0\",2999]],null]]' WHERE id = $refunded",
        "pay $refunded",
    ),
    (
        "payment.refund-split",
        "UPDATE payment SET refunds = '[[1,3,3000,[[\"m-9\",3000]],null]]' WHERE id = $refunded",
        "pay $refunded",
    ),
    (
        "payment.refund-doubled",
        "UPDATE payment SET refunds = '[[1,3,3000,[[\"m-0\",3000]],null],[1,3,3000,[[\"m-0\",3000]],null]]' WHERE id = $refunded",
        "pay $refunded",
    ),
    (
        "payment.refund-order",
        "UPDATE orders SET refunds = '[]', refunded = 0 WHERE id = $refunded",
        "pay $refunded",
    ),
    ("payment.timer", "UPDATE orders SET next_at = NULL WHERE id = $paying", "pay $paying"),
    // ledger
    (
        "ledger.balance",
        "UPDATE entry SET amount = amount + 1 WHERE source = $sold AND leg = 1",
        "pay $sold",
    ),
    ("ledger.numbers", "UPDATE entry SET leg = 9 WHERE source = $sold AND leg = 3", "pay $sold"),
    ("ledger.numbers", "UPDATE entry SET seq = 3 WHERE source = $sold", "pay $sold"),
    ("ledger.account", "DELETE FROM account WHERE code = 'merchant:m-2:payable'", "pay $sold"),
    (
        "ledger.account-id",
        "UPDATE account SET kind = 2 WHERE code = 'psp:sim:receivable'",
        "psp:sim:receivable",
    ),
    (
        "ledger.account-id",
        "UPDATE account SET code = 'merchant:m-9:payable' WHERE code = 'merchant:m-2:payable'",
        "merchant:m-9:payable",
    ),
    ("ledger.source", "DELETE FROM payment WHERE id = $sold", "pay $sold"),
    ("ledger.missing", "DELETE FROM entry WHERE source = $sold", "pay $sold"),
    ("ledger.missing", "DELETE FROM entry WHERE source = $refunded AND seq = 2", "pay $refunded"),
    (
        "ledger.doubled",
        "INSERT INTO entry SELECT source, 2, leg, account, amount, at, commit_no FROM entry WHERE source = $sold",
        "pay $sold",
    ),
    (
        "ledger.invented",
        "INSERT INTO entry SELECT source, 2, leg, account, amount * 2, at, commit_no FROM entry WHERE source = $sold",
        "pay $sold",
    ),
    ("ledger.invented", "UPDATE entry SET amount = amount * 2 WHERE source = $sold", "pay $sold"),
    ("ledger.invented", "UPDATE payment SET psp = 'toss' WHERE id = $sold", "pay $sold"),
    ("ledger.counter", "UPDATE payment SET postings = 5 WHERE id = $sold", "pay $sold"),
    ("ledger.receivable", "UPDATE entry SET amount = amount * 2 WHERE source = $sold", "pay $sold"),
    (
        "ledger.commit",
        "UPDATE entry SET commit_no = commit_no + 1 WHERE source = $sold",
        "pay $sold",
    ),
    (
        "ledger.totals",
        "UPDATE account SET debits = debits + 1 WHERE code = 'psp:sim:receivable'",
        "psp:sim:receivable",
    ),
    (
        "ledger.trial",
        "UPDATE account SET debits = debits + 1 WHERE code = 'psp:sim:receivable'",
        "KRW",
    ),
    ("chain.link", "UPDATE chain SET at = at + 1 WHERE commit_no = 3", "commit 3"),
    ("chain.link", "UPDATE chain SET hash = zeroblob(32) WHERE commit_no = 3", "commit 7"),
    ("chain.digest", "UPDATE entry SET at = at + 1 WHERE source = $sold", "commit 3"),
    ("chain.digest", "UPDATE chain SET entries = entries + 1 WHERE commit_no = 3", "commit 3"),
    ("chain.digest", "UPDATE chain SET entries = 1 WHERE commit_no = 3", "commit 3"),
    ("chain.digest", "UPDATE chain SET digest = zeroblob(32) WHERE commit_no = 3", "commit 3"),
    ("chain.missing", "DELETE FROM chain WHERE commit_no = 3", "commit 3"),
];

/// What is done to the gateway's log.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Psp {
    /// A record is added: payment, kind, refund number, amount.
    Add(&'static str, u8, u32, i64),
    /// The records of this payment and kind are taken out.
    Drop(&'static str, u8),
    /// Bytes of this payment's records are overwritten; the checksum is made right.
    Set(&'static str, usize, &'static [u8]),
    /// The record at this position gets a wrong bit.
    Flip(usize),
}

/// Breaches of the gateway's log: (rule, edit, subject).
pub(crate) const PSP: &[(&str, Psp, &str)] = &[
    ("gateway.lost", Psp::Add("123", 1, 0, 500), "pay 123"),
    ("gateway.lost", Psp::Add("$sold_out", 6, 0, 500), "pay $sold_out"),
    ("gateway.doubled", Psp::Add("$sold", 1, 0, 13_500), "pay $sold"),
    ("gateway.refund-doubled", Psp::Add("$refunded", 5, 1, 3_000), "pay $refunded"),
    ("gateway.law", Psp::Add("$sold", 5, 2, 99_999), "pay $sold"),
    ("gateway.law", Psp::Add("$voided", 3, 0, 1), "pay $voided"),
    ("gateway.law", Psp::Add("$refunded", 7, 1, 3_000), "pay $refunded"),
    ("gateway.law", Psp::Add("$declined", 8, 0, 0), "pay $declined"),
    ("gateway.captured", Psp::Drop("$sold", 1), "pay $sold"),
    ("gateway.captured", Psp::Add("$awaiting", 1, 0, 13_500), "pay $awaiting"),
    ("gateway.captured", Psp::Set("$sold", 21, &[1, 0, 0, 0, 0, 0, 0, 0]), "pay $sold"),
    ("ledger.receivable", Psp::Set("$sold", 21, &[1, 0, 0, 0, 0, 0, 0, 0]), "pay $sold"),
    ("gateway.authorized", Psp::Drop("$authorized", 2), "pay $authorized"),
    ("gateway.authorized", Psp::Add("$authorized", 4, 0, 0), "pay $authorized"),
    ("gateway.authorized", Psp::Drop("$voided", 4), "pay $voided"),
    ("gateway.refunded", Psp::Drop("$refunded", 5), "pay $refunded"),
    ("gateway.refunded", Psp::Drop("$reversed", 5), "pay $reversed"),
    ("gateway.refund-lost", Psp::Add("$sold", 5, 2, 1), "pay $sold"),
    ("gateway.currency", Psp::Set("$sold", 29, b"USD"), "pay $sold"),
    ("gateway.log", Psp::Flip(2), "psp.log"),
];

/// Lies in a journal of acknowledgements: (rule, lines, subject). `@name` is a public order id.
pub(crate) const ACKS: &[(&str, &str, &str)] = &[
    ("ack.line", "key-1,ord_short,SOLD,1", "line 2"),
    ("ack.line", "key-1,,SOLD,1", "line 2"),
    ("ack.line", "key-1,@sold,SOLD,a lot", "line 2"),
    ("ack.line", "key-1,@sold", "line 2"),
    ("ack.lost", "key-123,ord_0000000000001,SOLD,1", "ord 1"),
    ("ack.lost", "key-123,ord_0000000000001,PENDING,1", "ord 1"),
    ("ack.doubled", "key-$sold,@sold,SOLD,13500\nkey-$sold,@other,PENDING,0", "ord $sold"),
    ("ack.key", "key-x,@sold,SOLD,13500", "ord $sold"),
    ("ack.outcome", "key-$declined,@declined,SOLD,13500", "ord $declined"),
    ("ack.outcome", "key-$sold,@sold,DECLINED,0", "ord $sold"),
    ("ack.outcome", "key-$paying,@paying,SHED,0", "ord $paying"),
    ("ack.amount", "key-$sold,@sold,SOLD,13501", "ord $sold"),
];
