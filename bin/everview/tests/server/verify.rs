//! `everview verify` over a stopped server's folder.

use crate::{Server, within_limit};
use std::process::{Command, Output};

fn verify(server: &Server, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_everview"))
        .args(["verify", "--data-dir"])
        .arg(server.data_dir())
        .args(args)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_stopped_folder_is_verified_by_other_workers_and_against_a_head_kept_elsewhere() {
    let mut server = Server::start();
    let head = within_limit(async {
        let client = server.connect().await;
        let work = "CREATE TABLE t (a int PRIMARY KEY, b text); CREATE MATERIALIZED VIEW v AS SELECT b, count(*) FROM t GROUP BY b; \
                    INSERT INTO t SELECT g, 'b' || g % 3 FROM generate_series(1, 100) g";
        client.batch_execute(work).await.unwrap();
        let row = client.simple_query("SHOW everview.log_head").await.unwrap();
        let head = row.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_string),
            _ => None,
        });
        client
            .batch_execute("DELETE FROM t WHERE a > 50")
            .await
            .unwrap();
        head.unwrap()
    });
    let running = verify(&server, &[]);
    assert!(!running.status.success());
    assert!(String::from_utf8_lossy(&running.stderr).contains("in use by another process"));
    assert!(server.stop());

    let right = verify(&server, &["--workers", "2", "--head", &head]);
    let text = said(&right);
    assert!(right.status.success(), "{text}");
    assert!(
        text.contains("nothing up to the given head has changed"),
        "{text}"
    );
    assert!(text.contains("table public.t: verified, 50 rows"), "{text}");
    assert!(
        text.contains("materialized view public.v: verified, 3 rows"),
        "{text}"
    );

    let (sequence, hash) = head.split_once(':').unwrap();
    let turned: String = hash.chars().rev().collect();
    let other = verify(&server, &["--head", &format!("{sequence}:{turned}")]);
    assert_eq!(other.status.code(), Some(1));
    assert!(said(&other).contains("never had the given head"));
    assert!(!verify(&server, &["--head", "nonsense"]).status.success());
}
