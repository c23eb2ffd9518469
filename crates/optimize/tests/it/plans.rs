//! Plans after each stage, beside the queries that they are of.
//!
//! A file `NAME.plan` starts with a query over `schema.sql`; an empty line, and its plans as a materialized view,
//! follow. To write them
//! anew, set `EVERVIEW_WRITE_PLANS`, and read the difference.

use super::support::Database;
use std::path::Path;

#[test]
fn plans_are_as_written_down() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans");
    let schema = std::fs::read_to_string(folder.join("schema.sql")).expect("the schema");
    let database = Database::new(&schema);
    let mut names: Vec<_> = std::fs::read_dir(&folder)
        .expect("the plans' folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "plan"))
        .collect();
    names.sort();
    let mut wrong = Vec::new();
    for path in names {
        let text = std::fs::read_to_string(&path).expect("a plan");
        let query = text.split("\n\n").next().unwrap_or_default().trim();
        let view = format!("CREATE MATERIALIZED VIEW v AS {query}");
        let stages = database.stages(database.query(&view));
        let found = format!("{query}\n\n{stages}");
        if found == text {
            continue;
        }
        if std::env::var_os("EVERVIEW_WRITE_PLANS").is_some() {
            std::fs::write(&path, found).expect("a plan is written");
        } else {
            wrong.push(format!("{}:\n{found}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
