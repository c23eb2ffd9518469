//! A table's constraints, with Postgres's generated names.

use crate::ddl::generated_name;
use crate::error::PlanError;
use crate::names::{self, fold};
use crate::planner::{ExprContext, Planner};
use crate::query::limit::to_plain_scalar;
use crate::scope::{Env, Frame, Scope};
use crate::stored::stored_text;
use everview_catalog::ObjectKind;
use everview_catalog::object::{Constraint, ConstraintKind, TableColumn};
use everview_repr::{GlobalId, SqlState};
use sqlparser::ast::{
    CheckConstraint, ColumnOption, ConstraintCharacteristics, Expr, Ident, IndexColumn,
    NullsDistinctOption, PrimaryKeyConstraint, TableConstraint, UniqueConstraint,
};

/// Constraints gathered from a CREATE TABLE.
pub(super) struct Constraints {
    schema: GlobalId,
    table: String,
    found: Vec<Constraint>,
}

impl Constraints {
    pub fn new(schema: GlobalId, table: String) -> Constraints {
        Constraints {
            schema,
            table,
            found: Vec::new(),
        }
    }

    /// Those that a table has already; what is new has no id.
    pub fn with(self, found: Vec<Constraint>) -> Constraints {
        Constraints { found, ..self }
    }

    pub fn finish(self) -> Vec<Constraint> {
        self.found
    }

    /// A column's constraint.
    pub fn column(
        &mut self,
        planner: &mut Planner<'_>,
        columns: &mut [TableColumn],
        column: &str,
        name: Option<&Ident>,
        option: &ColumnOption,
    ) -> Result<(), PlanError> {
        let at = columns.iter().position(|c| c.name == column).unwrap_or(0);
        match option {
            ColumnOption::Null | ColumnOption::NotNull | ColumnOption::Default(_) => Ok(()),
            ColumnOption::PrimaryKey(primary) => {
                check_characteristics(primary.characteristics.as_ref())?;
                self.primary_key(planner, columns, name.or(primary.name.as_ref()), vec![at])
            }
            ColumnOption::Unique(unique) => {
                check_unique(unique)?;
                self.unique(planner, columns, name.or(unique.name.as_ref()), vec![at])
            }
            ColumnOption::Check(check) => {
                self.check(planner, columns, name.or(check.name.as_ref()), check)
            }
            ColumnOption::Collation(collation) => crate::scalar::check_collation(collation),
            ColumnOption::ForeignKey(_) => Err(unsupported("a FOREIGN KEY constraint")),
            ColumnOption::Generated { .. } | ColumnOption::Identity(_) => {
                Err(unsupported("a GENERATED column"))
            }
            other => Err(unsupported(&format!(
                "the column option {}",
                crate::scalar::short(&other.to_string())
            ))),
        }
    }

    /// A table's constraint.
    pub fn table(
        &mut self,
        planner: &mut Planner<'_>,
        columns: &mut [TableColumn],
        constraint: &TableConstraint,
    ) -> Result<(), PlanError> {
        match constraint {
            TableConstraint::PrimaryKey(primary) => {
                let PrimaryKeyConstraint {
                    name,
                    index_name,
                    index_type,
                    columns: key,
                    include,
                    index_options,
                    characteristics,
                } = primary;
                check_characteristics(characteristics.as_ref())?;
                if index_name.is_some()
                    || index_type.is_some()
                    || !include.is_empty()
                    || !index_options.is_empty()
                {
                    return Err(unsupported("an index option of PRIMARY KEY"));
                }
                let key = key_columns(columns, key)?;
                self.primary_key(planner, columns, name.as_ref(), key)
            }
            TableConstraint::Unique(unique) => {
                check_unique(unique)?;
                let key = key_columns(columns, &unique.columns)?;
                self.unique(planner, columns, unique.name.as_ref(), key)
            }
            TableConstraint::Check(check) => {
                self.check(planner, columns, check.name.as_ref(), check)
            }
            TableConstraint::ForeignKey(_) => Err(unsupported("a FOREIGN KEY constraint")),
            TableConstraint::Exclude(_) => Err(unsupported("an EXCLUDE constraint")),
            TableConstraint::PrimaryKeyUsingIndex(_) | TableConstraint::UniqueUsingIndex(_) => {
                Err(unsupported("a constraint USING INDEX"))
            }
            TableConstraint::Index(_) | TableConstraint::FulltextOrSpatial(_) => {
                Err(PlanError::syntax("syntax error in CREATE TABLE"))
            }
        }
    }

