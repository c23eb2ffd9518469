//! The outermost ORDER BY of a query, split off and put on the columns of a view.
//!
//! A materialized view has no order, so a query's own outermost ORDER BY is applied when the view
//! is read. Invariant: a clause is only rewritten where each key is known to be an output column;
//! otherwise the split says so. The module knows tokens, not types or scopes.

use crate::tokens::{Kind, Token, tokenize};

/// A query with an outermost ORDER BY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outermost {
    /// What the view is defined as: the query without the clause, or with it where LIMIT, OFFSET,
    /// FETCH or DISTINCT ON depend on it.
    pub body: String,
    /// How the clause applies to `SELECT * FROM view`.
    pub reading: Reading,
}

/// An ORDER BY on a view's columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// The keys after ORDER BY, all of them positions.
    Positions(String),
    /// The clause as it was; it holds if the view has the query's own column names.
    OwnNames(String),
    /// Some key is no output column.
    Unmapped,
}

/// Words that may follow the ORDER BY clause of a query.
const AFTER: [&str; 4] = ["LIMIT", "OFFSET", "FETCH", "FOR"];

/// Splits the query's outermost ORDER BY off; None where it has none.
pub fn outermost(sql: &str) -> Option<Outermost> {
    let tokens = tokenize(sql);
    let by = tokens
        .windows(2)
        .rposition(|pair| pair[0].depth == 0 && pair[0].is("ORDER") && pair[1].is("BY"))?;
    let end =
        (by + 2..tokens.len()).find(|at| tokens[*at].depth == 0 && tokens[*at].is_any(&AFTER));
    let keys = &tokens[by + 2..end.unwrap_or(tokens.len())];
    let body = if end.is_some() || has_distinct_on(&tokens) {
        sql.to_string()
    } else {
        sql[..tokens[by].start].trim_end().to_string()
    };
    Some(Outermost {
        body,
        reading: reading(sql, keys, &Output::of(&tokens[..by])),
    })
}

fn has_distinct_on(tokens: &[Token<'_>]) -> bool {
    tokens
        .windows(2)
        .any(|pair| pair[0].depth == 0 && pair[0].is("DISTINCT") && pair[1].is("ON"))
}

/// What is known of the query's output columns.
struct Output<'a> {
    /// The items of the select list, left to right.
    items: Vec<&'a [Token<'a>]>,
    /// Whether an item stands for an unknown number of columns.
    starred: bool,
    /// Whether the query is a set operation, whose ORDER BY takes output names only.
    combined: bool,
}

