//! SQL text in the catalog: what is stored, planned again, and shown.
//!
//! A stored query names relations by id and pins the names that their columns had: `FROM "$16384" AS t(a, b)`, so that
//! renaming a relation or a column changes nothing. A stored expression over one relation names its columns by
//! position: `"$1"` is the first.

use crate::error::PlanError;
use crate::hir::HirRel;
use crate::lower::lower;
use crate::names::{self, quote};
use crate::parse;
use crate::planner::{ExprContext, Mention, PlanContext, Planner};
use crate::query::limit::to_plain_scalar;
use crate::scope::{Env, Frame, Scope};
use crate::typed::Typed;
use everview_catalog::Catalog;
use everview_catalog::object::View;
use everview_expr::{Environment, RelExpr, ScalarExpr};
use everview_repr::{ColumnType, GlobalId, RelationDesc};
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};
use std::sync::Arc;

/// The text with its mentions put in; `start` is where the text is in the statement.
pub(crate) fn stored_text(sql: &str, start: usize, mentions: &[Mention]) -> String {
    let mut edits: Vec<(usize, usize, String)> = mentions
        .iter()
        .map(|m| match m {
            Mention::Relation { start, end, id } => (*start, *end, format!("\"${}\"", id.0)),
            Mention::Insert { at, text } => (*at, *at, text.clone()),
            Mention::Qualifier { start, end } => (*start, *end, String::new()),
            Mention::Column { start, end, column } => {
                (*start, *end, format!("\"${}\"", column + 1))
            }
        })
        .filter(|(from, _, _)| *from >= start)
        .map(|(from, to, text)| (from - start, to - start, text))
        .collect();
    edits.sort();
    edits.dedup();
    let mut out = String::with_capacity(sql.len() + 64);
    let mut skip_to = 0;
    let mut next = edits.into_iter().peekable();
    for (i, c) in sql.chars().enumerate() {
        while let Some((_, to, text)) = next.next_if(|(from, _, _)| *from <= i) {
            out.push_str(&text);
            skip_to = skip_to.max(to);
        }
        if i >= skip_to {
            out.push(c);
        }
    }
    next.for_each(|(_, _, text)| out.push_str(&text));
    out
}

/// The hir of a stored query. `maintained` names what keeps it up to date, if something does.
pub(crate) fn view_hir(
    catalog: &Catalog,
    view: &View,
    environment: Option<Arc<dyn Environment>>,
    maintained: Option<&'static str>,
) -> Result<HirRel, PlanError> {
    let context = PlanContext {
        catalog,
        search_path: &[],
        time_zone: &view.time_zone,
        params: &[],
        environment,
    };
    parse::with_query(&view.sql, |query, marks| {
        let mut planner = Planner::new(&context, marks);
        planner.maintained = maintained;
        Ok(planner.subquery(query, &Env::EMPTY)?.0)
    })
}

/// The plan of a stored view, as at its creation. Its columns are those of `view.desc`.
///
/// Its calls of stable functions hold no environment: whoever runs it gives them one.
pub fn plan_view_text(catalog: &Catalog, view: &View) -> Result<RelExpr, PlanError> {
    view_hir(catalog, view, None, None).map(lower)
}

/// The plan of a stored expression over one relation's columns: a check, a default (over no columns) or an index key.
pub fn plan_scalar_text(
    catalog: &Catalog,
    desc: &RelationDesc,
    text: &str,
) -> Result<ScalarExpr, PlanError> {
    let context = PlanContext {
        catalog,
        search_path: &[],
        time_zone: "UTC",
        params: &[],
        environment: None,
    };
    parse::with_expr(text, |expr, marks| {
        let mut planner = Planner::new(&context, marks);
        let value = planner.positional(expr, desc)?;
        to_plain_scalar(&value.expr)
            .ok_or_else(|| PlanError::unsupported("a subquery in a stored expression"))
    })
}

impl Planner<'_> {
    /// An expression whose columns are named by position.
    pub(crate) fn positional(
        &mut self,
        expr: &sqlparser::ast::Expr,
        desc: &RelationDesc,
    ) -> Result<Typed, PlanError> {
        let value = self.unresolved_positional(expr, desc)?;
        self.resolve_unknown(value)
    }

    /// The same, its type still open where it is a string literal.
    pub(crate) fn unresolved_positional(
        &mut self,
        expr: &sqlparser::ast::Expr,
        desc: &RelationDesc,
    ) -> Result<Typed, PlanError> {
        let column = |(i, c): (usize, &everview_repr::ColumnDesc)| -> (String, ColumnType, Option<(GlobalId, u16)>) {
            (format!("${}", i + 1), c.ty.clone(), c.origin)
        };
        let columns = desc.columns.iter().enumerate().map(column).collect();
        let scope = Scope::table(None, None, None, columns);
        let env = Env::EMPTY.with(Frame::Row(&scope));
        self.expr(expr, &ExprContext::plain(&env, "a stored expression"))
    }
}

