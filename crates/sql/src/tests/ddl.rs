//! Definitions: what is stored, replanned and shown.

use super::support::Session;
use crate::plan::Plan;
use crate::{display_definition, display_expression, plan_scalar_text, plan_view_text};
use everview_catalog::object::ConstraintKind;
use everview_catalog::{Object, ObjectKind};
use std::sync::Arc;

fn object(session: &Session, name: &str) -> Arc<Object> {
    session
        .catalog
        .objects()
        .find(|o| o.name == name)
        .unwrap()
        .clone()
}

fn view(session: &Session, name: &str) -> everview_catalog::object::View {
    match &object(session, name).kind {
        ObjectKind::View(v) | ObjectKind::MaterializedView(v) => v.clone(),
        _ => panic!("not a view"),
    }
}

#[test]
fn constraints_get_postgres_names() {
    let session = Session::new();
    let Plan::CreateTable(plan) = session
        .plan(
            "CREATE TABLE x (a int PRIMARY KEY, b int UNIQUE CHECK (b > 0), c text DEFAULT 'q' NOT NULL,
             UNIQUE (a, b), CHECK (a < b), CONSTRAINT mine CHECK (c <> ''), CHECK (b < 10))",
        )
        .unwrap()
    else {
        panic!()
    };
    let names: Vec<_> = plan.constraints.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "x_pkey",
            "x_b_key",
            "x_b_check",
            "x_a_b_key",
            "x_check",
            "mine",
            "x_b_check1"
        ]
    );
    assert_eq!(
        plan.constraints[4].kind,
        ConstraintKind::Check("\"$1\" < \"$2\"".into())
    );
    assert!(
        !plan.columns[0].ty.nullable && !plan.columns[2].ty.nullable && plan.columns[1].ty.nullable
    );
    assert_eq!(plan.columns[2].default.as_deref(), Some("'q'"));
}

#[test]
fn stored_views_survive_renaming() {
    let mut session = Session::with_tables();
    session.run(
        "CREATE VIEW v (k) AS SELECT public.t.a + u.x FROM public.t JOIN u AS q (a1) ON q.a1 = t.a, u WHERE t.b = 'é';
         CREATE VIEW w AS SELECT * FROM t NATURAL JOIN u",
    );
    let text = view(&session, "v").sql;
    let id = object(&session, "t").id;
    assert!(
        text.contains(&format!("\"${}\" AS t(a, b, c, d)", id.0)),
        "{text}"
    );
    let (v, w) = (view(&session, "v"), view(&session, "w"));
    let before = plan_view_text(&session.catalog, &v).unwrap();
    let wide = plan_view_text(&session.catalog, &w).unwrap();
    session.run("ALTER TABLE t RENAME TO tt; ALTER TABLE tt RENAME COLUMN a TO aa; ALTER TABLE u RENAME x TO xx");
    assert_eq!(plan_view_text(&session.catalog, &v).unwrap(), before);
    assert_eq!(plan_view_text(&session.catalog, &w).unwrap(), wide);
    assert_eq!(w.desc.arity(), 7);
}

#[test]
fn definitions_are_shown_with_current_names() {
    let mut session = Session::with_tables();
    session.run("CREATE VIEW v AS SELECT t.a, q.b FROM t JOIN t q ON t.a = q.a");
    let sql = view(&session, "v").sql;
    let path = session.path.clone();
    assert_eq!(
        display_definition(&session.catalog, &path, &sql),
        "SELECT t.a, q.b FROM t JOIN t q ON t.a = q.a"
    );
    assert_eq!(
        display_definition(&session.catalog, &[], &sql),
        "SELECT t.a, q.b FROM public.t JOIN public.t q ON t.a = q.a"
    );
    session.run("ALTER TABLE t RENAME TO s");
    assert_eq!(
        display_definition(&session.catalog, &path, &sql),
        "SELECT t.a, q.b FROM s AS t JOIN s q ON t.a = q.a"
    );
}

#[test]
fn expressions_name_columns_by_position() {
    let mut session = Session::with_tables();
    let Plan::CreateIndex(index) = session
        .plan("CREATE INDEX ON t (b, lower(t.b), a)")
        .unwrap()
    else {
        panic!()
    };
    assert_eq!(index.name, "t_b_lower_a_idx");
    assert_eq!(
        format!("{:?}", index.keys),
        "[Column(1), Expression(\"lower(\\\"$2\\\")\"), Column(0)]"
    );
    session.run("ALTER TABLE t RENAME COLUMN b TO bb");
    let desc = object(&session, "t").desc().unwrap();
    let again = plan_scalar_text(&session.catalog, &desc, "lower(\"$2\")").unwrap();
    assert_eq!(again, index.exprs[1]);
    assert_eq!(display_expression(&desc, "lower(\"$2\")"), "lower(bb)");
}

#[test]
fn dropping_takes_indexes_along_and_cascades() {
    let mut session = Session::with_tables();
    session.run("CREATE INDEX i ON t (b)");
    let Plan::Drop { ids, .. } = session.plan("DROP TABLE t").unwrap() else {
        panic!()
    };
    assert_eq!(ids.len(), 2);
    session.run("CREATE VIEW v AS SELECT a FROM t; CREATE SCHEMA s; CREATE TABLE s.x (a int)");
    let Plan::Drop { ids, notices, .. } = session.plan("DROP TABLE t CASCADE").unwrap() else {
        panic!()
    };
    assert_eq!(
        (ids.len(), notices[0].message.as_str()),
        (3, "drop cascades to view v")
    );
    assert_eq!(
        session.refused("DROP SCHEMA s"),
        "2BP01 - cannot drop schema s because other objects depend on it"
    );
    let Plan::Drop { notices, ids, .. } = session.plan("DROP VIEW IF EXISTS nope, v").unwrap()
    else {
        panic!()
    };
    assert_eq!(
        (ids.len(), notices[0].message.as_str()),
        (1, "view \"nope\" does not exist, skipping")
    );
}

