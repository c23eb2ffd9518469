use super::*;
use everview_coord::sinks::SinkTarget;
use everview_repr::{Datum, GlobalId, RelationDesc};

fn sink(key: Option<Vec<usize>>, nullable: bool) -> SinkDesc {
    let ty = ScalarType::Numeric.nullable().with_nullable(nullable);
    SinkDesc {
        id: GlobalId(20000),
        name: "public.s".to_string(),
        identity: "20000-1".to_string(),
        query: String::new(),
        target: SinkTarget {
            host: "localhost".to_string(),
            port: 5432,
            database: "d".to_string(),
            user: "u".to_string(),
            password: Ok(None),
            schema: Some("s\"x".to_string()),
            table: "T".to_string(),
        },
        columns: RelationDesc::new([("k", ty), ("v", ScalarType::Text.nullable())]),
        key,
    }
}

fn row(key: i64, value: &str) -> Row {
    let number = everview_repr::numeric::Numeric::from(key);
    let mut bytes = Vec::new();
    number.to_bytes(&mut bytes);
    Row::pack([Datum::Numeric(&bytes), Datum::Text(value)])
}

fn update(time: u64, diff: i64, key: i64, value: &str) -> Update {
    Update {
        time: Timestamp(time),
        position: 0,
        diff,
        row: row(key, value),
    }
}

#[test]
fn names_are_quoted_and_nulls_are_one_key() {
    let layout = Layout::of(&sink(Some(vec![0]), true));
    assert_eq!(
        layout.create(),
        "CREATE TABLE \"s\"\"x\".\"T\" (\"k\" numeric, \"v\" text, UNIQUE NULLS NOT DISTINCT (\"k\"))"
    );
    assert!(layout.merge().contains("IS NOT DISTINCT FROM"));
    let layout = Layout::of(&sink(Some(vec![0]), false));
    assert!(layout.create().ends_with("PRIMARY KEY (\"k\"))"));
    assert!(!layout.merge().contains("DISTINCT"));
}

#[test]
fn in_append_mode_a_change_has_its_commit_and_its_place_for_a_key() {
    let layout = Layout::of(&sink(None, true));
    assert_eq!(
        layout.create(),
        "CREATE TABLE \"s\"\"x\".\"T\" (\"everview_timestamp\" bigint, \"everview_position\" bigint, \
         \"everview_diff\" bigint, \"k\" numeric, \"v\" text, PRIMARY KEY (\"everview_timestamp\", \"everview_position\"))"
    );
    let mut clash = sink(None, true);
    clash.columns.columns[1].name = "everview_diff".to_string();
    assert!(Layout::of(&clash).check_names().is_err());
    clash.key = Some(vec![0]);
    assert!(Layout::of(&clash).check_names().is_ok());
}

#[test]
fn keys_come_to_what_their_last_commit_made_of_them() {
    let layout = Layout::of(&sink(Some(vec![0]), false));
    let updates = [
        update(1, 1, 1, "a"),
        update(2, -1, 1, "a"),
        update(2, 1, 1, "b"),
        update(2, 1, 2, "x"),
        update(3, 1, 1, "c"),
        update(3, -1, 1, "b"),
        update(4, -1, 2, "x"),
    ];
    let settled = layout.settle(&updates).unwrap();
    let shown: Vec<_> = settled
        .iter()
        .map(|(u, gone)| (u.row.clone(), *gone))
        .collect();
    assert_eq!(shown, [(row(1, "c"), false), (row(2, "x"), true)]);
}

#[test]
fn a_key_that_is_not_unique_is_told_and_not_settled_by_chance() {
    let layout = Layout::of(&sink(Some(vec![0]), false));
    let twice = [update(1, 1, 1, "a"), update(1, 1, 1, "b")];
    assert!(layout.settle(&twice).is_err());
    assert!(layout.settle(&[update(1, 2, 1, "a")]).is_err());
}
