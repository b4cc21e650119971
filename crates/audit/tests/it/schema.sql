CREATE TABLE shard   (id INTEGER PRIMARY KEY CHECK (id = 0), commits INTEGER NOT NULL, events INTEGER NOT NULL, requests INTEGER NOT NULL, clock INTEGER NOT NULL, idem_key BLOB NOT NULL, version INTEGER NOT NULL);
CREATE TABLE idem    (hash INTEGER PRIMARY KEY, request INTEGER NOT NULL);
CREATE TABLE request (id INTEGER PRIMARY KEY, scope TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL, resource INTEGER NOT NULL, at INTEGER NOT NULL);
CREATE TABLE outbox  (seq INTEGER PRIMARY KEY, commit_no INTEGER NOT NULL, at INTEGER NOT NULL, topic TEXT NOT NULL, key INTEGER NOT NULL, version INTEGER NOT NULL, correlation TEXT, payload BLOB NOT NULL);
CREATE TABLE poison  (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, unit TEXT NOT NULL, command TEXT NOT NULL, error TEXT NOT NULL, owner TEXT NOT NULL);
CREATE TABLE product (id INTEGER PRIMARY KEY, merchant TEXT NOT NULL, name TEXT NOT NULL, state INTEGER NOT NULL CHECK (state IN (1,2)), skus TEXT NOT NULL, at INTEGER NOT NULL, version INTEGER NOT NULL);
CREATE TABLE sku     (id INTEGER PRIMARY KEY, product INTEGER NOT NULL, name TEXT NOT NULL, currency TEXT NOT NULL, price INTEGER NOT NULL CHECK (price >= 0), price_version INTEGER NOT NULL, version INTEGER NOT NULL);
CREATE TABLE stock   (sku INTEGER PRIMARY KEY, received INTEGER NOT NULL, adjusted INTEGER NOT NULL, returned INTEGER NOT NULL, available INTEGER NOT NULL CHECK (available >= 0), reserved INTEGER NOT NULL CHECK (reserved >= 0), sold INTEGER NOT NULL CHECK (sold >= 0), written_off INTEGER NOT NULL CHECK (written_off >= 0), version INTEGER NOT NULL,
                      CHECK (received + adjusted + returned = available + reserved + sold + written_off));
CREATE TABLE movement(id INTEGER PRIMARY KEY, sku INTEGER NOT NULL, kind INTEGER NOT NULL CHECK (kind IN (1,2)), quantity INTEGER NOT NULL, reason TEXT NOT NULL, available INTEGER NOT NULL, at INTEGER NOT NULL);
CREATE TABLE reservation (order_id INTEGER PRIMARY KEY, state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 5), lines TEXT NOT NULL, returns TEXT NOT NULL, next_at INTEGER, version INTEGER NOT NULL);
CREATE TABLE offer   (sku INTEGER PRIMARY KEY, merchant TEXT NOT NULL, currency TEXT NOT NULL, price INTEGER NOT NULL, on_sale INTEGER NOT NULL, price_version INTEGER NOT NULL, version INTEGER NOT NULL);
CREATE TABLE orders  (id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL, state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 10),
                      stuck_in INTEGER NOT NULL, def_version INTEGER NOT NULL, stock_step INTEGER NOT NULL, pay_step INTEGER NOT NULL,
                      pay_mode INTEGER NOT NULL, cancel_wanted INTEGER NOT NULL, outcome TEXT, reason TEXT, currency TEXT NOT NULL, total INTEGER NOT NULL CHECK (total >= 0), refunded INTEGER NOT NULL,
                      lines TEXT NOT NULL, refunds TEXT NOT NULL, token TEXT, tries INTEGER NOT NULL, next_at INTEGER, placed_at INTEGER NOT NULL, settled_at INTEGER, correlation TEXT, version INTEGER NOT NULL);
CREATE TABLE payment (id INTEGER PRIMARY KEY, order_id INTEGER, state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 9),
                      pending_op INTEGER NOT NULL, mode INTEGER NOT NULL, split TEXT NOT NULL, currency TEXT NOT NULL, amount INTEGER NOT NULL CHECK (amount >= 0), authorized INTEGER NOT NULL, captured INTEGER NOT NULL, refunded INTEGER NOT NULL, pending INTEGER NOT NULL CHECK (pending >= 0),
                      psp TEXT NOT NULL, psp_ref TEXT, reason TEXT, not_found INTEGER NOT NULL, postings INTEGER NOT NULL, sent_at INTEGER, deadline INTEGER, refunds TEXT NOT NULL, next_at INTEGER, at INTEGER NOT NULL, version INTEGER NOT NULL,
                      CHECK (authorized <= amount AND captured <= authorized AND refunded + pending <= captured AND refunded >= 0));
CREATE TABLE account (id INTEGER PRIMARY KEY, code TEXT NOT NULL, currency TEXT NOT NULL, kind INTEGER NOT NULL, debits INTEGER NOT NULL, credits INTEGER NOT NULL, version INTEGER NOT NULL);
CREATE TABLE entry   (source INTEGER NOT NULL, seq INTEGER NOT NULL, leg INTEGER NOT NULL, account INTEGER NOT NULL, amount INTEGER NOT NULL CHECK (amount <> 0), at INTEGER NOT NULL, commit_no INTEGER NOT NULL, PRIMARY KEY (source, seq, leg)) WITHOUT ROWID;
CREATE TABLE chain   (commit_no INTEGER PRIMARY KEY, at INTEGER NOT NULL, entries INTEGER NOT NULL, digest BLOB NOT NULL, hash BLOB NOT NULL);
CREATE INDEX orders_due ON orders (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX reservation_due ON reservation (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX payment_due ON payment (next_at) WHERE next_at IS NOT NULL;
