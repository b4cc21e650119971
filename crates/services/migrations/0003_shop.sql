-- What a whole shop needs: users, merchants, campaigns, coupons, points. Times are microseconds
-- since the Unix epoch, amounts are minor units, packed columns are JSON arrays.

-- payment: `split` and the parts of a refund are [["merchant",card],…] or [["merchant",card,paid points,earned points,coupon],…];
-- a refund has a ninth value, what was deducted for earned points that are spent, unless it is 0.
ALTER TABLE payment ADD COLUMN points_of INTEGER /* the user whose points it buys; null: a sale */;

-- point: a lot is all points of one kind with one end; kind 1 EARNED 2 PAID; end 0: never
CREATE TABLE point_account (user_id INTEGER PRIMARY KEY, currency TEXT NOT NULL, lots TEXT NOT NULL /* JSON [[kind,end,points],…] in the order of spending, none empty */,
                      paid INTEGER NOT NULL CHECK (paid >= 0), earned INTEGER NOT NULL CHECK (earned >= 0) /* what the lots of the kind hold */,
                      charged INTEGER NOT NULL /* net of what went back for its money */, granted INTEGER NOT NULL, rewarded INTEGER NOT NULL /* by orders */, spent_paid INTEGER NOT NULL, spent_earned INTEGER NOT NULL /* gross: a restore does not lower it */, restored_paid INTEGER NOT NULL, restored_earned INTEGER NOT NULL, expired_paid INTEGER NOT NULL, expired_earned INTEGER NOT NULL, clawed INTEGER NOT NULL /* net of what was given again */,
                      postings INTEGER NOT NULL /* ledger postings of expiries: entry.source = user_id, entry.seq runs 1..postings */, armed INTEGER /* as point_timer.next_at */, version INTEGER NOT NULL,
                      CHECK (charged + restored_paid = paid + spent_paid + expired_paid),
                      CHECK (granted + rewarded + restored_earned = earned + spent_earned + expired_earned + clawed),
                      CHECK (charged >= 0 AND granted >= 0 AND rewarded >= 0 AND clawed >= 0 AND expired_paid >= 0 AND expired_earned >= 0),
                      CHECK (restored_paid BETWEEN 0 AND spent_paid AND restored_earned BETWEEN 0 AND spent_earned));
CREATE TABLE point_timer (user_id INTEGER PRIMARY KEY, next_at INTEGER, version INTEGER NOT NULL); -- its own row: an index of due accounts would cost nearly every order a page
CREATE INDEX point_timer_due ON point_timer (next_at) WHERE next_at IS NOT NULL;
CREATE TABLE point_credit (id INTEGER PRIMARY KEY /* kind 2: payment; kind 1: grant */, user_id INTEGER NOT NULL, kind INTEGER NOT NULL CHECK (kind IN (1,2)), amount INTEGER NOT NULL CHECK (amount > 0), until INTEGER, balance INTEGER NOT NULL /* after it */, at INTEGER NOT NULL, reason TEXT NOT NULL, refunds TEXT NOT NULL /* of a charge: JSON [[refund id,points,state 1 HELD 2 RETURNED 3 GIVEN,points that were spent when the money went back],…] */, version INTEGER NOT NULL);
CREATE TABLE point_use (order_id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL, state INTEGER NOT NULL CHECK (state IN (1,2,3)) /* 1 NONE 2 SPENT 3 RESTORED (also the tombstone, parts '[]') */, parts TEXT NOT NULL /* JSON [[kind,end,points],…] in the order of spending */, restores TEXT NOT NULL /* JSON [[refund no, 0 = undo of the rest,paid,earned],…] */,
                      earned INTEGER NOT NULL CHECK (earned >= 0) /* ledger: source = order_id, seq 1000000 */, until INTEGER /* end of what was earned */, claws TEXT NOT NULL /* JSON [[refund no,asked,taken,gone,undone 0|1],…]; ledger: seq 2000000 + no, undone 3000000 + no */, version INTEGER NOT NULL);
