//! Statements that read or change data or catalog, within a transaction.

use super::Session;
use crate::copy::CopyState;
use crate::copy::format;
use crate::ddl;
use crate::dml::{self, Changed};
use crate::error::Error;
use crate::outcome::{CopyIn, CopyOutput, Outcome};
use crate::planning::{QueryContext, attach_scalar, base_tables, bind_scalar};
use crate::read::{self, Answer, Served};
use crate::subscribe::{Bounds, Subscription};
use crate::transaction::Transaction;
use everview_catalog::ObjectKind;
use everview_catalog::catalog::Change;
use everview_dataflow::{DataflowDesc, Export};
use everview_expr::{RelExpr, ScalarExpr};
use everview_repr::{
    Datum, GlobalId, RelationDesc, Row, RowArena, ScalarType, SqlState, Timestamp,
};
use everview_sql::plan::{
    CopyOptions, CopyPlan, CreateTablePlan, CreateViewPlan, InsertPlan, Plan, SelectPlan,
    SubscribePlan,
};
use std::sync::Arc;

type Params<'p> = Option<(&'p Row, &'p [ScalarType])>;

impl Session {
    pub(super) async fn run_in_transaction(
        &mut self,
        plan: Plan,
        params: Params<'_>,
    ) -> Result<Outcome, Error> {
        self.check_interrupt()?;
        if let Some(error) = self.shared.damaged() {
            return Err(error);
        }
        if writes(&plan) && self.transaction()?.read_only {
            let message = format!("cannot execute {} in a read-only transaction", verb(&plan));
            return Err(Error::new(SqlState::READ_ONLY_SQL_TRANSACTION, message));
        }
        match plan {
            Plan::Select(select) => {
                let rows = self.select(&select, params).await?;
                let tag = format!("SELECT {}", rows.len());
                Ok(Outcome::Rows {
                    desc: Arc::new(select.desc),
                    rows,
                    tag,
                })
            }
            Plan::Explain(explain) => self.explain(*Box::new(explain), params),
            Plan::Subscribe(plan) => {
                let subscription = self.subscribe(plan, params)?;
                Ok(Outcome::Subscribe(Box::new(subscription)))
            }
            Plan::Insert(plan) => self.insert(plan, params).await,
            Plan::Update(plan) => {
                let answer = self.read(plan.source, params).await?;
                let table = self.writable(plan.table)?;
                let shared = self.shared.clone();
                let changed = dml::update(&shared, self.transaction()?, &table, answer)?;
                Ok(finished("UPDATE", changed, plan.returning))
            }
            Plan::Delete(plan) => {
                let answer = self.read(plan.source, params).await?;
                let table = self.writable(plan.table)?;
                let changed = dml::delete(self.transaction()?, &table, answer)?;
                Ok(finished("DELETE", changed, plan.returning))
            }
            Plan::Truncate(ids) => self.truncate(ids).await,
            Plan::Copy(plan) => self.copy(plan, params).await,
            ddl => self.change_catalog(ddl, params).await,
        }
    }

    pub(super) fn transaction(&mut self) -> Result<&mut Transaction, Error> {
        self.transaction
            .as_mut()
            .ok_or_else(|| Error::internal("no transaction is under way"))
    }

    fn writable(&self, id: GlobalId) -> Result<Arc<crate::table::StoredTable>, Error> {
        let transaction = self.transaction.as_ref();
        let transaction =
            transaction.ok_or_else(|| Error::internal("no transaction is under way"))?;
        self.table(transaction, id)
    }

    /// The rows of an expression at the transaction's snapshot, own writes included; remembers what was read.
    async fn read(&mut self, expr: RelExpr, params: Params<'_>) -> Result<Vec<(Row, i64)>, Error> {
        let snapshot = self.transaction()?.snapshot;
        self.read_as_of(expr, params, snapshot).await
    }

    async fn read_as_of(
        &mut self,
        expr: RelExpr,
        params: Params<'_>,
        as_of: Timestamp,
    ) -> Result<Vec<(Row, i64)>, Error> {
        let desc = RelationDesc::new(
            expr.ty()
                .columns
                .into_iter()
                .map(|ty| ("?column?".to_string(), ty)),
        );
        let Answer { rows, served } = {
            let state = self.shared.catalog();
            let transaction = self.transaction.as_ref();
            let catalog = transaction.map_or(&state.catalog, |t| &t.catalog);
            let context = QueryContext {
                shared: &self.shared,
                state: &state,
                catalog,
                transaction,
                environment: Some(self.environment(catalog)),
                params,
            };
            read::read(&context, expr, &desc, as_of, self).await?
        };
        self.settings
            .tell("everview.last_read_timestamp", as_of.0.to_string());
        let transaction = self.transaction()?;
        match served {
            Served::Constant => {}
            Served::Keys(constraint, keys) => {
                keys.iter()
                    .for_each(|key| transaction.reads.key(constraint, key));
            }
            Served::Relations(relations) => {
                for relation in relations {
                    for table in base_tables(&transaction.catalog, relation) {
                        transaction.reads.all(table);
                    }
                }
            }
        }
        Ok(rows)
    }

