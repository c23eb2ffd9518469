//! Contents that were changed behind the log's back are found, and named.

use crate::coordinator::{Coordinator, Options, Shared};
use crate::error::Error;
use crate::outcome::Outcome;
use crate::session::{Session, SessionOptions};
use everview_dataflow::Changes;
use everview_repr::{Datum, GlobalId, Row, SqlState};
use std::sync::Arc;

struct Server {
    runtime: tokio::runtime::Runtime,
    coordinator: Coordinator,
    session: Session,
    _dir: tempfile::TempDir,
}

impl Server {
    fn start() -> Server {
        let dir = tempfile::tempdir().expect("a folder");
        let options = Options {
            data_dir: dir.path().to_path_buf(),
            checkpoint_period: 1_000,
            ..Options::default()
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let coordinator = Coordinator::start(options).expect("it starts");
        let options = SessionOptions {
            user: "everview".to_string(),
            database: "everview".to_string(),
            ..SessionOptions::default()
        };
        let session = Session::open(&coordinator, options).expect("a session");
        Server {
            runtime,
            coordinator,
            session,
            _dir: dir,
        }
    }

    fn run(&mut self, sql: &str) -> Result<Vec<Row>, Error> {
        let mut last = Vec::new();
        for statement in self.session.parse(sql)? {
            let outcome = self
                .runtime
                .block_on(self.session.execute(&statement, None))?;
            last = match outcome {
                Outcome::Rows { rows, .. } => rows,
                _ => Vec::new(),
            };
        }
        Ok(last)
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.coordinator.shared
    }

    fn table(&mut self, name: &str) -> GlobalId {
        let rows = self
            .run(&format!("SELECT '{name}'::regclass::oid"))
            .expect("a table");
        match rows[0].first() {
            Datum::Oid(id) => GlobalId(id),
            other => panic!("{other:?}"),
        }
    }
}

fn row() -> Row {
    Row::pack([Datum::Int32(7), Datum::Text("nobody wrote this")])
}

const SCHEMA: &str = "CREATE TABLE t (a int, b text); CREATE MATERIALIZED VIEW v AS SELECT b, count(*) FROM t GROUP BY b; \
                      CREATE MATERIALIZED VIEW w AS SELECT count(*) FROM v; INSERT INTO t VALUES (1, 'x'), (2, 'y')";

#[test]
fn a_view_that_was_fed_what_no_commit_holds_is_named() {
    let mut server = Server::start();
    server.run(SCHEMA).expect("made");
    assert_eq!(server.run("VERIFY ALL").expect("verified").len(), 3);
    let table = server.table("t");
    let now = server.shared().now();
    let stray = Changes::Rows(Arc::new(vec![(row(), now.next(), 1)]));
    server
        .shared()
        .compute
        .advance(Arc::new(vec![(table, stray)]), now.next().next());
    server
        .run("INSERT INTO t VALUES (3, 'z')")
        .expect("inserted");
    let error = server.run("VERIFY ALL").expect_err("they differ");
    assert_eq!(error.code, SqlState::DATA_CORRUPTED);
    let detail = error.detail.expect("which");
    assert!(
        detail.contains("materialized view public.v: 4 rows"),
        "{detail}"
    );
    assert!(
        detail.contains("materialized view public.w: 1 rows"),
        "{detail}"
    );
    assert!(!detail.contains("table"), "{detail}");
    server.run("VERIFY TABLE t").expect("the table is right");
}

#[test]
fn a_stored_row_that_no_commit_holds_is_named() {
    let mut server = Server::start();
    server.run(SCHEMA).expect("made");
    let table = server.table("t");
    let shared = server.shared().clone();
    let stored = shared.tables.get(table).expect("a table");
    let time = shared.now().next();
    let stray: Vec<_> = stored.stored(&row(), 1, time).into_iter().collect();
    shared
        .tables
        .apply_stored(time, &stray, &[])
        .expect("applied");
    server
        .run("INSERT INTO t VALUES (3, 'z')")
        .expect("inserted");
    let error = server.run("VERIFY ALL").expect_err("they differ");
    let detail = error.detail.expect("which");
    assert!(detail.contains("table public.t: 4 rows"), "{detail}");
    assert!(detail.contains("3 rows with digest"), "{detail}");
    server
        .run("VERIFY MATERIALIZED VIEW v")
        .expect("the view took in the commits");
}

/// Waits until the view has been written down as of the newest commit.
fn written_down(server: &mut Server, view: &str) -> i64 {
    loop {
        let rows = server
            .run(&format!("VERIFY MATERIALIZED VIEW {view}"))
            .expect("verified");
        if let [_, _, _, _, _, Datum::Int64(checkpoints), _] = rows[0].unpack().as_slice()
            && *checkpoints > 0
        {
            return *checkpoints;
        }
    }
}

#[test]
fn a_view_is_compared_with_what_was_written_down_of_it_in_the_past() {
    let mut server = Server::start();
    server.run(SCHEMA).expect("made");
    let first = written_down(&mut server, "w");
    server
        .run("INSERT INTO t VALUES (3, 'z')")
        .expect("inserted");
    while written_down(&mut server, "w") <= first {}
    // What is shown is right by now; what was written down of the past is not.
    let view = server.table("v");
    let shared = server.shared().clone();
    let right = shared.now();
    let wrong = right.next();
    let mut contents = everview_dataflow::Contents::default();
    contents.add(&[(row(), 1)]);
    let checkpoint = crate::checkpoint::Checkpoint {
        view,
        at: wrong,
        semantics: everview_catalog::object::SEMANTICS_VERSION,
        contents,
    };
    let bytes = crate::checkpoint::encode(&[checkpoint]);
    shared
        .log
        .append_checkpoint(bytes.into())
        .expect("appended");
    server.run("DELETE FROM t WHERE a = 1").expect("deleted");
    server
        .run("VERIFY MATERIALIZED VIEW w")
        .expect("nothing is wrong with it");
    let error = server.run("VERIFY ALL").expect_err("they differ");
    assert_eq!(error.code, SqlState::DATA_CORRUPTED);
    let detail = error.detail.expect("which");
    let interval = format!("public.v: it went wrong after {right} and not after {wrong}");
    assert!(detail.contains(&interval), "{detail}");
}
