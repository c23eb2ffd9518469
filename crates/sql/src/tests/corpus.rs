//! Real texts: the catalog's own views, the flights' schema and views, SQLite's files.

use super::support::Session;
use crate::plan_view_text;
use everview_catalog::ObjectKind;
use std::path::{Path, PathBuf};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../sql-tests")
        .join(name)
}

#[test]
fn the_catalogs_own_views_are_planned() {
    let session = Session::new();
    let mut wrong = Vec::new();
    for object in session.catalog.objects() {
        if let ObjectKind::View(view) = &object.kind {
            match plan_view_text(&session.catalog, view) {
                Err(e) => wrong.push(format!("{}: {e:?}", object.name)),
                Ok(expr) => {
                    let found: Vec<_> = expr.ty().columns.into_iter().map(|c| c.scalar).collect();
                    let said: Vec<_> = view
                        .desc
                        .columns
                        .iter()
                        .map(|c| c.ty.scalar.clone())
                        .collect();
                    if found != said {
                        wrong.push(format!("{}: {said:?} is {found:?}", object.name));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_flights_are_planned() {
    let mut session = Session::new();
    for file in ["schema.sql", "views.sql"] {
        session.run(&std::fs::read_to_string(folder("nycflights13").join(file)).unwrap());
    }
    session
        .plan_all(&std::fs::read_to_string(folder("nycflights13").join("steps.sql")).unwrap())
        .unwrap();
}

fn statements(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap();
    let mut out = Vec::new();
    for record in text.split("\n\n") {
        let mut lines = record.lines().filter(|l| !l.starts_with('#')).peekable();
        let mut skip = false;
        while let Some(line) = lines
            .next_if(|l| l.starts_with("skipif") || l.starts_with("onlyif") || l.trim().is_empty())
        {
            skip |= line.starts_with("onlyif") && !line.contains("postgresql");
            skip |= line.starts_with("skipif postgresql");
        }
        let Some(head) = lines.next() else { continue };
        if skip || !(head.starts_with("statement ok") || head.starts_with("query")) {
            continue;
        }
        out.push(
            lines
                .take_while(|l| *l != "----")
                .collect::<Vec<_>>()
                .join("\n"),
        );
    }
    out
}

#[test]
fn sqlites_files_are_planned() {
    let mut wrong = Vec::new();
    let mut pending = vec![folder("sqlite")];
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(std::fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
            continue;
        }
        let mut session = Session::new();
        for sql in statements(&path) {
            let word = sql.trim_start().to_uppercase();
            let ddl = word.starts_with("CREATE") || word.starts_with("DROP");
            match session.plan(&sql) {
                Ok(_) if ddl => session.run(&sql),
                Ok(_) => {}
                Err(e) => wrong.push(format!(
                    "{}: {sql}\n   {} {}",
                    path.display(),
                    e.code,
                    e.message
                )),
            }
        }
    }
    // A unique index would be a constraint on a table that has rows already.
    wrong.retain(|w| {
        !w.contains("CREATE UNIQUE INDEX is not supported") && !w.contains("DROP INDEX")
    });
    assert!(
        wrong.is_empty(),
        "{} refused\n{}",
        wrong.len(),
        wrong[..wrong.len().min(40)].join("\n")
    );
}
