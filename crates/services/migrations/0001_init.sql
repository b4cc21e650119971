-- The truth of one cell. Times are microseconds since the Unix epoch, amounts are minor units,
-- packed columns are JSON arrays of integers and text. What the numbers of a column mean stands
-- beside it.

-- engine
CREATE TABLE shard   (id INTEGER PRIMARY KEY CHECK (id = 0), commits INTEGER NOT NULL, events INTEGER NOT NULL, requests INTEGER NOT NULL, clock INTEGER NOT NULL, idem_key BLOB NOT NULL, version INTEGER NOT NULL);
CREATE TABLE idem    (hash INTEGER PRIMARY KEY, request INTEGER NOT NULL);                    -- 64-bit SipHash-2-4 (key = shard.idem_key) of scope 0x00 key
CREATE TABLE request (id INTEGER PRIMARY KEY, scope TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL /* version byte 1 + first 16 bytes of SHA-256 of the canonical command */, resource INTEGER NOT NULL, at INTEGER NOT NULL);
CREATE TABLE outbox  (seq INTEGER PRIMARY KEY, commit_no INTEGER NOT NULL, at INTEGER NOT NULL, topic TEXT NOT NULL, key INTEGER NOT NULL /* aggregate id */, version INTEGER NOT NULL /* of the aggregate */, correlation TEXT, payload BLOB NOT NULL /* postcard, private to services */);
CREATE TABLE poison  (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, unit TEXT NOT NULL, command TEXT NOT NULL, error TEXT NOT NULL, owner TEXT NOT NULL);
-- catalog
CREATE TABLE product (id INTEGER PRIMARY KEY, merchant TEXT NOT NULL, name TEXT NOT NULL, state INTEGER NOT NULL CHECK (state IN (1,2)) /* 1 DRAFT 2 PUBLISHED */, skus TEXT NOT NULL /* JSON [sku id] */, at INTEGER NOT NULL, version INTEGER NOT NULL);
CREATE TABLE sku     (id INTEGER PRIMARY KEY, product INTEGER NOT NULL, name TEXT NOT NULL, currency TEXT NOT NULL, price INTEGER NOT NULL CHECK (price >= 0), price_version INTEGER NOT NULL, version INTEGER NOT NULL);
-- inventory
CREATE TABLE stock   (sku INTEGER PRIMARY KEY, received INTEGER NOT NULL, adjusted INTEGER NOT NULL, returned INTEGER NOT NULL, available INTEGER NOT NULL CHECK (available >= 0), reserved INTEGER NOT NULL CHECK (reserved >= 0), sold INTEGER NOT NULL CHECK (sold >= 0) /* gross: a return does not lower it */, written_off INTEGER NOT NULL CHECK (written_off >= 0), version INTEGER NOT NULL,
                      CHECK (received + adjusted + returned = available + reserved + sold + written_off));
CREATE TABLE movement(id INTEGER PRIMARY KEY, sku INTEGER NOT NULL, kind INTEGER NOT NULL CHECK (kind IN (1,2)) /* 1 RECEIVE 2 ADJUST */, quantity INTEGER NOT NULL /* signed for ADJUST */, reason TEXT NOT NULL, available INTEGER NOT NULL /* after it */, at INTEGER NOT NULL);
CREATE TABLE reservation (order_id INTEGER PRIMARY KEY, state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 5) /* 1 HELD 2 PINNED 3 COMMITTED 4 RELEASED (also the tombstone, lines '[]') 5 EXPIRED */, lines TEXT NOT NULL /* JSON [[sku,quantity],…] summed by SKU, ascending */, returns TEXT NOT NULL /* JSON [[refund no,[[sku,quantity],…],restocked 0|1],…] */, next_at INTEGER /* expiry of a HELD one */, version INTEGER NOT NULL);
-- order
CREATE TABLE offer   (sku INTEGER PRIMARY KEY, merchant TEXT NOT NULL, currency TEXT NOT NULL, price INTEGER NOT NULL, on_sale INTEGER NOT NULL, price_version INTEGER NOT NULL, version INTEGER NOT NULL); -- order's own projection of catalog
CREATE TABLE orders  (id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL, state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 10)
                        /* 1 HOLDING 2 AWAIT_PAY 3 PAYING 4 PAY_UNKNOWN 5 COMMITTING 6 REVERSING 7 UNWINDING 8 COMPLETED 9 CANCELLED 10 STUCK */,
                      stuck_in INTEGER NOT NULL /* the state it got stuck in, else 0 */, def_version INTEGER NOT NULL,
                      stock_step INTEGER NOT NULL, pay_step INTEGER NOT NULL /* 0 none 1 asked 2 done 3 refused 4 undo asked 5 undone */,
                      pay_mode INTEGER NOT NULL /* 1 SERVER 2 CLIENT */, cancel_wanted INTEGER NOT NULL, outcome TEXT /* class: SOLD SOLD_OUT DECLINED EXPIRED CANCELLED SHED ERROR …; null while open */,
                      reason TEXT /* detail code, e.g. card_declined */, currency TEXT NOT NULL, total INTEGER NOT NULL CHECK (total >= 0), refunded INTEGER NOT NULL,
                      lines TEXT NOT NULL /* JSON [[sku,quantity,unit price,"merchant"],…] as ordered */, refunds TEXT NOT NULL /* JSON [[no,state,amount,[[line index,quantity],…],restock 0|1,"reason"],…]; no 0 = reversal or orphan; state 1 REQUESTED 2 PSP_REFUND 3 RESTORING 4 DONE 5 REFUSED */,
                      token TEXT /* card token, only until the payment is asked */, tries INTEGER NOT NULL, next_at INTEGER, placed_at INTEGER NOT NULL, settled_at INTEGER, correlation TEXT, version INTEGER NOT NULL);
