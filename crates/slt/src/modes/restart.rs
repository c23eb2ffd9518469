//! Mode restart: the script as it is, with kills at seeded places.
//!
//! At each place the queries that follow, up to the next statement, become views; then the engine
//! is killed and started again, and the views are read. So both the tables' rows and maintained
//! views must come through. No place lies inside a transaction, which a kill would undo.

use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::{Gone, Pass};
use crate::classify::{Class, classify};
use crate::engine::EngineError;
use crate::view::View;

/// At most this many views are carried over a kill.
const VIEWS: usize = 20;

pub(super) fn run(pass: &mut Pass<'_>, restarts: usize, rng: &mut ChaCha8Rng) -> Result<(), Gone> {
    let places = places(pass, restarts, rng);
    let mut done = vec![false; pass.script.records.len()];
    for index in 0..done.len() {
        if places.contains(&index) {
            kill(pass, index, &mut done)?;
        }
        if pass.selected[index] && !done[index] {
            pass.plain(index);
        }
        pass.check_alive()?;
    }
    Ok(())
}

/// Places among the queries that can be views, or among all records where there are none.
fn places(pass: &Pass<'_>, restarts: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut inside = false;
    let mut outside = Vec::new();
    for (index, record) in pass.script.records.iter().enumerate() {
        if !inside {
            outside.push(index);
        }
        match classify(&record.sql) {
            Class::Begin => inside = true,
            Class::End => inside = false,
            _ => {}
        }
    }
    let viewable = |index: &usize| pass.selected[*index] && pass.view_of(*index).is_some();
    let queries: Vec<usize> = outside.iter().copied().filter(viewable).collect();
    let candidates = if queries.is_empty() { outside } else { queries };
    candidates.choose_multiple(rng, restarts).copied().collect()
}

/// Carries the queries from `index` on over a kill, as views.
fn kill(pass: &mut Pass<'_>, index: usize, done: &mut [bool]) -> Result<(), Gone> {
    let mut views: Vec<(usize, String, View, Result<(), EngineError>)> = Vec::new();
    for (at, done) in done.iter().enumerate().skip(index) {
        if pass.query(at).is_none() || views.len() == VIEWS {
            break;
        }
        let (true, false, Some(view)) = (pass.selected[at], *done, pass.view_of(at)) else {
            continue;
        };
        let name = format!("slt_view_{}", views.len());
        let created = pass.send(&view.create(&name)).map(drop);
        views.push((at, name, view, created));
    }
    pass.engine.restart().map_err(Gone)?;
    pass.counts.restarts += 1;
    for setting in pass.settings.clone() {
        pass.plain(setting);
    }
    for (at, name, view, created) in views {
        let outcome = match created {
            Ok(()) => {
                let outcome = pass.send(&view.read(&name));
                pass.drop_view(&name);
                outcome
            }
            Err(error) => Err(error),
        };
        pass.judge_view(at, &view, &outcome);
        done[at] = true;
    }
    Ok(())
}
