//! Passwords, as psql, drivers and strangers meet them.

use crate::raw::Raw;
use crate::{Server, code, within_limit};
use std::io::Write;
use std::process::{Command, Stdio};
use tokio_postgres::NoTls;

/// psql without a terminal: what it prints, errors included.
fn psql(server: &Server, user: &str, password: Option<&str>, command: &str, input: &str) -> String {
    let address = server.address;
    let mut psql = Command::new("setsid");
    psql.args(["-w", "psql", "-X", "-A", "-t"])
        .args(["-h", &address.ip().to_string()])
        .args(["-p", &address.port().to_string()])
        .args(["-U", user, "-d", "everview", "-c", command])
        .env_remove("PGPASSWORD")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    match password {
        Some(password) => psql.env("PGPASSWORD", password),
        None => psql.arg("-w"),
    };
    let mut child = psql.spawn().expect("psql and setsid are installed");
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let both = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&both).to_string()
}

#[test]
#[ignore = "needs psql; .ci/run runs it"]
fn psql_connects_with_the_password_and_not_without() {
    let mut server = Server::start();
    let set = "ALTER ROLE everview PASSWORD 'schöner Fund'";
    assert_eq!(psql(&server, "everview", None, set, ""), "ALTER ROLE\n");
    for restarted in [false, true] {
        let select = |user, password| psql(&server, user, password, "SELECT 'in'", "");
        assert_eq!(select("everview", Some("schöner Fund")), "in\n");
        let wrong = "FATAL:  password authentication failed for user \"everview\"";
        assert!(select("everview", Some("schoner Fund")).contains(wrong));
        assert!(select("everview", None).contains("no password supplied"));
        // The other role has none yet, and a third does not exist, which is not told.
        assert_eq!(select("postgres", None), "in\n");
        let wrong = "FATAL:  password authentication failed for user \"nobody\"";
        assert!(select("nobody", Some("x")).contains(wrong));
        assert!(select("nobody", None).contains("no password supplied"));
        if !restarted {
            server.kill_and_restart();
        }
    }
    let clear = "ALTER ROLE everview PASSWORD NULL";
    psql(&server, "everview", Some("schöner Fund"), clear, "");
    assert_eq!(psql(&server, "everview", None, "SELECT 'in'", ""), "in\n");
    let unknown = psql(&server, "nobody", None, "SELECT 'in'", "");
    assert!(
        unknown.contains("role \"nobody\" does not exist"),
        "{unknown}"
    );
}

#[test]
#[ignore = "needs psql; .ci/run runs it"]
fn psql_sets_a_password_by_its_own_command() {
    let server = Server::start();
    let prompts = psql(&server, "everview", None, "\\password", "Tür\nTür\n");
    assert!(!prompts.contains("ERROR"), "{prompts}");
    let select = |password| psql(&server, "everview", password, "SELECT 'in'", "");
    assert_eq!(select(Some("Tür")), "in\n");
    assert!(select(Some("Tor")).contains("password authentication failed"));
    let prompts = psql(
        &server,
        "everview",
        Some("Tür"),
        "\\password postgres",
        "x\nx\n",
    );
    assert!(!prompts.contains("ERROR"), "{prompts}");
    assert_eq!(psql(&server, "postgres", Some("x"), "SELECT 1", ""), "1\n");
}

#[test]
fn a_driver_connects_with_the_password() {
    let server = Server::start();
    within_limit(async {
        let admin = server.connect().await;
        admin
            .batch_execute("ALTER ROLE everview PASSWORD 'I\u{ad}X'")
            .await
            .unwrap();
        let mut config: tokio_postgres::Config = server.url().parse().unwrap();
        // SASLprep: a soft hyphen is nothing.
        let (client, connection) = config.password("IX").connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client.simple_query("SELECT 1").await.unwrap();
        // A running statement is cancelled without one.
        let token = client.cancel_token();
        let (slept, canceled) = tokio::join!(client.simple_query("SELECT pg_sleep(60)"), async {
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            token.cancel_query(NoTls).await
        });
        canceled.unwrap();
        assert_eq!(code(&slept.unwrap_err()), "57014");
        let wrong = config.password("IY").connect(NoTls).await;
        assert_eq!(code(&wrong.err().unwrap()), "28P01");
        // Who was in stays.
        admin.simple_query("SELECT 1").await.unwrap();
    });
}