-- engine: what has been trimmed. Events up to shard.trimmed are gone; requests up to shard.purged have only their operation, resource and time (key '' and body empty).
ALTER TABLE shard ADD COLUMN trimmed INTEGER NOT NULL DEFAULT 0 CHECK (trimmed BETWEEN 0 AND events);
ALTER TABLE shard ADD COLUMN purged INTEGER NOT NULL DEFAULT 0 CHECK (purged BETWEEN 0 AND requests);
-- coupon
CREATE TABLE campaign (id INTEGER PRIMARY KEY, name TEXT NOT NULL, kind INTEGER NOT NULL CHECK (kind IN (1,2)) /* 1 FIXED 2 PERCENT */, value INTEGER NOT NULL CHECK (value > 0) /* minor units, or basis points */, cap INTEGER /* of a percentage, minor units */, currency TEXT NOT NULL, minimum INTEGER NOT NULL CHECK (minimum >= 0),
                       starts INTEGER NOT NULL, ends INTEGER NOT NULL /* of the issue; before it */, valid_until INTEGER, valid_for INTEGER /* after the issue, microseconds; one of the two is null */, per_user INTEGER NOT NULL, total INTEGER NOT NULL CHECK (total >= 1), funding INTEGER NOT NULL CHECK (funding IN (1,2)) /* 1 PLATFORM 2 MERCHANT */, scope TEXT /* the one merchant whose goods it counts for */,
                       issued INTEGER NOT NULL CHECK (issued <= total), used INTEGER NOT NULL CHECK (used >= 0), free INTEGER NOT NULL CHECK (free >= 0), expired INTEGER NOT NULL CHECK (expired >= 0), revoked INTEGER NOT NULL CHECK (revoked >= 0),
                       ended_at INTEGER, swept INTEGER NOT NULL CHECK (swept BETWEEN 0 AND issued) /* the coupons up to this position have been looked at after their time */, at INTEGER NOT NULL, next_at INTEGER /* when the coupon after swept ends */, version INTEGER NOT NULL,
                       CHECK (issued = used + free + expired + revoked), CHECK ((valid_until IS NULL) <> (valid_for IS NULL)), CHECK (funding = 1 OR scope IS NOT NULL));
CREATE TABLE user_coupon (id INTEGER PRIMARY KEY, campaign INTEGER NOT NULL, user_id INTEGER NOT NULL, position INTEGER NOT NULL CHECK (position >= 1), state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 4) /* 1 FREE 2 USED 3 EXPIRED 4 REVOKED */, order_id INTEGER /* that uses it */, discount INTEGER NOT NULL CHECK (discount >= 0) /* what that order saves */, undone TEXT NOT NULL /* JSON [order id,…] that gave it back or will never get it; the latest 64 */, issued_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, reason TEXT /* of a revocation */, version INTEGER NOT NULL,
                          CHECK ((state = 2) = (order_id IS NOT NULL)), CHECK ((state = 2) = (discount > 0)));
CREATE TABLE coupon_holder (campaign INTEGER NOT NULL, user_id INTEGER NOT NULL, held INTEGER NOT NULL, most INTEGER NOT NULL /* campaign.per_user */, version INTEGER NOT NULL, PRIMARY KEY (campaign, user_id), CHECK (held BETWEEN 1 AND most)) WITHOUT ROWID;
CREATE TABLE coupon_issue (campaign INTEGER NOT NULL, position INTEGER NOT NULL CHECK (position >= 1), coupon INTEGER NOT NULL, user_id INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (campaign, position)) WITHOUT ROWID;
CREATE INDEX campaign_due ON campaign (next_at) WHERE next_at IS NOT NULL;
-- catalog
CREATE TABLE category (id INTEGER PRIMARY KEY /* first 8 bytes of SHA-256(parent as 8 bytes big-endian, 0 for a root; code), top bit cleared */, parent INTEGER /* null: a root */, code TEXT NOT NULL CHECK (code <> '') /* unique below its parent, never changes */, name TEXT NOT NULL, depth INTEGER NOT NULL CHECK (depth BETWEEN 1 AND 5), version INTEGER NOT NULL);
ALTER TABLE product ADD COLUMN description TEXT NOT NULL DEFAULT '';
ALTER TABLE product ADD COLUMN category INTEGER /* null: in none */;
ALTER TABLE product ADD COLUMN options TEXT NOT NULL DEFAULT '[]' /* JSON [["option",["value",…]],…] */;
ALTER TABLE product ADD COLUMN choices TEXT NOT NULL DEFAULT '[]' /* JSON [[value number for each option],…], one for each SKU; [] without options */;
ALTER TABLE sku ADD COLUMN code TEXT /* what its merchant calls it */;
ALTER TABLE sku ADD COLUMN planned TEXT NOT NULL DEFAULT '[]' /* JSON [[from,price],…] by moment: prices to come */;
ALTER TABLE sku ADD COLUMN next_at INTEGER /* when the first of them is due */;
CREATE TABLE price (sku INTEGER NOT NULL, no INTEGER NOT NULL /* price_version */, since INTEGER NOT NULL /* 0: from before histories were kept */, amount INTEGER NOT NULL CHECK (amount >= 0), PRIMARY KEY (sku, no)) WITHOUT ROWID; -- what a SKU has cost; never changed
INSERT INTO price SELECT id, price_version, 0, price FROM sku;
CREATE INDEX sku_due ON sku (next_at) WHERE next_at IS NOT NULL;
CREATE TABLE sku_code (id INTEGER PRIMARY KEY /* first 8 bytes of SHA-256(merchant, 0x00, code), top bit cleared */, merchant TEXT NOT NULL, code TEXT NOT NULL, sku INTEGER NOT NULL, product INTEGER NOT NULL, version INTEGER NOT NULL); -- a merchant's code means one SKU
-- merchant: a sealed secret is hexadecimal of key id (1 byte) | nonce (12) | AES-256-GCM | tag (16), with "merchant.keys" 0x00 key id as associated data
CREATE TABLE merchant (id INTEGER PRIMARY KEY /* first 8 bytes of SHA-256(code), big-endian, top bit cleared */, code TEXT NOT NULL CHECK (code <> ''), name TEXT NOT NULL CHECK (name <> ''), state INTEGER NOT NULL CHECK (state IN (1,2)) /* 1 ACTIVE 2 SUSPENDED */,
                      keys TEXT NOT NULL /* JSON [[id,legacy 0|1,made at,revoked at|0,"sealed secret, empty once revoked"],…] oldest first, two live at most */,
                      fees TEXT NOT NULL /* JSON [[from,to|0,rate bp,fixed,vat bp],…] in order of time */, at INTEGER NOT NULL, version INTEGER NOT NULL);
