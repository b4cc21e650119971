-- Lists: the few rows that an operator looks for. Each index holds only those.
CREATE INDEX payment_unknown ON payment (id) WHERE state = 9;
CREATE INDEX orders_stuck ON orders (id) WHERE state = 10;

-- What operators did, written by the commit that did it, numbered without gaps. Never changed.
CREATE TABLE audit_log (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, who TEXT NOT NULL /* name of the operator's key */, operation TEXT NOT NULL, unit TEXT NOT NULL, resource TEXT NOT NULL /* as the API shows it; empty for the shop as a whole */, why TEXT NOT NULL, before TEXT, after TEXT /* JSON objects; null: it was not there */, correlation TEXT);
CREATE TRIGGER audit_log_keeps BEFORE UPDATE ON audit_log BEGIN SELECT RAISE(ABORT, 'the audit log is never changed'); END;
CREATE TRIGGER audit_log_stays BEFORE DELETE ON audit_log BEGIN SELECT RAISE(ABORT, 'the audit log is never deleted'); END;

-- ledger: postings that an operator booked together; their entries have the journal's id as source
CREATE TABLE journal (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, who TEXT NOT NULL CHECK (who <> ''), reason TEXT NOT NULL CHECK (reason <> ''), postings INTEGER NOT NULL CHECK (postings > 0) /* entry.seq runs 1..postings */, entries INTEGER NOT NULL CHECK (entries >= 2 * postings), memos TEXT NOT NULL /* JSON [[posting,"memo"],…] */);

-- Poison: an operator has an item run again, or gives it up.
ALTER TABLE poison ADD COLUMN state INTEGER NOT NULL DEFAULT 1 /* 1 OPEN 2 RETRIED 3 DISCARDED */;
ALTER TABLE poison ADD COLUMN origin TEXT NOT NULL DEFAULT '' /* CLIENT SAGA:parent:step TIMER EVENT; empty: from before */;
ALTER TABLE poison ADD COLUMN correlation TEXT;
ALTER TABLE poison ADD COLUMN payload BLOB /* postcard of the command; null: it holds a secret */;
ALTER TABLE poison ADD COLUMN scope TEXT /* idempotency key of the request, with scope and fingerprint */;
ALTER TABLE poison ADD COLUMN idem_key TEXT;
ALTER TABLE poison ADD COLUMN body BLOB;
ALTER TABLE poison ADD COLUMN why TEXT NOT NULL DEFAULT '' /* the reason of whoever closed it */;
ALTER TABLE poison ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
CREATE INDEX poison_open ON poison (id) WHERE state = 1;
