//! Statements about the session itself: transactions, settings, prepared statements.

use super::run::Params;
use super::{Prepared, Session};
use crate::error::Error;
use crate::outcome::Outcome;
use everview_repr::{Datum, RelationDesc, Row, ScalarType, SqlState};
use everview_sql::plan::{CopyPlan, Plan, VerifyPlan};
use std::sync::Arc;

impl Session {
    /// Runs what needs no transaction of its own; `None` for everything else.
    pub(super) async fn control(
        &mut self,
        plan: &Plan,
        params: Params<'_>,
    ) -> Result<Option<Outcome>, Error> {
        let done = |tag: &str| Ok(Some(Outcome::Done(tag.to_string())));
        match plan {
            Plan::Empty => Ok(Some(Outcome::Empty)),
            Plan::Begin { read_only } => {
                self.begin(*read_only);
                done("BEGIN")
            }
            Plan::Commit { chain } => {
                if self.failed || self.transaction.is_none() {
                    return self.end_without_effect("COMMIT", *chain).map(Some);
                }
                self.commit().await?;
                self.chain(*chain);
                done("COMMIT")
            }
            Plan::Rollback { chain } => {
                if !self.failed && self.transaction.is_none() {
                    return self.end_without_effect("ROLLBACK", *chain).map(Some);
                }
                self.rollback();
                self.chain(*chain);
                done("ROLLBACK")
            }
            Plan::Set { name, value, local } if name == "everview.producer" => {
                self.set_producer(value.as_deref(), *local).await?;
                done("SET")
            }
            Plan::Set { name, value, local } if name == "everview.sequence" => {
                self.set_sequence(value.as_deref(), *local)?;
                done("SET")
            }
            Plan::Producer { call, desc } => self.call_producer(call, desc, params).await.map(Some),
            Plan::DropProducer { names, if_exists } => {
                self.drop_producers(names, *if_exists).await?;
                done("DROP PRODUCER")
            }
            Plan::Set { name, value, local } => {
                let in_transaction = self.transaction.is_some();
                if *local && !in_transaction {
                    self.warn(
                        SqlState::NO_ACTIVE_SQL_TRANSACTION,
                        "SET LOCAL can only be used in transaction blocks",
                    );
                }
                self.settings
                    .set(name, value.as_deref(), *local, in_transaction)?;
                if name == "transaction_read_only" {
                    let read_only = self.settings.is_on("transaction_read_only");
                    if let Some(transaction) = &mut self.transaction {
                        transaction.read_only = read_only;
                    }
                }
                done("SET")
            }
            Plan::Reset(name) => {
                let in_transaction = self.transaction.is_some();
                match name.as_deref() {
                    Some("everview.producer") => self.release_producer()?,
                    Some(name) => self.settings.set(name, None, false, in_transaction)?,
                    None => {
                        self.release_producer()?;
                        self.settings.reset_all(in_transaction)?;
                    }
                }
                done("RESET")
            }
            Plan::Show(name) => {
                let head = self.shared.log.head().to_string();
                self.settings.tell("everview.log_head", head);
                self.show(name.as_deref()).map(Some)
            }
            Plan::Discard(what) => {
                if what == "ALL" {
                    if self.transaction.is_some() {
                        let message = "DISCARD ALL cannot run inside a transaction block";
                        return Err(Error::new(SqlState::ACTIVE_SQL_TRANSACTION, message));
                    }
                    self.release_producer()?;
                    self.settings.reset_all(false)?;
                    self.prepared.clear();
                    self.cursors.clear();
                    self.history = None;
                }
                done(&format!("DISCARD {what}"))
            }
            Plan::Prepare { name, sql, types } => {
                self.prepare(name, sql, types)?;
                done("PREPARE")
            }
            Plan::Execute { name, args } => {
                let args = args.clone();
                Box::pin(self.execute_prepared(name, args)).await.map(Some)
            }
            Plan::Deallocate(name) => {
                match name {
                    None => self.prepared.clear(),
                    Some(name) => {
                        self.prepared
                            .remove(name)
                            .ok_or_else(|| no_statement(name))?;
                    }
                }
                done(if name.is_some() {
                    "DEALLOCATE"
                } else {
                    "DEALLOCATE ALL"
                })
            }
            Plan::Declare { name, query, hold } => {
                self.declare(name, (**query).clone(), *hold).await?;
                done("DECLARE CURSOR")
            }
            Plan::Fetch {
                name,
                count,
                timeout,
            } => self.fetch(name, *count, *timeout).await.map(Some),
            Plan::Close(name) => {
                self.close(name.as_deref())?;
                done("CLOSE CURSOR")
            }
            Plan::Nothing(tag, notices) => {
                self.notices.extend(notices.iter().cloned());
                done(tag)
            }
            _ => Ok(None),
        }
    }