    pub(super) async fn select(
        &mut self,
        plan: &SelectPlan,
        params: Params<'_>,
    ) -> Result<Vec<Row>, Error> {
        let as_of = match &plan.as_of {
            None => self.transaction()?.snapshot,
            Some(expr) => self.as_of(expr, params)?,
        };
        let limit = self.row_count(plan.finishing.limit.as_ref(), params, "LIMIT")?;
        let offset = self.row_count(plan.finishing.offset.as_ref(), params, "OFFSET")?;
        let rows = self.read_as_of(plan.expr.clone(), params, as_of).await?;
        let finishing = &plan.finishing;
        read::finish(
            rows,
            &finishing.order_by,
            limit,
            offset.unwrap_or(0),
            &finishing.project,
        )
    }

    /// The value of a constant expression.
    fn constant<T>(
        &self,
        expr: &ScalarExpr,
        params: Params<'_>,
        f: impl FnOnce(Datum<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut expr = expr.clone();
        if let Some((values, types)) = params {
            let datums = values.unpack();
            expr.visit_mut_post(&mut |e| bind_scalar(e, &datums, types));
        }
        let state = self.shared.catalog();
        let environment = self.environment(&state.catalog);
        expr.visit_mut_post(&mut |e| attach_scalar(e, &environment));
        let arena = RowArena::new();
        match expr.eval(&[], &arena) {
            Datum::Error(error) => Err(error.to_error().into()),
            datum => f(datum),
        }
    }

    fn row_count(
        &self,
        expr: Option<&ScalarExpr>,
        params: Params<'_>,
        clause: &str,
    ) -> Result<Option<u64>, Error> {
        let Some(expr) = expr else { return Ok(None) };
        self.constant(expr, params, |datum| match datum {
            Datum::Null => Ok(None),
            Datum::Int64(n) => u64::try_from(n).map(Some).map_err(|_| {
                let code = if clause == "LIMIT" {
                    SqlState::INVALID_ROW_COUNT_IN_LIMIT_CLAUSE
                } else {
                    SqlState::INVALID_ROW_COUNT_IN_RESULT_OFFSET_CLAUSE
                };
                Error::new(code, format!("{clause} must not be negative"))
            }),
            _ => Err(Error::internal(format!("{clause} is not a bigint"))),
        })
    }

    /// The timestamp of an AS OF clause: microseconds, or a point in time.
    fn as_of(&self, expr: &ScalarExpr, params: Params<'_>) -> Result<Timestamp, Error> {
        let at = self.constant(expr, params, |datum| {
            as_timestamp(datum, &self.input_formatting())
        })?;
        let now = self.shared.now();
        let oldest = Timestamp(now.0.saturating_sub(self.shared.options.history));
        let oldest = oldest.max(self.shared.tables.store().since());
        if at > now {
            let message = format!("AS OF {at} is in the future: the newest timestamp is {now}");
            return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, message));
        }
        if at < oldest {
            let message =
                format!("AS OF {at} is older than the history kept, which starts at {oldest}");
            return Err(
                Error::new(SqlState::INVALID_PARAMETER_VALUE, message).with_hint(
                    "Read at a later timestamp, or start the server with a longer history.",
                ),
            );
        }
        Ok(at)
    }

    async fn insert(&mut self, plan: InsertPlan, params: Params<'_>) -> Result<Outcome, Error> {
        let rows = self.read(plan.source, params).await?;
        let table = self.writable(plan.table)?;
        let shared = self.shared.clone();
        let mut on_conflict = plan.on_conflict;
        let mut returning = plan.returning;
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

    fn bind_all<'e>(&self, exprs: impl Iterator<Item = &'e mut ScalarExpr>, params: Params<'_>) {
        let state = self.shared.catalog();
        let environment = self.environment(&state.catalog);
        for expr in exprs {
            expr.visit_mut_post(&mut |e| {
                if let Some((values, types)) = params {
                    bind_scalar(e, &values.unpack(), types);
                }
                attach_scalar(e, &environment);
            });
        }
    }

    async fn truncate(&mut self, ids: Vec<GlobalId>) -> Result<Outcome, Error> {
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
            dml::delete(self.transaction()?, &table, rows)?;
        }
        Ok(Outcome::Done("TRUNCATE TABLE".to_string()))
    }

    async fn copy(&mut self, plan: CopyPlan, params: Params<'_>) -> Result<Outcome, Error> {
        match plan {
            CopyPlan::From {
                table,
                columns,
                mut defaults,
                options,
            } => {
                let table = self.writable(table)?;
                self.bind_all(defaults.iter_mut().map(|(_, e)| e), params);
                let formatting = self.input_formatting();
                let state = CopyState::new(table, columns, defaults, options, formatting);
                Ok(Outcome::CopyIn(Box::new(CopyIn {
                    state,
                    single: false,
                })))
            }
            CopyPlan::To { select, options } => {
                let rows = self.select(&select, params).await?;
                let lines = self.copy_lines(&select.desc, &rows, &options);
                let tag = format!("COPY {}", rows.len());
                let columns = select.desc.arity();
                Ok(Outcome::CopyOut {
                    columns,
                    lines: CopyOutput::Lines(lines),
                    tag,
                })
            }
            CopyPlan::Subscribe { subscribe, options } => {
                let subscription = self.subscribe(*subscribe, params)?;
                let columns = subscription.desc.arity();
                let lines = CopyOutput::Changes(Box::new(subscription), options);
                Ok(Outcome::CopyOut {
                    columns,
                    lines,
                    tag: "COPY".to_string(),
                })
            }
        }
    }

    /// Rows as lines of COPY's formats.
    pub fn copy_lines(
        &self,
        desc: &RelationDesc,
        rows: &[Row],
        options: &CopyOptions,
    ) -> Vec<Vec<u8>> {
        let types: Vec<_> = desc.columns.iter().map(|c| c.ty.scalar.clone()).collect();
        let formatting = self.formatting();
        let mut lines: Vec<Vec<u8>> = format::header(desc, options).into_iter().collect();
        for row in rows {
            let mut line = Vec::new();
            format::push_row(&mut line, &types, row.iter(), options, &formatting);
            lines.push(line);
        }
        lines
    }

    pub(super) fn subscribe(
        &mut self,
        plan: SubscribePlan,
        params: Params<'_>,
    ) -> Result<Subscription, Error> {
        let as_of = match &plan.as_of {
            None => self.transaction()?.snapshot,
            Some(expr) => self.as_of(expr, params)?,
        };
        let up_to = plan.up_to.as_ref();
        let up_to = up_to
            .map(|expr| self.constant(expr, params, |d| as_timestamp(d, &self.input_formatting())))
            .transpose()?;
        let bounds = Bounds {
            as_of,
            up_to,
            snapshot: plan.snapshot,
            progress: plan.progress,
        };
        let state = self.shared.catalog();
        let transaction = self.transaction.as_ref();
        if transaction.is_some_and(Transaction::has_writes) {
            return Err(Error::unsupported(
                "SUBSCRIBE in a transaction that has written",
            ));
        }
        let context = QueryContext {
            shared: &self.shared,
            state: &state,
            catalog: &state.catalog,
            transaction: None,
            environment: Some(self.environment(&state.catalog)),
            params,
        };
        let optimized = context.optimize(plan.expr)?;
        let physical = context.physical(&optimized.expr, plan.desc.clone())?;
        let id = self.shared.next_dataflow();
        let (sink, receiver) = everview_dataflow::subscription(as_of);
        self.shared.compute.install(DataflowDesc {
            id,
            name: format!("subscribe {}", id.0),
            plan: physical,
            as_of,
            until: up_to,
            export: Export::Subscribe(sink),
        });
        Ok(Subscription::new(
            self.shared.clone(),
            id,
            receiver,
            &plan.desc,
            bounds,
        ))
    }

    /// DDL.
    async fn change_catalog(&mut self, plan: Plan, params: Params<'_>) -> Result<Outcome, Error> {
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
            Plan::CreateIndex(plan) => {
                if transaction
                    .catalog
                    .in_schema(plan.schema, &plan.name)
                    .is_some()
                {
                    return self.exists(plan.if_not_exists, "relation", &plan.name, "CREATE INDEX");
                }
                (
                    ddl::create_index(&transaction.catalog, plan).1,
                    "CREATE INDEX".into(),
                )
            }
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
            Plan::Comment { id, column, text } => {
                let change = |o: &mut everview_catalog::Object| match (column, &mut o.kind) {
                    (Some(column), ObjectKind::Table(table)) => {
                        table.columns[column].comment = text
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
    fn exists(
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

    async fn create_table(
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

    fn create_view(&mut self, plan: CreateViewPlan) -> Result<Outcome, Error> {
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
        let (id, changes) = ddl::create_view(&transaction.catalog, plan);
        transaction.change_catalog(changes);
        self.shared.views.forget(id);
        // A plan that cannot be rendered is refused now, by name, and not at COMMIT.
        let state = self.shared.catalog();
        let transaction = self.transaction.as_ref();
        if let Some(transaction) = transaction {
            ddl::dataflow(&self.shared, &state, &transaction.catalog, id)?;
        }
        Ok(Outcome::Done(tag.to_string()))
    }

    fn explain(
        &mut self,
        plan: everview_sql::plan::ExplainPlan,
        params: Params<'_>,
    ) -> Result<Outcome, Error> {
        use everview_sql::plan::ExplainStage;
        let state = self.shared.catalog();
        let transaction = self.transaction.as_ref();
        let catalog = transaction.map_or(&state.catalog, |t| &t.catalog);
        let context = QueryContext {
            shared: &self.shared,
            state: &state,
            catalog,
            transaction,
            environment: if plan.maintained {
                None
            } else {
                Some(self.environment(catalog))
            },
            params,
        };
        let name = |id: GlobalId| catalog.full_name(id);
        let text = match plan.stage {
            ExplainStage::Raw => plan.raw,
            ExplainStage::Decorrelated => {
                everview_optimize::explain::relation(&plan.select.expr, &name)
            }
            ExplainStage::Optimized => {
                let optimized = context.optimize(plan.select.expr)?;
                everview_optimize::explain::relation(&optimized.expr, &name)
            }
            ExplainStage::Physical => {
                let optimized = context.optimize(plan.select.expr)?;
                let physical = context.physical(&optimized.expr, plan.select.desc)?;
                everview_optimize::explain::physical(&physical, &name)
            }
            ExplainStage::Timing => return Err(Error::unsupported("EXPLAIN (TIMING)")),
        };
        let desc = RelationDesc::new([("QUERY PLAN", ScalarType::Text.not_null())]);
        let rows: Vec<Row> = text
            .lines()
            .map(|line| Row::pack([Datum::Text(line)]))
            .collect();
        Ok(Outcome::Rows {
            desc: Arc::new(desc),
            rows,
            tag: "EXPLAIN".to_string(),
        })
    }
}

/// The timestamp that a value means.
fn as_timestamp(
    datum: Datum<'_>,
    formatting: &everview_repr::text::Formatting,
) -> Result<Timestamp, Error> {
    const POSTGRES_EPOCH: i64 = 946_684_800_000_000;
    let invalid = |what: &str| {
        Error::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("invalid timestamp for AS OF: {what}"),
        )
    };
    let from_micros = |micros: i64| {
        u64::try_from(micros)
            .map(Timestamp)
            .map_err(|_| invalid("negative"))
    };
    match datum {
        Datum::Int16(v) => from_micros(v.into()),
        Datum::Int32(v) => from_micros(v.into()),
        Datum::Int64(v) => from_micros(v),
        Datum::Numeric(_) => {
            let value = datum.as_numeric().ok_or_else(|| invalid("malformed"))?;
            from_micros(value.to_i64()?)
        }
        Datum::TimestampTz(v) => from_micros(v.saturating_add(POSTGRES_EPOCH)),
        Datum::Timestamp(v) => from_micros(
            formatting
                .time_zone
                .to_utc(v)?
                .saturating_add(POSTGRES_EPOCH),
        ),
        Datum::Text(text) => match text.trim().parse::<u64>() {
            Ok(micros) => Ok(Timestamp(micros)),
            Err(_) => {
                let arena = RowArena::new();
                let ty = ScalarType::TimestampTz;
                let parsed = everview_repr::text::parse_with(&ty, text, formatting, &arena)?;
                as_timestamp(parsed, formatting)
            }
        },
        Datum::Null => Err(invalid("NULL")),
        _ => Err(invalid("neither a number nor a point in time")),
    }
}

fn finished(verb: &str, changed: Changed, returning: Option<RelationDesc>) -> Outcome {
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

fn writes(plan: &Plan) -> bool {
    !matches!(
        plan,
        Plan::Select(_)
            | Plan::Explain(_)
            | Plan::Subscribe(_)
            | Plan::Copy(CopyPlan::To { .. } | CopyPlan::Subscribe { .. })
    )
}

fn verb(plan: &Plan) -> &'static str {
    match plan {
        Plan::Insert(_) => "INSERT",
        Plan::Update(_) => "UPDATE",
        Plan::Delete(_) => "DELETE",
        Plan::Truncate(_) => "TRUNCATE TABLE",
        Plan::Copy(_) => "COPY FROM",
        Plan::CreateSchema { .. } => "CREATE SCHEMA",
        Plan::CreateTable(_) => "CREATE TABLE",
        Plan::CreateView(_) => "CREATE VIEW",
        Plan::CreateIndex(_) => "CREATE INDEX",
        Plan::Drop { .. } => "DROP",
        Plan::Comment { .. } => "COMMENT",
        _ => "ALTER",
    }
}
