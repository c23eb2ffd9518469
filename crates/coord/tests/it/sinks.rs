//! Secrets, connections and sinks as objects: what they may be made of, that they last, and that no secret shows.

use crate::harness::Server;
use async_trait::async_trait;
use everview_coord::Error;
use everview_coord::sinks::{CheckSink, SinkDesc};
use std::path::Path;
use std::sync::Arc;

const SECRET: &str = "Wolkenkuckucksheim";

/// Targets that take everything.
struct Anything;

#[async_trait]
impl CheckSink for Anything {
    async fn check(&self, _sink: &SinkDesc) -> Result<(), Error> {
        Ok(())
    }
}

fn start() -> Server {
    let server = Server::start();
    server.coordinator().check_sinks_with(Arc::new(Anything));
    server.query(
        "CREATE TABLE t (id int PRIMARY KEY, g text, v int);
         CREATE MATERIALIZED VIEW m AS SELECT g, count(*) AS n FROM t GROUP BY g;
         CREATE VIEW w AS SELECT g, v FROM t",
    );
    server
}

fn connect(server: &Server) {
    server.query(&format!("CREATE SECRET s AS '{SECRET}'"));
    let connection = |name: &str, password: &str| {
        server.query(&format!(
            "CREATE CONNECTION {name} TO POSTGRES (HOST 'db', PORT 5433, DATABASE 'd', USER 'u', PASSWORD {password})"
        ));
    };
    connection("shared", "SECRET s");
    connection("own", &format!("'{SECRET}'"));
}

#[test]
fn a_sink_is_made_of_a_relation_and_a_connection_and_outlives_a_restart() {
    let mut server = start();
    connect(&server);
    server.query(
        "CREATE SINK a FROM t INTO POSTGRES (CONNECTION shared, TABLE t, KEY (id));
         CREATE SINK b FROM m INTO POSTGRES (TABLE x.\"M\", CONNECTION own)",
    );
    server.restart();
    let shown =
        "SELECT name, object, connection, target, mode, state FROM everview.sinks ORDER BY name";
    assert_eq!(
        server.query(shown),
        [
            ["a", "public.t", "public.shared", "t", "upsert", "starting"],
            ["b", "public.m", "public.own", "x.M", "append", "starting"],
        ]
    );
    let (ids, _) = server.coordinator().sinks();
    for id in ids {
        let sink = server.coordinator().sink(id).unwrap().unwrap();
        let password = sink.target.password.unwrap().unwrap();
        assert_eq!((password.reveal(), sink.target.port), (SECRET, 5433));
    }
    // What comes later to the relation, or is called otherwise, is nothing to a sink.
    server.query("ALTER TABLE t RENAME TO r; ALTER TABLE r RENAME COLUMN v TO vv; ALTER TABLE r ADD COLUMN z int");
    let id = *server.coordinator().sinks().0.first().unwrap();
    let sink = server.coordinator().sink(id).unwrap().unwrap();
    assert_eq!(sink.query, "SELECT id, g, vv FROM public.r");
    assert_eq!(sink.columns.names().collect::<Vec<_>>(), ["id", "g", "v"]);
}

#[test]
fn what_a_sink_stands_on_is_not_dropped_without_cascade() {
    let server = start();
    connect(&server);
    let mut client = server.connect();
    client.query("CREATE SINK a FROM w INTO POSTGRES (CONNECTION shared, TABLE t)");
    for drop in ["VIEW w", "TABLE t", "CONNECTION shared", "SECRET s"] {
        let (code, message) = client.error(&format!("DROP {drop}"));
        assert_eq!(code, "2BP01", "{drop}: {message}");
    }
    let (code, _) = client.error("CREATE OR REPLACE VIEW w AS SELECT g, v + 1 AS v FROM t");
    assert_eq!(code, "2BP01");
    let (code, message) = client.error("DROP VIEW a");
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("42809", "\"a\" is not a view")
    );
    client.query("DROP SECRET s CASCADE");
    assert!(server.coordinator().sinks().0.is_empty());
    client.query("DROP SINK IF EXISTS a; DROP CONNECTION IF EXISTS shared");
    assert_eq!(client.error("DROP SINK a").0, "42704");
    client.query("CREATE SINK a FROM w INTO POSTGRES (CONNECTION own, TABLE t)");
    client.query("CREATE SINK IF NOT EXISTS a FROM w INTO POSTGRES (CONNECTION own, TABLE t)");
    client.query("BEGIN; DROP SINK a; ROLLBACK");
    assert_eq!(server.coordinator().sinks().0.len(), 1);
    client.query("DROP SINK a; DROP CONNECTION own; DROP VIEW w");
}

