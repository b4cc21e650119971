-- What a whole shop needs: users, merchants, campaigns, coupons, points. Times are microseconds
-- since the Unix epoch, amounts are minor units, packed columns are JSON arrays.

-- payment: `split` and the parts of a refund are [["merchant",card],…] or [["merchant",card,paid points,earned points,coupon],…];
-- a refund has a ninth value, what was deducted for earned points that are spent, unless it is 0.
ALTER TABLE payment ADD COLUMN points_of INTEGER /* the user whose points it buys; null: a sale */;

-- point: a lot is all points of one kind with one end; kind 1 EARNED 2 PAID; end 0: never
CREATE TABLE point_account (user_id INTEGER PRIMARY KEY, currency TEXT NOT NULL, lots TEXT NOT NULL /* JSON [[kind,end,points],…] in the order of spending, none empty */,
                      paid INTEGER NOT NULL CHECK (paid >= 0), earned INTEGER NOT NULL CHECK (earned >= 0) /* what the lots of the kind hold */,
                      charged INTEGER NOT NULL, granted INTEGER NOT NULL, rewarded INTEGER NOT NULL /* by orders */, spent_paid INTEGER NOT NULL, spent_earned INTEGER NOT NULL /* gross: a restore does not lower it */, restored_paid INTEGER NOT NULL, restored_earned INTEGER NOT NULL, expired_paid INTEGER NOT NULL, expired_earned INTEGER NOT NULL, clawed INTEGER NOT NULL /* net of what was given again */,
                      postings INTEGER NOT NULL /* ledger postings of expiries: entry.source = user_id, entry.seq runs 1..postings */, armed INTEGER /* as point_timer.next_at */, version INTEGER NOT NULL,
                      CHECK (charged + restored_paid = paid + spent_paid + expired_paid),
                      CHECK (granted + rewarded + restored_earned = earned + spent_earned + expired_earned + clawed),
                      CHECK (charged >= 0 AND granted >= 0 AND rewarded >= 0 AND clawed >= 0 AND expired_paid >= 0 AND expired_earned >= 0),
                      CHECK (restored_paid BETWEEN 0 AND spent_paid AND restored_earned BETWEEN 0 AND spent_earned));
CREATE TABLE point_timer (user_id INTEGER PRIMARY KEY, next_at INTEGER, version INTEGER NOT NULL); -- its own row: an index of due accounts would cost nearly every order a page
CREATE INDEX point_timer_due ON point_timer (next_at) WHERE next_at IS NOT NULL;
CREATE TABLE point_credit (id INTEGER PRIMARY KEY /* kind 2: payment; kind 1: grant */, user_id INTEGER NOT NULL, kind INTEGER NOT NULL CHECK (kind IN (1,2)), amount INTEGER NOT NULL CHECK (amount > 0), until INTEGER, balance INTEGER NOT NULL /* after it */, at INTEGER NOT NULL, reason TEXT NOT NULL);
CREATE TABLE point_use (order_id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL, state INTEGER NOT NULL CHECK (state IN (1,2,3)) /* 1 NONE 2 SPENT 3 RESTORED (also the tombstone, parts '[]') */, parts TEXT NOT NULL /* JSON [[kind,end,points],…] in the order of spending */, restores TEXT NOT NULL /* JSON [[refund no, 0 = undo of the rest,paid,earned],…] */,
                      earned INTEGER NOT NULL CHECK (earned >= 0) /* ledger: source = order_id, seq 1000000 */, until INTEGER /* end of what was earned */, claws TEXT NOT NULL /* JSON [[refund no,asked,taken,gone,undone 0|1],…]; ledger: seq 2000000 + no, undone 3000000 + no */, version INTEGER NOT NULL);
-- engine: what has been trimmed. Events up to shard.trimmed are gone; requests up to shard.purged have only their operation, resource and time (key '' and body empty).
ALTER TABLE shard ADD COLUMN trimmed INTEGER NOT NULL DEFAULT 0 CHECK (trimmed BETWEEN 0 AND events);
ALTER TABLE shard ADD COLUMN purged INTEGER NOT NULL DEFAULT 0 CHECK (purged BETWEEN 0 AND requests);
