//! Errors: code, place and words are PostgreSQL 15's.

use super::support::Session;

#[test]
fn errors_are_postgres() {
    let mut session = Session::with_tables();
    session
        .run("CREATE VIEW v AS SELECT a, b FROM t; CREATE MATERIALIZED VIEW mv AS SELECT a FROM t");
    let mut wrong = Vec::new();
    for (sql, expected) in [
        ("SELEC 1", "42601 1 syntax error at or near \"SELEC\""),
        ("SELECT 1 +", "42601 11 syntax error at end of input"),
        (
            "SELECT a FROM t WHERE",
            "42601 22 syntax error at end of input",
        ),
        (
            "SELECT 'abc",
            "42601 8 unterminated quoted string at or near \"'abc\"",
        ),
        ("SELECT zz FROM t", "42703 8 column \"zz\" does not exist"),
        ("SELECT t.zz FROM t", "42703 8 column t.zz does not exist"),
        (
            "SELECT q.a FROM t",
            "42P01 8 missing FROM-clause entry for table \"q\"",
        ),
        (
            "SELECT * FROM nope",
            "42P01 15 relation \"nope\" does not exist",
        ),
        (
            "SELECT * FROM s.nope",
            "42P01 15 relation \"s.nope\" does not exist",
        ),
        (
            "SELECT a FROM t, u",
            "42702 8 column reference \"a\" is ambiguous",
        ),
        (
            "SELECT 1 FROM t, t",
            "42712 - table name \"t\" specified more than once",
        ),
        (
            "SELECT nofunc(1)",
            "42883 8 function nofunc(integer) does not exist",
        ),
        (
            "SELECT 1 + true",
            "42883 10 operator does not exist: integer + boolean",
        ),
        (
            "SELECT a FROM t WHERE a",
            "42804 23 argument of WHERE must be type boolean, not type integer",
        ),
        (
            "SELECT 'x'::int",
            "22P02 8 invalid input syntax for type integer: \"x\"",
        ),
        (
            "SELECT a FROM t WHERE a = 'x'",
            "22P02 27 invalid input syntax for type integer: \"x\"",
        ),
        (
            "SELECT a, count(*) FROM t GROUP BY b",
            "42803 8 column \"t.a\" must appear in the GROUP BY clause or be used in an aggregate function",
        ),
        (
            "SELECT a FROM t WHERE count(*) > 1",
            "42803 23 aggregate functions are not allowed in WHERE",
        ),
        (
            "SELECT sum(count(*)) FROM t",
            "42803 12 aggregate function calls cannot be nested",
        ),
        (
            "SELECT a FROM t WHERE row_number() OVER () = 1",
            "42P20 23 window functions are not allowed in WHERE",
        ),
        (
            "SELECT a FROM t ORDER BY 5",
            "42P10 26 ORDER BY position 5 is not in select list",
        ),
        (
            "SELECT 1 UNION SELECT 1, 2",
            "42601 23 each UNION query must have the same number of columns",
        ),
        (
            "SELECT 1 UNION SELECT true",
            "42804 23 UNION types integer and boolean cannot be matched",
        ),
        (
            "SELECT (SELECT 1, 2)",
            "42601 8 subquery must return only one column",
        ),
        (
            "SELECT CASE WHEN 1 THEN 2 END",
            "42804 18 argument of CASE/WHEN must be type boolean, not type integer",
        ),
        (
            "SELECT DISTINCT b FROM t ORDER BY a",
            "42P10 35 for SELECT DISTINCT, ORDER BY expressions must appear in select list",
        ),
        (
            "SELECT DISTINCT ON (b) a FROM t ORDER BY a",
            "42P10 21 SELECT DISTINCT ON expressions must match initial ORDER BY expressions",
        ),
        (
            "SELECT * FROM (SELECT 1)",
            "42601 - subquery in FROM must have an alias",
        ),
        ("SELECT 1::nope", "42704 11 type \"nope\" does not exist"),
        ("SELECT $0", "42P02 8 there is no parameter $0"),
        (
            "WITH w AS (SELECT 1), w AS (SELECT 2) SELECT 1",
            "42712 23 WITH query name \"w\" specified more than once",
        ),
        (
            "WITH RECURSIVE w AS (SELECT 1) SELECT 1",
            "0A000 1 WITH RECURSIVE is not supported",
        ),
        (
            "INSERT INTO t VALUES (true)",
            "42804 23 column \"a\" is of type integer but expression is of type boolean",
        ),
        (
            "INSERT INTO t (a) VALUES (1, 2)",
            "42601 30 INSERT has more expressions than target columns",
        ),
        (
            "INSERT INTO t (a, b) VALUES (1)",
            "42601 19 INSERT has more target columns than expressions",
        ),
        (
            "INSERT INTO t (a, a) VALUES (1, 2)",
            "42701 19 column \"a\" specified more than once",
        ),
        (
            "INSERT INTO t (zz) VALUES (1)",
            "42703 16 column \"zz\" of relation \"t\" does not exist",
        ),
        (
            "INSERT INTO v VALUES (1)",
            "55000 - cannot insert into view \"v\"",
        ),
        (
            "INSERT INTO mv VALUES (1)",
            "42809 - cannot change materialized view \"mv\"",
        ),
        (
            "INSERT INTO u (x) VALUES (1) ON CONFLICT (a) DO NOTHING",
            "42P10 - there is no unique or exclusion constraint matching the ON CONFLICT specification",
        ),
        (
            "UPDATE t SET zz = 1",
            "42703 14 column \"zz\" of relation \"t\" does not exist",
        ),
        (
            "UPDATE t SET a = 'x'",
            "22P02 18 invalid input syntax for type integer: \"x\"",
        ),
        (
            "UPDATE log SET id = 1",
            "42809 - cannot update append-only table \"log\"",
        ),
        (
            "DELETE FROM log",
            "42809 - cannot delete from append-only table \"log\"",
        ),
        ("DROP TABLE nope", "42P01 - table \"nope\" does not exist"),
        ("DROP TABLE v", "42809 - \"v\" is not a table"),
        ("DROP VIEW t", "42809 - \"t\" is not a view"),
        (
            "DROP TABLE t",
            "2BP01 - cannot drop table t because other objects depend on it",
        ),
        (
            "CREATE TABLE x (a int, a int)",
            "42701 24 column \"a\" specified more than once",
        ),
        (
            "CREATE TABLE x (a serial)",
            "0A000 19 type serial is not supported",
        ),
        (
            "CREATE TABLE x (a int REFERENCES t)",
            "0A000 - a FOREIGN KEY constraint is not supported",
        ),
        (
            "CREATE TABLE x (a int PRIMARY KEY, b int PRIMARY KEY)",
            "42P16 - multiple primary keys for table \"x\" are not allowed",
        ),
        (
            "CREATE TABLE x (a int DEFAULT b)",
            "0A000 31 cannot use column reference in DEFAULT expression",
        ),
        (
            "CREATE VIEW x AS SELECT 1 AS a, 2 AS a",
            "42701 - column \"a\" specified more than once",
        ),
        (
            "CREATE TEMP TABLE x (a int)",
            "0A000 8 a temporary relation is not supported",
        ),
        (
            "CREATE MATERIALIZED VIEW x AS SELECT a FROM t WITH NO DATA",
            "0A000 47 WITH NO DATA is not supported",
        ),
        (
            "CREATE MATERIALIZED VIEW x AS SELECT now()",
            "0A000 38 the stable function now() in a maintained view is not supported",
        ),
        (
            "SELECT sum(a) OVER (ORDER BY a ROWS CURRENT ROW EXCLUDE TIES) FROM t",
            "0A000 49 EXCLUDE TIES in a window frame is not supported",
        ),
        (
            "SELECT a FROM t GROUP BY ROLLUP (a)",
            "0A000 34 ROLLUP is not supported",
        ),
        (
            "SELECT a FROM t FOR UPDATE",
            "0A000 - FOR UPDATE is not supported",
        ),
        (
            "SELECT b COLLATE \"de_DE\" FROM t",
            "0A000 18 collation \"de_DE\" is not supported",
        ),
        (
            "REFRESH MATERIALIZED VIEW mv",
            "0A000 1 REFRESH is not supported",
        ),
        (
            "COPY t FROM '/tmp/x'",
            "0A000 13 COPY with a file of the server is not supported",
        ),
        (
            "COPY t TO STDOUT (FORMAT binary)",
            "0A000 19 COPY with FORMAT binary is not supported",
        ),
    ] {
        let found = match session.plan(sql) {
            Ok(_) => "planned".to_string(),
            Err(_) => session.refused(sql),
        };
        if found != expected {
            wrong.push(format!("{sql}\n  found    {found}\n  expected {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn hints_and_details_say_what_to_do() {
    let mut session = Session::with_tables();
    session.run("CREATE VIEW v AS SELECT a, b FROM t; CREATE VIEW w AS SELECT a FROM v");
    let hint = |sql: &str| session.error(sql).hint.unwrap_or_default();
    assert_eq!(
        hint("SELECT aa FROM t"),
        "Perhaps you meant to reference the column \"t.a\"."
    );
    assert_eq!(
        hint("INSERT INTO t VALUES (true)"),
        "You will need to rewrite or cast the expression."
    );
    let dropped = session.error("DROP TABLE t");
    assert_eq!(
        dropped.detail.as_deref(),
        Some("view v depends on table t\nview w depends on view v")
    );
    assert_eq!(
        dropped.hint.as_deref(),
        Some("Use DROP ... CASCADE to drop the dependent objects too.")
    );
    assert_eq!(hint("DROP TABLE v"), "Use DROP VIEW to remove a view.");
}
