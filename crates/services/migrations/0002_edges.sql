-- Lists: the few rows that an operator looks for. Each index holds only those.
CREATE INDEX payment_unknown ON payment (id) WHERE state = 9;
CREATE INDEX orders_stuck ON orders (id) WHERE state = 10;