    fn begin(&mut self, read_only: bool) {
        match &mut self.transaction {
            Some(transaction) if transaction.explicit => self.warn(
                SqlState::ACTIVE_SQL_TRANSACTION,
                "there is already a transaction in progress",
            ),
            Some(transaction) => {
                transaction.explicit = true;
                transaction.read_only |= read_only;
            }
            None => {
                let mut transaction = self.new_transaction(true);
                transaction.read_only |= read_only;
                self.transaction = Some(transaction);
            }
        }
    }

    /// COMMIT or ROLLBACK of a failed transaction, or of none.
    fn end_without_effect(&mut self, verb: &str, chain: bool) -> Result<Outcome, Error> {
        if !self.failed {
            self.warn(
                SqlState::NO_ACTIVE_SQL_TRANSACTION,
                "there is no transaction in progress",
            );
            return Ok(Outcome::Done(verb.to_string()));
        }
        self.rollback();
        self.chain(chain);
        Ok(Outcome::Done("ROLLBACK".to_string()))
    }

    fn chain(&mut self, chain: bool) {
        if chain {
            self.transaction = Some(self.new_transaction(true));
        }
    }

    fn show(&mut self, name: Option<&str>) -> Result<Outcome, Error> {
        let (desc, rows) = match name {
            Some(name) => {
                let value = self.settings.get(name)?;
                let column = self.settings.shown(name)?;
                let desc = RelationDesc::new([(column, ScalarType::Text.not_null())]);
                (desc, vec![Row::pack([Datum::Text(value)])])
            }
            None => {
                let text = || ScalarType::Text.not_null();
                let desc = RelationDesc::new([
                    ("name", text()),
                    ("setting", text()),
                    ("description", text()),
                ]);
                let all = self.settings.all();
                let rows = all.iter().map(|(name, value, doc)| {
                    Row::pack([Datum::Text(name), Datum::Text(value), Datum::Text(doc)])
                });
                (desc, rows.collect())
            }
        };
        Ok(Outcome::Rows {
            desc: Arc::new(desc),
            rows,
            tag: "SHOW".to_string(),
        })
    }

    fn prepare(&mut self, name: &str, sql: &str, types: &[ScalarType]) -> Result<(), Error> {
        if self.prepared.contains_key(name) {
            let message = format!("prepared statement \"{name}\" already exists");
            return Err(Error::new(SqlState::DUPLICATE_PREPARED_STATEMENT, message));
        }
        let mut statements = self.parse(sql)?;
        if statements.len() != 1 {
            return Err(Error::new(
                SqlState::SYNTAX_ERROR,
                "PREPARE takes one statement",
            ));
        }
        let statement = statements.remove(0);
        let declared: Vec<_> = types.iter().cloned().map(Some).collect();
        let planned = self.planned(&statement, &declared)?;
        let prepared = Prepared {
            statement,
            types: planned.params.clone(),
        };
        self.prepared.insert(name.to_string(), prepared);
        Ok(())
    }

    async fn execute_prepared(
        &mut self,
        name: &str,
        mut args: Vec<(everview_expr::ScalarExpr, ScalarType)>,
    ) -> Result<Outcome, Error> {
        let prepared = self
            .prepared
            .get(name)
            .cloned()
            .ok_or_else(|| no_statement(name))?;
        if args.len() != prepared.types.len() {
            let message = format!("wrong number of parameters for prepared statement \"{name}\"");
            return Err(
                Error::new(SqlState::SYNTAX_ERROR, message).with_detail(format!(
                    "Expected {} parameters but got {}.",
                    prepared.types.len(),
                    args.len()
                )),
            );
        }
        self.bind_all(args.iter_mut().map(|(expr, _)| expr), None);
        let values = {
            let arena = everview_repr::RowArena::new();
            let mut datums = Vec::new();
            for (i, ((expr, from), to)) in args.iter().zip(&prepared.types).enumerate() {
                datums.push(assigned(i + 1, expr.eval(&[], &arena), from, to, &arena)?);
            }
            Row::pack(datums)
        };
        self.execute_inner(&prepared.statement, Some((&values, &prepared.types)))
            .await
    }

