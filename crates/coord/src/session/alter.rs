//! ALTER TABLE and CREATE UNIQUE INDEX over rows that are there: they have to fulfil what is new in the definition.
//!
//! The whole table becomes part of the read set, so that no commit can slip in between the check and this one's.

use super::Session;
use crate::ddl;
use crate::error::{Error, ErrorObject};
use crate::outcome::Outcome;
use everview_catalog::ObjectKind;
use everview_catalog::object::{Constraint, ConstraintKind, Table};
use everview_expr::{Id, RelExpr, RelationType, ScalarExpr};
use everview_repr::{Datum, GlobalId, RelationDesc, Row, RowArena, SqlState, text};
use everview_sql::plan::{AlterTablePlan, CreateIndexPlan};

impl Session {
    /// ALTER TABLE on columns and constraints.
    pub(super) async fn alter_table(&mut self, plan: AlterTablePlan) -> Result<Outcome, Error> {
        let AlterTablePlan {
            id,
            mut table,
            mut added,
            kind,
            notices,
        } = plan;
        self.notices.extend(notices);
        self.bind_all(added.iter_mut().map(|(_, value)| value), None);
        for (column, value) in &added {
            let arena = RowArena::new();
            let value = match value.eval(&[], &arena) {
                Datum::Error(error) => return Err(error.to_error().into()),
                value => Row::pack([value]),
            };
            table.columns[*column].missing = Some(value.bytes().to_vec());
        }
        let transaction = self.transaction()?;
        let before = match transaction.catalog.get(id).map(|o| &o.kind) {
            Some(ObjectKind::Table(before)) => before.clone(),
            _ => return Err(Error::internal(format!("no table {id}"))),
        };
        let changes = ddl::alter_table(&transaction.catalog, id, table)?;
        transaction.change_catalog(changes);
        let stored = self.writable(id)?;
        self.transaction()?.widen(&stored);
        let now = match self.transaction()?.catalog.get(id).map(|o| o.kind.clone()) {
            Some(ObjectKind::Table(now)) => now,
            _ => return Err(Error::internal(format!("no table {id}"))),
        };
        self.check_not_null(id, &before, &now).await?;
        let new = |c: &&Constraint| !before.constraints.iter().any(|b| b.id == c.id);
        for constraint in now.constraints.iter().filter(new) {
            match &constraint.kind {
                ConstraintKind::Check(sql) => self.check_all(id, &constraint.name, sql).await?,
                ConstraintKind::PrimaryKey(columns) | ConstraintKind::Unique(columns) => {
                    self.check_unique(id, &constraint.name, columns).await?;
                }
                // Declared with their table alone.
                ConstraintKind::Deduplicate { .. } | ConstraintKind::CountEffects(_) => {}
            }
        }
        self.index_writes(id)?;
        Ok(Outcome::Done(format!("ALTER {kind}")))
    }

    /// CREATE INDEX; a unique one over rows that are there.
    pub(super) async fn create_index(&mut self, plan: CreateIndexPlan) -> Result<Outcome, Error> {
        const TAG: &str = "CREATE INDEX";
        let transaction = self.transaction()?;
        let taken = transaction.catalog.in_schema(plan.schema, &plan.name);
        if taken.is_some() {
            return self.exists(plan.if_not_exists, "relation", &plan.name, TAG);
        }
        let (on, name, unique) = (plan.on, plan.name.clone(), plan.unique);
        let (id, changes) = ddl::create_index(&transaction.catalog, plan);
        transaction.change_catalog(changes);
        if unique {
            let catalog = &self.transaction()?.catalog;
            let indexes = catalog.unique_indexes(on).into_iter();
            let columns = indexes.filter(|(index, _)| index.id == id).map(|(_, c)| c);
            let columns: Vec<usize> = columns.flatten().collect();
            self.check_unique(on, &name, &columns).await?;
            self.index_writes(on)?;
        }
        Ok(Outcome::Done(TAG.to_string()))
    }

    /// Later statements of the transaction look its own rows up under new keys too.
    fn index_writes(&mut self, id: GlobalId) -> Result<(), Error> {
        let table = self.writable(id)?;
        let shared = self.shared.clone();
        let transaction = self.transaction()?;
        let chunks = transaction.writes.get(&id).map(|w| w.chunks.clone());
        let ahead = shared.tables.written_ahead(&chunks.unwrap_or_default())?;
        transaction.index(&table, &ahead);
        Ok(())
    }