#[test]
fn a_key_that_nothing_makes_unique_is_refused_unless_the_user_vouches_for_it() {
    let server = start();
    connect(&server);
    let mut client = server.connect();
    let sink = |from: &str, key: &str| {
        format!(
            "CREATE SINK s_{from} FROM {from} INTO POSTGRES (CONNECTION own, TABLE t, KEY ({key})"
        )
    };
    assert_eq!(client.error(&format!("{})", sink("t", "g"))).0, "42P16");
    assert_eq!(client.error(&format!("{})", sink("w", "g"))).0, "42P16");
    assert_eq!(client.error(&format!("{})", sink("m", "n"))).0, "42P16");
    assert_eq!(client.error(&format!("{})", sink("m", "nope"))).0, "42703");
    client.query(&format!("{})", sink("m", "g")));
    client.query(&format!("{})", sink("t", "g, id")));
    client.query(&format!("{} NOT ENFORCED)", sink("w", "g")));
}

#[test]
fn what_is_not_there_is_refused_by_name() {
    let server = start();
    let mut client = server.connect();
    let mut refused = |sql: &str| client.error(sql);
    let message = |(_, message): (String, String)| message;
    let connection = "CREATE CONNECTION c TO POSTGRES (DATABASE 'd', USER 'u'";
    assert_eq!(
        message(refused(&format!("{connection})"))),
        "CREATE CONNECTION needs the option HOST"
    );
    assert_eq!(
        message(refused(&format!("{connection}, SSLMODE 'require')"))),
        "the option SSLMODE of CREATE CONNECTION is not supported"
    );
    assert_eq!(
        message(refused("CREATE CONNECTION k TO KAFKA (BROKER 'b')")),
        "a connection to KAFKA is not supported"
    );
    assert_eq!(
        refused("CREATE SINK s FROM t INTO POSTGRES (CONNECTION c, TABLE t)").0,
        "42704"
    );
    assert_eq!(
        refused("CREATE SINK s FROM nope INTO POSTGRES (CONNECTION c, TABLE t)").0,
        "42P01"
    );
    assert_eq!(
        refused("CREATE SINK s FROM t INTO POSTGRES (TABLE t)").0,
        "42601"
    );
    assert_eq!(
        refused("CREATE CONNECTION c TO POSTGRES (HOST 'h', PORT 70000, DATABASE 'd', USER 'u')").0,
        "22023"
    );
}

#[test]
fn a_process_that_runs_no_sinks_makes_none() {
    let server = Server::start();
    connect(&server);
    server.query("CREATE TABLE t (a int)");
    let (code, _) = server
        .connect()
        .error("CREATE SINK k FROM t INTO POSTGRES (CONNECTION own, TABLE t)");
    assert_eq!(code, "55000");
}

fn files(folder: &Path, out: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => files(&path, out),
            false => out.push(path),
        }
    }
}

#[test]
fn a_secret_is_shown_nowhere_and_in_no_file() {
    let mut server = start();
    let mut client = server.connect();
    client.query(&format!("CREATE SECRET s AS '{SECRET}'"));
    let activity = |server: &Server| {
        let all = server.query(
            "SELECT query FROM pg_stat_activity UNION ALL SELECT query FROM everview.sessions",
        );
        all.into_iter().flatten().collect::<String>()
    };
    assert!(activity(&server).contains("CREATE SECRET s AS '********'"));
    let make = "CREATE CONNECTION c TO POSTGRES (HOST 'h', DATABASE 'd', USER 'u', PASSWORD";
    client.query(&format!("{make} '{SECRET}')"));
    assert!(
        activity(&server).contains(&format!("{make} '********')")),
        "{}",
        activity(&server)
    );
    let again = client
        .try_query(&format!("{make} '{SECRET}')"))
        .unwrap_err();
    assert!(!format!("{again:?}").contains(SECRET));
    for table in ["connections", "sinks"] {
        let rows = client.query(&format!("SELECT * FROM everview.{table}"));
        assert!(!format!("{rows:?}").contains(SECRET));
    }
    for statement in client
        .session
        .parse(&format!("{make} '{SECRET}')"))
        .unwrap()
    {
        assert!(!format!("{statement:?}").contains(SECRET));
    }
    drop(client);
    server.restart_after(|folder| {
        let mut all = Vec::new();
        files(folder, &mut all);
        assert!(all.iter().any(|path| path.ends_with("secret.key")));
        for path in all {
            let bytes = std::fs::read(&path).unwrap();
            let found = bytes.windows(SECRET.len()).any(|w| w == SECRET.as_bytes());
            assert!(!found, "{}", path.display());
        }
    });
}

#[test]
fn without_its_key_a_connection_says_so_and_the_server_starts() {
    let mut server = start();
    connect(&server);
    server.query("CREATE SINK a FROM t INTO POSTGRES (CONNECTION shared, TABLE t, KEY (id))");
    server.restart_after(|folder| std::fs::remove_file(folder.join("secret.key")).unwrap());
    let id = *server.coordinator().sinks().0.first().unwrap();
    let error = server
        .coordinator()
        .sink(id)
        .unwrap()
        .unwrap()
        .target
        .password
        .unwrap_err();
    assert!(error.message.contains("secret.key"), "{error:?}");
    assert_eq!(server.query("SELECT count(*) FROM t"), [["0"]]);
}
