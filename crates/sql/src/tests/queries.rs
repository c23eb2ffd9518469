//! What queries give: names, types, nullability.

use super::support::Session;
use crate::plan::Plan;

fn columns(sql: &str) -> String {
    Session::with_tables().columns(sql)
}

#[test]
fn columns_are_named_and_typed_as_in_postgres() {
    for (sql, expected) in [
        ("SELECT 1", "?column?:integer"),
        ("SELECT 'x'", "?column?:text"),
        (
            "SELECT 1 AS one, 2.5, 10000000000",
            "one:integer ?column?:numeric ?column?:bigint",
        ),
        (
            "SELECT * FROM t",
            "a:integer b:text? c:numeric(10,2)? d:date?",
        ),
        (
            "SELECT t.* FROM t",
            "a:integer b:text? c:numeric(10,2)? d:date?",
        ),
        (
            "SELECT a + 1, upper(b) FROM t",
            "?column?:integer upper:text?",
        ),
        (
            "SELECT a::bigint, CAST(b AS varchar(3)) FROM t",
            "a:bigint b:character varying(3)?",
        ),
        ("SELECT date '2024-01-01', true", "date:date bool:boolean"),
        (
            "SELECT CASE WHEN a = 1 THEN 'x' ELSE b END FROM t",
            "b:text?",
        ),
        ("SELECT CASE WHEN true THEN 1 END", "case:integer?"),
        ("SELECT coalesce(b, 'x') FROM t", "coalesce:text"),
        (
            "SELECT count(*), sum(a), max(b), avg(a) FROM t",
            "count:bigint sum:bigint? max:text? avg:numeric?",
        ),
        (
            "SELECT a IS NULL AS n, b IS NOT NULL FROM t",
            "n:boolean ?column?:boolean",
        ),
        ("SELECT EXISTS (SELECT 1 FROM u)", "exists:boolean"),
        ("SELECT (SELECT x FROM u LIMIT 1)", "x:bigint?"),
        ("SELECT ARRAY[1, 2]", "array:integer[]"),
        ("SELECT ARRAY(SELECT a FROM t)", "array:integer[]"),
        ("SELECT z[1] FROM u", "z:text?"),
        ("SELECT 1 UNION SELECT 2.5", "?column?:numeric"),
        ("SELECT NULL UNION SELECT 2", "?column?:integer?"),
        (
            "VALUES (1, 'a'), (2, NULL)",
            "column1:integer column2:text?",
        ),
        (
            "SELECT extract(year FROM d), date_trunc('month', d) FROM t",
            "extract:numeric? date_trunc:timestamp with time zone?",
        ),
        (
            "SELECT interval '1' day, d + interval '1 day' FROM t",
            "interval:interval ?column?:timestamp without time zone?",
        ),
        (
            "SELECT row_number() OVER (ORDER BY a) FROM t",
            "row_number:bigint",
        ),
        (
            "SELECT rank() OVER w, sum(a) OVER w FROM t WINDOW w AS (PARTITION BY b ORDER BY a)",
            "rank:bigint sum:bigint?",
        ),
        ("SELECT -5, - 3.0", "?column?:integer ?column?:numeric"),
        ("SELECT x FROM generate_series(1, 3) AS x", "x:integer?"),
        ("SELECT generate_series(1, 3)", "generate_series:integer?"),
        ("TABLE t", "a:integer b:text? c:numeric(10,2)? d:date?"),
        (
            "SELECT 'a'\n'b', E'x\\ny', $$q$$",
            "?column?:text ?column?:text ?column?:text",
        ),
    ] {
        assert_eq!(columns(sql), expected, "{sql}");
    }
}