    /// The columns that a statement gives, if it gives rows.
    pub(super) fn result_desc(&self, plan: &Plan) -> Result<Option<RelationDesc>, Error> {
        let text = |name: &str| Some(RelationDesc::new([(name, ScalarType::Text.not_null())]));
        Ok(match plan {
            Plan::Select(select) => Some(select.desc.clone()),
            Plan::Producer { desc, .. } | Plan::Reader { desc, .. } => Some(desc.clone()),
            Plan::Explain(_) => text("QUERY PLAN"),
            Plan::Verify(_) => Some(VerifyPlan::desc()),
            Plan::Subscribe(s) => Some(crate::subscribe::subscription_desc(&s.desc, s.progress)),
            Plan::Insert(insert) => insert.returning.as_ref().map(|r| r.desc.clone()),
            Plan::Update(update) => update.returning.clone(),
            Plan::Delete(delete) => delete.returning.clone(),
            Plan::Show(Some(name)) => text(&self.settings.shown(name)?),
            Plan::Show(None) => Some(RelationDesc::new([
                ("name", ScalarType::Text.not_null()),
                ("setting", ScalarType::Text.not_null()),
                ("description", ScalarType::Text.not_null()),
            ])),
            Plan::Fetch { name, .. } => Some(
                self.cursors
                    .get(name)
                    .ok_or_else(|| no_cursor(name))?
                    .desc()
                    .as_ref()
                    .clone(),
            ),
            Plan::Execute { name, .. } => {
                let prepared = self.prepared.get(name).ok_or_else(|| no_statement(name))?;
                let types: Vec<_> = prepared.types.iter().cloned().map(Some).collect();
                let planned = self.planned(&prepared.statement, &types)?;
                self.result_desc(&planned.plan)?
            }
            Plan::Copy(
                CopyPlan::To { .. } | CopyPlan::From { .. } | CopyPlan::Subscribe { .. },
            ) => None,
            _ => None,
        })
    }
}

fn no_statement(name: &str) -> Error {
    let message = format!("prepared statement \"{name}\" does not exist");
    Error::new(SqlState::INVALID_SQL_STATEMENT_NAME, message)
}

pub(super) fn no_cursor(name: &str) -> Error {
    Error::new(
        SqlState::INVALID_CURSOR_NAME,
        format!("cursor \"{name}\" does not exist"),
    )
}

/// A parameter's value, assigned to its type as a column would take it.
fn assigned<'a>(
    n: usize,
    datum: Datum<'a>,
    from: &ScalarType,
    to: &ScalarType,
    arena: &'a everview_repr::RowArena,
) -> Result<Datum<'a>, Error> {
    use everview_expr::casts::{CastContext, cast_context, cast_func};
    let assignable = from == to
        || matches!(
            cast_context(from, to),
            Some(CastContext::Implicit | CastContext::Assignment)
        );
    let func = if from == to {
        None
    } else {
        cast_func(from, to)
    };
    let value = match (datum, func) {
        (Datum::Error(error), _) => return Err(error.to_error().into()),
        (datum, None) if assignable => datum,
        (datum, _) if *from == ScalarType::Unknown => match datum.as_str() {
            Some(text) => everview_repr::text::parse(to, text, arena)?,
            None => datum,
        },
        (datum, Some(func)) if assignable => {
            let types = everview_expr::CallTypes {
                args: vec![from.clone()],
                result: to.clone(),
                typmod: everview_repr::Typmod::NONE,
                time_zone: "UTC".into(),
                environment: None,
            };
            everview_expr::registry::call(func, &types, &[datum], arena)
        }
        _ => {
            let message = format!(
                "parameter ${n} of type {} cannot be coerced to the expected type {}",
                from.sql_name(),
                to.sql_name()
            );
            return Err(Error::new(SqlState::DATATYPE_MISMATCH, message)
                .with_hint("You will need to rewrite or cast the expression."));
        }
    };
    match value {
        Datum::Error(error) => Err(error.to_error().into()),
        value => Ok(value),
    }
}
