use everview_connect::postgres::Postgres as PostgresTarget;
use everview_connect::target::{Batch, Target, TargetError, Update};
use everview_coord::sinks::{SinkDesc, SinkTarget};
use everview_repr::{Datum, GlobalId, RelationDesc, Row, ScalarType, Timestamp};

use crate::postgres::Postgres;
use crate::session::{Rows, Session};

const NOW: Timestamp = Timestamp(1000);

fn sink(postgres: &Postgres, key: Option<Vec<usize>>) -> SinkDesc {
    SinkDesc {
        id: GlobalId(20000),
        name: "public.s".to_string(),
        identity: "20000-1".to_string(),
        query: String::new(),
        target: SinkTarget {
            host: "127.0.0.1".to_string(),
            port: postgres.port(),
            database: "postgres".to_string(),
            user: "postgres".to_string(),
            password: Ok(None),
            schema: None,
            table: "t".to_string(),
        },
        columns: RelationDesc::new([
            ("k", ScalarType::Int64.nullable()),
            ("v", ScalarType::Text.nullable()),
        ]),
        key,
    }
}

fn batch(upto: u64, updates: &[(u64, i64, Option<i64>, &str)]) -> Batch {
    let updates = updates
        .iter()
        .enumerate()
        .map(|(position, (time, diff, key, value))| Update {
            time: Timestamp(*time),
            position: position as u64,
            diff: *diff,
            row: Row::pack([key.map_or(Datum::Null, Datum::Int64), Datum::Text(value)]),
        });
    Batch {
        updates: updates.collect(),
        upto: Timestamp(upto),
    }
}

fn rows(rows: &[&str]) -> Rows {
    rows.iter().map(|row| (row.to_string(), 1)).collect()
}

/// A commit timestamp that is sent again changes nothing.
#[tokio::test]
#[ignore = "needs PostgreSQL 15; .ci/run runs it"]
async fn micro_batch_ids_sent_again_change_nothing() {
    let postgres = Postgres::start().unwrap();
    let look = Session::connect("PostgreSQL", &postgres.url())
        .await
        .unwrap();
    for key in [Some(vec![0]), None] {
        let mut target = PostgresTarget::new(&sink(&postgres, key.clone()));
        assert_eq!(target.open(NOW).await, Ok(None));
        let first = batch(10, &[(10, 1, Some(1), "a"), (10, 1, None, "b")]);
        let second = batch(
            20,
            &[
                (15, -1, None, "b"),
                (15, 1, None, "c"),
                (20, 1, Some(2), "d"),
            ],
        );
        assert_eq!(target.write(&first).await, Ok(2));
        target.write(&second).await.unwrap();
        let before = look.rows("SELECT * FROM t").await.unwrap();
        for again in [&first, &second] {
            assert_eq!(target.write(again).await, Ok(0));
        }
        // A batch that overlaps brings what is new of it.
        let both = batch(30, &[(20, 1, Some(2), "d"), (30, -1, Some(2), "d")]);
        assert_eq!(target.write(&both).await, Ok(1));
        let after = look.rows("SELECT * FROM t").await.unwrap();
        match &key {
            Some(_) => {
                assert_eq!(before, rows(&["1 | a", "NULL | c", "2 | d"]));
                assert_eq!(after, rows(&["1 | a", "NULL | c"]));
            }
            None => assert_eq!((before.len(), after.len()), (5, 6)),
        }
        // Opened anew, it tells where to go on.
        assert_eq!(target.open(NOW).await, Ok(Some(Timestamp(30))));
        target.forget().await.unwrap();
        look.run("DROP TABLE t").await.unwrap();
    }
}

/// Of two writers, the one that came last is heard, whatever the other is about to do.
#[tokio::test]
#[ignore = "needs PostgreSQL 15; .ci/run runs it"]
async fn micro_batch_ids_of_an_older_writer_are_fenced() {
    let postgres = Postgres::start().unwrap();
    let sink = sink(&postgres, Some(vec![0]));
    let (mut old, mut new) = (PostgresTarget::new(&sink), PostgresTarget::new(&sink));
    old.open(NOW).await.unwrap();
    old.write(&batch(10, &[(10, 1, Some(1), "a")]))
        .await
        .unwrap();
    assert_eq!(new.open(NOW).await, Ok(Some(Timestamp(10))));
    // Its connection was ended, and it may not come back.
    let late = batch(20, &[(20, 1, Some(2), "old")]);
    assert!(old.write(&late).await.is_err());
    assert_eq!(old.open(NOW).await, Err(TargetError::Fenced));
    assert!(old.write(&late).await.is_err());
    new.write(&batch(20, &[(20, 1, Some(2), "new")]))
        .await
        .unwrap();
    let look = Session::connect("PostgreSQL", &postgres.url())
        .await
        .unwrap();
    let there = look.rows("SELECT * FROM t").await.unwrap();
    assert_eq!(there, rows(&["1 | a", "2 | new"]));
}

/// A server whose log ends before what the target has must not go on from there.
#[tokio::test]
#[ignore = "needs PostgreSQL 15; .ci/run runs it"]
async fn a_target_that_is_ahead_of_the_log_is_left_alone() {
    let postgres = Postgres::start().unwrap();
    let sink = sink(&postgres, None);
    let mut ahead = PostgresTarget::new(&sink);
    ahead.open(NOW).await.unwrap();
    ahead
        .write(&batch(900, &[(900, 1, Some(1), "a")]))
        .await
        .unwrap();
    let behind = PostgresTarget::new(&sink).open(Timestamp(800)).await;
    assert!(matches!(behind, Err(TargetError::Refused(_))), "{behind:?}");
    let more = batch(910, &[(910, 1, Some(2), "b")]);
    assert_eq!(ahead.write(&more).await, Ok(1), "it was not fenced either");
}
