-- The tables of a shop as a good engineer writes them by hand: what a single order touches, with the
-- constraints that keep it honest, and no index beyond those.
create table product (
  id bigint primary key,
  price bigint not null,
  stock bigint not null check (stock >= 0)
);

create table coupon (
  user_id bigint primary key,
  uses bigint not null default 0
);

create table points (
  user_id bigint primary key,
  balance bigint not null check (balance >= 0)
);

create table orders (
  id bigint generated always as identity primary key,
  user_id bigint not null,
  key bigint not null unique,
  total bigint not null,
  state text not null,
  created_at timestamptz not null default now()
);

create table line (
  order_id bigint not null references orders,
  no int not null,
  product_id bigint not null,
  quantity bigint not null,
  price bigint not null,
  primary key (order_id, no)
);

create table payment (
  id bigint generated always as identity primary key,
  order_id bigint not null unique references orders,
  key bigint not null unique,
  amount bigint not null,
  state text not null
);

create table ledger (
  id bigint generated always as identity primary key,
  payment_id bigint not null,
  account text not null,
  debit bigint not null,
  credit bigint not null
);

create table outbox (
  id bigint generated always as identity primary key,
  topic text not null,
  payload jsonb not null
);

insert into product select n, 1000 + n % 90 * 100, 1000000000 from generate_series(1, 10000) n;
insert into coupon (user_id) select n from generate_series(1, 100000) n;
insert into points select n, 1000000000000 from generate_series(1, 100000) n;

-- The same order in one round trip. It refuses what the tables refuse, and rolls everything back.
create function place_order(buyer bigint, product bigint, quantity bigint, idempotency bigint)
returns bigint language plpgsql as $$
declare
  unit bigint;
  total bigint;
  made bigint;
  paid bigint;
begin
  select p.price into strict unit from product p where p.id = product for update;
  update product p set stock = p.stock - 2 * quantity where p.id = product;
  total := 2 * quantity * unit;
  insert into orders (user_id, key, total, state) values (buyer, idempotency, total, 'PAID')
    returning id into made;
  insert into line values (made, 1, product, quantity, unit), (made, 2, product, quantity, unit);
  update coupon c set uses = c.uses + 1 where c.user_id = buyer;
  update points p set balance = p.balance - 100 where p.user_id = buyer;
  insert into payment (order_id, key, amount, state)
    values (made, idempotency, total - 100, 'CAPTURED') returning id into paid;
  insert into ledger (payment_id, account, debit, credit) values
    (paid, 'psp.receivable', total - 100, 0), (paid, 'merchant.payable', 0, total - 100);
  insert into outbox (topic, payload)
    values ('order.completed', jsonb_build_object('order', made, 'user', buyer, 'total', total));
  return made;
end $$;

vacuum analyze;
