use super::*;
use proptest::prelude::*;

// RFC 7677, section 3: user "user", password "pencil".
const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const CLIENT_FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
const SERVER_FIRST: &str =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const CLIENT_FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
    p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
const SERVER_FINAL: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

fn verifier(password: &str) -> Verifier {
    let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    Verifier::of(password, &salt, 4096)
}

fn begun(verifier: &Verifier) -> Exchange {
    let (exchange, first) = Exchange::begin(CLIENT_FIRST, SERVER_NONCE, verifier).unwrap();
    assert_eq!(first, SERVER_FIRST);
    exchange
}

fn refusal(client_first: &str) -> (String, bool) {
    let error = Exchange::begin(client_first, SERVER_NONCE, &verifier("pencil")).unwrap_err();
    (error.code.to_string(), error.fatal)
}

#[test]
fn the_exchange_is_that_of_rfc_7677() {
    let pencil = verifier("pencil");
    let last = begun(&pencil).finish(CLIENT_FINAL, &pencil).unwrap();
    assert_eq!(last.as_deref(), Some(SERVER_FINAL));
}

#[test]
fn another_password_does_not_fit() {
    let pen = verifier("pen");
    assert_eq!(begun(&pen).finish(CLIENT_FINAL, &pen).unwrap(), None);
}

#[test]
fn binding_identities_and_extensions_are_refused_by_name() {
    for message in [
        "p=tls-server-end-point,,n=,r=abc",
        "n,a=other,n=,r=abc",
        "n,,m=ext,n=,r=abc",
    ] {
        assert_eq!(refusal(message), ("0A000".into(), true), "{message}");
    }
    for message in [
        "",
        "n",
        "n,",
        "n,,",
        "x,,n=,r=abc",
        "n,b,n=,r=abc",
        "n,,r=abc",
        "n,,n=",
        "n,,n=,r=",
        "n,,n=,r=a c",
        "n,,n=,r=\u{e4}",
    ] {
        assert_eq!(refusal(message), ("08P01".into(), true), "{message}");
    }
}

#[test]
fn a_client_that_could_bind_is_let_in_if_it_says_so_both_times() {
    let pencil = verifier("pencil");
    let (exchange, _) = Exchange::begin("y,,n=,r=abc", "xyz", &pencil).unwrap();
    let proof = "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    let last = |binding: &str| {
        let message = format!("c={},r=abcxyz,{proof}", BASE64.encode(binding));
        exchange.finish(&message, &pencil)
    };
    // The proof is another exchange's; the header is looked at first.
    assert_eq!(last("y,,").unwrap(), None);
    assert_eq!(last("n,,").unwrap_err().code.to_string(), "08P01");
}

#[test]
fn the_first_message_names_the_mechanism_and_its_length() {
    let body = |mechanism: &str, length: i32, message: &str| {
        let parts = [
            mechanism.as_bytes(),
            &[0],
            &length.to_be_bytes(),
            message.as_bytes(),
        ];
        parts.concat()
    };
    assert_eq!(initial(&body(MECHANISM, 4, "n,,x")).unwrap(), "n,,x");
    for wrong in [
        body("SCRAM-SHA-1", 4, "n,,x"),
        body("SCRAM-SHA-256-PLUS", 4, "n,,x"),
        body(MECHANISM, 3, "n,,x"),
        body(MECHANISM, -1, ""),
        body(MECHANISM, 4, "n,\0x"),
        MECHANISM.as_bytes().to_vec(),
        b"SCRAM-SHA-256\0\0\0".to_vec(),
        vec![],
    ] {
        assert_eq!(initial(&wrong).unwrap_err().code.to_string(), "08P01");
    }
}

proptest! {
    #[test]
    fn no_message_panics_or_lets_anybody_in(
        body in proptest::collection::vec(any::<u8>(), 0..200),
        first in "([nyp]|p=[a-z]+)?,?(a=[a-z]*)?,?(m=)?(n=[a-z]*)?,?(r=.{0,20})?(,.{0,10})?",
        last in "(c=(biws|eSws|.{0,5}))?,?(r=abcxyz|r=.{0,10})?,?(p=[A-Za-z0-9+/]{43}=|p=.{0,50})?",
    ) {
        let _ = initial(&body);
        let _ = text(&body);
        let pencil = verifier("pencil");
        let _ = Exchange::begin(&first, "xyz", &pencil);
        let (exchange, _) = Exchange::begin("n,,n=,r=abc", "xyz", &pencil).unwrap();
        prop_assert!(!matches!(exchange.finish(&last, &pencil), Ok(Some(_))));
    }

    #[test]
    fn a_proof_with_any_change_does_not_fit(at in 0..CLIENT_FINAL.len(), to in 0u8..128) {
        let mut changed = CLIENT_FINAL.as_bytes().to_vec();
        changed[at] = to;
        let changed = String::from_utf8(changed).unwrap();
        prop_assume!(changed != CLIENT_FINAL);
        let pencil = verifier("pencil");
        prop_assert!(!matches!(begun(&pencil).finish(&changed, &pencil), Ok(Some(_))));
    }
}
