use super::*;
use proptest::prelude::*;

/// Made by PostgreSQL 15, with the password of each: ASCII; what SASLprep maps and normalizes; what it prohibits, for
/// its direction; what it leaves nothing of.
const POSTGRES: [(&str, &str); 4] = [
    (
        "pencil",
        "SCRAM-SHA-256$4096:J0SeQ7QK2md0kZiS9hi4dw==$NOklaCatSEWAjGnJZfqTI37h8zqJL+VxzS+TbZAFCwk=:5E4tiz9BCP5GsAnsYoNPKv1sonzAL/PusJJJNSSV8NE=",
    ),
    (
        "I\u{ad}X\u{2168}",
        "SCRAM-SHA-256$4096:tcPmoJruYmD3GkhDQDUxVA==$KQi2fid82QqkCsdChnFqFYfR9KGrWvbv51SuR1hWXh4=:arFzIpUdA1yBDWvun2iYd4SuX34fi0VRQ8D/1iXd3+Q=",
    ),
    (
        "\u{627}1",
        "SCRAM-SHA-256$4096:fQ0bCdcozmVObFDqN6sIZQ==$s38xpCEXpaPecKGj7lsOHEzANCwTLFQ56d89ZaNilr8=:w86zko7vHus+NWMnsoUzPwRXkkgj9wUZPdEH+evo/+8=",
    ),
    (
        "\u{ad}",
        "SCRAM-SHA-256$4096:rwHaZNrZG5eMyKi+fumo+g==$mZlHnthpcUdXdZMpJuVYyB4hz7I1uar4k6VRFuov1qY=:1giNnC2rScGG6n4vxSv28EvK2UIBT37G1qV6uC7B3aU=",
    ),
];

fn with(roles: &[(&str, &str)]) -> Passwords {
    let mut passwords = Passwords::default();
    for (role, password) in roles {
        let verifier = Verifier::of(password, b"salt", 1);
        let mut altered = Altered::new();
        alter(&mut altered, role.to_string(), Some(&verifier)).unwrap();
        passwords.apply(&altered);
    }
    passwords
}

#[test]
fn postgres_verifiers_are_those_of_their_passwords() {
    for (password, text) in POSTGRES {
        let verifier = Verifier::parse(text).unwrap();
        assert!(verifier.accepts(password), "{password}");
        assert!(!verifier.accepts("pencil "));
        assert_eq!(verifier.to_string(), text);
    }
    // SASLprep makes these one password.
    assert!(Verifier::parse(POSTGRES[1].1).unwrap().accepts("IXIX"));
}

#[test]
fn a_verifier_is_kept_as_it_is_and_anything_else_is_a_password() {
    let (_, text) = POSTGRES[0];
    assert_eq!(verifier(text).unwrap().unwrap().to_string(), text);
    for almost in [
        &text[..text.len() - 1],
        &text.replace("4096", "0"),
        &text.replace("$NO", "$"),
        &text.replace("SCRAM-SHA-256", "scram-sha-256"),
        "SCRAM-SHA-256$4096:$:",
        "md5",
        "md5012345678901234567890123456789zz",
    ] {
        let kept = verifier(almost).unwrap().unwrap();
        assert!(kept.accepts(almost), "{almost}");
        assert_eq!((kept.iterations, kept.salt.len()), (4096, 16));
    }
    let twice = [0; 2].map(|_| verifier("pencil").unwrap().unwrap());
    assert_ne!(twice[0].salt, twice[1].salt);
}

#[test]
fn md5_hashes_and_endless_verifiers_are_refused_and_an_empty_password_is_none() {
    let refused = |password: &str| verifier(password).unwrap_err().code;
    let md5 = "md5c0ffee00c0ffee00c0ffee00c0ffee00";
    assert_eq!(refused(md5), SqlState::FEATURE_NOT_SUPPORTED);
    let endless = POSTGRES[0].1.replace("4096", "4294967295");
    assert_eq!(refused(&endless), SqlState::INVALID_PARAMETER_VALUE);
    assert_eq!(verifier("").unwrap(), None);
    let of_empty = Verifier::of("", b"salt", 4096).to_string();
    assert_eq!(verifier(&of_empty).unwrap(), None);
}

