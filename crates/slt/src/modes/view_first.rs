//! Mode view-first: views that exist before the data.
//!
//! The script is gone through twice. First its statements run in order and are judged; queries that
//! cannot be run this mode's way run here, and are counted. Then the queries run in batches: the
//! batch's tables are built empty, its views created, the rows replayed, and each view read where
//! its query stands.

use std::collections::BTreeMap;

use super::{Gone, Pass};
use crate::classify::Object;
use crate::engine::EngineError;
use crate::plan::{Batch, Step, batches, moves_rows, steps};
use crate::script::Kind;
use crate::view::View;

pub(super) fn run(pass: &mut Pass<'_>, batch: usize) -> Result<(), Gone> {
    let steps = steps(&pass.script.records);
    let queries: Vec<usize> = (0..steps.len())
        .filter(|index| pass.selected[*index] && pass.view_of(*index).is_some())
        .collect();
    let (batches, without) = batches(&steps, &queries, batch);
    statements(pass, &queries, &without)?;
    for batch in &batches {
        pass.clean();
        replay(pass, &steps, batch)?;
    }
    Ok(())
}

/// The first time through: statements, and the queries that no batch takes.
fn statements(pass: &mut Pass<'_>, queries: &[usize], without: &[usize]) -> Result<(), Gone> {
    for index in 0..pass.script.records.len() {
        if !pass.selected[index] {
            continue;
        }
        if without.binary_search(&index).is_ok() {
            pass.counts.after_data += 1;
            pass.as_view(index);
        } else if queries.binary_search(&index).is_err() {
            if matches!(pass.record(index).kind, Kind::Query(_)) {
                pass.counts.not_as_view += 1;
            }
            pass.plain(index);
        }
        pass.check_alive()?;
    }
    Ok(())
}

/// A batch of the second time through.
fn replay(pass: &mut Pass<'_>, steps: &[Step], batch: &Batch) -> Result<(), Gone> {
    for index in &batch.prefix.schema {
        pass.plain(*index);
    }
    let mut views = create(pass, &batch.queries);
    for index in &batch.prefix.rows {
        pass.plain(*index);
        pass.check_alive()?;
    }
    let (Some(first), Some(last)) = (batch.queries.first(), batch.queries.last()) else {
        return Ok(());
    };
    for (index, step) in steps.iter().enumerate().take(*last + 1).skip(*first) {
        if let Some((name, view, created)) = views.remove(&index) {
            let outcome = match created {
                Ok(()) => pass.send(&view.read(&name)),
                Err(error) => Err(error),
            };
            pass.judge_view(index, &view, &outcome);
        } else if moves_rows(step) {
            pass.plain(index);
        }
        pass.check_alive()?;
    }
    Ok(())
}

/// A batch's views by their query: name, view, and whether it could be created.
type Views = BTreeMap<usize, (String, View, Result<(), EngineError>)>;

fn create(pass: &mut Pass<'_>, queries: &[usize]) -> Views {
    let mut views = Views::new();
    for (number, index) in queries.iter().enumerate() {
        let Some(view) = pass.view_of(*index) else {
            continue;
        };
        let name = format!("slt_view_{number}");
        let created = pass.send(&view.create(&name)).map(drop);
        if created.is_ok() {
            // It stays until the batch's end: it must also survive what follows its reading.
            pass.objects.push(Object {
                kind: "MATERIALIZED VIEW",
                name: name.clone(),
            });
        }
        views.insert(*index, (name, view, created));
    }
    views
}
