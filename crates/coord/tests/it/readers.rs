//! Durable readers: where a changefeed goes on is in the log, and moves with the transaction that says so.

use super::harness::{Client, Server, rows};

fn forgetful() -> Server {
    Server::with_options(|options| options.history = 0)
}

fn last_commit(client: &mut Client<'_>) -> u64 {
    let at = client.query("SHOW everview.last_commit_timestamp");
    at[0][0].parse().expect("a timestamp")
}

/// The changes that a reader is sent until it has those of the newest commit: timestamp, diff and a column.
fn take(client: &mut Client<'_>, subscribe: &str) -> Vec<Vec<String>> {
    let mut writer = client.another();
    writer.query("INSERT INTO other VALUES (1)");
    let last = last_commit(&mut writer);
    client.query(&format!("BEGIN; DECLARE c CURSOR FOR {subscribe}"));
    let mut changes = Vec::new();
    loop {
        for row in client.query("FETCH ALL c WITH (timeout = '20s')") {
            let time: u64 = row[0].parse().expect("a timestamp");
            match row[1].as_str() {
                "t" if time > last => {
                    client.query("ROLLBACK");
                    return changes;
                }
                "t" => {}
                _ => changes.push(vec![row[0].clone(), row[2].clone(), row[3].clone()]),
            }
        }
    }
}

const FEED: &str = "SUBSCRIBE t WITH (PROGRESS) FROM READER 'r'";

#[test]
fn a_reader_goes_on_after_what_it_has_acknowledged_across_restarts() {
    let mut server = forgetful();
    let (first, second);
    {
        let mut client = server.connect();
        client
            .query("CREATE TABLE t (a int); CREATE TABLE other (a int); INSERT INTO t VALUES (1)");
        first = last_commit(&mut client);
        // One that has acknowledged nothing begins with what is there.
        let all: Vec<_> = take(&mut client, FEED)
            .into_iter()
            .map(|row| row[2].clone())
            .collect();
        assert_eq!(all, ["1"]);
        let acked = client.query(&format!("SELECT everview.ack('r', {first})"));
        assert_eq!(acked, vec![vec![first.to_string()]]);
        client.query("INSERT INTO t VALUES (2)");
        second = last_commit(&mut client);
        client.query("DELETE FROM t WHERE a = 1");
    }
    server.restart();
    let mut client = server.connect();
    let third = {
        let changes = take(&mut client, FEED);
        assert_eq!(changes.len(), 2, "{changes:?}");
        assert_eq!(changes[0], [second.to_string(), "1".into(), "2".into()]);
        assert_eq!(changes[1][1..], ["-1".to_string(), "1".to_string()]);
        changes[1][0].clone()
    };
    client.query(&format!("SELECT everview.ack('r', {third})"));
    // A repeated, older one changes nothing.
    assert_eq!(
        client.query(&format!("SELECT everview.ack('r', {first})")),
        vec![vec![third.clone()]]
    );
    assert_eq!(take(&mut client, FEED), Vec::<Vec<String>>::new());
    let shown =
        client.query("SELECT name, acknowledged, lag > '0 s'::interval FROM everview.readers");
    assert_eq!(shown, vec![vec!["r".to_string(), third, "t".to_string()]]);
}

#[test]
fn an_acknowledgement_is_part_of_its_transaction() {
    let server = forgetful();
    let mut client = server.connect();
    client.query("CREATE TABLE t (a int); INSERT INTO t VALUES (1)");
    let at = last_commit(&mut client);
    let readers = "SELECT name, acknowledged FROM everview.readers";
    client.query(&format!("BEGIN; SELECT everview.ack('r', {at}); ROLLBACK"));
    assert_eq!(client.query(readers), rows(&[]));
    client.query(&format!(
        "BEGIN; INSERT INTO t VALUES (2); SELECT everview.ack('r', {at}); COMMIT"
    ));
    assert_eq!(
        client.query(readers),
        vec![vec!["r".to_string(), at.to_string()]]
    );
    assert_eq!(
        client.query("SELECT everview.drop_reader('r') AS gone"),
        rows(&[&["t"]])
    );
    assert_eq!(
        client.query("SELECT everview.drop_reader('r')"),
        rows(&[&["f"]])
    );
    assert_eq!(client.query(readers), rows(&[]));
}

#[test]
fn what_cannot_be_acknowledged_is_refused() {
    let server = forgetful();
    let mut client = server.connect();
    client.query("CREATE TABLE t (a int)");
    let future = last_commit(&mut client) + 3_600_000_000;
    assert_eq!(
        client
            .error(&format!("SELECT everview.ack('r', {future})"))
            .0,
        "22023"
    );
    assert_eq!(client.error("SELECT everview.ack('', 1)").0, "42602");
    assert_eq!(client.error("SELECT everview.ack(NULL, 1)").0, "22004");
    assert_eq!(client.error("SELECT everview.ack('r', 1), 2").0, "0A000");
    assert_eq!(client.error("SUBSCRIBE t FROM READER ''").0, "42602");
    assert_eq!(client.error("SUBSCRIBE t FROM READER r").0, "42601");
    assert_eq!(
        client.error("SUBSCRIBE t AS OF 5 FROM READER 'r'").0,
        "42601"
    );
    client.query("BEGIN READ ONLY");
    assert_eq!(client.error("SELECT everview.ack('r', 1)").0, "25006");
}

#[test]
fn a_subscription_from_the_past_goes_on_in_memory_and_loses_nothing() {
    let server = Server::with_options(|options| options.history = 1_000_000);
    let mut client = server.connect();
    client.query(
        "CREATE TABLE t (a int PRIMARY KEY, n int); CREATE TABLE other (a int); \
         CREATE MATERIALIZED VIEW v AS SELECT n, count(*) AS c FROM t GROUP BY n; INSERT INTO t SELECT g, g % 3 FROM generate_series(1, 30) g",
    );
    let begun = last_commit(&mut client);
    client.query("UPDATE t SET n = n + 1 WHERE a < 10");
    std::thread::sleep(std::time::Duration::from_millis(1500));
    client.query("DELETE FROM t WHERE a = 30");
    let mut writer = client.another();
    client.query(&format!(
        "BEGIN; DECLARE c CURSOR FOR SUBSCRIBE v WITH (PROGRESS) AS OF {begun}"
    ));
    let mut sum = std::collections::BTreeMap::new();
    let mut steps = 0;
    while steps < 40 {
        steps += 1;
        writer.query(&format!(
            "UPDATE t SET n = n + 1 WHERE a % 7 = {}",
            steps % 7
        ));
        let last = last_commit(&mut writer);
        let mut newest = 0;
        while newest <= last {
            for row in client.query("FETCH ALL c WITH (timeout = '20s')") {
                let time: u64 = row[0].parse().expect("a timestamp");
                newest = newest.max(time);
                if row[1] == "f" {
                    *sum.entry(row[3..].to_vec()).or_insert(0) +=
                        row[2].parse::<i64>().expect("a diff");
                }
            }
        }
        sum.retain(|_, count| *count != 0);
        let mut expected = writer.query("SELECT * FROM v");
        expected.sort();
        assert_eq!(
            sum.keys().cloned().collect::<Vec<_>>(),
            expected,
            "after step {steps}"
        );
        assert!(sum.values().all(|count| *count == 1), "{sum:?}");
    }
}
