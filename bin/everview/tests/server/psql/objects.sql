CREATE TABLE t (a int PRIMARY KEY, b text NOT NULL DEFAULT 'x');
CREATE SCHEMA s;
CREATE TABLE s.orders (
  id bigint PRIMARY KEY,
  customer varchar(20) NOT NULL,
  code char(3) DEFAULT 'abc',
  price numeric(10,2) DEFAULT 0 CHECK (price >= 0),
  quantity int NOT NULL DEFAULT 1,
  placed timestamptz NOT NULL DEFAULT now(),
  due date DEFAULT '2024-01-01',
  tags text[] DEFAULT '{}',
  note jsonb,
  rate double precision DEFAULT 1.5,
  ok boolean DEFAULT true,
  span interval DEFAULT '1 day',
  ref uuid,
  raw bytea,
  UNIQUE (customer, placed),
  CONSTRAINT positive CHECK (quantity > 0 AND quantity < 1000),
  CONSTRAINT known CHECK (code IN ('abc', 'def') OR code IS NULL),
  CHECK (length(customer) > 1)
);
COMMENT ON TABLE s.orders IS 'what was ordered';
COMMENT ON COLUMN s.orders.price IS 'of one piece';
COMMENT ON SCHEMA s IS 'sales';
CREATE TABLE "Odd Name" ("Group" int, "select" text, UNIQUE ("Group"));
CREATE VIEW w AS SELECT a FROM t;
CREATE VIEW wide AS SELECT o.id, o.customer, sum(o.price * o.quantity) AS total, count(*) FILTER (WHERE o.ok) AS good FROM s.orders o LEFT JOIN t ON t.a = o.id WHERE o.price > 1 AND o.customer <> 'nobody' GROUP BY o.id, o.customer HAVING count(*) > 0 ORDER BY o.id LIMIT 10;
COMMENT ON VIEW w IS 'just a';
CREATE MATERIALIZED VIEW m AS SELECT b, count(*) AS n FROM t GROUP BY b;
CREATE INDEX i ON t (b);
CREATE INDEX lowered ON t (lower(b), a);
CREATE INDEX mi ON m (n);
COMMENT ON INDEX i IS 'by b';
CREATE VIEW v_star AS SELECT * FROM t;
CREATE VIEW v_alias AS SELECT x.a AS first, x.b AS other, 'lit' AS l, 5 AS n, NULL AS nothing FROM t AS x;
CREATE VIEW v_case AS SELECT a, CASE WHEN a > 1 THEN 'big' WHEN b = 'x' THEN 'x' ELSE 'small' END AS size FROM t;
CREATE VIEW v_join AS SELECT a, t.b, u.b AS other FROM t LEFT JOIN t u USING (a) WHERE u.b IS NOT NULL;
CREATE VIEW v_inner AS SELECT t.a, o.customer FROM t INNER JOIN s.orders o ON o.id = t.a CROSS JOIN t u, t v WHERE u.a = v.a;
CREATE VIEW v_union AS SELECT a FROM t UNION ALL SELECT quantity FROM s.orders UNION SELECT 3;
CREATE VIEW v_except AS SELECT a FROM t EXCEPT (SELECT 1 INTERSECT SELECT 2) ORDER BY 1 DESC LIMIT 3 OFFSET 1;
CREATE VIEW v_with AS WITH x AS (SELECT a, count(*) AS n FROM t GROUP BY 1), y AS (SELECT * FROM x) SELECT y.n FROM y WHERE y.a > 0;
CREATE VIEW v_sub AS SELECT a FROM t WHERE a = (SELECT max(quantity) FROM s.orders WHERE t.a = id) OR a IN (SELECT id FROM s.orders) OR NOT EXISTS (SELECT 1 FROM s.orders);
CREATE VIEW v_from AS SELECT z.total * 2 AS twice FROM (SELECT sum(price) AS total FROM s.orders GROUP BY customer) z WHERE z.total IS NOT NULL;
CREATE VIEW v_expr AS SELECT (a + 1) * 2 - a % 3 AS e1, -a AS e2, NOT (a > 1 AND a < 5 OR a = 9) AS e3, a BETWEEN 1 AND 3 AS e4, b LIKE 'x%' AS e5, b NOT ILIKE '%y' AS e6, a NOT IN (1, 2) AS e7, coalesce(b, 'none') AS e8, nullif(a, 0) AS e9, a::text || b AS e10, CAST(b AS varchar(5)) AS e11, -5 AS e12, 1.50 AS e13, a IS DISTINCT FROM 3 AS e14, greatest(a, 7) AS e15 FROM t;
CREATE VIEW v_time AS SELECT placed AT TIME ZONE 'UTC' AS local, extract(year FROM placed) AS y, date_trunc('day', placed) AS d, due + 1 AS next, placed - interval '1 day' AS before, due = '2024-02-01' AS feb FROM s.orders;
CREATE VIEW v_agg AS SELECT customer, sum(DISTINCT quantity) AS s, string_agg(code, ',' ORDER BY id DESC) AS codes, count(*), avg(price) FROM s.orders WHERE ok GROUP BY customer ORDER BY count(*) DESC, customer NULLS FIRST;
CREATE VIEW v_window AS SELECT id, row_number() OVER (PARTITION BY customer ORDER BY placed DESC, id) AS r, sum(price) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS moving FROM s.orders;
CREATE VIEW v_distinct AS SELECT DISTINCT ON (customer) customer, placed FROM s.orders ORDER BY customer, placed DESC;
CREATE VIEW v_values AS SELECT v.n, v.t FROM (VALUES (1, 'a'), (2, 'b')) v(n, t);
CREATE VIEW v_named (one, two) AS SELECT a, lower(b) FROM t;
CREATE VIEW v_json AS SELECT note ->> 'k' AS k, tags[1] AS first, ARRAY[quantity, 2] AS pair, quantity = ANY (ARRAY[1, 2]) AS found FROM s.orders;
INSERT INTO t VALUES (1), (2);
