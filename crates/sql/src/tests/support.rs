//! A session over a catalog of its own: DDL is applied as the coordinator does.

use crate::plan::Plan;
use crate::{PlanContext, PlanError, Planned, parse, plan};
use everview_catalog::catalog::Change;
use everview_catalog::object::{Index, Table};
use everview_catalog::{Catalog, Object, ObjectKind};
use everview_repr::{GlobalId, ScalarType, Timestamp};
use std::sync::Arc;

pub struct Session {
    pub catalog: Catalog,
    pub path: Vec<String>,
}

impl Session {
    pub fn new() -> Session {
        Session {
            catalog: Catalog::new(),
            path: vec!["public".to_string()],
        }
    }

    /// With the tables of most tests.
    pub fn with_tables() -> Session {
        let mut session = Session::new();
        session.run(
            "CREATE TABLE t (a int PRIMARY KEY, b text, c numeric(10,2), d date);
             CREATE TABLE u (a int, x bigint NOT NULL, y double precision, z text[] );
             CREATE TABLE log (id bigint, at timestamptz) APPEND ONLY;",
        );
        session
    }

    pub fn plan_with(
        &self,
        sql: &str,
        params: &[Option<ScalarType>],
    ) -> Result<Planned, PlanError> {
        let context = PlanContext {
            catalog: &self.catalog,
            search_path: &self.path,
            time_zone: "UTC",
            params,
            environment: None,
        };
        let mut last = None;
        for parsed in parse(sql)? {
            last = Some(plan(&parsed, &context)?);
        }
        Ok(last.expect("a statement"))
    }

    pub fn plan(&self, sql: &str) -> Result<Plan, PlanError> {
        self.plan_with(sql, &[]).map(|p| p.plan)
    }

    /// Plans each statement of any text.
    pub fn plan_all(&self, sql: &str) -> Result<(), PlanError> {
        for parsed in parse(sql)? {
            let context = PlanContext {
                catalog: &self.catalog,
                search_path: &self.path,
                time_zone: "UTC",
                params: &[],
                environment: None,
            };
            plan(&parsed, &context)?;
        }
        Ok(())
    }

    pub fn error(&self, sql: &str) -> PlanError {
        match self.plan(sql) {
            Err(error) => error,
            Ok(plan) => panic!("{sql} is planned: {plan:?}"),
        }
    }

    /// Plans and applies DDL, statement by statement.
    pub fn run(&mut self, sql: &str) {
        for parsed in parse(sql).unwrap() {
            let context = PlanContext {
                catalog: &self.catalog,
                search_path: &self.path,
                time_zone: "UTC",
                params: &[],
                environment: None,
            };
            let planned =
                plan(&parsed, &context).unwrap_or_else(|e| panic!("{}: {e:?}", parsed.sql));
            self.apply(planned.plan);
        }
    }

    fn put(&mut self, schema: Option<GlobalId>, name: String, kind: ObjectKind) {
        let id = self.catalog.next_id();
        let object = Object {
            id,
            schema,
            name,
            created: Timestamp::MIN,
            comment: None,
            kind,
        };
        self.catalog = self.catalog.apply(&[Change {
            old: None,
            new: Some(Arc::new(object)),
        }]);
    }

    fn change(&mut self, id: GlobalId, f: impl FnOnce(&mut Object)) {
        let old = self.catalog.get(id).unwrap().clone();
        let mut new = (*old).clone();
        f(&mut new);
        self.catalog = self.catalog.apply(&[Change {
            old: Some(old),
            new: Some(Arc::new(new)),
        }]);
    }

    fn apply(&mut self, plan: Plan) {
        match plan {
            Plan::CreateSchema { name, .. } => self.put(None, name, ObjectKind::Schema),
            Plan::CreateTable(plan) => {
                let mut constraints = plan.constraints;
                let first = self.catalog.next_id().0 + 1;
                for (i, c) in constraints.iter_mut().enumerate() {
                    c.id = GlobalId(first + i as u32);
                }
                let table = Table {
                    columns: plan.columns,
                    constraints,
                    append_only: plan.append_only,
                };
                self.put(Some(plan.schema), plan.name, ObjectKind::Table(table));
            }
            Plan::CreateView(plan) => match plan.replace {
                Some(id) => self.change(id, |o| o.kind = ObjectKind::View(plan.view)),
                None if plan.materialized => {
                    self.put(
                        Some(plan.schema),
                        plan.name,
                        ObjectKind::MaterializedView(plan.view),
                    );
                }
                None => self.put(Some(plan.schema), plan.name, ObjectKind::View(plan.view)),
            },
            Plan::CreateIndex(plan) => {
                let index = Index {
                    on: plan.on,
                    keys: plan.keys,
                    unique: plan.unique,
                };
                self.put(Some(plan.schema), plan.name, ObjectKind::Index(index));
            }
            Plan::Rename {
                id: Some(id), to, ..
            } => self.change(id, |o| o.name = to),
            Plan::RenameColumn { id, column, to } => self.change(id, |o| {
                if let ObjectKind::Table(t) = &mut o.kind {
                    t.columns[column].name = to;
                }
            }),
            Plan::Drop { ids, .. } => {
                for id in ids {
                    let old = self.catalog.get(id).unwrap().clone();
                    self.catalog = self.catalog.apply(&[Change {
                        old: Some(old),
                        new: None,
                    }]);
                }
            }
            other => panic!("not applied: {other:?}"),
        }
    }

    /// The output columns as `name:type`, parted by blanks; `?` marks those that can be NULL.
    pub fn columns(&self, sql: &str) -> String {
        let plan = self.plan(sql).unwrap_or_else(|e| panic!("{sql}: {e:?}"));
        let desc = crate::result_desc(&plan).expect("rows");
        let column = |c: &everview_repr::ColumnDesc| {
            let null = if c.ty.nullable { "?" } else { "" };
            format!(
                "{}:{}{null}",
                c.name,
                c.ty.scalar.sql_name_with(c.ty.typmod)
            )
        };
        desc.columns
            .iter()
            .map(column)
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// The error as `code position message`.
    pub fn refused(&self, sql: &str) -> String {
        let e = self.error(sql);
        let at = e.position.map_or("-".to_string(), |p| p.to_string());
        format!("{} {at} {}", e.code, e.message)
    }
}