/// A stored query as a user reads it: current names, qualified where the search path does not find them.
pub fn display_definition(catalog: &Catalog, search_path: &[String], sql: &str) -> String {
    let Ok(tokens) = parse::tokens(sql) else {
        return sql.to_string();
    };
    let mut edits = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        let Some(id) = stored_number(&token.token) else {
            continue;
        };
        let Some(object) = catalog.get(GlobalId(id)) else {
            continue;
        };
        let name = names::display_name(catalog, search_path, object);
        let (from, to) = span(token);
        edits.push((from, to, name));
        let columns: Vec<String> = object
            .desc()
            .map(|d| d.names().map(str::to_string).collect())
            .unwrap_or_default();
        edits.extend(redundant(&tokens, i + 1, &object.name, &columns));
    }
    apply(sql, edits)
}

/// A stored expression with its columns' current names.
pub fn display_expression(desc: &RelationDesc, sql: &str) -> String {
    let Ok(tokens) = parse::tokens(sql) else {
        return sql.to_string();
    };
    let mut edits = Vec::new();
    for token in &tokens {
        let column = stored_number(&token.token)
            .and_then(|n| desc.columns.get((n as usize).checked_sub(1)?));
        if let Some(column) = column {
            let (from, to) = span(token);
            edits.push((from, to, quote(&column.name)));
        }
    }
    apply(sql, edits)
}

fn span(token: &TokenWithSpan) -> (usize, usize) {
    (
        token.span.start.column as usize,
        token.span.end.column as usize,
    )
}

/// The number in `"$16384"`.
fn stored_number(token: &Token) -> Option<u32> {
    match token {
        Token::Word(Word {
            value,
            quote_style: Some('"'),
            ..
        }) => value.strip_prefix('$')?.parse().ok(),
        _ => None,
    }
}

fn word(token: &Token) -> Option<String> {
    match token {
        Token::Word(Word {
            value,
            quote_style: None,
            ..
        }) => Some(value.to_ascii_lowercase()),
        Token::Word(Word {
            value,
            quote_style: Some('"'),
            ..
        }) => Some(value.clone()),
        _ => None,
    }
}

/// What of `AS name(columns)` after a relation says no more than the relation's own names.
fn redundant(
    tokens: &[TokenWithSpan],
    at: usize,
    name: &str,
    columns: &[String],
) -> Vec<(usize, usize, String)> {
    let token = |i: usize| tokens.get(i).map(|t| &t.token);
    let explicit = token(at).and_then(word).as_deref() == Some("as");
    let alias_at = at + usize::from(explicit);
    let Some(alias) = token(alias_at).and_then(word) else {
        return vec![];
    };
    if token(alias_at + 1) != Some(&Token::LParen) {
        return vec![];
    }
    let mut names = Vec::new();
    let mut i = alias_at + 2;
    while let Some(column) = token(i).and_then(word) {
        names.push(column);
        i += 1;
        match token(i) {
            Some(Token::Comma) => i += 1,
            _ => break,
        }
    }
    if token(i) != Some(&Token::RParen) || names != columns {
        return vec![];
    }
    // The white space before goes with what is taken out.
    let end = span(&tokens[i]).1;
    let start = if alias == name {
        span(&tokens[at - 1]).1
    } else {
        span(&tokens[alias_at]).1
    };
    vec![(start, end, String::new())]
}

fn apply(sql: &str, edits: Vec<(usize, usize, String)>) -> String {
    let mut out = String::with_capacity(sql.len());
    let mut skip_to = 0;
    let mut next = edits.into_iter().peekable();
    for (i, c) in sql.chars().enumerate() {
        while let Some((_, to, text)) = next.next_if(|(from, _, _)| *from <= i + 1) {
            out.push_str(&text);
            skip_to = skip_to.max(to - 1);
        }
        if i >= skip_to {
            out.push(c);
        }
    }
    next.for_each(|(_, _, text)| out.push_str(&text));
    out
}
