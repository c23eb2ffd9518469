//! `LIKE table` among the columns of CREATE TABLE: any number of them, in any place, which sqlparser does not read.

use super::input::Input;
use super::rewrite::is_word;
use crate::error::PlanError;
use crate::names::Name;
use sqlparser::tokenizer::Token;

/// `LIKE table [INCLUDING | EXCLUDING ...]`.
#[derive(Clone, Debug)]
pub(crate) struct Like {
    /// How many columns are written before it.
    pub before: usize,
    pub table: Name,
    pub defaults: bool,
    pub comments: bool,
}

/// What begins an element that is a constraint.
const CONSTRAINTS: [&str; 6] = [
    "constraint",
    "primary",
    "unique",
    "check",
    "foreign",
    "exclude",
];

impl Input<'_> {
    /// Takes them out of the input, which begins at CREATE TABLE or a word of it.
    pub(super) fn likes(&mut self) -> Result<Vec<Like>, PlanError> {
        let mut likes = Vec::new();
        let (mut n, mut depth, mut before) = (0, 0usize, 0);
        let mut begins = false;
        loop {
            let token = self.ahead(n);
            if begins && depth == 1 && is_word(token, "like") {
                likes.push(self.take_like(n, before)?);
                // What follows stands in its place.
                begins = *self.ahead(n) != Token::RParen;
                continue;
            }
            let constraint = CONSTRAINTS.iter().any(|word| is_word(token, word));
            if begins && depth == 1 && matches!(token, Token::Word(_)) && !constraint {
                before += 1;
            }
            begins = false;
            match token {
                Token::EOF => return Ok(likes),
                Token::LParen => {
                    depth += 1;
                    begins = depth == 1;
                }
                Token::RParen => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return Ok(likes);
                    }
                }
                Token::Comma => begins = true,
                // What comes before the columns has no parentheses; a query may have.
                token if depth == 0 && is_word(token, "as") => return Ok(likes),
                _ => {}
            }
            n += 1;
        }
    }

    /// Takes the element `n` places ahead, and the comma that parts it from its neighbour.
    fn take_like(&mut self, n: usize, before: usize) -> Result<Like, PlanError> {
        let length = (n..)
            .take_while(|at| {
                !matches!(
                    self.ahead(*at),
                    Token::Comma | Token::RParen | Token::LParen | Token::EOF
                )
            })
            .count();
        let mut rest = self.set_aside(n);
        let element: Vec<_> = rest.drain(..length).collect();
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
        let end = element.last().map_or(0, |t| t.span.end.column as usize);
        Input::new(self.source, element, end).like(before)
    }

    fn like(&mut self, before: usize) -> Result<Like, PlanError> {
        self.expect(&["like"])?;
        let table = self.name()?;
        let (mut defaults, mut comments) = (false, false);
        while let Some(verb) = self.take_one(&["including", "excluding"]) {
            let including = verb == "including";
            let position = self.position();
            let option = self.take_one(&[
                "all",
                "comments",
                "compression",
                "constraints",
                "defaults",
                "generated",
                "identity",
                "indexes",
                "statistics",
                "storage",
            ]);
            match option {
                None => return Err(self.unexpected()),
                Some("defaults") => defaults = including,
                Some("comments") => comments = including,
                Some("all") if !including => (defaults, comments) = (false, false),
                Some(option @ ("all" | "constraints" | "indexes")) if including => {
                    let what = format!("LIKE ... INCLUDING {}", option.to_uppercase());
                    let hint = "Name the constraints after the columns.";
                    return Err(PlanError::unsupported(what).with_hint(hint).at(position));
                }
                // There are none of these to include.
                Some(_) => {}
            }
        }
        self.end()?;
        Ok(Like {
            before,
            table,
            defaults,
            comments,
        })
    }
}