#[test]
fn who_must_prove_what() {
    let none = Passwords::default();
    let one = with(&[("everview", "geheim")]);
    let refused = |passwords: &Passwords, role, loopback| {
        passwords.challenge(role, loopback).unwrap_err().code
    };
    // Until one is set, loopback is let in, and nobody else.
    for role in ["everview", "postgres", "nobody", NO_ROLE] {
        assert_eq!(none.challenge(role, true).unwrap(), None);
    }
    let code = SqlState::INVALID_AUTHORIZATION_SPECIFICATION;
    assert_eq!(refused(&none, "everview", false), code);
    // Then the role needs it everywhere, and the others are as they were.
    for loopback in [true, false] {
        let asked = one.challenge("everview", loopback).unwrap().unwrap();
        assert!(asked.accepts("geheim"));
    }
    assert_eq!(one.challenge("postgres", true).unwrap(), None);
    assert_eq!(refused(&one, "postgres", false), code);
}

#[test]
fn a_role_that_there_is_not_is_asked_the_same_for_ever() {
    let mut passwords = with(&[("everview", "geheim")]);
    let asked = |passwords: &Passwords, role: &str| {
        let asked = [true, false].map(|loopback| passwords.challenge(role, loopback).unwrap());
        let [Some(first), Some(second)] = asked else {
            panic!("{role} is let in");
        };
        assert_eq!(first, second);
        assert_eq!((first.iterations, first.salt.len()), (ITERATIONS, SALT));
        first
    };
    let before = ["nobody", "somebody", NO_ROLE].map(|role| asked(&passwords, role));
    assert_ne!(before[0].salt, before[1].salt);
    // Neither another password nor a restart shows.
    let mut altered = Altered::new();
    alter(
        &mut altered,
        "everview".into(),
        Some(&Verifier::of("neu", b"salt", 1)),
    )
    .unwrap();
    passwords.apply(&altered);
    let rows: Vec<Row> = passwords
        .0
        .iter()
        .map(|(role, kept)| Row::pack([Datum::Text(role), Datum::Text(kept)]))
        .collect();
    let passwords = Passwords::load(&rows).unwrap();
    assert_eq!(asked(&passwords, "nobody"), before[0]);
    assert_ne!(asked(&with(&[("everview", "geheim")]), "nobody"), before[0]);
}

#[test]
fn changes_take_back_what_was_there() {
    let mut passwords = with(&[("everview", "geheim")]);
    let before = passwords.0.clone();
    let mut altered = Altered::new();
    alter(&mut altered, "everview".into(), None).unwrap();
    alter(&mut altered, "postgres".into(), None).unwrap();
    let changes = passwords.apply(&altered);
    let row = Row::pack([Datum::Text("everview"), Datum::Text(&before["everview"])]);
    assert_eq!(changes, [(row, -1)]);
    assert_eq!(passwords.roles().count(), 0);
    assert_eq!(passwords.secret(), before[NO_ROLE]);
}

#[test]
fn debug_output_shows_no_secret() {
    let passwords = with(&[("everview", "geheim")]);
    let shown = format!("{passwords:?} {:?}", passwords.challenge("everview", true));
    assert!(shown.contains("everview"));
    assert!(!shown.contains(passwords.secret()));
    assert!(!shown.contains(&passwords.0["everview"][14..]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_text_panics_and_what_is_read_is_printed_again(
        text in "(SCRAM-SHA-256)?\\$?[0-9]{0,11}:?[A-Za-z0-9+/=]{0,30}\\$?.{0,50}:?.{0,50}",
        salt in proptest::collection::vec(any::<u8>(), 1..40),
        iterations in 1u32..3,
        password in ".*",
    ) {
        Verifier::parse(&text);
        let verifier = Verifier::of(&password, &salt, iterations);
        prop_assert_eq!(Verifier::parse(&verifier.to_string()), Some(verifier));
    }
}