    /// The rows of a table as the transaction sees them, through an expression; at least a sign of each, so that a
    /// table that is only looked at counts as read.
    async fn rows_of(
        &mut self,
        id: GlobalId,
        over: impl FnOnce(RelExpr) -> RelExpr,
    ) -> Result<Vec<Row>, Error> {
        let transaction = self.transaction()?;
        transaction.reads.all(id);
        let object = transaction.catalog.get(id);
        let desc = object.and_then(|o| o.desc());
        let desc = desc.ok_or_else(|| Error::internal(format!("no table {id}")))?;
        // Nothing that is still to be checked may be taken for granted.
        let types = desc.types().into_iter().map(|ty| ty.with_nullable(true));
        let all = RelExpr::Get {
            id: Id::Global(id),
            ty: RelationType::new(types.collect()),
        };
        let rows = self.read(over(all), None).await?;
        Ok(rows
            .into_iter()
            .filter(|(_, diff)| *diff > 0)
            .map(|(row, _)| row)
            .collect())
    }

    async fn check_not_null(
        &mut self,
        id: GlobalId,
        before: &Table,
        now: &Table,
    ) -> Result<(), Error> {
        for (at, column) in now.columns.iter().enumerate() {
            let was = before.columns.get(at).is_some_and(|c| !c.ty.nullable);
            if was || column.ty.nullable {
                continue;
            }
            let null = ScalarExpr::IsNull(Box::new(ScalarExpr::Column(at)));
            let found = self.rows_of(id, |rows| rows.filter(vec![null]).project(vec![at]));
            if !found.await?.is_empty() {
                let table = self.object_of(id);
                let message = format!(
                    "column \"{}\" of relation \"{}\" contains null values",
                    column.name,
                    table.table.as_deref().unwrap_or_default()
                );
                return Err(
                    Error::new(SqlState::NOT_NULL_VIOLATION, message).about(ErrorObject {
                        column: Some(column.name.clone()),
                        ..table
                    }),
                );
            }
        }
        Ok(())
    }

    async fn check_all(&mut self, id: GlobalId, name: &str, sql: &str) -> Result<(), Error> {
        let catalog = self.transaction()?.catalog.clone();
        let desc = catalog.get(id).and_then(|o| o.desc()).unwrap_or_default();
        let check = everview_sql::plan_scalar_text(&catalog, &desc, sql)?;
        let violated = ScalarExpr::Not(Box::new(check));
        let found = self.rows_of(id, |rows| rows.filter(vec![violated]).project(vec![]));
        if found.await?.is_empty() {
            return Ok(());
        }
        let table = self.object_of(id);
        let message = format!(
            "check constraint \"{name}\" of relation \"{}\" is violated by some row",
            table.table.as_deref().unwrap_or_default()
        );
        Err(
            Error::new(SqlState::CHECK_VIOLATION, message).about(ErrorObject {
                constraint: Some(name.to_string()),
                ..table
            }),
        )
    }

    /// Keys that are there more than once: all keys less one of each.
    async fn check_unique(
        &mut self,
        id: GlobalId,
        name: &str,
        columns: &[usize],
    ) -> Result<(), Error> {
        let present = columns.iter().map(|c| {
            let null = ScalarExpr::IsNull(Box::new(ScalarExpr::Column(*c)));
            ScalarExpr::Not(Box::new(null))
        });
        let present = present.collect();
        let repeated = |rows: RelExpr| {
            let keys = rows.filter(present).project(columns.to_vec());
            keys.clone().union(keys.distinct().negate())
        };
        let mut found = self.rows_of(id, repeated).await?;
        found.sort();
        let Some(row) = found.first() else {
            return Ok(());
        };
        let catalog = &self.transaction()?.catalog;
        let desc = catalog.get(id).and_then(|o| o.desc()).unwrap_or_default();
        let message = format!("could not create unique index \"{name}\"");
        let table = self.object_of(id);
        Err(Error::new(SqlState::UNIQUE_VIOLATION, message)
            .with_detail(duplicated(&desc, columns, row))
            .about(ErrorObject {
                constraint: Some(name.to_string()),
                ..table
            }))
    }

    fn object_of(&self, id: GlobalId) -> ErrorObject {
        let catalog = self.transaction.as_ref().map(|t| &t.catalog);
        let object = catalog.and_then(|c| c.get(id));
        let schema = object
            .and_then(|o| o.schema)
            .and_then(|s| catalog.and_then(|c| c.get(s)));
        ErrorObject {
            schema: schema.map(|s| s.name.clone()),
            table: object.map(|o| o.name.clone()),
            column: None,
            constraint: None,
        }
    }
}

/// PostgreSQL's DETAIL.
fn duplicated(desc: &RelationDesc, columns: &[usize], key: &Row) -> String {
    let mut names = Vec::new();
    let mut values = Vec::new();
    for (column, datum) in columns.iter().zip(key.iter()) {
        let column = &desc.columns[*column];
        let mut value = String::new();
        text::format(&column.ty.scalar, datum, &mut value);
        names.push(column.name.as_str());
        values.push(value);
    }
    format!(
        "Key ({})=({}) is duplicated.",
        names.join(", "),
        values.join(", ")
    )
}
