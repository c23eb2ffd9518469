//! Targets as anybody sees them, at any moment: each is its view as of the progress beside it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::schema::SINKS;
use crate::session::{Session, SessionError, difference};

/// How long to wait where there was nothing to see.
const AGAIN: Duration = Duration::from_millis(50);

/// What an observer has seen.
#[derive(Debug, Default)]
pub struct Observed {
    /// States that agreed.
    pub agreed: u64,
    /// The first that did not.
    pub fault: Option<String>,
    /// Why the last that could not be seen was not.
    pub unseen: Option<String>,
}

/// Observes until told to stop.
pub async fn run(source: String, target: String, stop: Arc<AtomicBool>) -> Observed {
    let mut observed = Observed::default();
    for (sink, query, there) in SINKS.iter().cycle() {
        if stop.load(Ordering::Relaxed) || observed.fault.is_some() {
            break;
        }
        // Either side may be away: then there is nothing to see.
        match look(&source, &target, sink, query, there).await {
            Ok(Look::Agrees) => observed.agreed += 1,
            Ok(Look::Differs(fault)) => observed.fault = Some(fault),
            Ok(Look::Nothing) => tokio::time::sleep(AGAIN).await,
            Err(error) => {
                observed.unseen = Some(error.to_string());
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
    observed
}

enum Look {
    /// The sink has not written yet.
    Nothing,
    Agrees,
    Differs(String),
}

/// A sink's table and progress in one snapshot, and the view as of that progress.
async fn look(
    source: &str,
    target: &str,
    sink: &str,
    query: &str,
    there: &str,
) -> Result<Look, SessionError> {
    let source = Session::connect("Everview", source).await?;
    let target = Session::connect("PostgreSQL", target).await?;
    let id = format!("SELECT id::text || '-%' FROM everview.sinks WHERE name = '{sink}'");
    let id = source
        .rows(&id)
        .await?
        .into_keys()
        .next()
        .unwrap_or_default();
    target.run("BEGIN ISOLATION LEVEL REPEATABLE READ").await?;
    let rows = target.rows(there).await?;
    let mut progress: i64 = 0;
    for table in ["everview_sinks", "target.everview_sinks"] {
        let sql = format!("SELECT progress FROM {table} WHERE sink LIKE '{id}'");
        let found = target.rows(&sql).await?.into_keys().next();
        progress = found.and_then(|p| p.parse().ok()).unwrap_or(progress);
    }
    target.run("COMMIT").await?;
    if progress == 0 {
        return Ok(Look::Nothing);
    }
    let as_of = source.rows(&format!("{query} AS OF {progress}")).await?;
    Ok(match difference(&rows, &as_of) {
        None => Look::Agrees,
        Some(fault) => Look::Differs(format!("{sink} as of {progress}: {fault}")),
    })
}
