//! TPC-H's queries are all planned, and quickly.

use super::support::{Database, sql_tests};
use everview_optimize::{lowering, optimize};

fn read(name: &str) -> String {
    let file = sql_tests("tpch").join(name);
    std::fs::read_to_string(file).expect("a file")
}

#[test]
fn every_query_has_a_plan() {
    let database = Database::new(&read("schema.sql"));
    for n in 1..=22 {
        let started = std::time::Instant::now();
        let expr = database.query(&read(&format!("q{n:02}.sql")));
        let parsed = started.elapsed();
        let started = std::time::Instant::now();
        let optimized = optimize(expr.clone()).expect("well formed");
        let rules = started.elapsed();
        lowering::lower(&optimized, &lowering::Indexes::new()).expect("a plan");
        println!(
            "q{n:02}: {parsed:?} to decorrelate, {rules:?} for the rules, {:?} in all",
            started.elapsed()
        );
        if std::env::var_os("SHOW").is_some() {
            println!("{}", database.stages(expr));
        }
    }
}
