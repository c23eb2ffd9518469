//! ALTER ... RENAME, RENAME COLUMN, RENAME CONSTRAINT, SET SCHEMA; COMMENT ON.

use crate::ddl::{missing, skipping, writable};
use crate::error::PlanError;
use crate::names::{self, Name, fold};
use crate::parse::{Alter, AlterAction, CommentKind, ObjectType, ddl};
use crate::plan::Plan;
use crate::planner::Planner;
use everview_catalog::{Object, ObjectKind};
use everview_repr::SqlState;
use sqlparser::ast::Ident;
use std::sync::Arc;

impl Planner<'_> {
    pub(crate) fn alter(&mut self, alter: &Alter) -> Result<Plan, PlanError> {
        let Alter {
            kind,
            name,
            if_exists,
            action,
        } = alter;
        let tag = ddl::tag(*kind);
        let Some(object) = self.altered(*kind, name)? else {
            if *kind == ObjectType::Index
                && let AlterAction::Rename(to) = action
                && let Some(table) = self.constraint_index(name)
            {
                return self.rename_constraint(&table, &name.name, to, tag);
            }
            if !if_exists {
                return Err(match kind {
                    ObjectType::Schema => missing(*kind, name),
                    _ => PlanError::new(
                        SqlState::UNDEFINED_TABLE,
                        format!("relation \"{name}\" does not exist"),
                    ),
                });
            }
            let notice = match kind {
                ObjectType::Schema => skipping(*kind, name),
                _ => super::notice(format!("relation \"{name}\" does not exist, skipping")),
            };
            return Ok(Plan::Rename {
                kind: tag,
                id: None,
                to: String::new(),
                notices: vec![notice],
            });
        };
        writable(&object)?;
        match action {
            AlterAction::Rename(to) => self.rename(tag, &object, to),
            AlterAction::RenameColumn { from, to } => self.rename_column(&object, from, to),
            AlterAction::RenameConstraint { from, to } => {
                self.rename_constraint(&object, &fold(from), to, tag)
            }
            AlterAction::Table(actions) => self.alter_table(&object, actions),
            AlterAction::SetSchema(schema) => self.set_schema(tag, &object, schema),
        }
    }

    /// ALTER TABLE takes views too, as in Postgres.
    fn altered(&self, kind: ObjectType, name: &Name) -> Result<Option<Arc<Object>>, PlanError> {
        if kind == ObjectType::Table {
            let object = names::lookup(self.catalog, self.search_path, name);
            return Ok(object
                .filter(|o| !matches!(o.kind, ObjectKind::Schema))
                .cloned());
        }
        self.find(kind, name).map_err(|mut e| {
            e.hint = None;
            e
        })
    }

    /// The table with a unique constraint of that name: the constraint names its index.
    fn constraint_index(&self, name: &Name) -> Option<Arc<Object>> {
        let schemas: Vec<_> = match &name.schema {
            Some(schema) => self.catalog.schema(schema).into_iter().collect(),
            None => names::searched(self.catalog, self.search_path),
        };
        let has = |object: &&Arc<Object>| {
            matches!(&object.kind, ObjectKind::Table(table)
                if table.constraints.iter().any(|c| c.name == name.name && c.unique_columns().is_some()))
        };
        let in_schema = |schema: &Arc<Object>| {
            let id = schema.id;
            let mut tables = self.catalog.objects().filter(|o| o.schema == Some(id));
            tables.find(has).cloned()
        };
        schemas.into_iter().find_map(in_schema)
    }

    fn rename(&self, kind: &'static str, object: &Object, to: &Ident) -> Result<Plan, PlanError> {
        let to = fold(to);
        let taken = match object.schema {
            Some(schema) => self.catalog.in_schema(schema, &to).is_some(),
            None => self.catalog.schema(&to).is_some(),
        };
        if taken {
            let (code, what) = match object.schema {
                Some(_) => (SqlState::DUPLICATE_TABLE, "relation"),
                None => (SqlState::DUPLICATE_SCHEMA, "schema"),
            };
            return Err(PlanError::new(
                code,
                format!("{what} \"{to}\" already exists"),
            ));
        }
        if object.schema.is_none() && object.name == "public" && object.id.is_system() {
            return Err(PlanError::unsupported("renaming schema \"public\""));
        }
        Ok(Plan::Rename {
            kind,
            id: Some(object.id),
            to,
            notices: vec![],
        })
    }

    fn rename_column(&self, object: &Object, from: &Ident, to: &Ident) -> Result<Plan, PlanError> {
        let (from, to) = (fold(from), fold(to));
        let Some(desc) = object.desc() else {
            return Err(crate::statement::wrong_kind(&object.name, "table"));
        };
        let Some(column) = desc.position(&from) else {
            return Err(PlanError::new(
                SqlState::UNDEFINED_COLUMN,
                format!("column \"{from}\" does not exist"),
            ));
        };
        if desc.position(&to).is_some() {
            let message = format!(
                "column \"{to}\" of relation \"{}\" already exists",
                object.name
            );
            return Err(PlanError::new(SqlState::DUPLICATE_COLUMN, message));
        }
        Ok(Plan::RenameColumn {
            id: object.id,
            column,
            to,
        })
    }

    fn set_schema(
        &self,
        kind: &'static str,
        object: &Object,
        schema: &Ident,
    ) -> Result<Plan, PlanError> {
        let target = names::schema(self.catalog, &fold(schema)).map_err(|e| e.at(None))?;
        names::writable_schema(target)?;
        if matches!(object.kind, ObjectKind::Schema | ObjectKind::Index(_)) {
            return Err(
                PlanError::syntax("syntax error at or near \"schema\"").at(names::at(schema))
            );
        }
        if object.schema != Some(target.id)
            && self.catalog.in_schema(target.id, &object.name).is_some()
        {
            let message = format!(
                "relation \"{}\" already exists in schema \"{}\"",
                object.name, target.name
            );
            return Err(PlanError::new(SqlState::DUPLICATE_TABLE, message));
        }
        Ok(Plan::SetSchema {
            kind,
            id: object.id,
            schema: target.id,
        })
    }

    pub(crate) fn comment(
        &mut self,
        kind: CommentKind,
        name: &Name,
        column: Option<&Ident>,
        text: Option<String>,
    ) -> Result<Plan, PlanError> {
        let constraint_index = match kind {
            CommentKind::Object(ObjectType::Index)
                if !matches!(self.find(ObjectType::Index, name), Ok(Some(_))) =>
            {
                self.constraint_index(name)
            }
            _ => None,
        };
        if let Some(table) = constraint_index {
            return comment_on_constraint(&table, &name.name, text);
        }
        let object = match kind {
            CommentKind::Object(ObjectType::Schema) => {
                self.find_existing(ObjectType::Schema, name)?
            }
            CommentKind::Object(kind) => match self.find(kind, name) {
                Ok(Some(object)) => object,
                Ok(None) => {
                    let message = format!("relation \"{name}\" does not exist");
                    return Err(PlanError::new(SqlState::UNDEFINED_TABLE, message));
                }
                Err(mut e) => {
                    e.hint = None;
                    return Err(e);
                }
            },
            CommentKind::Column | CommentKind::Constraint => {
                names::resolve(self.catalog, self.search_path, name)
                    .map_err(|mut e| {
                        e.position = None;
                        e
                    })?
                    .clone()
            }
        };
        writable(&object)?;
        if let (CommentKind::Constraint, Some(constraint)) = (kind, column) {
            return comment_on_constraint(&object, &fold(constraint), text);
        }
        let position = match column {
            None => None,
            Some(column) => {
                let column = fold(column);
                let at = object.desc().and_then(|d| d.position(&column));
                Some(at.ok_or_else(|| {
                    let message = format!(
                        "column \"{column}\" of relation \"{}\" does not exist",
                        object.name
                    );
                    PlanError::new(SqlState::UNDEFINED_COLUMN, message)
                })?)
            }
        };
        let text = text.filter(|t| !t.is_empty());
        Ok(Plan::Comment {
            id: object.id,
            column: position,
            constraint: None,
            text,
        })
    }
}

/// COMMENT ON CONSTRAINT, and on the index behind one.
fn comment_on_constraint(
    object: &Object,
    name: &str,
    text: Option<String>,
) -> Result<Plan, PlanError> {
    let ObjectKind::Table(table) = &object.kind else {
        return Err(crate::statement::wrong_kind(&object.name, "table"));
    };
    let Some(constraint) = table.constraints.iter().find(|c| c.name == name) else {
        let message = format!(
            "constraint \"{name}\" for table \"{}\" does not exist",
            object.name
        );
        return Err(PlanError::new(SqlState::UNDEFINED_OBJECT, message));
    };
    Ok(Plan::Comment {
        id: object.id,
        column: None,
        constraint: Some(constraint.id),
        text: text.filter(|t| !t.is_empty()),
    })
}
