//! Materialized views follow their inputs.

use crate::harness::{Server, rows};

const SCHEMA: &str = "
    CREATE TABLE orders (id int PRIMARY KEY, customer int NOT NULL, amount numeric(10,2));
    CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL);
    CREATE MATERIALIZED VIEW spent AS
        SELECT c.name, count(o.id) AS orders, sum(o.amount) AS total, max(o.amount) AS most
        FROM customers c LEFT JOIN orders o ON o.customer = c.id GROUP BY c.name;
    CREATE MATERIALIZED VIEW idle AS
        SELECT name FROM customers c WHERE NOT EXISTS (SELECT FROM orders o WHERE o.customer = c.id);
    CREATE MATERIALIZED VIEW top AS
        SELECT DISTINCT ON (customer) customer, id, amount FROM orders ORDER BY customer, amount DESC, id;
";

#[test]
fn views_change_with_every_commit() {
    for workers in [1, 2] {
        let server = Server::with_workers(workers);
        let mut client = server.connect();
        client.query(SCHEMA);
        client.query("INSERT INTO customers VALUES (1, 'ann'), (2, 'bob')");
        assert_eq!(
            client.query("SELECT * FROM idle ORDER BY 1"),
            rows(&[&["ann"], &["bob"]])
        );
        client.query("INSERT INTO orders VALUES (1, 1, 10.50), (2, 1, 4.25), (3, 2, 7)");
        assert_eq!(
            client.query("SELECT * FROM spent ORDER BY name"),
            rows(&[
                &["ann", "2", "14.75", "10.50"],
                &["bob", "1", "7.00", "7.00"]
            ])
        );
        assert_eq!(client.query("SELECT * FROM idle"), rows(&[]));
        assert_eq!(
            client.query("SELECT * FROM top ORDER BY customer"),
            rows(&[&["1", "1", "10.50"], &["2", "3", "7.00"]])
        );
        client.query("DELETE FROM orders WHERE id IN (1, 3)");
        assert_eq!(
            client.query("SELECT * FROM spent ORDER BY name"),
            rows(&[&["ann", "1", "4.25", "4.25"], &["bob", "0", "NULL", "NULL"]])
        );
        assert_eq!(client.query("SELECT * FROM idle"), rows(&[&["bob"]]));
        assert_eq!(
            client.query("SELECT * FROM top"),
            rows(&[&["1", "2", "4.25"]])
        );
    }
}

#[test]
fn an_error_in_a_view_heals_when_its_row_goes() {
    let server = Server::start();
    let mut client = server.connect();
    client.query("CREATE TABLE t (a int PRIMARY KEY, b int)");
    client.query("CREATE MATERIALIZED VIEW v AS SELECT a, 10 / b AS q FROM t");
    client.query("INSERT INTO t VALUES (1, 5), (2, 0)");
    assert_eq!(client.error("SELECT * FROM v").0, "22012");
    assert_eq!(client.query("SELECT q FROM v WHERE a = 1"), rows(&[&["2"]]));
    client.query("DELETE FROM t WHERE a = 2");
    assert_eq!(client.query("SELECT * FROM v"), rows(&[&["1", "2"]]));
}

#[test]
fn views_read_views_and_dropping_needs_cascade() {
    let server = Server::start();
    let mut client = server.connect();
    client.query("CREATE TABLE t (a int)");
    client.query("CREATE VIEW doubled AS SELECT a * 2 AS b FROM t");
    client.query("CREATE MATERIALIZED VIEW total AS SELECT sum(b) AS s FROM doubled");
    client.query("CREATE MATERIALIZED VIEW half AS SELECT s / 2 AS h FROM total");
    client.query("INSERT INTO t VALUES (1), (2)");
    assert_eq!(client.query("SELECT h::int FROM half"), rows(&[&["3"]]));
    assert_eq!(client.error("DROP TABLE t").0, "2BP01");
    client.query("DROP TABLE t CASCADE");
    assert_eq!(client.error("SELECT * FROM half").0, "42P01");
}
