//! A catalog that DDL text fills, and queries planned over it.

use everview_catalog::catalog::Change;
use everview_catalog::object::Table;
use everview_catalog::{Catalog, Object, ObjectKind};
use everview_expr::RelExpr;
use everview_optimize::lowering::Indexes;
use everview_optimize::{explain, lowering, optimize};
use everview_repr::{GlobalId, Timestamp};
use everview_sql::plan::Plan;
use everview_sql::{PlanContext, parse};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A folder of the project's sql-tests.
pub fn sql_tests(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../sql-tests")
        .join(name)
}

/// A catalog.
pub struct Database {
    catalog: Catalog,
    path: Vec<String>,
}

impl Database {
    /// With the tables and materialized views of these statements.
    pub fn new(ddl: &str) -> Database {
        let mut database = Database {
            catalog: Catalog::new(),
            path: vec!["public".to_string()],
        };
        for statement in database.plans(ddl) {
            database.apply(statement);
        }
        database
    }

    /// Plans each statement over what the ones before have made.
    fn plans(&self, sql: &str) -> Vec<Statement> {
        parse(sql)
            .expect("SQL")
            .into_iter()
            .map(Statement)
            .collect()
    }

    fn plan(&self, statement: &Statement) -> Plan {
        let context = PlanContext {
            catalog: &self.catalog,
            search_path: &self.path,
            time_zone: "UTC",
            params: &[],
            environment: None,
        };
        match everview_sql::plan(&statement.0, &context) {
            Ok(planned) => planned.plan,
            Err(e) => unreachable!("{}: {e:?}", statement.0.sql),
        }
    }

    fn apply(&mut self, statement: Statement) {
        let (schema, name, kind) = match self.plan(&statement) {
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
                (plan.schema, plan.name, ObjectKind::Table(table))
            }
            Plan::CreateView(plan) => (
                plan.schema,
                plan.name,
                ObjectKind::MaterializedView(plan.view),
            ),
            other => unreachable!("not DDL for a test: {other:?}"),
        };
        let object = Object {
            id: self.catalog.next_id(),
            schema: Some(schema),
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

    /// The decorrelated expression of a query, or of each query of a text's materialized views.
    pub fn queries(&self, sql: &str) -> Vec<RelExpr> {
        let plans = self.plans(sql);
        let queries = plans.iter().map(|statement| match self.plan(statement) {
            Plan::Select(select) => select.expr,
            Plan::CreateView(plan) => {
                everview_sql::plan_view_text(&self.catalog, &plan.view).expect("a view")
            }
            other => unreachable!("not a query: {other:?}"),
        });
        queries.collect()
    }

    /// The one query of a text.
    pub fn query(&self, sql: &str) -> RelExpr {
        let mut queries = self.queries(sql);
        assert_eq!(queries.len(), 1, "one query");
        queries.remove(0)
    }

    /// The name of a relation.
    pub fn name(&self, id: GlobalId) -> String {
        self.catalog
            .get(id)
            .map_or(format!("{id}"), |o| o.name.clone())
    }

    /// The plan after each stage.
    pub fn stages(&self, expr: RelExpr) -> String {
        let names = |id: GlobalId| self.name(id);
        let decorrelated = explain::relation(&expr, &names);
        let desc = everview_repr::RelationDesc::new(
            expr.ty().columns.into_iter().map(|ty| ("column", ty)),
        );
        let optimized = optimize(expr).expect("a plan that is well formed");
        let text = explain::relation(&optimized, &names);
        let plan = lowering::lower(&optimized, &Indexes::new()).expect("a plan");
        let physical = everview_optimize::physical::DataflowPlan {
            sources: Default::default(),
            imports: Default::default(),
            plan,
            desc,
        };
        let physical = explain::physical(&physical, &names);
        format!("-- decorrelated\n{decorrelated}\n-- optimized\n{text}\n-- physical\n{physical}")
    }
}

/// A statement that is parsed and not planned.
pub struct Statement(everview_sql::Parsed);