#[test]
fn replacing_a_view_keeps_its_columns() {
    let mut session = Session::with_tables();
    session.run(
        "CREATE VIEW v AS SELECT a, b FROM t; CREATE OR REPLACE VIEW v AS SELECT a, b, c FROM t",
    );
    assert_eq!(
        session.refused("CREATE OR REPLACE VIEW v AS SELECT a FROM t"),
        "42P16 - cannot drop columns from view"
    );
    assert_eq!(
        session.refused("CREATE OR REPLACE VIEW v AS SELECT a, c AS b, c FROM t"),
        "42P16 - cannot change data type of view column \"b\" from text to numeric(10,2)"
    );
}

#[test]
fn deduplication_is_said_among_the_options_of_a_table() {
    let session = Session::with_tables();
    let kinds = |sql: &str| {
        let Plan::CreateTable(plan) = session.plan(sql).unwrap() else {
            panic!()
        };
        let kinds = plan.constraints.into_iter().map(|c| (c.name, c.kind));
        (plan.append_only, kinds.collect::<Vec<_>>())
    };
    let deduplicate = |name: &str, columns: Vec<usize>, within| {
        let kind = ConstraintKind::Deduplicate { columns, within };
        (name.to_string(), kind)
    };
    assert_eq!(
        kinds("CREATE TABLE x (a int, b text) WITH (DEDUPLICATE BY (b, a))"),
        (false, vec![deduplicate("x_b_a_dedup", vec![1, 0], None)])
    );
    let hour = deduplicate("x_a_dedup", vec![0], Some(3_600_000_000));
    for sql in [
        "CREATE TABLE x (a int) WITH (append_only, deduplicate by (a) within '1 hour')",
        "CREATE TABLE x (a int) WITH (DEDUPLICATE BY (a) WITHIN INTERVAL '60 min', append_only = true)",
        "CREATE TABLE x (a int) WITH (DEDUPLICATE BY (a) WITHIN '1 hour') APPEND ONLY",
        "CREATE TABLE x (a int) APPEND ONLY WITH (DEDUPLICATE BY (a) WITHIN '1 hour')",
    ] {
        assert_eq!(kinds(sql), (true, vec![hour.clone()]), "{sql}");
    }
    let (_, both) = kinds(
        "CREATE TABLE x (a int PRIMARY KEY) WITH (COUNT EFFECTS BY (a), DEDUPLICATE BY (a) WITHIN '2 days')",
    );
    let day = 86_400_000_000;
    assert_eq!(both[1], deduplicate("x_a_dedup", vec![0], Some(2 * day)));
    let counted = ConstraintKind::CountEffects(vec![0]);
    assert_eq!(both[2], ("x_a_effects".to_string(), counted));
    let (_, selected) = kinds("CREATE TABLE x WITH (DEDUPLICATE BY (b)) AS SELECT a, b FROM t");
    assert_eq!(selected, [deduplicate("x_b_dedup", vec![1], None)]);

    for (option, error) in [
        (
            "DEDUPLICATE BY (c)",
            "42703 8 column \"c\" named in DEDUPLICATE BY does not exist",
        ),
        (
            "DEDUPLICATE BY (a, a)",
            "42701 8 column \"a\" appears twice in DEDUPLICATE BY",
        ),
        (
            "DEDUPLICATE BY (a) WITHIN '1 month'",
            "22023 8 WITHIN '1 month' has months",
        ),
        (
            "DEDUPLICATE BY (a) WITHIN '-1 s'",
            "22023 8 WITHIN '-1 s' is no length of time",
        ),
        ("DEDUPLICATE BY a", "42601 8 syntax error at or near \"a\""),
        (
            "DEDUPLICATE BY (a) FOR EVER",
            "42601 8 syntax error at or near \"FOR\"",
        ),
        (
            "DEDUPLICATE BY (a), DEDUPLICATE BY (a)",
            "42601 8 a table option was given twice",
        ),
        ("DEDUPLICATE BY (a),", "42601 8 syntax error"),
    ] {
        let refused = session.refused(&format!("CREATE TABLE x (a int) WITH ({option})"));
        let (code, message) = error.split_once(" 8 ").unwrap();
        assert!(
            refused.starts_with(code) && refused.contains(message),
            "{option}: {refused}"
        );
    }
}

#[test]
fn append_only_is_said_in_two_ways() {
    let session = Session::with_tables();
    for sql in [
        "CREATE TABLE x (a int) APPEND ONLY",
        "CREATE TABLE x (a int) WITH (append_only = true)",
    ] {
        let Plan::CreateTable(plan) = session.plan(sql).unwrap() else {
            panic!()
        };
        assert!(plan.append_only);
    }
    let Plan::CreateTable(plan) = session
        .plan("CREATE TABLE x AS SELECT a, b FROM t")
        .unwrap()
    else {
        panic!()
    };
    assert!(plan.source.is_some() && plan.columns.len() == 2);
}
