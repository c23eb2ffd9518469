use super::*;

#[test]
fn statements_fall_into_their_classes() {
    let object = |kind, name: &str| Object {
        kind,
        name: name.to_string(),
    };
    for (sql, class) in [
        ("select 1", Class::Read),
        ("(SELECT 1) UNION (SELECT 2)", Class::Read),
        ("WITH x AS (SELECT 1) SELECT * FROM x", Class::Read),
        (
            "WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x",
            Class::Other,
        ),
        (
            "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x",
            Class::Rows("t".into()),
        ),
        ("SELECT * FROM t FOR UPDATE", Class::Other),
        ("SELECT * INTO u FROM t", Class::Other),
        ("SELECT * FROM t AS OF 17", Class::Other),
        (
            "CREATE TABLE T1(a int)",
            Class::Create(object("TABLE", "T1")),
        ),
        (
            "CREATE TABLE IF NOT EXISTS s.\"T\" (a int)",
            Class::Create(object("TABLE", "s.\"T\"")),
        ),
        (
            "CREATE TEMP TABLE t AS SELECT 1",
            Class::CreateAs(object("TABLE", "t")),
        ),
        (
            "CREATE MATERIALIZED VIEW v AS SELECT 1",
            Class::Create(object("MATERIALIZED VIEW", "v")),
        ),
        (
            "CREATE OR REPLACE VIEW v (a) AS SELECT 1",
            Class::Create(object("VIEW", "v")),
        ),
        (
            "CREATE UNIQUE INDEX i ON t (a)",
            Class::CreateIndex(Some("i".into()), "t".into()),
        ),
        (
            "CREATE INDEX ON t (a)",
            Class::CreateIndex(None, "t".into()),
        ),
        (
            "INSERT INTO tab1 SELECT * FROM tab0",
            Class::Rows("tab1".into()),
        ),
        ("DELETE FROM tab0 WHERE a > 2", Class::Rows("tab0".into())),
        ("UPDATE public.t SET a = 1", Class::Rows("public.t".into())),
        (
            "DROP TABLE IF EXISTS a, B CASCADE",
            Class::DropTable(vec!["a".into(), "b".into()]),
        ),
        ("DROP INDEX i", Class::DropIndex(vec!["i".into()])),
        ("DROP VIEW v", Class::Other),
        ("ALTER TABLE t ADD COLUMN b int", Class::Other),
        ("SET search_path = a", Class::Set),
        ("begin", Class::Begin),
        ("ROLLBACK", Class::End),
        ("", Class::Other),
    ] {
        assert_eq!(classify(sql), class, "{sql}");
    }
}
