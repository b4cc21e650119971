-- Projections of a whole shop.

-- point
CREATE TABLE point_history (user_id INTEGER NOT NULL, n INTEGER NOT NULL /* event << 16 | place among its movements */, at INTEGER NOT NULL, what INTEGER NOT NULL, about INTEGER NOT NULL /* order, grant or payment; 0: time */, paid INTEGER NOT NULL, earned INTEGER NOT NULL, balance INTEGER NOT NULL, PRIMARY KEY (user_id, n)) WITHOUT ROWID;
-- coupon
CREATE TABLE coupon_of_user (user_id INTEGER NOT NULL, coupon_id INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (user_id, coupon_id)) WITHOUT ROWID;

-- catalog: products as lists show them; filled by looking at the product again whenever it has changed
CREATE TABLE shelf (product INTEGER PRIMARY KEY, published INTEGER NOT NULL /* 0, 1 */, merchant INTEGER NOT NULL /* first 8 bytes of SHA-256 of its name, top bit cleared */, category INTEGER NOT NULL /* 0: in none */, currency TEXT NOT NULL, price INTEGER NOT NULL /* the lowest of its SKUs */, name TEXT NOT NULL /* folded */);
CREATE INDEX shelf_all ON shelf (published);
CREATE INDEX shelf_all_price ON shelf (published, currency, price);
CREATE INDEX shelf_all_name ON shelf (published, name);
CREATE INDEX shelf_merchant ON shelf (merchant, published);
CREATE INDEX shelf_merchant_price ON shelf (merchant, published, currency, price);
CREATE INDEX shelf_merchant_name ON shelf (merchant, published, name);
CREATE INDEX shelf_category ON shelf (category, published);
CREATE INDEX shelf_category_price ON shelf (category, published, currency, price);
CREATE INDEX shelf_category_name ON shelf (category, published, name);
CREATE TABLE category_child (parent INTEGER NOT NULL /* 0: a root */, id INTEGER NOT NULL, depth INTEGER NOT NULL, PRIMARY KEY (parent, id)) WITHOUT ROWID;
