-- What a whole shop needs: users, merchants, campaigns, coupons, points. Times are microseconds
-- since the Unix epoch, amounts are minor units, packed columns are JSON arrays.

-- payment: `split` and the parts of a refund are [["merchant",card],…] or [["merchant",card,paid points,earned points,coupon],…];
-- a refund has a ninth value, what was deducted for earned points that are spent, unless it is 0.
ALTER TABLE payment ADD COLUMN points_of INTEGER /* the user whose points it buys; null: a sale */;
