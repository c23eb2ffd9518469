//! CREATE INDEX.

use crate::ddl::generated_name;
use crate::error::PlanError;
use crate::names;
use crate::parse::CreateIndex;
use crate::plan::CreateIndexPlan;
use crate::planner::{ExprContext, Planner};
use crate::query::limit::to_plain_scalar;
use crate::scope::{Env, Frame, Scope};
use crate::stored::stored_text;
use everview_catalog::object::IndexKey;
use everview_catalog::{Object, ObjectKind};
use everview_expr::ScalarExpr;
use everview_repr::SqlState;

impl Planner<'_> {
    pub(crate) fn create_index(
        &mut self,
        create: &CreateIndex,
    ) -> Result<CreateIndexPlan, PlanError> {
        let CreateIndex {
            name,
            if_not_exists,
            on,
            keys,
            unique,
        } = create;
        let object = names::resolve(self.catalog, self.search_path, on)?.clone();
        let (Some(schema), Some(desc)) = (object.schema, object.desc()) else {
            let message = format!("cannot create index on relation \"{}\"", object.name);
            return Err(PlanError::new(SqlState::WRONG_OBJECT_TYPE, message));
        };
        super::writable(&object)?;
        if *unique && !matches!(object.kind, ObjectKind::Table(_)) {
            return Err(
                PlanError::unsupported("a unique index on a view").with_hint(
                    "Declare the key on the tables that the view reads, or use CREATE INDEX.",
                ),
            );
        }
        let columns = desc
            .columns
            .iter()
            .map(|c| (c.name.clone(), c.ty.clone(), c.origin))
            .collect();
        let scope = Scope::table(Some(object.name.clone()), None, Some(object.id), columns);
        let env = Env::EMPTY.with(Frame::Row(&scope));
        self.mention_columns = true;
        self.maintained = Some("an index");
        let mut stored = Vec::new();
        let mut exprs = Vec::new();
        let mut parts = Vec::new();
        for (expr, sql, start) in keys {
            self.mentions.clear();
            let value = self.expr(expr, &ExprContext::plain(&env, "index expressions"))?;
            let value = self.resolve_unknown(value)?;
            let position = value.position;
            let Some(scalar) = to_plain_scalar(&value.expr) else {
                let message = "cannot use subquery in index expression";
                return Err(PlanError::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(position));
            };
            let key = match &scalar {
                ScalarExpr::Column(i) => {
                    parts.push(desc.columns[*i].name.clone());
                    IndexKey::Column(*i)
                }
                _ if *unique => {
                    return Err(
                        PlanError::unsupported("a unique index on an expression").at(position)
                    );
                }
                _ => {
                    parts.push(
                        crate::query::column_name(expr).unwrap_or_else(|| "expr".to_string()),
                    );
                    IndexKey::Expression(stored_text(sql, *start, &self.mentions))
                }
            };
            stored.push(key);
            exprs.push(scalar);
        }
        if let Some(schema_given) = name.as_ref().and_then(|n| n.schema.as_ref()) {
            return Err(PlanError::syntax("syntax error at or near \".\"")
                .with_hint(format!(
                    "An index is in its relation's schema: name it without \"{schema_given}\"."
                ))
                .at(name.as_ref().and_then(|n| n.position)));
        }
        let name = match name {
            Some(name) if constraint_named(self, schema, &name.name) => {
                let message = format!("relation \"{}\" already exists", name.name);
                return Err(PlanError::new(SqlState::DUPLICATE_TABLE, message));
            }
            Some(name) => name.name.clone(),
            None => self.index_name(schema, &object, &parts),
        };
        Ok(CreateIndexPlan {
            schema,
            name,
            on: object.id,
            keys: stored,
            exprs,
            unique: *unique,
            if_not_exists: *if_not_exists,
        })
    }

    fn index_name(
        &self,
        schema: everview_repr::GlobalId,
        object: &Object,
        parts: &[String],
    ) -> String {
        let taken = |name: &str| {
            self.catalog.in_schema(schema, name).is_some() || constraint_named(self, schema, name)
        };
        generated_name(&object.name, &parts.join("_"), "idx", &taken)
    }
}

/// Whether a unique constraint in a schema has that name: it names its index.
fn constraint_named(planner: &Planner<'_>, schema: everview_repr::GlobalId, name: &str) -> bool {
    planner.catalog.objects().any(|o| {
        o.schema == Some(schema)
            && matches!(&o.kind, ObjectKind::Table(t)
                if t.constraints.iter().any(|c| c.name == name && c.unique_columns().is_some()))
    })
}