    fn primary_key(
        &mut self,
        planner: &Planner<'_>,
        columns: &mut [TableColumn],
        name: Option<&Ident>,
        key: Vec<usize>,
    ) -> Result<(), PlanError> {
        if self
            .found
            .iter()
            .any(|c| matches!(c.kind, ConstraintKind::PrimaryKey(_)))
        {
            let message = format!(
                "multiple primary keys for table \"{}\" are not allowed",
                self.table
            );
            return Err(PlanError::new(SqlState::INVALID_TABLE_DEFINITION, message));
        }
        for &column in &key {
            columns[column].ty.nullable = false;
        }
        let name = self.relation_name(planner, name, "", "pkey")?;
        self.push(name, ConstraintKind::PrimaryKey(key));
        Ok(())
    }

    fn unique(
        &mut self,
        planner: &Planner<'_>,
        columns: &[TableColumn],
        name: Option<&Ident>,
        key: Vec<usize>,
    ) -> Result<(), PlanError> {
        let parts: Vec<&str> = key.iter().map(|&c| columns[c].name.as_str()).collect();
        let name = self.relation_name(planner, name, &parts.join("_"), "key")?;
        self.push(name, ConstraintKind::Unique(key));
        Ok(())
    }

    /// One of a kind that is Everview's own.
    pub fn own(
        &mut self,
        planner: &Planner<'_>,
        columns: &str,
        suffix: &str,
        kind: ConstraintKind,
    ) -> Result<(), PlanError> {
        let name = self.relation_name(planner, None, columns, suffix)?;
        self.push(name, kind);
        Ok(())
    }

    fn check(
        &mut self,
        planner: &mut Planner<'_>,
        columns: &[TableColumn],
        name: Option<&Ident>,
        check: &CheckConstraint,
    ) -> Result<(), PlanError> {
        let CheckConstraint {
            name: _,
            expr,
            no_inherit,
            enforced,
        } = check;
        if *no_inherit {
            return Err(unsupported("CHECK ... NO INHERIT"));
        }
        if enforced.is_some() {
            return Err(unsupported("CHECK ... [NOT] ENFORCED"));
        }
        let (sql, read) = planner.check_text(&self.table, columns, expr)?;
        let part = match read.as_slice() {
            [one] => columns[*one].name.as_str(),
            _ => "",
        };
        let taken = |n: &str| self.found.iter().any(|c| c.name == n);
        let name = match name {
            Some(given) => {
                let given_name = fold(given);
                if taken(&given_name) {
                    let message = format!("check constraint \"{given_name}\" already exists");
                    return Err(PlanError::new(SqlState::DUPLICATE_OBJECT, message));
                }
                given_name
            }
            None => generated_name(&self.table, part, "check", &taken),
        };
        self.push(name, ConstraintKind::Check(sql));
        Ok(())
    }

    fn push(&mut self, name: String, kind: ConstraintKind) {
        self.found.push(Constraint {
            id: GlobalId(0),
            name,
            kind,
            since: everview_repr::Timestamp::MIN,
            comment: None,
        });
    }

    /// The name of a constraint that an index backs: unique among the schema's relations.
    pub(super) fn relation_name(
        &self,
        planner: &Planner<'_>,
        given: Option<&Ident>,
        columns: &str,
        suffix: &str,
    ) -> Result<String, PlanError> {
        let taken = |n: &str| {
            n == self.table
                || self.found.iter().any(|c| c.name == n)
                || planner.catalog.in_schema(self.schema, n).is_some()
                || planner.catalog.objects().any(|o| {
                    o.schema == Some(self.schema)
                        && matches!(&o.kind, ObjectKind::Table(t)
                            if t.constraints.iter().any(|c| c.name == n && c.unique_columns().is_some()))
                })
        };
        let Some(given) = given else {
            return Ok(generated_name(&self.table, columns, suffix, &taken));
        };
        let name = fold(given);
        if taken(&name) {
            let message = format!("relation \"{name}\" already exists");
            return Err(PlanError::new(SqlState::DUPLICATE_TABLE, message));
        }
        Ok(name)
    }
}

