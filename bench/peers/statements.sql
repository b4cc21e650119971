-- One order, statement by statement: 11 statements, 13 round trips with begin and commit.
-- Variable `products`: how many are sold (1: everybody wants the same).
\set product random(1, :products)
\set buyer random(1, 100000)
\set quantity random(1, 3)
\set key random(1, 9000000000000000000)
begin;
select price as unit from product where id = :product for update \gset
update product set stock = stock - 2 * :quantity where id = :product;
\set total 2 * :quantity * :unit
\set pay :total - 100
insert into orders (user_id, key, total, state) values (:buyer, :key, :total, 'PAID')
  returning id as made \gset
insert into line values (:made, 1, :product, :quantity, :unit);
insert into line values (:made, 2, :product, :quantity, :unit);
update coupon set uses = uses + 1 where user_id = :buyer;
update points set balance = balance - 100 where user_id = :buyer;
insert into payment (order_id, key, amount, state) values (:made, :key, :pay, 'CAPTURED')
  returning id as paid \gset
insert into ledger (payment_id, account, debit, credit) values (:paid, 'psp.receivable', :pay, 0);
insert into ledger (payment_id, account, debit, credit) values (:paid, 'merchant.payable', 0, :pay);
insert into outbox (topic, payload) values ('order.completed',
  jsonb_build_object('order', :made::bigint, 'user', :buyer::bigint, 'total', :total::bigint));
commit;
