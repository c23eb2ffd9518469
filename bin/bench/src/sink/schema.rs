//! What is written where.

use super::Failure;
use crate::postgres::Postgres;
use crate::session::Session;

/// The role that sinks connect as, and what it proves itself with: neither may be found in a log.
pub const ROLE: &str = "sinker";
/// Its password.
pub const PASSWORD: &str = "c0rrect-h0rse";

/// Sinks: name, the view's rows here, and what the target's rows there come to.
pub const SINKS: [(&str, &str, &str); 4] = [
    (
        "by_id",
        "SELECT id, region, balance FROM account",
        "SELECT id, region, balance FROM account",
    ),
    (
        "by_region",
        "SELECT region, n, total FROM region",
        "SELECT region, n, total FROM region",
    ),
    (
        "changes",
        "SELECT region, n, total FROM region",
        "SELECT region, n, total FROM changes GROUP BY region, n, total HAVING sum(everview_diff) <> 0",
    ),
    (
        "all_types",
        "SELECT * FROM types",
        "SELECT * FROM target.\"Types\"",
    ),
];

const HERE: &str = r#"
    CREATE TABLE account (id int PRIMARY KEY, region text, balance numeric(12,2) NOT NULL);
    CREATE MATERIALIZED VIEW region AS
        SELECT region, count(*) AS n, sum(balance) AS total FROM account GROUP BY region;
    CREATE TABLE types (
        k numeric PRIMARY KEY, b boolean, i2 smallint, i8 bigint, f4 real, f8 double precision, t text, v varchar(20),
        c char(5), y bytea, d date, ts timestamp, tz timestamptz, iv interval, u uuid, j jsonb, a int[], ta text[]
    );
    INSERT INTO account SELECT n, CASE n % 7 WHEN 0 THEN NULL ELSE 'r' || n % 7 END, n * 1.5 FROM generate_series(1, 5000) AS n;
    INSERT INTO types VALUES
        (1.00, true, -1, 9223372036854775807, 1.5, 'NaN', E'tab\tline\nback\\slash \\N \\. é', 'x', 'ab', '\xdeadbeef',
         '2026-11-24', '2026-11-24 01:02:03.456789', '2026-11-24 01:02:03+05', '1 mon 2 days 03:04:05', 
         'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"a": [1, "x\\y"]}', '{1,NULL,3}', ARRAY['a,b', NULL, E'q"\\', '']),
        (2, NULL, NULL, NULL, 'Infinity', '-0', '', '', '', '', NULL, 'infinity', NULL, NULL, NULL, 'null', '{}', NULL);
"#;

/// Makes tables, views and sinks.
pub async fn create(
    source: &Session,
    target: &Session,
    postgres: &Postgres,
) -> Result<(), Failure> {
    source.run(HERE).await?;
    postgres.require_password(ROLE)?;
    let role = format!(
        "CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'; GRANT CREATE ON SCHEMA public TO {ROLE}; \
         CREATE SCHEMA target AUTHORIZATION {ROLE}; SELECT pg_reload_conf()"
    );
    target.run(&role).await?;
    source
        .run(&format!("CREATE SECRET pw AS '{PASSWORD}'"))
        .await?;
    source
        .run(&connection("pg", postgres, "PASSWORD SECRET pw"))
        .await?;
    source
        .run(
            "CREATE SINK by_id FROM account INTO POSTGRES (CONNECTION pg, TABLE account, KEY (id));
             CREATE SINK by_region FROM region INTO POSTGRES (CONNECTION pg, TABLE region, KEY (region));
             CREATE SINK changes FROM region INTO POSTGRES (CONNECTION pg, TABLE changes);
             CREATE SINK all_types FROM types INTO POSTGRES (CONNECTION pg, TABLE target.\"Types\", KEY (k))",
        )
        .await?;
    Ok(())
}

/// A statement that makes a connection.
pub fn connection(name: &str, postgres: &Postgres, password: &str) -> String {
    format!(
        "CREATE CONNECTION {name} TO POSTGRES (HOST '127.0.0.1', PORT {}, DATABASE 'postgres', USER '{ROLE}', {password})",
        postgres.port()
    )
}
