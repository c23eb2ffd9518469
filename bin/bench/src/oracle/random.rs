//! Random views over random histories: Everview keeps them, PostgreSQL computes them anew, and they agree after each
//! transaction.
//!
//! Invariant: a case is a function of its seed alone, which the report names.

use std::io::Write;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::OracleError;
use super::grammar::{Grammar, TABLES, View};
use crate::session::{Rows, Session, difference};

/// Views of a case.
const VIEWS: usize = 8;

/// Transactions of a case, half of them before the views are created.
const TRANSACTIONS: usize = 10;

/// What was compared.
#[derive(Debug, Default)]
pub struct Count {
    /// Comparisons that agreed.
    pub agreed: usize,
    /// Views of Everview that are wrong, or that it refuses and PostgreSQL takes.
    pub failed: usize,
    /// Views that Everview refuses by name (0A000).
    pub unsupported: usize,
}

/// Runs a case on both servers, which lose their tables `t0`, `t1`, ...
///
/// # Errors
/// When a server is gone, or one of them refuses what generated histories hold.
pub async fn case(
    seed: u64,
    everview: &Session,
    postgres: &Session,
    count: &mut Count,
    out: &mut impl Write,
) -> Result<(), OracleError> {
    let mut grammar = Grammar::new(ChaCha8Rng::seed_from_u64(seed));
    for server in [everview, postgres] {
        for n in 0..TABLES {
            server
                .run(&format!("DROP TABLE IF EXISTS t{n} CASCADE"))
                .await?;
        }
        for table in Grammar::tables() {
            server.run(&table).await?;
        }
    }
    for _ in 0..TRANSACTIONS / 2 {
        write(&mut grammar, everview, postgres).await?;
    }
    let mut views = create(seed, &mut grammar, everview, postgres, count, out).await?;
    for step in 0..=TRANSACTIONS / 2 {
        if step > 0 {
            write(&mut grammar, everview, postgres).await?;
        }
        let mut right = Vec::new();
        for view in views {
            // One report a view is enough.
            match compare(&view, everview, postgres).await? {
                None => {
                    count.agreed += 1;
                    right.push(view);
                }
                Some(difference) => {
                    count.failed += 1;
                    let report = format!(
                        "FAILED seed {seed} after {step} transactions: CREATE MATERIALIZED VIEW {} AS {}\n{difference}",
                        view.name, view.sql
                    );
                    writeln!(out, "{report}").map_err(super::report)?;
                }
            }
        }
        views = right;
    }
    Ok(())
}

async fn write(
    grammar: &mut Grammar,
    everview: &Session,
    postgres: &Session,
) -> Result<(), OracleError> {
    let text = grammar.transaction().join("; ");
    // One message is one transaction.
    postgres.run(&text).await?;
    everview.run(&text).await?;
    Ok(())
}

/// Creates the views that PostgreSQL takes; gives those that both do.
async fn create(
    seed: u64,
    grammar: &mut Grammar,
    everview: &Session,
    postgres: &Session,
    count: &mut Count,
    out: &mut impl Write,
) -> Result<Vec<View>, OracleError> {
    let mut views = Vec::new();
    for n in 0..VIEWS {
        let view = grammar.view(n);
        let View { name, sql, .. } = &view;
        // The grammar does not know all of SQL's typing; PostgreSQL is the judge of what is a query.
        if postgres
            .run(&format!("CREATE VIEW {name} AS {sql}"))
            .await
            .is_err()
        {
            continue;
        }
        match everview
            .run(&format!("CREATE MATERIALIZED VIEW {name} AS {sql}"))
            .await
        {
            Ok(_) => {
                grammar.keep(&view);
                views.push(view);
            }
            Err(error) => {
                let code = error.source.code().map(|code| code.code().to_string());
                if code.as_deref() == Some("0A000") {
                    count.unsupported += 1;
                } else {
                    count.failed += 1;
                }
                writeln!(out, "FAILED seed {seed}: {error}").map_err(super::report)?;
                postgres.run(&format!("DROP VIEW {name}")).await?;
            }
        }
    }
    Ok(views)
}

/// How a view differs from PostgreSQL's, and whether its query run anew does too.
async fn compare(
    view: &View,
    everview: &Session,
    postgres: &Session,
) -> Result<Option<String>, OracleError> {
    let query = format!("SELECT * FROM {}", view.name);
    let theirs = plain(postgres.rows(&query).await?);
    let ours = match everview.rows(&query).await {
        Ok(rows) => plain(rows),
        Err(error) => return Ok(Some(error.to_string())),
    };
    let Some(difference) = difference(&ours, &theirs) else {
        return Ok(None);
    };
    let anew = match everview.rows(&view.sql).await.map(plain) {
        Ok(rows) if rows == theirs => "only the maintained view is wrong",
        Ok(_) => "its query run anew is wrong too",
        Err(_) => "its query run anew fails",
    };
    Ok(Some(format!("{difference}\n  {anew}")))
}

/// Numbers without zeroes at the end: which of two equal numerics stands for a group is open in SQL.
fn plain(rows: Rows) -> Rows {
    let mut plain = Rows::new();
    for (row, count) in rows {
        let values = row.split(" | ").map(|value| match value.parse::<f64>() {
            Ok(_) if value.contains('.') => value.trim_end_matches('0').trim_end_matches('.'),
            _ => value,
        });
        *plain
            .entry(values.collect::<Vec<_>>().join(" | "))
            .or_default() += count;
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_case_every_time() {
        let case = || {
            let mut grammar = Grammar::new(ChaCha8Rng::seed_from_u64(5));
            let view = grammar.view(0);
            grammar.keep(&view);
            (view.sql, grammar.view(1).sql, grammar.transaction())
        };
        assert_eq!(case(), case());
    }

    #[test]
    fn equal_numbers_are_one_row() {
        let rows = |row: &str| Rows::from([(row.to_string(), 1)]);
        assert_eq!(plain(rows("1.50 | x.0")), rows("1.5 | x.0"));
        assert_eq!(plain(rows("100 | 2.00")), rows("100 | 2"));
    }
}