impl<'a> Output<'a> {
    fn of(tokens: &'a [Token<'a>]) -> Self {
        let combined = tokens
            .iter()
            .any(|token| token.depth == 0 && token.is_any(&["UNION", "INTERSECT", "EXCEPT"]));
        let Some(select) = tokens
            .iter()
            .position(|token| token.depth == 0 && token.is("SELECT"))
        else {
            // VALUES, TABLE or a bracketed query: only positions are sure.
            return Output {
                items: Vec::new(),
                starred: true,
                combined,
            };
        };
        let list = without_distinct(&tokens[select + 1..]);
        let ends = [
            "FROM",
            "WHERE",
            "GROUP",
            "HAVING",
            "WINDOW",
            "UNION",
            "INTERSECT",
            "EXCEPT",
            "INTO",
        ];
        let end = list
            .iter()
            .position(|token| token.depth == 0 && token.is_any(&ends))
            .unwrap_or(list.len());
        let items: Vec<_> = split_commas(&list[..end]);
        let starred = items.iter().any(|item| is_star(item));
        Output {
            items,
            starred,
            combined,
        }
    }

    /// The position, counted from 1, of the output column that an ORDER BY key stands for.
    fn position(&self, key: &[Token<'_>]) -> Option<usize> {
        let matching = |test: &dyn Fn(&[Token<'_>]) -> bool| {
            let mut found = self.items.iter().enumerate().filter(|(_, item)| test(item));
            found.next().map(|(at, _)| at + 1)
        };
        if let [name] = key
            && let Some(name) = name.name()
        {
            let by_name = |item: &[Token<'_>]| output_name(item).as_deref() == Some(&name);
            let named = self.items.iter().filter(|item| by_name(item)).count();
            // Two output columns of one name are fine only if they are one expression.
            if named > 0 {
                return if named == 1 {
                    matching(&by_name)
                } else {
                    matching(&|item| same(item, key))
                };
            }
        }
        if self.combined {
            return None;
        }
        matching(&|item| same(expression(item), key))
    }
}

/// A clause's keys on the output columns.
fn reading(sql: &str, keys: &[Token<'_>], output: &Output<'_>) -> Reading {
    let mut mapped = Vec::new();
    let mut by_own_name = false;
    for key in split_commas(keys) {
        let (expression, suffix) = split_suffix(key);
        let suffix_text = text_of(sql, suffix);
        let position = match expression {
            [number] if number.kind == Kind::Number => Some(number.text.to_string()),
            _ if output.starred => None,
            _ => output
                .position(expression)
                .map(|position| position.to_string()),
        };
        match position {
            Some(position) => {
                mapped.push(format!("{position} {suffix_text}").trim_end().to_string())
            }
            None if output.starred && is_column(expression) => by_own_name = true,
            None => return Reading::Unmapped,
        }
    }
    if by_own_name {
        Reading::OwnNames(text_of(sql, keys).to_string())
    } else {
        Reading::Positions(mapped.join(", "))
    }
}

/// A single unqualified name.
fn is_column(key: &[Token<'_>]) -> bool {
    matches!(key, [name] if name.name().is_some())
}

/// The key's expression, and ASC, DESC, NULLS FIRST, NULLS LAST after it.
fn split_suffix<'a>(key: &'a [Token<'a>]) -> (&'a [Token<'a>], &'a [Token<'a>]) {
    let mut at = key.len();
    if at >= 3 && key[at - 2].is("NULLS") && key[at - 1].is_any(&["FIRST", "LAST"]) {
        at -= 2;
    }
    if at >= 2 && key[at - 1].is_any(&["ASC", "DESC"]) {
        at -= 1;
    }
    key.split_at(at)
}

fn without_distinct<'a>(list: &'a [Token<'a>]) -> &'a [Token<'a>] {
    match list {
        [first, rest @ ..] if first.is("ALL") => rest,
        [first, on, ..] if first.is("DISTINCT") && on.is("ON") => {
            let close = list
                .iter()
                .position(|token| token.depth == 0 && token.is_symbol(")"));
            &list[close.map_or(list.len(), |at| at + 1)..]
        }
        [first, rest @ ..] if first.is("DISTINCT") => rest,
        _ => list,
    }
}

fn split_commas<'a>(tokens: &'a [Token<'a>]) -> Vec<&'a [Token<'a>]> {
    tokens
        .split(|token| token.depth == 0 && token.is_symbol(","))
        .collect()
}

fn is_star(item: &[Token<'_>]) -> bool {
    match item {
        [star] => star.is_symbol("*"),
        [.., dot, star] => dot.is_symbol(".") && star.is_symbol("*"),
        _ => false,
    }
}

/// `a`, `t.a`, `s.t.a`.
fn is_path(item: &[Token<'_>]) -> bool {
    !item.is_empty()
        && item.len() % 2 == 1
        && item.iter().enumerate().all(|(at, token)| {
            if at % 2 == 0 {
                token.name().is_some()
            } else {
                token.is_symbol(".")
            }
        })
}

/// Words that end an expression and so are no alias after one.
const NOT_ALIAS: [&str; 6] = ["END", "NULL", "TRUE", "FALSE", "UNKNOWN", "CURRENT_DATE"];

/// Words after which a name is an operand, not an alias.
const OPERATORS: [&str; 12] = [
    "NOT", "AND", "OR", "IS", "LIKE", "ILIKE", "IN", "BETWEEN", "SIMILAR", "THEN", "ELSE", "FROM",
];

/// Where an item's alias starts, the word AS included.
fn alias_at(item: &[Token<'_>]) -> Option<usize> {
    let [.., before, last] = item else {
        return None;
    };
    last.name()?;
    if before.is("AS") {
        return Some(item.len() - 2);
    }
    let operand = match before.kind {
        Kind::Symbol => before.is_symbol(")") || before.is_symbol("]"),
        Kind::Word => !before.is_any(&OPERATORS),
        _ => true,
    };
    (operand && !last.is_any(&NOT_ALIAS)).then(|| item.len() - 1)
}

fn expression<'a>(item: &'a [Token<'a>]) -> &'a [Token<'a>] {
    &item[..alias_at(item).unwrap_or(item.len())]
}

fn output_name(item: &[Token<'_>]) -> Option<String> {
    if alias_at(item).is_some() || is_path(item) {
        item.last()?.name()
    } else {
        None
    }
}

/// Whether two token lists read alike, case of words aside.
fn same(left: &[Token<'_>], right: &[Token<'_>]) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).all(|(l, r)| {
            l.kind == r.kind
                && if l.kind == Kind::Word {
                    l.text.eq_ignore_ascii_case(r.text)
                } else {
                    l.text == r.text
                }
        })
}

fn text_of<'a>(sql: &'a str, tokens: &[Token<'_>]) -> &'a str {
    match (tokens.first(), tokens.last()) {
        (Some(first), Some(last)) => &sql[first.start..last.start + last.text.len()],
        _ => "",
    }
}

#[cfg(test)]
mod tests;
