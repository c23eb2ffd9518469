//! The state of planning one statement.
//!
//! A [`Planner`] lives for one statement; what it learns beside the plan (parameter types, relations read, where
//! the text names them) stays in it. It never changes the catalog.

use crate::error::PlanError;
use crate::parse::Mark;
use crate::scope::Env;
use everview_catalog::Catalog;
use everview_expr::{Environment, LocalId, RelationType};
use everview_repr::{GlobalId, RelationDesc, ScalarType, SqlState};
use sqlparser::tokenizer::Span;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a statement is planned against.
#[derive(Clone, Debug)]
pub struct PlanContext<'a> {
    /// All objects.
    pub catalog: &'a Catalog,
    /// The schemas searched for unqualified names, in order; those that do not exist are passed over.
    pub search_path: &'a [String],
    /// The session's time zone.
    pub time_zone: &'a str,
    /// Types of parameters that the client declared; the rest are inferred.
    pub params: &'a [Option<ScalarType>],
    /// For stable functions of a one-off query.
    pub environment: Option<Arc<dyn Environment>>,
}

/// A WITH query in view.
#[derive(Clone, Debug)]
pub(crate) struct Cte {
    pub name: String,
    pub id: LocalId,
    pub desc: RelationDesc,
    pub ty: RelationType,
}

/// Where the text names a relation, for stored definitions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Mention {
    /// A relation's name in FROM, characters from 1, the end exclusive.
    Relation {
        start: usize,
        end: usize,
        id: GlobalId,
    },
    /// Where its alias and column list are missing, and what to insert there.
    Insert { at: usize, text: String },
    /// A schema qualifier of a column reference, with its dot, to drop.
    Qualifier { start: usize, end: usize },
    /// A column of the one relation at hand, by its position.
    Column {
        start: usize,
        end: usize,
        column: usize,
    },
}

/// Planning of one statement.
pub(crate) struct Planner<'a> {
    pub catalog: &'a Catalog,
    pub search_path: &'a [String],
    pub time_zone: Arc<str>,
    pub environment: Option<Arc<dyn Environment>>,
    /// Parameters' types as far as known.
    pub params: Vec<Option<ScalarType>>,
    /// Relations read.
    pub depends_on: BTreeSet<GlobalId>,
    /// What keeps the plan up to date, if something does: stable and volatile functions are refused there.
    pub maintained: Option<&'static str>,
    /// WITH queries in view, innermost last.
    pub ctes: Vec<Cte>,
    /// Relations named in the text.
    pub mentions: Vec<Mention>,
    /// Where the statement's tokens are.
    pub marks: &'a [Mark],
    /// Columns are noted as mentions: of CHECK, DEFAULT and index keys.
    pub mention_columns: bool,
    /// What a text that is to be shown comes to, where such notes are asked for.
    pub notes: Option<crate::deparse::Notes>,
    /// Calls of everview.changes.
    pub changes: Vec<crate::travel::ChangesCall>,
    next_local: u32,
    depth: usize,
}

/// How deep expressions and queries nest. Later stages recurse over what is planned here.
const MAX_DEPTH: usize = 500;

impl<'a> Planner<'a> {
    pub fn new(context: &PlanContext<'a>, marks: &'a [Mark]) -> Planner<'a> {
        Planner {
            catalog: context.catalog,
            search_path: context.search_path,
            time_zone: Arc::from(context.time_zone),
            environment: context.environment.clone(),
            params: context
                .params
                .iter()
                .map(|p| p.clone().filter(|t| *t != ScalarType::Unknown))
                .collect(),
            depends_on: BTreeSet::new(),
            maintained: None,
            ctes: Vec::new(),
            mentions: Vec::new(),
            marks,
            mention_columns: false,
            notes: None,
            changes: Vec::new(),
            next_local: 0,
            depth: 0,
        }
    }

    /// A name for a binding.
    pub fn local(&mut self) -> LocalId {
        self.next_local += 1;
        LocalId(self.next_local - 1)
    }

    /// Runs one level of recursion, with enough stack and not too deep.
    pub fn nested<T>(
        &mut self,
        f: impl FnOnce(&mut Self) -> Result<T, PlanError>,
    ) -> Result<T, PlanError> {
        if self.depth >= MAX_DEPTH {
            return Err(too_deep());
        }
        self.depth += 1;
        let result = stacker::maybe_grow(256 << 10, 4 << 20, || f(self));
        self.depth -= 1;
        result
    }

    /// A parameter's type so far.
    pub fn parameter(&mut self, n: usize) -> ScalarType {
        if self.params.len() < n {
            self.params.resize(n, None);
        }
        self.params[n - 1].clone().unwrap_or(ScalarType::Unknown)
    }

    /// Decides a parameter's type, unless that is done: the type that it has.
    pub fn settle_parameter(
        &mut self,
        n: usize,
        to: &ScalarType,
        position: Option<usize>,
    ) -> Result<ScalarType, PlanError> {
        if matches!(to, ScalarType::Record(_) | ScalarType::Void) {
            let message = format!("could not determine data type of parameter ${n}");
            return Err(PlanError::new(SqlState::INDETERMINATE_DATATYPE, message).at(position));
        }
        if self.parameter(n) == ScalarType::Unknown {
            self.params[n - 1] = Some(to.clone());
        }
        Ok(self.parameter(n))
    }

    /// The types of all parameters, text where nothing said otherwise.
    pub fn param_types(&self) -> Vec<ScalarType> {
        self.params
            .iter()
            .map(|p| p.clone().unwrap_or(ScalarType::Text))
            .collect()
    }

    /// Notes a column of the one relation at hand, where such notes are asked for.
    pub fn mention_column(
        &mut self,
        first: &sqlparser::ast::Ident,
        last: &sqlparser::ast::Ident,
        column: usize,
    ) {
        let end = last.span.end;
        if self.mention_columns
            && end.line > 0
            && let Some(start) = crate::names::at(first)
        {
            self.mentions.push(Mention::Column {
                start,
                end: end.column as usize,
                column,
            });
        }
    }

    /// Where the operator after an operand is.
    pub fn operator_position(&self, operand: Span) -> Option<usize> {
        if operand.end.line == 0 {
            return None;
        }
        let end = operand.end.column as usize;
        let first = self.marks.partition_point(|m| m.start < end);
        self.marks[first..]
            .iter()
            .find(|m| !m.closes)
            .map(|m| m.start)
    }
}

/// 54001 as Postgres words it.
pub(crate) fn too_deep() -> PlanError {
    PlanError::new(
        SqlState::STATEMENT_TOO_COMPLEX,
        "stack depth limit exceeded",
    )
    .with_hint("The statement nests too deeply.")
}

/// What an expression may hold, and where it stands.
#[derive(Clone, Copy)]
pub(crate) struct ExprContext<'e> {
    /// The rows that it sees.
    pub env: &'e Env<'e>,
    /// The clause, as messages name it: `WHERE`.
    pub clause: &'static str,
    /// Where aggregates, window functions and table functions go; none are allowed without.
    pub collector: Option<&'e RefCell<crate::query::collect::Collector>>,
    /// Where references to the row at hand are noted.
    pub references: Option<&'e RefCell<Vec<crate::query::collect::Reference>>>,
}

impl<'e> ExprContext<'e> {
    /// An expression without aggregates.
    pub fn plain(env: &'e Env<'e>, clause: &'static str) -> ExprContext<'e> {
        ExprContext {
            env,
            clause,
            collector: None,
            references: None,
        }
    }
}