fn unsupported(what: &str) -> PlanError {
    PlanError::unsupported(what)
}

fn check_characteristics(
    characteristics: Option<&ConstraintCharacteristics>,
) -> Result<(), PlanError> {
    match characteristics {
        None => Ok(()),
        Some(c) => Err(PlanError::unsupported(format!("a constraint that is {c}"))),
    }
}

fn check_unique(unique: &UniqueConstraint) -> Result<(), PlanError> {
    let UniqueConstraint {
        name: _,
        index_name,
        index_type_display: _,
        index_type,
        columns: _,
        include,
        index_options,
        characteristics,
        nulls_distinct,
    } = unique;
    check_characteristics(characteristics.as_ref())?;
    if *nulls_distinct == NullsDistinctOption::NotDistinct {
        return Err(unsupported("UNIQUE NULLS NOT DISTINCT"));
    }
    if index_name.is_some()
        || index_type.is_some()
        || !include.is_empty()
        || !index_options.is_empty()
    {
        return Err(unsupported("an index option of UNIQUE"));
    }
    Ok(())
}

/// The positions of a key's columns.
fn key_columns(columns: &[TableColumn], key: &[IndexColumn]) -> Result<Vec<usize>, PlanError> {
    let mut out = Vec::new();
    for IndexColumn {
        column,
        operator_class,
    } in key
    {
        let Expr::Identifier(ident) = &column.expr else {
            return Err(PlanError::syntax("a constraint's key is a list of columns"));
        };
        if operator_class.is_some()
            || column.options.sort.is_some()
            || column.options.nulls_first.is_some()
        {
            return Err(
                PlanError::syntax("a constraint's key is a list of columns").at(names::at(ident))
            );
        }
        let name = fold(ident);
        let Some(at) = columns.iter().position(|c| c.name == name) else {
            let message = format!("column \"{name}\" named in key does not exist");
            return Err(PlanError::new(SqlState::UNDEFINED_COLUMN, message).at(names::at(ident)));
        };
        if out.contains(&at) {
            let message = format!("column \"{name}\" appears twice in unique constraint");
            return Err(PlanError::new(SqlState::DUPLICATE_COLUMN, message).at(names::at(ident)));
        }
        out.push(at);
    }
    Ok(out)
}

impl Planner<'_> {
    /// A check as stored, and the columns that it reads.
    fn check_text(
        &mut self,
        table: &str,
        columns: &[TableColumn],
        expr: &Expr,
    ) -> Result<(String, Vec<usize>), PlanError> {
        let desc = super::table::described(columns);
        let named = desc
            .columns
            .iter()
            .map(|c| (c.name.clone(), c.ty.clone(), None))
            .collect();
        let scope = Scope::table(Some(table.to_string()), None, None, named);
        let env = Env::EMPTY.with(Frame::Row(&scope));
        let cx = ExprContext::plain(&env, "CHECK");
        let before = self.maintained.replace("a CHECK constraint");
        // Planned as written for the places of errors, then as printed for the places of columns.
        let planned = self.condition(expr, &cx);
        self.maintained = before;
        let planned = planned?;
        if planned.iter().any(|p| to_plain_scalar(p).is_none()) {
            let message = "cannot use subquery in check constraint";
            return Err(PlanError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
        }
        let read: std::collections::BTreeSet<usize> = planned
            .iter()
            .flat_map(crate::query::walk::column_set)
            .collect();
        let printed = expr.to_string();
        self.mention_columns = true;
        let mentions = std::mem::take(&mut self.mentions);
        let result = crate::parse::with_expr(&printed, |again, _| self.condition(again, &cx));
        let found = std::mem::replace(&mut self.mentions, mentions);
        self.mention_columns = false;
        result?;
        Ok((stored_text(&printed, 1, &found), read.into_iter().collect()))
    }
}
