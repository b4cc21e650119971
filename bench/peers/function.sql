-- The same order as one stored function: one round trip.
\set product random(1, :products)
\set buyer random(1, 100000)
\set quantity random(1, 3)
\set key random(1, 9000000000000000000)
select place_order(:buyer, :product, :quantity, :key);
