-- Projections: everything here can be rebuilt from the truth (`jangbu rebuild`).
CREATE TABLE offset (id INTEGER PRIMARY KEY, seq INTEGER NOT NULL) /* the last event taken in */;
CREATE TABLE user_order (user_id INTEGER NOT NULL, order_id INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (user_id, order_id)) WITHOUT ROWID;
CREATE TABLE timeline (order_id INTEGER NOT NULL, seq INTEGER NOT NULL /* of the event */, at INTEGER NOT NULL, event TEXT NOT NULL, detail TEXT NOT NULL, PRIMARY KEY (order_id, seq)) WITHOUT ROWID;
CREATE TABLE account_entry (account INTEGER NOT NULL, at INTEGER NOT NULL, n INTEGER NOT NULL /* event seq * 256 + leg */, source INTEGER NOT NULL, seq INTEGER NOT NULL, leg INTEGER NOT NULL, amount INTEGER NOT NULL, balance INTEGER NOT NULL /* debits - credits after it */, PRIMARY KEY (account, at, n)) WITHOUT ROWID;
CREATE TABLE account_tail (account INTEGER PRIMARY KEY, balance INTEGER NOT NULL);
