//! Statements by what they do to a schema, from their leading words.
//!
//! Invariant: what is not recognised is [`Class::Other`], and whoever asks treats that as a
//! statement that cannot be moved. The module resolves no names: `t` and `public.t` differ.

use crate::tokens::{Token, tokenize};

/// What a statement does, as far as moving it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Class {
    /// A query that reads.
    Read,
    /// Creates an object that holds no rows of its own making: a table without AS, a view.
    Create(Object),
    /// Creates a table from a query.
    CreateAs(Object),
    /// Changes the rows of a table.
    Rows(String),
    /// Creates an index: its name, if it has one, and its table.
    CreateIndex(Option<String>, String),
    /// Drops indexes.
    DropIndex(Vec<String>),
    /// Drops tables.
    DropTable(Vec<String>),
    /// Sets session state.
    Set,
    /// BEGIN or START TRANSACTION.
    Begin,
    /// COMMIT, END, ROLLBACK or ABORT.
    End,
    /// Anything else.
    Other,
}

/// A created object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The word after DROP: TABLE, VIEW, MATERIALIZED VIEW, SCHEMA, SEQUENCE, TYPE, DOMAIN.
    pub kind: &'static str,
    /// Its name as written, possibly qualified.
    pub name: String,
}

/// Classifies one statement.
pub fn classify(sql: &str) -> Class {
    let tokens = tokenize(sql);
    let Some(first) = tokens.first() else {
        return Class::Other;
    };
    let rest = &tokens[1..];
    if first.is_any(&["SELECT", "VALUES", "TABLE", "WITH"]) || first.is_symbol("(") {
        return if reads_only(&tokens) {
            Class::Read
        } else {
            written_by_with(&tokens)
        };
    }
    if first.is("CREATE") {
        return create(sql, rest);
    }
    if first.is("DROP") {
        return drop(rest);
    }
    let target = |words: &[&str]| match name(skip(rest, words)) {
        Some((name, _)) => Class::Rows(name),
        None => Class::Other,
    };
    if first.is("INSERT") {
        target(&["INTO"])
    } else if first.is("DELETE") {
        target(&["FROM", "ONLY"])
    } else if first.is("UPDATE") {
        target(&["ONLY"])
    } else if first.is("SET") || first.is("RESET") {
        Class::Set
    } else if first.is_any(&["BEGIN", "START"]) {
        Class::Begin
    } else if first.is_any(&["COMMIT", "END", "ROLLBACK", "ABORT"]) {
        Class::End
    } else {
        Class::Other
    }
}

/// Every name that the statement mentions, folded.
pub fn mentions(sql: &str) -> std::collections::BTreeSet<String> {
    tokenize(sql).iter().filter_map(Token::name).collect()
}

