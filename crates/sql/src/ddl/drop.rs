//! DROP: what goes, what depends on it, and in which order.

use crate::ddl::{missing, notice, skipping, writable};
use crate::error::PlanError;
use crate::parse::{Drop, ObjectType, ddl};
use crate::plan::{Notice, Plan};
use crate::planner::Planner;
use everview_catalog::ObjectKind;
use everview_repr::{GlobalId, SqlState};
use std::collections::BTreeSet;

impl Planner<'_> {
    pub(crate) fn drop_objects(&mut self, drop: &Drop) -> Result<Plan, PlanError> {
        let Drop {
            kind,
            names,
            if_exists,
            cascade,
        } = drop;
        let mut notices = Vec::new();
        let mut targets: Vec<GlobalId> = Vec::new();
        for name in names {
            let missing_schema = name
                .schema
                .as_ref()
                .is_some_and(|s| self.catalog.schema(s).is_none());
            match self.find(*kind, name)? {
                Some(object) => {
                    writable(&object)?;
                    if *kind == ObjectType::Schema
                        && object.id.is_system()
                        && object.name != "public"
                    {
                        let message = format!("cannot drop schema {}", object.name);
                        return Err(PlanError::new(
                            SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                            message,
                        ));
                    }
                    targets.push(object.id);
                }
                None if *if_exists => notices.push(skipping(*kind, name)),
                None if missing_schema => {
                    let schema = name.schema.clone().unwrap_or_default();
                    let message = format!("schema \"{schema}\" does not exist");
                    return Err(PlanError::new(SqlState::INVALID_SCHEMA_NAME, message));
                }
                None => {
                    self.refuse_constraint_index(*kind, name)?;
                    return Err(missing(*kind, name));
                }
            }
        }
        let given: BTreeSet<GlobalId> = targets.iter().copied().collect();
        let mut ids = Vec::new();
        let mut seen = BTreeSet::new();
        for target in &targets {
            for id in self.catalog.drop_order(*target) {
                if seen.insert(id) {
                    ids.push(id);
                }
            }
        }
        // Indexes go with what they are on, without being asked about.
        let own = |id: &GlobalId| {
            given.contains(id)
                || self
                    .catalog
                    .get(*id)
                    .is_some_and(|o| matches!(o.kind, ObjectKind::Index(_)))
        };
        let others: Vec<GlobalId> = ids.iter().rev().copied().filter(|id| !own(id)).collect();
        if !others.is_empty() {
            if !cascade {
                return Err(self.still_needed(&targets, &others));
            }
            notices.push(self.cascades(&others));
        }
        Ok(Plan::Drop {
            kind: ddl::tag(*kind),
            ids,
            notices,
        })
    }

    /// DROP INDEX of a unique constraint's index.
    fn refuse_constraint_index(
        &self,
        kind: ObjectType,
        name: &crate::names::Name,
    ) -> Result<(), PlanError> {
        if kind != ObjectType::Index {
            return Ok(());
        }
        for object in self.catalog.objects() {
            if let ObjectKind::Table(table) = &object.kind
                && table
                    .constraints
                    .iter()
                    .any(|c| c.name == name.name && c.unique_columns().is_some())
            {
                let message = format!(
                    "cannot drop index {} because constraint {} on table {} requires it",
                    name.name, name.name, object.name
                );
                return Err(PlanError::new(
                    SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                    message,
                ));
            }
        }
        Ok(())
    }

    /// `view v`, as the DETAIL of a refused DROP names it.
    fn described(&self, id: GlobalId) -> String {
        match self.catalog.get(id) {
            Some(object) => {
                let name = crate::names::display_name(self.catalog, self.search_path, object);
                format!("{} {name}", object.kind_name())
            }
            None => format!("object {id}"),
        }
    }

    fn still_needed(&self, targets: &[GlobalId], others: &[GlobalId]) -> PlanError {
        let message = match targets {
            [one] => format!(
                "cannot drop {} because other objects depend on it",
                self.described(*one)
            ),
            _ => "cannot drop desired object(s) because other objects depend on them".to_string(),
        };
        let mut lines = Vec::new();
        for id in others {
            let reads = self
                .catalog
                .get(*id)
                .map(|o| o.depends_on())
                .unwrap_or_default();
            let schema = self.catalog.get(*id).and_then(|o| o.schema);
            let all: BTreeSet<GlobalId> = targets.iter().chain(others).copied().collect();
            let on = reads
                .iter()
                .chain(&schema)
                .find(|r| all.contains(r))
                .copied();
            let on = on.or_else(|| targets.first().copied());
            if let Some(on) = on {
                lines.push(format!(
                    "{} depends on {}",
                    self.described(*id),
                    self.described(on)
                ));
            }
        }
        PlanError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message)
            .with_detail(lines.join("\n"))
            .with_hint("Use DROP ... CASCADE to drop the dependent objects too.")
    }

    fn cascades(&self, others: &[GlobalId]) -> Notice {
        match others {
            [one] => notice(format!("drop cascades to {}", self.described(*one))),
            many => {
                let lines: Vec<_> = many
                    .iter()
                    .map(|id| format!("drop cascades to {}", self.described(*id)))
                    .collect();
                Notice {
                    detail: Some(lines.join("\n")),
                    ..notice(format!("drop cascades to {} other objects", many.len()))
                }
            }
        }
    }
}
