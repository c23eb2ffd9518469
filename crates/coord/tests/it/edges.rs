//! Dependencies between crates point downwards only, and third-party engines are named by one crate each.

use std::collections::BTreeMap;

/// Each crate and the crates of the workspace that it may use, outside of tests.
const EDGES: &[(&str, &[&str])] = &[
    ("repr", &[]),
    ("expr", &["repr"]),
    ("log", &[]),
    ("store", &["repr"]),
    ("catalog", &["repr", "expr"]),
    ("sql", &["repr", "expr", "catalog"]),
    ("optimize", &["repr", "expr"]),
    ("dataflow", &["repr", "expr", "optimize"]),
    (
        "coord",
        &[
            "repr", "expr", "log", "store", "catalog", "sql", "optimize", "dataflow",
        ],
    ),
    ("connect", &["repr", "coord"]),
    ("slt", &[]),
    ("pgwire", &["repr", "sql", "coord"]),
];

/// Engines that only one crate may name.
const OWNED: &[(&str, &str)] = &[
    ("sqlparser", "sql"),
    ("timely", "dataflow"),
    ("differential-dataflow", "dataflow"),
    ("fjall", "store"),
    ("pgwire", "pgwire"),
];

fn dependencies(manifest: &str) -> Vec<String> {
    let mut section = "";
    let mut out = Vec::new();
    for line in manifest.lines() {
        let line = line.trim();
        if line.starts_with('[') {
            section = line;
        } else if section == "[dependencies]"
            && let Some((name, _)) = line.split_once(['.', '=', ' '])
        {
            out.push(name.trim().to_string());
        }
    }
    out
}

#[test]
fn crates_use_only_what_is_below_them() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let allowed: BTreeMap<_, _> = EDGES.iter().copied().collect();
    let mut seen = Vec::new();
    for entry in std::fs::read_dir(&root).expect("the crates' folder") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let manifest = std::fs::read_to_string(path.join("Cargo.toml")).expect("a manifest");
        let edges = allowed
            .get(name.as_str())
            .unwrap_or_else(|| panic!("crate {name} is not on the map"));
        for dependency in dependencies(&manifest) {
            if let Some(used) = dependency.strip_prefix("everview-") {
                assert!(edges.contains(&used), "{name} must not use {used}");
            }
            for (engine, owner) in OWNED {
                assert!(
                    dependency != *engine || name == *owner,
                    "{name} must not name {engine}"
                );
            }
        }
        seen.push(name);
    }
    assert_eq!(seen.len(), EDGES.len(), "every crate on the map is there");
}
