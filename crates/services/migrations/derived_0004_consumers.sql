-- Consumers beside the projections. The table offset has a row for each of their streams: (consumer - 1) << 32 | stream. Of
-- stream 0 it is the event up to which everything is taken in; of another one (topic << 16 | partition) the offset of the last record.
-- Events above that place which are taken in all the same, because topics give events in any order.
CREATE TABLE inbox (consumer INTEGER NOT NULL, seq INTEGER NOT NULL, stream INTEGER NOT NULL, PRIMARY KEY (consumer, seq)) WITHOUT ROWID;

-- bestseller: units sold on a day (of Seoul, since 1970) less those refunded; no row for 0
CREATE TABLE sold (day INTEGER NOT NULL, product INTEGER NOT NULL, sku INTEGER NOT NULL, units INTEGER NOT NULL, PRIMARY KEY (day, product, sku)) WITHOUT ROWID;
CREATE TABLE sold_mark (day INTEGER PRIMARY KEY, changes INTEGER NOT NULL /* how often a commit has changed the day */);

-- notification: one delivery for each event and channel
CREATE TABLE delivery (id INTEGER PRIMARY KEY /* event * 64 + channel: 0 mail, others hooks */, state INTEGER NOT NULL /* 1 waiting, 2 sent, 3 failed, 4 dead */, order_id INTEGER NOT NULL, kind INTEGER NOT NULL /* 1 placed, 2 completed, 3 cancelled, 4 refunded, 5 shipped */, part INTEGER NOT NULL /* refund or shipment; 0: the order */, at INTEGER NOT NULL, tries INTEGER NOT NULL, next_at INTEGER /* moment + channel * 10^17 */, sent_at INTEGER, error TEXT);
CREATE INDEX delivery_due ON delivery (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX delivery_failed ON delivery (id) WHERE state = 3;
CREATE INDEX delivery_dead ON delivery (id) WHERE state = 4;
-- texts that operators have changed, from the lines of the audit log
CREATE TABLE template (kind INTEGER NOT NULL, language INTEGER NOT NULL /* 1 Korean, 2 English */, subject TEXT NOT NULL, body TEXT NOT NULL, line INTEGER NOT NULL /* of the audit log */, PRIMARY KEY (kind, language)) WITHOUT ROWID;
