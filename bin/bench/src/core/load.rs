//! The flights with their views, created before the load and after it.

use super::figure::{Bound, Figure};
use super::{Bench, Failure, client};
use crate::oracle::{flights, run_all};
use crate::session::{Rows, Session};

/// Seconds that the flights may take with their views.
const MOST: f64 = 30.0;

/// Measures the section.
///
/// # Errors
/// When a server does not start or answers otherwise than PostgreSQL.
pub async fn run(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let url = bench.postgres("flights").await?;
    let (expected, theirs) = client::timed(async {
        let peer = Session::connect("PostgreSQL", &url).await?;
        run_all(&peer, flights::SCHEMA).await?;
        flights::load(&peer).await?;
        run_all(&peer, flights::VIEWS).await?;
        views(&peer).await
    })
    .await?;
    for before in [true, false] {
        let everview = bench.everview().await?;
        let (found, ours) = client::timed(async {
            let server = Session::connect("Everview", &everview.url()).await?;
            run_all(&server, flights::SCHEMA).await?;
            if before {
                run_all(&server, flights::VIEWS).await?;
            }
            flights::load(&server).await?;
            if !before {
                run_all(&server, flights::VIEWS).await?;
            }
            views(&server).await
        })
        .await?;
        if found != expected {
            return Err("the flights' views are not PostgreSQL's".into());
        }
        let when = if before { "before" } else { "after" };
        let name = format!("flights, all views created {when} the load");
        let figure = Figure::new("load", &name, ours.as_secs_f64(), "s");
        bench.report(
            figure
                .against(theirs.as_secs_f64())
                .must(Bound::AtMost(MOST)),
        )?;
    }
    Ok(())
}

/// The rows of every view.
async fn views(server: &Session) -> Result<Vec<Rows>, Failure> {
    let mut all = Vec::new();
    for view in flights::view_names() {
        all.push(server.rows(&format!("SELECT * FROM {view}")).await?);
    }
    Ok(all)
}