#[test]
fn joins_merge_and_expand_columns() {
    for (sql, expected) in [
        (
            "SELECT * FROM t JOIN u USING (a)",
            "a:integer b:text? c:numeric(10,2)? d:date? x:bigint y:double precision? z:text[]?",
        ),
        (
            "SELECT * FROM t NATURAL JOIN u",
            "a:integer b:text? c:numeric(10,2)? d:date? x:bigint y:double precision? z:text[]?",
        ),
        (
            "SELECT t.a, u.a FROM t LEFT JOIN u USING (a)",
            "a:integer a:integer?",
        ),
        ("SELECT a FROM t FULL JOIN u USING (a)", "a:integer?"),
        (
            "SELECT t.b, x FROM t LEFT JOIN u ON t.a = u.a",
            "b:text? x:bigint?",
        ),
        (
            "SELECT s.n FROM t, LATERAL (SELECT t.a + 1 AS n) s",
            "n:integer",
        ),
        (
            "SELECT * FROM (VALUES (1, 2)) v(p, q)",
            "p:integer q:integer",
        ),
        (
            "WITH w(n) AS (SELECT a FROM t) SELECT n FROM w",
            "n:integer",
        ),
        ("SELECT x FROM t, unnest(ARRAY[a, 2]) x", "x:integer?"),
        (
            "SELECT * FROM unnest(ARRAY['a']) WITH ORDINALITY AS q(v, n)",
            "v:text? n:bigint",
        ),
        ("SELECT (t).b FROM t", "b:text?"),
        ("SELECT public.t.a FROM public.t", "a:integer"),
    ] {
        assert_eq!(columns(sql), expected, "{sql}");
    }
}

