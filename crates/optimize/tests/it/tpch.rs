//! TPC-H's queries and the flights' views are all planned, and quickly.

use super::support::{Database, sql_tests};
use everview_expr::RelExpr;
use everview_optimize::{lowering, optimize};
use std::time::{Duration, Instant};

fn read(folder: &str, name: &str) -> String {
    std::fs::read_to_string(sql_tests(folder).join(name)).expect("a file")
}

/// Plans an expression; how long the rules and the physical plan took.
fn planned(expr: RelExpr) -> Duration {
    let started = Instant::now();
    let optimized = optimize(expr).expect("a plan that is well formed");
    lowering::lower(&optimized, &lowering::Indexes::new()).expect("a physical plan");
    started.elapsed()
}

/// Far above what any query takes, so that only a blow-up fails the test.
const BOUND: Duration = Duration::from_secs(2);

#[test]
fn every_query_of_tpch_has_a_plan() {
    let database = Database::new(&read("tpch", "schema.sql"));
    for n in 1..=22 {
        let expr = database.query(&read("tpch", &format!("q{n:02}.sql")));
        let took = planned(expr);
        println!("q{n:02}: {took:?}");
        assert!(took < BOUND, "q{n:02} took {took:?}");
    }
}

#[test]
fn every_view_of_the_flights_has_a_plan() {
    let database = Database::new(&read("nycflights13", "schema.sql"));
    for (n, expr) in database
        .queries(&read("nycflights13", "views.sql"))
        .into_iter()
        .enumerate()
    {
        let took = planned(expr);
        println!("view {n}: {took:?}");
        assert!(took < BOUND, "view {n} took {took:?}");
    }
}

#[test]
fn joins_of_many_tables_do_not_blow_up() {
    let tables: String = (0..12)
        .map(|n| format!("CREATE TABLE t{n} (a integer PRIMARY KEY, b integer, c integer);"))
        .collect();
    let database = Database::new(&tables);
    for width in [8, 12] {
        let from: Vec<_> = (0..width).map(|n| format!("t{n}")).collect();
        let on: Vec<_> = (1..width)
            .map(|n| format!("t{}.b = t{n}.a", n - 1))
            .collect();
        let query = format!(
            "SELECT t0.c FROM {} WHERE {}",
            from.join(", "),
            on.join(" AND ")
        );
        let took = planned(database.query(&query));
        println!("{width} tables: {took:?}");
        assert!(took < BOUND, "{width} tables took {took:?}");
    }
}
