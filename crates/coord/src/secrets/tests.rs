use super::*;
use std::os::unix::fs::PermissionsExt;

fn secrets(folder: &Path) -> Secrets {
    Secrets::new(folder, None)
}

fn text(text: &str) -> Secret {
    Secret::new(text.to_string())
}

#[test]
fn a_secret_comes_back_with_the_key_that_only_its_owner_can_read() {
    let folder = tempfile::tempdir().unwrap();
    let sealed = secrets(folder.path()).seal(&text("hunter2")).unwrap();
    assert!(!sealed.0.contains("hunter2") && !format!("{sealed:?}").contains(&sealed.0));
    let again = secrets(folder.path()).seal(&text("hunter2")).unwrap();
    assert_ne!(
        sealed.0, again.0,
        "the same text is never encrypted the same way"
    );
    for sealed in [sealed, again] {
        assert_eq!(
            secrets(folder.path()).open(&sealed).unwrap().reveal(),
            "hunter2"
        );
    }
    let mode = std::fs::metadata(folder.path().join(FILE))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn without_its_key_a_secret_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let sealed = secrets(folder.path()).seal(&text("hunter2")).unwrap();
    std::fs::write(folder.path().join(FILE), [7; KEY]).unwrap();
    let other = secrets(folder.path()).open(&sealed).unwrap_err();
    assert!(other.message.contains("another key"), "{other:?}");
    std::fs::remove_file(folder.path().join(FILE)).unwrap();
    let missing = secrets(folder.path()).open(&sealed).unwrap_err();
    assert!(missing.message.contains("missing"), "{missing:?}");
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        0,
        "reading makes no key"
    );
}

#[test]
fn a_key_from_the_environment_leaves_no_file_behind() {
    let folder = tempfile::tempdir().unwrap();
    let given = || Secrets::new(folder.path(), Some(text("correct horse")));
    let sealed = given().seal(&text("hunter2")).unwrap();
    assert_eq!(given().open(&sealed).unwrap().reveal(), "hunter2");
    let other = Secrets::new(folder.path(), Some(text("battery staple")));
    assert!(other.open(&sealed).is_err());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
