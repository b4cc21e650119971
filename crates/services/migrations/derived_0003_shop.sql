-- Projections of a whole shop.

-- point
CREATE TABLE point_history (user_id INTEGER NOT NULL, n INTEGER NOT NULL /* event << 16 | place among its movements */, at INTEGER NOT NULL, what INTEGER NOT NULL, about INTEGER NOT NULL /* order, grant or payment; 0: time */, paid INTEGER NOT NULL, earned INTEGER NOT NULL, balance INTEGER NOT NULL, PRIMARY KEY (user_id, n)) WITHOUT ROWID;
-- coupon
CREATE TABLE coupon_of_user (user_id INTEGER NOT NULL, coupon_id INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (user_id, coupon_id)) WITHOUT ROWID;
