-- Lists: the few rows that an operator looks for. Each index holds only those.
CREATE INDEX payment_unknown ON payment (id) WHERE state = 9;
CREATE INDEX orders_stuck ON orders (id) WHERE state = 10;

-- What operators did, written by the commit that did it, numbered without gaps. Never changed.
CREATE TABLE audit_log (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, who TEXT NOT NULL /* name of the operator's key */, operation TEXT NOT NULL, unit TEXT NOT NULL, resource TEXT NOT NULL /* as the API shows it; empty for the shop as a whole */, why TEXT NOT NULL, before TEXT, after TEXT /* JSON objects; null: it was not there */, correlation TEXT);
CREATE TRIGGER audit_log_keeps BEFORE UPDATE ON audit_log BEGIN SELECT RAISE(ABORT, 'the audit log is never changed'); END;
CREATE TRIGGER audit_log_stays BEFORE DELETE ON audit_log BEGIN SELECT RAISE(ABORT, 'the audit log is never deleted'); END;

-- ledger: postings that an operator booked together; their entries have the journal's id as source
CREATE TABLE journal (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, who TEXT NOT NULL CHECK (who <> ''), reason TEXT NOT NULL CHECK (reason <> ''), postings INTEGER NOT NULL CHECK (postings > 0) /* entry.seq runs 1..postings */, entries INTEGER NOT NULL CHECK (entries >= 2 * postings), memos TEXT NOT NULL /* JSON [[posting,"memo"],…] */);
