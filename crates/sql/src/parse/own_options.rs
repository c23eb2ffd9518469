//! Everview's own options of a table, which stand in `WITH (...)` and which sqlparser does not read:
//! `DEDUPLICATE BY (columns) [WITHIN interval]` and `COUNT EFFECTS BY (columns)`.

use super::input::Input;
use super::rewrite::is_word;
use crate::error::PlanError;
use sqlparser::ast::Ident;
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// The options that were given.
#[derive(Clone, Debug, Default)]
pub(crate) struct OwnOptions {
    pub deduplicate: Option<Deduplicate>,
    pub count_effects: Option<Vec<Ident>>,
}

/// `DEDUPLICATE BY (columns) [WITHIN [INTERVAL] 'text']`.
#[derive(Clone, Debug)]
pub(crate) struct Deduplicate {
    pub columns: Vec<Ident>,
    /// The text of the interval, and where it stands.
    pub within: Option<(String, Option<usize>)>,
}

impl Input<'_> {
    /// Takes them out of the input, which begins at CREATE TABLE, and WITH as well if nothing else is in it.
    pub(super) fn own_options(&mut self) -> Result<OwnOptions, PlanError> {
        let mut options = OwnOptions::default();
        let Some(with) = self.options_list() else {
            return Ok(options);
        };
        // WITH, the parenthesis, and the first option.
        let mut n = with + 2;
        let mut begins = true;
        let mut depth = 1usize;
        while depth > 0 {
            let token = self.ahead(n);
            let ours = is_word(token, "deduplicate")
                || is_word(token, "count") && is_word(self.ahead(n + 1), "effects");
            if begins && depth == 1 && ours {
                let element = self.take_element(n);
                let end = element.last().map_or(0, |t| t.span.end.column as usize);
                Input::new(self.source, element, end).own_option(&mut options)?;
                if *self.ahead(n - 1) == Token::RParen {
                    break;
                }
                continue;
            }
            begins = depth == 1 && *token == Token::Comma;
            match token {
                Token::EOF => return Ok(options),
                Token::LParen => depth += 1,
                Token::RParen => depth -= 1,
                _ => {}
            }
            n += 1;
        }
        if *self.ahead(with + 2) == Token::RParen && *self.ahead(with + 1) == Token::LParen {
            let mut rest = self.set_aside(with);
            rest.drain(..3.min(rest.len()));
            self.append(rest);
        }
        Ok(options)
    }

    /// How far ahead the WITH of `WITH (options)` is. What follows AS is a query.
    fn options_list(&self) -> Option<usize> {
        let (mut n, mut depth) = (0, 0usize);
        loop {
            match self.ahead(n) {
                Token::EOF => return None,
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.saturating_sub(1),
                token if depth == 0 && is_word(token, "as") => return None,
                token
                    if depth == 0
                        && is_word(token, "with")
                        && *self.ahead(n + 1) == Token::LParen =>
                {
                    return Some(n);
                }
                _ => {}
            }
            n += 1;
        }
    }

    /// Takes the option `n` places ahead, and the comma that parts it from its neighbour.
    fn take_element(&mut self, n: usize) -> Vec<TokenWithSpan> {
        let (mut end, mut depth) = (n, 0usize);
        loop {
            match self.ahead(end) {
                Token::EOF => break,
                Token::Comma | Token::RParen if depth == 0 => break,
                Token::LParen => depth += 1,
                Token::RParen => depth -= 1,
                _ => {}
            }
            end += 1;
        }
        let mut rest = self.set_aside(n);
        let element = rest.drain(..end - n).collect();
        match rest.first().map(|t| &t.token) {
            // A comma that nothing follows stays, to be refused.
            Some(Token::Comma) if rest.get(1).is_some_and(|t| t.token != Token::RParen) => {
                rest.drain(..1);
            }
            Some(Token::RParen) if *self.ahead(n - 1) == Token::Comma => {
                self.set_aside(n - 1);
            }
            _ => {}
        }
        self.append(rest);
        element
    }

    fn own_option(&mut self, options: &mut OwnOptions) -> Result<(), PlanError> {
        let position = self.position();
        let twice = if self.take(&["deduplicate"]) {
            self.expect(&["by"])?;
            let columns = self.option_columns()?;
            let within = if self.take(&["within"]) {
                self.take(&["interval"]);
                let position = self.position();
                Some((self.string()?, position))
            } else {
                None
            };
            let given = Deduplicate { columns, within };
            options.deduplicate.replace(given).is_some()
        } else {
            self.expect(&["count", "effects", "by"])?;
            let columns = self.option_columns()?;
            options.count_effects.replace(columns).is_some()
        };
        if twice {
            return Err(PlanError::syntax("a table option was given twice").at(position));
        }
        self.end()
    }

    fn option_columns(&mut self) -> Result<Vec<Ident>, PlanError> {
        if *self.peek(0) != Token::LParen {
            return Err(self.unexpected());
        }
        self.column_list()
    }
}
