use super::*;

#[test]
fn options_set_parameters_and_keep_escaped_blanks() {
    let settings = switches(r"-c search_path=a\ b --statement-timeout=5s -ctimezone=UTC").unwrap();
    let expected = [
        ("search_path", "a b"),
        ("statement_timeout", "5s"),
        ("timezone", "UTC"),
    ];
    assert_eq!(
        settings,
        expected.map(|(n, v)| (n.to_string(), v.to_string()))
    );
    assert!(switches("-x").is_err());
    assert!(switches("-c novalue").is_err());
}

#[test]
fn a_parameter_list_must_be_whole() {
    let read = pairs(b"user\0u\0database\0\0\0").unwrap();
    assert_eq!(read[1], ("database".to_string(), String::new()));
    assert!(pairs(b"").is_err());
    assert!(pairs(b"user\0").is_err());
    assert!(pairs(b"user\0u").is_err());
    assert!(pairs(b"user\0\0").is_err());
    assert!(pairs(b"user\0\xff\0\0").is_err());
    assert!(pairs(b"\0").unwrap().is_empty());
}

/// How a client from an address fares that sends a startup packet and no more: what it was sent, and the error.
async fn attempt(coordinator: &Coordinator, peer: &str, role: &str) -> (Vec<u8>, Option<Error>) {
    let mut packet = 196_608u32.to_be_bytes().to_vec();
    packet.extend(format!("user\0{role}\0\0").as_bytes());
    let length = (packet.len() as u32 + 4).to_be_bytes();
    let sent = [&length[..], &packet].concat();
    let mut received = Vec::new();
    let (mut input, mut output) = (Input::new(sent.as_slice()), Output::new(&mut received));
    let peer = peer.parse().unwrap();
    let result = negotiate(&mut input, &mut output, coordinator, peer).await;
    (received, result.err())
}

#[tokio::test]
async fn from_beyond_loopback_a_role_needs_a_password() {
    let folder = tempfile::tempdir().unwrap();
    let coordinator = Coordinator::start(everview_coord::Options {
        data_dir: folder.path().to_path_buf(),
        ..Default::default()
    });
    let coordinator = coordinator.unwrap();
    let options = SessionOptions {
        user: "everview".into(),
        ..Default::default()
    };
    let mut session = Session::open(&coordinator, options).unwrap();
    let set = session
        .parse("ALTER ROLE everview PASSWORD 'x'")
        .unwrap()
        .remove(0);
    session.execute(&set, None).await.unwrap();
    for beyond in ["10.0.0.7:1", "[::ffff:10.0.0.7]:1", "[2001:db8::1]:1"] {
        let (received, error) = attempt(&coordinator, beyond, "postgres").await;
        let error = error.unwrap();
        assert_eq!(
            (error.code.to_string(), error.fatal),
            ("28000".into(), true)
        );
        assert!(error.hint.unwrap().contains("ALTER ROLE postgres PASSWORD"));
        assert!(received.is_empty());
        for role in ["everview", "nobody"] {
            let (received, error) = attempt(&coordinator, beyond, role).await;
            assert!(error.is_none() && received.ends_with(b"SCRAM-SHA-256\0\0"));
        }
    }
    for loopback in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
        let (received, error) = attempt(&coordinator, loopback, "postgres").await;
        assert!(error.is_none() && received.is_empty());
        let (received, _) = attempt(&coordinator, loopback, "everview").await;
        assert!(received.ends_with(b"SCRAM-SHA-256\0\0"));
    }
}
