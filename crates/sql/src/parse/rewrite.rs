//! Standard syntax that sqlparser does not know, rewritten on tokens or refused by name.

use crate::error::PlanError;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

/// The prefix operator that stands for SYMMETRIC before BETWEEN's lower bound; Postgres's own means the length of a
/// path, a type that there is not.
const SYMMETRIC_MARK: Token = Token::AtDashAt;

/// Rewrites one statement's tokens.
pub(crate) fn rewrite(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>, PlanError> {
    let mut out: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let next = tokens.peek().map(|t| &t.token);
        match &token.token {
            Token::SingleQuotedString(more) => {
                // Literals with only white space between them are one.
                if let Some(TokenWithSpan { token: last, span }) = out.last_mut()
                    && let Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) =
                        last
                {
                    text.push_str(more);
                    span.end = token.span.end;
                    continue;
                }
                out.push(token);
            }
            Token::AtDashAt => {
                return Err(PlanError::unsupported("operator @-@").at(place(&token)));
            }
            Token::Word(word) if word.quote_style.is_none() => {
                let is = |text: &str| word.value.eq_ignore_ascii_case(text);
                if is("symmetric") && out.last().is_some_and(|t| is_word(&t.token, "between")) {
                    out.push(TokenWithSpan {
                        token: SYMMETRIC_MARK,
                        span: token.span,
                    });
                } else if is("asymmetric")
                    && out.last().is_some_and(|t| is_word(&t.token, "between"))
                {
                    continue;
                } else if is("table")
                    && starts_query(&out)
                    && next.is_some_and(|t| matches!(t, Token::Word(_)))
                {
                    let span = token.span;
                    out.push(TokenWithSpan {
                        token: keyword("SELECT", Keyword::SELECT),
                        span,
                    });
                    out.push(TokenWithSpan {
                        token: Token::Mul,
                        span,
                    });
                    out.push(TokenWithSpan {
                        token: keyword("FROM", Keyword::FROM),
                        span,
                    });
                } else if is("exclude")
                    && next.is_some_and(|t| {
                        ["current", "group", "ties", "no"]
                            .iter()
                            .any(|w| is_word(t, w))
                    })
                {
                    let what = tokens.next();
                    let what_is = |w: &str| what.as_ref().is_some_and(|t| is_word(&t.token, w));
                    if what_is("no") && tokens.peek().is_some_and(|t| is_word(&t.token, "others")) {
                        tokens.next();
                        continue;
                    }
                    let name = if what_is("current") {
                        "EXCLUDE CURRENT ROW"
                    } else if what_is("group") {
                        "EXCLUDE GROUP"
                    } else {
                        "EXCLUDE TIES"
                    };
                    return Err(PlanError::unsupported(format!("{name} in a window frame"))
                        .at(place(&token)));
                } else if is("rows") && next.is_some_and(|t| is_word(t, "from")) {
                    return Err(PlanError::unsupported("ROWS FROM").at(place(&token)));
                } else {
                    out.push(token);
                }
            }
            _ => out.push(token),
        }
    }
    Ok(out)
}

fn place(token: &TokenWithSpan) -> Option<usize> {
    Some(token.span.start.column as usize)
}

/// Whether a token is this word, unquoted.
pub(crate) fn is_word(token: &Token, text: &str) -> bool {
    matches!(token, Token::Word(Word { value, quote_style: None, .. }) if value.eq_ignore_ascii_case(text))
}

fn keyword(text: &str, keyword: Keyword) -> Token {
    Token::Word(Word {
        value: text.to_string(),
        quote_style: None,
        keyword,
    })
}

/// Whether a query can start after these tokens.
fn starts_query(before: &[TokenWithSpan]) -> bool {
    match before {
        [] => true,
        [.., last] => {
            last.token == Token::LParen && !names_something_else(before)
                || ["union", "except", "intersect"]
                    .iter()
                    .any(|w| is_word(&last.token, w))
                || (is_word(&last.token, "all") || is_word(&last.token, "distinct"))
                    && after_set_operator(before)
                || (is_word(&last.token, "as") || is_word(&last.token, "for"))
                    && is_definition(before)
        }
    }
}

/// Whether a parenthesis before TABLE belongs to something other than a query: to ON, or to a sink's options.
fn names_something_else(before: &[TokenWithSpan]) -> bool {
    match before {
        [.., into, last, _] if is_word(&last.token, "postgres") => is_word(&into.token, "into"),
        [.., last, _] => is_word(&last.token, "on"),
        _ => false,
    }
}

fn after_set_operator(before: &[TokenWithSpan]) -> bool {
    before.len() >= 2
        && ["union", "except", "intersect"]
            .iter()
            .any(|w| is_word(&before[before.len() - 2].token, w))
}

/// `CREATE ... AS TABLE t`, `DECLARE c CURSOR FOR TABLE t`, `EXPLAIN ... PLAN FOR TABLE t`.
fn is_definition(before: &[TokenWithSpan]) -> bool {
    ["create", "declare", "explain"]
        .iter()
        .any(|w| is_word(&before[0].token, w))
}