-- order: coupon, points, what the buyer expects to pay by card, what the order earns, what was sent. All null or 0 for an order without.
-- A refund in `refunds` is [no,state,card,[[line,from,quantity],…],restock,"reason",paid,earned,clawed,deducted,owed]; states 8 CLAWING 9 UNCLAWING; owed 1 stock 2 points 4 coupon 8 un-claw.
ALTER TABLE orders ADD COLUMN coupon_id INTEGER;
ALTER TABLE orders ADD COLUMN coupon_step INTEGER NOT NULL DEFAULT 0 /* as stock_step */;
ALTER TABLE orders ADD COLUMN discount INTEGER NOT NULL DEFAULT 0 CHECK (discount >= 0 AND discount <= total);
ALTER TABLE orders ADD COLUMN coupon_scope TEXT /* the one merchant whose goods the coupon is for */;
ALTER TABLE orders ADD COLUMN coupon_funding INTEGER NOT NULL DEFAULT 0 /* 0 by the platform 1 by the merchant */;
ALTER TABLE orders ADD COLUMN points INTEGER NOT NULL DEFAULT 0 /* wanted */;
ALTER TABLE orders ADD COLUMN point_step INTEGER NOT NULL DEFAULT 0;
ALTER TABLE orders ADD COLUMN points_paid INTEGER NOT NULL DEFAULT 0;
ALTER TABLE orders ADD COLUMN points_earned INTEGER NOT NULL DEFAULT 0 CHECK (state NOT IN (3, 4, 5, 6, 8) OR discount + points_paid + points_earned <= total);
ALTER TABLE orders ADD COLUMN expects INTEGER /* by card, as the buyer has it */;
ALTER TABLE orders ADD COLUMN earn_step INTEGER NOT NULL DEFAULT 0;
ALTER TABLE orders ADD COLUMN earn_bp INTEGER NOT NULL DEFAULT 0 /* hundredths of a percent of what the card pays */;
ALTER TABLE orders ADD COLUMN earned INTEGER NOT NULL DEFAULT 0 /* points that the order earns */;
ALTER TABLE orders ADD COLUMN shipments TEXT /* null, or JSON [[no,[[line,from,quantity],…],"carrier","tracking",left at,arrived at|0],…] */;
-- user: columns called sealed are key id (1 byte) | nonce (12) | AES-256-GCM | tag (16), with "users.COLUMN" 0x00 id as associated data
CREATE TABLE users   (id INTEGER PRIMARY KEY, state INTEGER NOT NULL CHECK (state IN (1,2)) /* 1 ACTIVE 2 DEACTIVATED */,
                      index_high INTEGER NOT NULL, index_low INTEGER NOT NULL /* blind index of the e-mail address: 16 bytes of HMAC-SHA-256, big-endian */,
                      email BLOB NOT NULL /* sealed */, name BLOB NOT NULL /* sealed */, phone BLOB /* sealed */, address BLOB /* sealed */, password BLOB NOT NULL /* sealed Argon2id hash */,
                      generation INTEGER NOT NULL CHECK (generation >= 0) /* of sessions: rises with each new password */, barred INTEGER NOT NULL CHECK (barred IN (0, 1) AND (barred = 1) = (state = 2 OR generation > 0)),
                      failures INTEGER NOT NULL CHECK (failures BETWEEN 0 AND 4), locked_until INTEGER, created_at INTEGER NOT NULL, changed_at INTEGER NOT NULL, version INTEGER NOT NULL);
CREATE INDEX users_barred ON users (id) WHERE barred = 1;
CREATE TABLE user_email (index_high INTEGER NOT NULL, index_low INTEGER NOT NULL, user INTEGER /* null: given up */, version INTEGER NOT NULL, PRIMARY KEY (index_high, index_low)) WITHOUT ROWID;
