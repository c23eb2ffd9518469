//! DEDUPLICATE BY and COUNT EFFECTS BY, as constraints of their table.

use super::constraints::Constraints;
use crate::error::{At, PlanError};
use crate::names::{self, fold};
use crate::parse::{Deduplicate, OwnOptions};
use crate::plan::CreateTablePlan;
use crate::planner::Planner;
use everview_catalog::object::{ConstraintKind, TableColumn};
use everview_repr::{Interval, SqlState};
use sqlparser::ast::Ident;

const MICROS_PER_DAY: i64 = 86_400_000_000;

impl Planner<'_> {
    /// Adds a table's own options to its plan.
    pub(crate) fn own_options(
        &mut self,
        options: &OwnOptions,
        plan: &mut CreateTablePlan,
    ) -> Result<(), PlanError> {
        let found = std::mem::take(&mut plan.constraints);
        let mut constraints = Constraints::new(plan.schema, plan.name.clone()).with(found);
        if let Some(Deduplicate { columns, within }) = &options.deduplicate {
            let key = key(&plan.columns, columns, "DEDUPLICATE BY")?;
            let within = match within {
                Some((text, position)) => Some(micros(text).at(*position)?),
                None => None,
            };
            let names = joined(&plan.columns, &key);
            let kind = ConstraintKind::Deduplicate {
                columns: key,
                within,
            };
            constraints.own(self, &names, "dedup", kind)?;
        }
        if let Some(columns) = &options.count_effects {
            let key = key(&plan.columns, columns, "COUNT EFFECTS BY")?;
            let names = joined(&plan.columns, &key);
            constraints.own(self, &names, "effects", ConstraintKind::CountEffects(key))?;
        }
        plan.constraints = constraints.finish();
        Ok(())
    }
}

fn joined(columns: &[TableColumn], key: &[usize]) -> String {
    let names: Vec<&str> = key.iter().map(|c| columns[*c].name.as_str()).collect();
    names.join("_")
}

/// The positions of an option's columns.
fn key(columns: &[TableColumn], given: &[Ident], option: &str) -> Result<Vec<usize>, PlanError> {
    let mut key = Vec::new();
    for ident in given {
        let name = fold(ident);
        let Some(at) = columns.iter().position(|c| c.name == name) else {
            let message = format!("column \"{name}\" named in {option} does not exist");
            return Err(PlanError::new(SqlState::UNDEFINED_COLUMN, message).at(names::at(ident)));
        };
        if key.contains(&at) {
            let message = format!("column \"{name}\" appears twice in {option}");
            return Err(PlanError::new(SqlState::DUPLICATE_COLUMN, message).at(names::at(ident)));
        }
        key.push(at);
    }
    Ok(key)
}

/// The length of a WITHIN in microseconds.
fn micros(text: &str) -> Result<u64, PlanError> {
    let invalid = |message: String| PlanError::new(SqlState::INVALID_PARAMETER_VALUE, message);
    let interval = Interval::parse(text).map_err(|e| invalid(e.to_string()))?;
    if interval.months != 0 {
        let message = format!("WITHIN '{text}' has months, which are of no fixed length");
        return Err(invalid(message).with_hint("Say how many days."));
    }
    let micros = i64::from(interval.days)
        .checked_mul(MICROS_PER_DAY)
        .and_then(|days| days.checked_add(interval.micros));
    match micros.map(u64::try_from) {
        Some(Ok(micros)) if micros > 0 => Ok(micros),
        _ => Err(invalid(format!("WITHIN '{text}' is no length of time"))),
    }
}