-- payment
CREATE TABLE payment (id INTEGER PRIMARY KEY, order_id INTEGER /* null: no order */, state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 9)
                        /* 1 INTENT 2 SENT 3 AUTHORIZED 4 CAPTURE_SENT 5 VOID_SENT 6 CAPTURED 7 DECLINED 8 VOIDED 9 UNKNOWN */,
                      pending_op INTEGER NOT NULL /* what SENT/CAPTURE_SENT/VOID_SENT/UNKNOWN is about: 0 none 1 charge 2 authorize 3 capture 4 void */, mode INTEGER NOT NULL /* 1 charge at once 2 authorize, capture later */,
                      split TEXT NOT NULL /* JSON [["merchant",amount],…] */, currency TEXT NOT NULL, amount INTEGER NOT NULL CHECK (amount >= 0), authorized INTEGER NOT NULL, captured INTEGER NOT NULL, refunded INTEGER NOT NULL, pending INTEGER NOT NULL CHECK (pending >= 0),
                      psp TEXT NOT NULL, psp_ref TEXT, reason TEXT, not_found INTEGER NOT NULL, postings INTEGER NOT NULL /* ledger postings made: entry.seq runs 1..postings */, sent_at INTEGER, deadline INTEGER,
                      refunds TEXT NOT NULL /* JSON [[no,state,amount,[["merchant",amount],…],deadline|null],…]; state 1 SENT 2 UNKNOWN 3 DONE 4 REFUSED */, next_at INTEGER, at INTEGER NOT NULL, version INTEGER NOT NULL,
                      CHECK (authorized <= amount AND captured <= authorized AND refunded + pending <= captured AND refunded >= 0));
-- ledger
CREATE TABLE account (id INTEGER PRIMARY KEY /* first 8 bytes of SHA-256(code 0x00 currency), big-endian, top bit cleared */, code TEXT NOT NULL /* psp:{x}:receivable, merchant:{m}:payable, … */, currency TEXT NOT NULL, kind INTEGER NOT NULL /* 1 asset 2 liability 3 equity 4 income 5 expense */, debits INTEGER NOT NULL, credits INTEGER NOT NULL, version INTEGER NOT NULL);
CREATE TABLE entry   (source INTEGER NOT NULL /* payment id, or movement of money without one */, seq INTEGER NOT NULL /* posting number of the source */, leg INTEGER NOT NULL, account INTEGER NOT NULL, amount INTEGER NOT NULL CHECK (amount <> 0) /* debit > 0, credit < 0 */, at INTEGER NOT NULL, commit_no INTEGER NOT NULL, PRIMARY KEY (source, seq, leg)) WITHOUT ROWID;
CREATE TABLE chain   (commit_no INTEGER PRIMARY KEY, at INTEGER NOT NULL, entries INTEGER NOT NULL, digest BLOB NOT NULL, hash BLOB NOT NULL);

INSERT INTO shard VALUES (0, 0, 0, 0, 0, randomblob(16), 1);

-- Timers: only rows that wait for one, in the order in which they are due.
CREATE INDEX orders_due ON orders (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX reservation_due ON reservation (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX payment_due ON payment (next_at) WHERE next_at IS NOT NULL;
