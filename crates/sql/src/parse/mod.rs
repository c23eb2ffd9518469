//! Text to statements.
//!
//! The text is tokenized once; statements are split at semicolons. What sqlparser knows as Postgres does (queries,
//! INSERT, UPDATE, DELETE, CREATE TABLE) it parses from the tokens; the rest is read here by hand over the same
//! tokens, with embedded queries and expressions handed to it. Places are characters of the whole text, from 1.

mod alter;
mod copy;
pub(crate) mod ddl;
mod input;
mod like;
pub(crate) mod outside;
mod own_options;
mod query;
mod rewrite;
mod role;
mod session;
mod source;
mod statement;

use crate::error::PlanError;
use input::Input;
pub(crate) use like::Like;
pub(crate) use own_options::{Deduplicate, OwnOptions};
use source::Source;
pub(crate) use source::{Mark, with_stack};
pub(crate) use statement::*;
use std::sync::Arc;

/// A statement with its text.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// What it says.
    statement: Arc<Deep>,
    /// Its text, without the semicolon, as it may be shown: passwords and secrets are not in it.
    pub sql: Arc<str>,
    /// Where its tokens are.
    pub(crate) marks: Arc<[Mark]>,
}

/// A statement whose tree may be deep.
#[derive(Debug)]
struct Deep {
    statement: Option<Statement>,
    /// The longest chain of tokens: how deep the tree can be.
    chain: usize,
}

impl std::ops::Drop for Deep {
    fn drop(&mut self) {
        let statement = self.statement.take();
        with_stack(self.chain, || drop(statement));
    }
}

impl Parsed {
    /// Whether it ends a transaction: all that a failed one accepts.
    pub fn ends_transaction(&self) -> bool {
        matches!(
            self.statement.statement,
            Some(Statement::Commit { .. } | Statement::Rollback { .. })
        )
    }

    /// The statement, for a look at its outermost parts.
    pub(crate) fn statement(&self) -> Option<&Statement> {
        self.statement.statement.as_ref()
    }

    /// Runs over the statement, with a stack that its depth asks for.
    pub(crate) fn with_statement<T>(
        &self,
        f: impl FnOnce(&Statement) -> Result<T, PlanError>,
    ) -> Result<T, PlanError> {
        match &self.statement.statement {
            Some(statement) => with_stack(self.statement.chain, || f(statement)),
            None => Err(PlanError::syntax("an empty statement")),
        }
    }
}

/// The statements of a query string; none for an empty one.
///
/// As in Postgres, an error anywhere fails the whole string.
pub fn parse(sql: &str) -> Result<Vec<Parsed>, PlanError> {
    let source = Source::new(sql);
    let tokens = source.tokenize()?;
    let mut statements = Vec::new();
    for tokens in source::split(tokens) {
        statements.push(parse_one(&source, tokens)?);
    }
    Ok(statements)
}

fn parse_one(
    source: &Source<'_>,
    tokens: Vec<sqlparser::tokenizer::TokenWithSpan>,
) -> Result<Parsed, PlanError> {
    let (start, end) = source::extent(&tokens);
    let sql = source.slice(start, end);
    let chain = source::check_depth(&tokens)?;
    let tokens = rewrite::rewrite(tokens)?;
    let marks = source::marks(&tokens);
    let (statement, sql) = with_stack(chain, || {
        let mut input = Input::new(source, tokens, end);
        let statement = statement::statement(&mut input)?;
        input.end()?;
        let sql = match &statement {
            Statement::AlterRole(plan) => Arc::from(plan.shown()),
            Statement::CreateSecret(create) => Arc::from(create.shown()),
            Statement::CreateConnection(create) => Arc::from(create.shown()),
            _ => Arc::from(sql),
        };
        let statement = Arc::new(Deep {
            statement: Some(statement),
            chain,
        });
        Ok::<_, PlanError>((statement, sql))
    })?;
    Ok(Parsed {
        statement,
        sql,
        marks: marks.into(),
    })
}

/// Runs over the query of a stored text.
pub(crate) fn with_query<T>(
    sql: &str,
    f: impl FnOnce(&sqlparser::ast::Query, &[Mark]) -> Result<T, PlanError>,
) -> Result<T, PlanError> {
    with_text(sql, |input| input.query(), f)
}

/// Runs over the expression of a stored text.
pub(crate) fn with_expr<T>(
    sql: &str,
    f: impl FnOnce(&sqlparser::ast::Expr, &[Mark]) -> Result<T, PlanError>,
) -> Result<T, PlanError> {
    with_text(sql, |input| input.expr(), f)
}

fn with_text<A, T>(
    sql: &str,
    read: impl FnOnce(&mut Input<'_>) -> Result<A, PlanError>,
    f: impl FnOnce(&A, &[Mark]) -> Result<T, PlanError>,
) -> Result<T, PlanError> {
    let source = Source::new(sql);
    let tokens = source.tokenize()?;
    let chain = source::check_depth(&tokens)?;
    let tokens = rewrite::rewrite(tokens)?;
    let (_, end) = source::extent(&tokens);
    let marks = source::marks(&tokens);
    with_stack(chain, || {
        let mut input = Input::new(&source, tokens, end);
        let ast = read(&mut input)?;
        input.end()?;
        f(&ast, &marks)
    })
}

/// The name that a text is.
pub(crate) fn name(text: &str) -> Result<crate::names::Name, PlanError> {
    with_text(text, |input| input.name(), |name, _| Ok(name.clone()))
}

/// The tokens of a stored text, for showing it.
pub(crate) fn tokens(sql: &str) -> Result<Vec<sqlparser::tokenizer::TokenWithSpan>, PlanError> {
    Source::new(sql).tokenize()
}
