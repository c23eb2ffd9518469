//! Statements that change the catalog.

use super::Session;
use super::run::Params;
use crate::error::Error;
use crate::outcome::Outcome;
use crate::{ddl, dml};
use everview_catalog::ObjectKind;
use everview_catalog::catalog::Change;
use everview_repr::SqlState;
use everview_sql::plan::{CreateTablePlan, CreateViewPlan, Plan};

impl Session {
    /// DDL.
    pub(super) async fn change_catalog(
        &mut self,
        plan: Plan,
        params: Params<'_>,
    ) -> Result<Outcome, Error> {
        let shared = self.shared.clone();
        let transaction = self.transaction()?;
        let (changes, tag): (Vec<Change>, String) = match plan {
            Plan::CreateSchema {
                name,
                if_not_exists,
            } => {
                if transaction.catalog.schema(&name).is_some() {
                    return self.exists(if_not_exists, "schema", &name, "CREATE SCHEMA");
                }
                (
                    ddl::create_schema(&transaction.catalog, name),
                    "CREATE SCHEMA".into(),
                )
            }
            Plan::CreateTable(plan) => return self.create_table(plan, params).await,
            Plan::CreateView(plan) => return self.create_view(plan),
            Plan::CreateIndex(plan) => return self.create_index(plan).await,
            Plan::CreateOutside(plan) => return self.create_outside(plan, params).await,
            Plan::AlterRole(plan) => return self.alter_role(plan).await,
            Plan::AlterTable(plan) => return self.alter_table(plan).await,
            Plan::Drop { kind, ids, notices } => {
                let changes = ddl::drop_objects(&transaction.catalog, &ids);
                for id in &ids {
                    transaction.writes.remove(id);
                }
                self.notices.extend(notices);
                (changes, format!("DROP {kind}"))
            }
            Plan::Rename {
                kind,
                id,
                to,
                notices,
            } => {
                let changes = match id {
                    Some(id) => ddl::alter(&transaction.catalog, id, |o| o.name = to)?,
                    None => vec![],
                };
                self.notices.extend(notices);
                (changes, format!("ALTER {kind}"))
            }
            Plan::RenameColumn { id, column, to } => {
                let rename = |o: &mut _| ddl::rename_column(o, column, to);
                (
                    ddl::alter(&transaction.catalog, id, rename)?,
                    "ALTER TABLE".into(),
                )
            }
            Plan::SetSchema { kind, id, schema } => {
                let change = |o: &mut everview_catalog::Object| o.schema = Some(schema);
                (
                    ddl::alter(&transaction.catalog, id, change)?,
                    format!("ALTER {kind}"),
                )
            }
            Plan::Comment {
                id,
                column,
                constraint,
                text,
            } => {
                let change =
                    |o: &mut everview_catalog::Object| match (column, constraint, &mut o.kind) {
                        (Some(column), _, ObjectKind::Table(table)) => {
                            table.columns[column].comment = text
                        }
                        (
                            Some(column),
                            _,
                            ObjectKind::View(view) | ObjectKind::MaterializedView(view),
                        ) => match text {
                            Some(text) => drop(view.comments.insert(column, text)),
                            None => drop(view.comments.remove(&column)),
                        },
                        (_, Some(id), ObjectKind::Table(table)) => {
                            let mut all = table.constraints.iter_mut();
                            if let Some(constraint) = all.find(|c| c.id == id) {
                                constraint.comment = text;
                            }
                        }
                        _ => o.comment = text,
                    };
                (
                    ddl::alter(&transaction.catalog, id, change)?,
                    "COMMENT".into(),
                )
            }
            other => return Err(Error::internal(format!("no way to run {other:?}"))),
        };
        drop(shared);
        self.transaction()?.change_catalog(changes);
        Ok(Outcome::Done(tag))
    }

    /// An object of that name is there already.
    pub(super) fn exists(
        &mut self,
        if_not_exists: bool,
        what: &str,
        name: &str,
        tag: &str,
    ) -> Result<Outcome, Error> {
        let code = if what == "schema" {
            SqlState::DUPLICATE_SCHEMA
        } else {
            SqlState::DUPLICATE_TABLE
        };
        let message = format!("{what} \"{name}\" already exists");
        if !if_not_exists {
            return Err(Error::new(code, message));
        }
        let message = format!("{message}, skipping");
        self.notices.push(crate::outcome::ClientNotice {
            severity: "NOTICE",
            code,
            message,
            detail: None,
        });
        Ok(Outcome::Done(tag.to_string()))
    }

    pub(super) async fn create_table(
        &mut self,
        mut plan: CreateTablePlan,
        params: Params<'_>,
    ) -> Result<Outcome, Error> {
        let transaction = self.transaction()?;
        if transaction
            .catalog
            .in_schema(plan.schema, &plan.name)
            .is_some()
        {
            let tag = if plan.source.is_some() {
                "CREATE TABLE AS"
            } else {
                "CREATE TABLE"
            };
            return self.exists(plan.if_not_exists, "relation", &plan.name, tag);
        }
        let source = plan.source.take();
        let rows = match source {
            Some((expr, _)) => Some(self.read(expr, params).await?),
            None => None,
        };
        let transaction = self.transaction()?;
        let (id, changes) = ddl::create_table(&transaction.catalog, plan);
        transaction.change_catalog(changes);
        let Some(rows) = rows else {
            return Ok(Outcome::Done("CREATE TABLE".to_string()));
        };
        let table = self.writable(id)?;
        let shared = self.shared.clone();
        let changed = dml::insert(&shared, self.transaction()?, &table, rows, None, None)?;
        Ok(Outcome::Done(format!("SELECT {}", changed.count)))
    }

    pub(super) fn create_view(&mut self, plan: CreateViewPlan) -> Result<Outcome, Error> {
        let tag = if plan.materialized {
            "CREATE MATERIALIZED VIEW"
        } else {
            "CREATE VIEW"
        };
        let transaction = self.transaction()?;
        let taken = transaction
            .catalog
            .in_schema(plan.schema, &plan.name)
            .is_some();
        if taken && plan.replace.is_none() {
            return self.exists(plan.if_not_exists, "relation", &plan.name, tag);
        }
        let (_, changes) = ddl::create_view(&transaction.catalog, plan);
        transaction.change_catalog(changes);
        // A plan that cannot be rendered is refused now, by name, and not at COMMIT.
        if let Some(transaction) = &self.transaction {
            self.installs(transaction)?;
        }
        Ok(Outcome::Done(tag.to_string()))
    }
}
