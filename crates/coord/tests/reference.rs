//! docs/sql.md says what there is: its tables are printed from the registries.
//!
//! `EVERVIEW_WRITE_DOCS=1 cargo test -p everview-coord --test reference` brings the file up to date.

use everview_coord::settings::Settings;
use everview_expr::{aggregate, registry, table_func};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

/// The file's parts between `<!-- begin NAME -->` and `<!-- end NAME -->`.
fn printed() -> [(&'static str, String); 4] {
    [
        ("functions", functions()),
        ("aggregates", aggregates()),
        ("table functions", table_functions()),
        ("settings", settings()),
    ]
}

fn signature(params: &[registry::ParamType], variadic: bool) -> String {
    let mut names: Vec<String> = params.iter().map(|p| p.sql_name()).collect();
    if let (true, Some(last)) = (variadic, names.last_mut()) {
        last.push_str(", ...");
    }
    names.join(", ")
}

/// A table with one row a name: its signatures, and what the first declaration says.
fn table(head: &str, rows: Vec<(String, String, &'static str)>) -> String {
    let mut by_name: BTreeMap<String, (Vec<String>, &'static str)> = BTreeMap::new();
    for (name, signature, doc) in rows {
        let entry = by_name.entry(name).or_insert_with(|| (vec![], doc));
        entry.0.push(signature);
    }
    let escape = |text: &str| text.replace('|', "\\|");
    let mut out = format!("| {head} | | |\n|---|---|---|\n");
    for (name, (signatures, doc)) in by_name {
        let signatures = signatures.join("; ");
        writeln!(
            out,
            "| `{}` | {} | {} |",
            escape(&name),
            escape(&signatures),
            escape(doc)
        )
        .expect("a string takes everything");
    }
    out
}

fn functions() -> String {
    let hidden = [
        registry::CAST,
        registry::TYPMOD,
        registry::TYPMOD_ASSIGNMENT,
    ];
    let shown = registry::functions()
        .iter()
        .filter(|f| !hidden.contains(&f.name));
    table(
        "function or operator",
        shown
            .map(|f| {
                let params = signature(&f.params, f.variadic);
                (
                    f.name.to_string(),
                    format!("({params}) → {}", f.returns.sql_name()),
                    f.doc,
                )
            })
            .collect(),
    )
}

fn aggregates() -> String {
    let rows = aggregate::aggregates().iter().map(|a| {
        let params = signature(&a.params, false);
        (
            a.name.to_string(),
            format!("({params}) → {}", a.returns.sql_name()),
            a.doc,
        )
    });
    table("aggregate", rows.collect())
}

fn table_functions() -> String {
    let rows = table_func::table_functions().iter().map(|f| {
        let params = signature(&f.params, f.variadic);
        let columns: Vec<String> = f
            .returns
            .iter()
            .map(|(n, ty)| format!("{n} {}", ty.sql_name()))
            .collect();
        (
            f.name.to_string(),
            format!("({params}) → ({})", columns.join(", ")),
            f.doc,
        )
    });
    table("table function", rows.collect())
}

fn settings() -> String {
    let mut out = "| setting | default | |\n|---|---|---|\n".to_string();
    for (name, value, doc) in Settings::new("everview").all() {
        let value = value.replace('|', "\\|");
        writeln!(out, "| `{name}` | `{value}` | {doc} |").expect("a string takes everything");
    }
    out
}

#[test]
fn the_sql_reference_is_up_to_date() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/sql.md");
    let text = std::fs::read_to_string(&path).expect("docs/sql.md");
    let mut fresh = text.clone();
    for (name, part) in printed() {
        let (begin, end) = (
            format!("<!-- begin {name} -->\n"),
            format!("<!-- end {name} -->"),
        );
        let from = fresh.find(&begin).expect("the part begins") + begin.len();
        let to = fresh.find(&end).expect("the part ends");
        fresh.replace_range(from..to, &part);
    }
    if std::env::var_os("EVERVIEW_WRITE_DOCS").is_some() {
        std::fs::write(&path, &fresh).expect("docs/sql.md can be written");
    } else {
        assert!(
            text == fresh,
            "docs/sql.md is out of date: EVERVIEW_WRITE_DOCS=1 cargo test -p everview-coord --test reference"
        );
    }
}
