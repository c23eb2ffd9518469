//! Text to statements.
//!
//! The text is tokenized once; statements are split at semicolons. What sqlparser knows as Postgres does (queries,
//! INSERT, UPDATE, DELETE, CREATE TABLE) it parses from the tokens; the rest is read here by hand over the same
//! tokens, with embedded queries and expressions handed to it. Places are characters of the whole text, from 1.

mod copy;
pub(crate) mod ddl;
mod input;
mod query;
mod rewrite;
mod session;
mod source;
mod statement;

use crate::error::PlanError;
use input::Input;
use source::Source;
pub(crate) use source::Mark;
pub(crate) use statement::*;
use std::sync::Arc;

/// A statement with its text.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// What it says.
    pub(crate) statement: Statement,
    /// Its text, without the semicolon.
    pub sql: Arc<str>,
    /// Where its text starts in the whole: characters from 1.
    pub(crate) start: usize,
    /// Where its tokens are.
    pub(crate) marks: Arc<[Mark]>,
}

impl Parsed {
    /// Whether it ends a transaction: all that a failed one accepts.
    pub fn ends_transaction(&self) -> bool {
        matches!(self.statement, Statement::Commit { .. } | Statement::Rollback { .. })
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

fn parse_one(source: &Source<'_>, tokens: Vec<sqlparser::tokenizer::TokenWithSpan>) -> Result<Parsed, PlanError> {
    let (start, end) = source::extent(&tokens);
    let sql = source.slice(start, end);
    source::check_depth(&tokens)?;
    let tokens = rewrite::rewrite(tokens)?;
    let marks = source::marks(&tokens);
    let mut input = Input::new(source, tokens, end);
    let statement = stacker::maybe_grow(512 << 10, 8 << 20, || statement::statement(&mut input))?;
    input.end()?;
    Ok(Parsed { statement, sql: Arc::from(sql), start, marks: marks.into() })
}

/// A query alone: the text of a stored view.
pub(crate) fn parse_query(sql: &str) -> Result<(sqlparser::ast::Query, Arc<[Mark]>), PlanError> {
    let source = Source::new(sql);
    let tokens = rewrite::rewrite(source.tokenize()?)?;
    source::check_depth(&tokens)?;
    let (_, end) = source::extent(&tokens);
    let marks = source::marks(&tokens);
    let mut input = Input::new(&source, tokens, end);
    let query = input.query()?;
    input.end()?;
    Ok((query, marks.into()))
}

/// An expression alone: the text of a stored default, check or index key.
pub(crate) fn parse_expr(sql: &str) -> Result<(sqlparser::ast::Expr, Arc<[Mark]>), PlanError> {
    let source = Source::new(sql);
    let tokens = rewrite::rewrite(source.tokenize()?)?;
    source::check_depth(&tokens)?;
    let (_, end) = source::extent(&tokens);
    let marks = source::marks(&tokens);
    let mut input = Input::new(&source, tokens, end);
    let expr = input.expr()?;
    input.end()?;
    Ok((expr, marks.into()))
}

/// The tokens of a stored text, for showing it.
pub(crate) fn tokens(sql: &str) -> Result<Vec<sqlparser::tokenizer::TokenWithSpan>, PlanError> {
    Source::new(sql).tokenize()
}
