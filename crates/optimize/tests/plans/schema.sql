CREATE TABLE users (
    id integer PRIMARY KEY,
    name text NOT NULL,
    city text,
    referrer integer
);
CREATE TABLE orders (
    id integer PRIMARY KEY,
    user_id integer NOT NULL,
    total numeric(10, 2),
    placed date NOT NULL,
    note text
);
CREATE TABLE items (
    order_id integer NOT NULL,
    line integer NOT NULL,
    sku text NOT NULL,
    quantity integer,
    PRIMARY KEY (order_id, line)
);