#[test]
fn what_is_supported_is_planned() {
    let session = Session::with_tables();
    let mut refused = Vec::new();
    for sql in [
        "SELECT a, count(*) FROM t GROUP BY a HAVING count(*) > 1 ORDER BY 2 DESC, a LIMIT 5 OFFSET 1",
        "SELECT a, b FROM t GROUP BY a",
        "SELECT b AS k, sum(c) FROM t GROUP BY k ORDER BY sum(c)",
        "SELECT DISTINCT b FROM t ORDER BY b",
        "SELECT DISTINCT ON (b) b, a FROM t ORDER BY b, a DESC",
        "SELECT a FROM t WHERE a IN (SELECT a FROM u WHERE u.x = t.a)",
        "SELECT a FROM t WHERE (a, b) IN (SELECT a, 'x' FROM u)",
        "SELECT a FROM t WHERE (a, b) IN ((1, 'a'), (2, 'b'))",
        "SELECT a FROM t WHERE a > ALL (SELECT a FROM u) AND a = ANY (ARRAY[1, 2]) AND a = ANY ('{1,2}')",
        "SELECT a FROM t WHERE NOT EXISTS (SELECT FROM u WHERE u.a = t.a)",
        "SELECT a FROM t WHERE a BETWEEN SYMMETRIC 5 AND 1 OR b LIKE 'x%' ESCAPE '#' OR b NOT ILIKE '%y' OR b SIMILAR TO 'z+'",
        "SELECT a FROM t WHERE b IS DISTINCT FROM 'x' AND (a = 1) IS NOT TRUE AND (a, a) < (1, 2)",
        "SELECT a FROM t UNION ALL SELECT a FROM u INTERSECT SELECT 1 EXCEPT ALL SELECT 2 ORDER BY a",
        "SELECT sum(a) FILTER (WHERE b = 'x'), count(DISTINCT b), string_agg(b, ',' ORDER BY a), array_agg(a) FROM t",
        "SELECT a, sum(sum(c)) OVER (ORDER BY a ROWS BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE NO OTHERS) FROM t GROUP BY a",
        "SELECT lag(a, 1, 0) OVER (PARTITION BY b ORDER BY a) FROM t",
        "SELECT substring(b FROM 1 FOR 2), position('a' IN b), trim(both 'x' FROM b), overlay(b PLACING 'z' FROM 1), d::timestamp AT TIME ZONE 'UTC' FROM t",
        "SELECT b COLLATE \"C\" FROM t ORDER BY b COLLATE \"C\"",
        "SELECT a OPERATOR(pg_catalog.+) 1 FROM t",
        "SELECT a FROM t AS OF 123456789",
        "SELECT a FROM t ORDER BY a FETCH FIRST 3 ROWS ONLY",
        "SELECT nullif(a, 1), greatest(a, 2), least(1.5, a) FROM t",
        "SELECT u.z[1:2], z[:1], z[2:] FROM u",
        "CREATE INDEX ON t (b DESC NULLS LAST, a ASC)",
        "SELECT t FROM t",
        "SELECT row(1, 'x')",
        "SELECT FROM t",
        "SELECT (SELECT max(u.a) FROM u WHERE u.x = t.a) FROM t",
        "SELECT c1.a FROM t c1 WHERE NOT EXISTS (SELECT 1 FROM u WHERE NOT EXISTS (SELECT 1 FROM u v WHERE v.a = c1.a AND v.x = u.x))",
        "(SELECT 1) UNION (SELECT 2 ORDER BY 1 LIMIT 1)",
        "SUBSCRIBE t",
        "SUBSCRIBE TO (SELECT a FROM t) WITH (SNAPSHOT = false, PROGRESS) AS OF 5 UP TO 10",
        "DECLARE c CURSOR FOR SUBSCRIBE t",
        "FETCH ALL c",
        "FETCH 5 FROM c WITH (timeout = '1s')",
        "CLOSE c",
        "EXPLAIN SELECT 1",
        "EXPLAIN RAW PLAN FOR SELECT 1",
        "EXPLAIN (TIMING) SELECT a FROM t",
        "COPY t FROM STDIN WITH (FORMAT csv, HEADER true, NULL 'NA')",
        "COPY t (a, b) TO STDOUT CSV HEADER DELIMITER ';'",
        "COPY (SUBSCRIBE t) TO STDOUT",
        "COPY (SELECT 1) TO STDOUT",
        "BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY",
        "START TRANSACTION",
        "COMMIT AND CHAIN",
        "END",
        "ABORT",
        "SET search_path TO a, \"B\"",
        "SET LOCAL timezone = 'UTC'",
        "SET TIME ZONE 'UTC'",
        "RESET ALL",
        "SHOW server_version",
        "DISCARD ALL",
        "PREPARE p (int) AS SELECT $1",
        "EXECUTE p (1)",
        "DEALLOCATE ALL",
        "VACUUM",
        "ANALYZE t",
        "LOCK TABLE t IN SHARE MODE",
        "INSERT INTO t VALUES (1, 'x', 2, '2024-01-01'), (2, DEFAULT, NULL, NULL)",
        "INSERT INTO t (a, b) SELECT a, 'x' FROM u RETURNING a + 1 AS n, *",
        "INSERT INTO t DEFAULT VALUES",
        "INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET b = excluded.b || t.b WHERE t.a > 0",
        "INSERT INTO t (a) VALUES (1) ON CONFLICT ON CONSTRAINT t_pkey DO NOTHING",
        "UPDATE t SET a = a + 1, b = DEFAULT WHERE a = 1 RETURNING a, b",
        "UPDATE t SET (b, c) = (SELECT 'x', 1.5) FROM u WHERE u.a = t.a RETURNING t.a, u.x",
        "UPDATE t AS q SET (b, c) = ('x', 2)",
        "DELETE FROM t USING u WHERE t.a = u.a RETURNING *",
        "DELETE FROM t",
        "TRUNCATE t, u",
    ] {
        if let Err(e) = session.plan(sql) {
            refused.push(format!("{sql}\n  {e:?}"));
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

#[test]
fn parameters_take_their_types_from_context() {
    let session = Session::with_tables();
    let types = |sql: &str| {
        let planned = session
            .plan_with(sql, &[])
            .unwrap_or_else(|e| panic!("{sql}: {e:?}"));
        planned
            .param_types
            .iter()
            .map(|t| t.sql_name())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        types("SELECT a FROM t WHERE a = $1 AND b = $2"),
        "integer text"
    );
    assert_eq!(
        types("INSERT INTO t VALUES ($1, $2, $3, $4)"),
        "integer text numeric date"
    );
    assert_eq!(types("SELECT $1"), "text");
    assert_eq!(types("SELECT $2::int"), "text integer");
    assert_eq!(types("SELECT a FROM t LIMIT $1"), "bigint");
    assert_eq!(types("UPDATE t SET c = $1 WHERE a = $2"), "numeric integer");
}

#[test]
fn the_raw_plan_is_for_people() {
    let session = Session::with_tables();
    let sql = "EXPLAIN RAW PLAN FOR SELECT u.x, sum(u.a + 1) FILTER (WHERE u.y > 0) FROM u
        WHERE EXISTS (SELECT 1 FROM t WHERE t.a = u.a) GROUP BY u.x";
    let Plan::Explain(explain) = session.plan(sql).expect("a plan") else {
        panic!("another plan");
    };
    let lines: Vec<&str> = explain.raw.lines().map(str::trim_start).collect();
    for expected in [
        "Reduce group (#1) aggregates (sum((#0 + 1)) filter (#2 > 0::double precision))",
        "Filter (exists(subquery 1))",
        "subquery 1:",
        "Filter ((#0 = ^#0))",
        "Get public.t",
        "Get public.u",
    ] {
        assert!(lines.contains(&expected), "{expected}\n{}", explain.raw);
    }
}