/// Starts as a role; what the server answers to a first message of SCRAM.
fn challenge(server: &Server, role: &str) -> (Raw, String) {
    let mut raw = Raw::connect(server);
    raw.start(role);
    let (tag, body) = raw.receive().unwrap();
    assert_eq!(
        (tag, body.as_slice()),
        (b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0".as_slice())
    );
    raw.message(b'p', b"SCRAM-SHA-256\0\0\0\0\x0cn,,n=,r=abcd");
    let (tag, body) = raw.receive().unwrap();
    assert_eq!((tag, &body[..4]), (b'R', b"\0\0\0\x0b".as_slice()));
    let text = String::from_utf8(body[4..].to_vec()).unwrap();
    (raw, text)
}

#[test]
#[ignore = "needs psql; .ci/run runs it"]
fn a_role_that_does_not_exist_is_asked_and_refused_as_one_that_does() {
    let server = Server::start();
    let set = "ALTER ROLE everview PASSWORD 'x'";
    psql(&server, "everview", None, set, "");
    let mut salts = Vec::new();
    for role in ["everview", "everview", "nobody", "nobody"] {
        let (mut raw, text) = challenge(&server, role);
        let parts: Vec<_> = text.split(',').collect();
        let [nonce, salt, "i=4096"] = parts.as_slice() else {
            panic!("{text}")
        };
        assert!(
            nonce.starts_with("r=abcd") && nonce.len() == 6 + 24,
            "{nonce}"
        );
        assert_eq!(salt.len(), 2 + 24);
        salts.push(salt.to_string());
        let proof = "A".repeat(43);
        raw.message(b'p', format!("c=biws,{nonce},p={proof}=").as_bytes());
        assert_eq!(raw.error(), "28P01");
        assert!(raw.is_closed());
    }
    assert!(salts[0] == salts[1] && salts[2] == salts[3] && salts[0] != salts[2]);
}

#[test]
#[ignore = "needs psql; .ci/run runs it"]
fn nothing_but_the_password_is_listened_to() {
    let server = Server::start();
    psql(
        &server,
        "everview",
        None,
        "ALTER ROLE everview PASSWORD 'x'",
        "",
    );
    let too_long = vec![b'x'; 2000];
    let first: [(u8, &[u8], &str); 6] = [
        (b'Q', b"SELECT 1\0", "08P01"),
        (b'p', b"x\0", "08P01"),
        (b'p', b"", "08P01"),
        (b'p', &too_long, "08P01"),
        (b'X', b"", "08P01"),
        (b'p', b"SCRAM-SHA-256\0\0\0\0\x0cn,a=b,n=,r=a", "0A000"),
    ];
    for (tag, body, expected) in first {
        let mut raw = Raw::connect(&server);
        raw.start("everview");
        raw.message(tag, body);
        assert_eq!(raw.error(), expected);
        assert!(raw.is_closed());
    }
    for (tag, body) in [
        (b'p', b"c=biws".as_slice()),
        (b'p', b"\xff\xfe"),
        (b'p', b"SCRAM-SHA-256\0\0\0\0\x0cn,,n=,r=abcd"),
        (b'B', b"\0\0"),
    ] {
        let (mut raw, _) = challenge(&server, "everview");
        raw.message(tag, body);
        assert_eq!(raw.error(), "08P01");
        assert!(raw.is_closed());
    }
    assert_eq!(psql(&server, "everview", Some("x"), "SELECT 1", ""), "1\n");
}
