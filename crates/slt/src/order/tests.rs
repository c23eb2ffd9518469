use super::*;

fn positions(sql: &str) -> String {
    match outermost(sql).unwrap().reading {
        Reading::Positions(keys) => keys,
        other => panic!("{sql}: {other:?}"),
    }
}

#[test]
fn positions_stay_with_their_direction() {
    let split = outermost("SELECT a, b FROM t\n ORDER BY 2 DESC NULLS LAST,1").unwrap();
    assert_eq!(split.body, "SELECT a, b FROM t");
    assert_eq!(
        split.reading,
        Reading::Positions("2 DESC NULLS LAST, 1".to_string())
    );
}

#[test]
fn inner_clauses_strings_and_comments_are_not_the_outermost() {
    assert_eq!(
        outermost("SELECT * FROM (SELECT a FROM t ORDER BY a) x"),
        None
    );
    assert_eq!(
        outermost("SELECT row_number() OVER (ORDER BY a), ' ORDER BY 1' FROM t -- ORDER BY 2"),
        None
    );
    let split = outermost("SELECT string_agg(a, ',' ORDER BY a) AS s FROM t GROUP BY b ORDER BY s")
        .unwrap();
    assert_eq!(
        split.body,
        "SELECT string_agg(a, ',' ORDER BY a) AS s FROM t GROUP BY b"
    );
}

#[test]
fn names_aliases_and_expressions_become_positions() {
    assert_eq!(
        positions("SELECT a, t.b, a+b AS total, c*2 x FROM t ORDER BY total, B DESC, x, a"),
        "3, 2 DESC, 4, 1"
    );
    assert_eq!(
        positions("SELECT DISTINCT a, abs(b - 1) FROM t ORDER BY abs(b-1), a"),
        "2, 1"
    );
    assert_eq!(
        positions(
            "SELECT CASE WHEN a>1 THEN b ELSE c END FROM t ORDER BY CASE WHEN a>1 THEN b ELSE c END"
        ),
        "1"
    );
    assert_eq!(
        positions("WITH x AS (SELECT 1 AS a) SELECT a FROM x ORDER BY a"),
        "1"
    );
    assert_eq!(
        positions("SELECT a AS z FROM t UNION SELECT b FROM u ORDER BY z"),
        "1"
    );
    assert_eq!(positions("VALUES (1, 2) ORDER BY 2"), "2");
}

#[test]
fn a_key_that_is_no_output_column_is_unmapped() {
    for sql in [
        "SELECT a FROM t ORDER BY b",
        "SELECT a FROM t ORDER BY a + 1",
        "SELECT a FROM t UNION SELECT b FROM u ORDER BY a + 1",
        "SELECT a AS x, b AS x FROM t ORDER BY x",
        "SELECT * FROM t ORDER BY a + 1",
    ] {
        assert_eq!(outermost(sql).unwrap().reading, Reading::Unmapped, "{sql}");
    }
}

#[test]
fn a_star_keeps_its_own_names() {
    let split = outermost("SELECT * FROM t ORDER BY a DESC, 1").unwrap();
    assert_eq!(split.reading, Reading::OwnNames("a DESC, 1".to_string()));
    assert_eq!(positions("SELECT * FROM t ORDER BY 1"), "1");
}

#[test]
fn a_clause_that_decides_the_rows_stays_in_the_view() {
    for sql in [
        "SELECT a FROM t ORDER BY a LIMIT 3",
        "SELECT DISTINCT ON (a) a, b FROM t ORDER BY a, b DESC",
    ] {
        assert_eq!(outermost(sql).unwrap().body, sql);
    }
    assert_eq!(
        positions("SELECT a FROM t ORDER BY a DESC LIMIT 3 OFFSET 1"),
        "1 DESC"
    );
    assert_eq!(
        positions("SELECT DISTINCT ON (a) a, b FROM t ORDER BY a, b DESC"),
        "1, 2 DESC"
    );
}
