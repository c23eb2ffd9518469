//! A changefeed from the past costs nothing of the past once it is near the present.

use crate::coordinator::{Coordinator, Options};
use crate::outcome::Outcome;
use crate::session::{Session, SessionOptions};
use crate::subscribe::Subscription;
use everview_repr::Timestamp;
use std::time::Duration;

async fn run(session: &mut Session, sql: &str) -> Outcome {
    let mut last = Outcome::Empty;
    for statement in session.parse(sql).expect("it parses") {
        last = session.execute(&statement, None).await.expect(sql);
    }
    last
}

/// The sum of multiplicities up to a time that is reached.
async fn take(feed: &mut Subscription, reached: Timestamp) -> i64 {
    let mut sum = 0;
    let mut upper = Timestamp::MIN;
    while upper <= reached {
        let batch = feed.next_changes().await.expect("changes").expect("no end");
        sum += batch.updates.iter().map(|(_, _, diff)| diff).sum::<i64>();
        upper = batch.upper;
    }
    sum
}

#[tokio::test]
async fn a_feed_from_the_past_goes_on_in_memory_and_lets_go_of_the_logs_index() {
    let dir = tempfile::tempdir().expect("a folder");
    let options = Options {
        data_dir: dir.path().to_path_buf(),
        history: 1_000_000,
        ..Options::default()
    };
    let coordinator = Coordinator::start(options).expect("it starts");
    let options = SessionOptions {
        user: "everview".to_string(),
        ..SessionOptions::default()
    };
    let mut session = Session::open(&coordinator, options.clone()).expect("a session");
    let mut other = Session::open(&coordinator, options).expect("a session");
    run(
        &mut session,
        "CREATE TABLE t (a int); CREATE VIEW v AS SELECT a, count(*) FROM t GROUP BY a; \
         CREATE MATERIALIZED VIEW m AS SELECT * FROM v; INSERT INTO t VALUES (1), (2)",
    )
    .await;
    let then = coordinator.now();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    run(&mut session, "INSERT INTO t VALUES (3)").await;
    let past = || coordinator.shared.tables.past.history();
    let sql = format!("SUBSCRIBE m AS OF {then}");
    let Outcome::Subscribe(mut feed) = run(&mut other, &sql).await else {
        panic!("no subscription");
    };
    assert!(past().is_some(), "it is derived");
    assert_eq!(take(&mut feed, coordinator.now()).await, 3);
    for a in 4..8 {
        run(&mut session, &format!("INSERT INTO t VALUES ({a})")).await;
        assert_eq!(take(&mut feed, coordinator.now()).await, 1);
    }
    for _ in 0..1000 {
        if past().is_none() {
            run(&mut session, "DELETE FROM t").await;
            assert_eq!(take(&mut feed, coordinator.now()).await, -7);
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the index is still held");
}
