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

#[test]
fn the_same_log_gives_the_same_digests_at_every_checkpoint_with_any_number_of_workers() {
    let mut server = Server::start();
    within_limit(async {
        let client = server.connect().await;
        let views = "CREATE TABLE t (a int PRIMARY KEY, g int, x double precision, s text);
            CREATE MATERIALIZED VIEW sums AS SELECT g, count(*), sum(x), avg(x), min(s), max(s) FROM t GROUP BY g;
            CREATE MATERIALIZED VIEW newest AS SELECT DISTINCT ON (g) g, a, s FROM t ORDER BY g, a DESC;
            CREATE MATERIALIZED VIEW over AS SELECT n.g, s.sum, t.s FROM newest n JOIN sums s USING (g) JOIN t ON t.a = n.a;
            CREATE MATERIALIZED VIEW without AS SELECT g FROM t EXCEPT SELECT g FROM t WHERE x > 0";
        client.batch_execute(views).await.unwrap();
        // Sums of these in another order are other numbers, unless they are exact.
        for round in 0..40 {
            let step = format!(
                "INSERT INTO t SELECT {round} * 50 + n, (n * 7 + {round}) % 11,
                     (CASE n % 3 WHEN 0 THEN 1e17 WHEN 1 THEN -1e17 ELSE 0.1 END) * (n - 20), md5((n * {round})::text)
                 FROM generate_series(1, 50) n;
                 DELETE FROM t WHERE (a + {round}) % 13 = 0;
                 UPDATE t SET x = x / 3, g = g + 1 WHERE a % 17 = {round} % 17"
            );
            client.batch_execute(&step).await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
    });
    assert!(server.stop());
    let answers = ["1", "2", "4", "1", "2", "4"].map(|workers| {
        let output = verify(&server, &["--workers", workers]);
        assert!(output.status.success(), "{}", said(&output));
        said(&output)
    });
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:#?}"
    );
    let sums = answers[0].lines().find(|line| line.contains("public.sums"));
    let checkpoints = sums.and_then(|line| line.rsplit(", ").next()).unwrap();
    let count: u32 = checkpoints
        .trim_end_matches(" checkpoints")
        .parse()
        .unwrap();
    assert!(count >= 5, "{answers:#?}");
}