/// Whether a query neither locks, nor writes, nor reads history.
fn reads_only(tokens: &[Token<'_>]) -> bool {
    let writes = |pair: &[Token<'_>]| {
        pair[0].is_symbol("(") && pair[1].is_any(&["INSERT", "UPDATE", "DELETE"])
            || pair[0].depth == 0
                && (pair[0].is("FOR") && pair[1].is_any(&["UPDATE", "SHARE", "NO", "KEY"])
                    || pair[0].is("AS") && pair[1].is("OF"))
    };
    let main_writes = tokens[0].is("WITH")
        && tokens
            .iter()
            .any(|token| token.depth == 0 && token.is_any(&["INSERT", "UPDATE", "DELETE"]));
    let into = tokens
        .iter()
        .any(|token| token.depth == 0 && token.is("INTO"));
    !(tokens.windows(2).any(writes) || main_writes || into)
}

/// `WITH .. INSERT INTO t` and its kind.
fn written_by_with(tokens: &[Token<'_>]) -> Class {
    let main = tokens
        .iter()
        .position(|token| token.depth == 0 && token.is_any(&["INSERT", "UPDATE", "DELETE"]));
    match main {
        Some(at) => match name(skip(&tokens[at + 1..], &["INTO", "FROM", "ONLY"])) {
            Some((name, _)) => Class::Rows(name),
            None => Class::Other,
        },
        None => Class::Other,
    }
}

fn create(sql: &str, tokens: &[Token<'_>]) -> Class {
    let modifiers = [
        "OR",
        "REPLACE",
        "TEMP",
        "TEMPORARY",
        "UNLOGGED",
        "LOCAL",
        "GLOBAL",
        "UNIQUE",
        "RECURSIVE",
    ];
    let tokens = skip(tokens, &modifiers);
    let kinds = ["TABLE", "VIEW", "SCHEMA", "SEQUENCE", "TYPE", "DOMAIN"];
    match tokens {
        [index, rest @ ..] if index.is("INDEX") => create_index(rest),
        [materialized, view, rest @ ..] if materialized.is("MATERIALIZED") && view.is("VIEW") => {
            object(sql, "MATERIALIZED VIEW", rest)
        }
        [first, rest @ ..] => match kinds.iter().find(|kind| first.is(kind)) {
            Some(kind) => object(sql, kind, rest),
            None => Class::Other,
        },
        [] => Class::Other,
    }
}

fn create_index(tokens: &[Token<'_>]) -> Class {
    let tokens = skip(tokens, &["CONCURRENTLY", "IF", "NOT", "EXISTS"]);
    let (index, rest) = match tokens.first() {
        Some(on) if on.is("ON") => (None, tokens),
        _ => match name(tokens) {
            Some((index, rest)) => (Some(index), rest),
            None => return Class::Other,
        },
    };
    match name(skip(rest, &["ON", "ONLY"])) {
        Some((table, _)) => Class::CreateIndex(index, table),
        None => Class::Other,
    }
}

fn object(sql: &str, kind: &'static str, tokens: &[Token<'_>]) -> Class {
    let tokens = skip(tokens, &["IF", "NOT", "EXISTS"]);
    let Some((_, rest)) = name(tokens) else {
        return Class::Other;
    };
    let end = rest.first().map_or(sql.len(), |token| token.start);
    let object = Object {
        kind,
        name: sql[tokens[0].start..end].trim_end().to_string(),
    };
    let from_query = kind == "TABLE" && rest.iter().any(|token| token.depth == 0 && token.is("AS"));
    if from_query {
        Class::CreateAs(object)
    } else {
        Class::Create(object)
    }
}

fn drop(tokens: &[Token<'_>]) -> Class {
    let [kind, rest @ ..] = tokens else {
        return Class::Other;
    };
    let list = skip(rest, &["CONCURRENTLY", "IF", "EXISTS"]);
    let names: Option<Vec<String>> = list
        .split(|token| token.is_symbol(","))
        .map(|part| {
            name(part)
                .filter(|(_, rest)| skip(rest, &["CASCADE", "RESTRICT"]).is_empty())
                .map(|(name, _)| name)
        })
        .collect();
    match names {
        Some(names) if kind.is("TABLE") => Class::DropTable(names),
        Some(names) if kind.is("INDEX") => Class::DropIndex(names),
        _ => Class::Other,
    }
}

/// The tokens after all leading ones that are among the words.
fn skip<'a, 'b>(tokens: &'b [Token<'a>], words: &[&str]) -> &'b [Token<'a>] {
    let count = tokens
        .iter()
        .take_while(|token| token.is_any(words))
        .count();
    &tokens[count..]
}

/// A possibly qualified name, folded and joined by dots, and the tokens after it.
fn name<'a, 'b>(tokens: &'b [Token<'a>]) -> Option<(String, &'b [Token<'a>])> {
    let mut joined = tokens.first()?.name()?;
    let mut rest = &tokens[1..];
    while let [dot, part, after @ ..] = rest {
        let (true, Some(part)) = (dot.is_symbol("."), part.name()) else {
            break;
        };
        joined = format!("{joined}.{part}");
        rest = after;
    }
    Some((joined, rest))
}

#[cfg(test)]
mod tests;
