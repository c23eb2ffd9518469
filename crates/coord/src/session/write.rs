//! INSERT, UPDATE, DELETE and TRUNCATE: what is read, and what becomes of it.

use super::Session;
use super::plans::Planned;
use super::run::Params;
use crate::dml::{self, Changed};
use crate::error::Error;
use crate::outcome::Outcome;
use crate::planning::Settle;
use everview_expr::{RelExpr, ScalarExpr};
use everview_repr::{GlobalId, RelationDesc};
use everview_sql::plan::InsertPlan;
use std::sync::Arc;

impl Session {
    pub(super) fn writable(&self, id: GlobalId) -> Result<Arc<crate::table::StoredTable>, Error> {
        let transaction = self.transaction.as_ref();
        let transaction =
            transaction.ok_or_else(|| Error::internal("no transaction is under way"))?;
        self.table(transaction, id)
    }

    pub(super) async fn insert(
        &mut self,
        plan: &InsertPlan,
        planned: &Planned,
        params: Params<'_>,
    ) -> Result<Outcome, Error> {
        let rows = self.read_whole(&plan.source, Some(planned), params).await?;
        let table = self.writable(plan.table)?;
        let shared = self.shared.clone();
        let mut on_conflict = plan.on_conflict.clone();
        let mut returning = plan.returning.clone();
        let exprs = on_conflict
            .iter_mut()
            .filter_map(|c| c.update.as_mut())
            .flat_map(|u| u.row.iter_mut().chain(u.filter.as_mut()));
        let exprs = exprs.chain(returning.iter_mut().flat_map(|r| r.exprs.iter_mut()));
        self.bind_all(exprs, params);
        let changed = dml::insert(
            &shared,
            self.transaction()?,
            &table,
            rows,
            on_conflict.as_ref(),
            returning.as_ref(),
        )?;
        Ok(finished("INSERT 0", changed, returning.map(|r| r.desc)))
    }

    pub(super) fn bind_all<'e>(
        &self,
        exprs: impl Iterator<Item = &'e mut ScalarExpr>,
        params: Params<'_>,
    ) {
        let make = || self.environment(&self.shared.catalog().catalog);
        let settle = Settle::new(params, Some(&make));
        exprs.for_each(|expr| settle.scalar(expr));
    }

    pub(super) async fn truncate(&mut self, ids: Vec<GlobalId>) -> Result<Outcome, Error> {
        for id in ids {
            let table = self.writable(id)?;
            if table.append_only {
                return Err(dml::append_only(&table, "truncate"));
            }
            let ty = everview_expr::RelationType::new(table.desc.types());
            let all = RelExpr::Get {
                id: everview_expr::Id::Global(id),
                ty,
            };
            let rows = self.read(all, None).await?;
            let shared = self.shared.clone();
            let transaction = self.transaction()?;
            dml::delete(&shared, transaction, &table, rows)?;
            transaction.table(id).truncated = true;
        }
        Ok(Outcome::Done("TRUNCATE TABLE".to_string()))
    }
}

pub(super) fn finished(verb: &str, changed: Changed, returning: Option<RelationDesc>) -> Outcome {
    let tag = format!("{verb} {}", changed.count);
    match returning {
        Some(desc) => Outcome::Rows {
            desc: Arc::new(desc),
            rows: changed.returned,
            tag,
        },
        None => Outcome::Done(tag),
    }
}
