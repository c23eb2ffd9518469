//! A cursor over one statement's tokens, and sqlparser's parser over the same ones.

use super::source::Source;
use crate::error::PlanError;
use crate::names::{self, Name};
use everview_repr::SqlState;
use sqlparser::ast::{Expr, Ident, Query};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Span, Token, TokenWithSpan, Word};

static DIALECT: PostgreSqlDialect = PostgreSqlDialect {};

/// How deep sqlparser may recurse; parentheses and prefixes are bounded before.
const RECURSION_LIMIT: usize = 1_000;

fn parser(tokens: Vec<TokenWithSpan>) -> Parser<'static> {
    Parser::new(&DIALECT)
        .with_recursion_limit(RECURSION_LIMIT)
        .with_tokens_with_locations(tokens)
}

/// A statement's tokens, read from left to right.
pub(crate) struct Input<'t> {
    pub source: &'t Source<'t>,
    pub parser: Parser<'static>,
    /// Where the statement ends.
    end: usize,
}

impl<'t> Input<'t> {
    pub fn new(source: &'t Source<'t>, tokens: Vec<TokenWithSpan>, end: usize) -> Input<'t> {
        Input {
            source,
            parser: parser(tokens),
            end,
        }
    }

    /// The token `n` places ahead.
    pub fn peek(&self, n: usize) -> &Token {
        &self.parser.peek_nth_token_ref(n).token
    }

    /// The token `n` places ahead, by position: constant time.
    pub fn ahead(&self, n: usize) -> &Token {
        &self.parser.token_at(self.parser.index() + n).token
    }

    /// Takes the tokens from `n` places ahead on out of the input.
    pub fn set_aside(&mut self, n: usize) -> Vec<TokenWithSpan> {
        let at = self.parser.index();
        let mut tokens = std::mem::replace(&mut self.parser, Parser::new(&DIALECT)).into_tokens();
        let rest = tokens.split_off((at + n).min(tokens.len()));
        tokens.drain(..at);
        self.parser = parser(tokens);
        rest
    }

    /// Puts tokens behind those that are left.
    pub fn append(&mut self, more: Vec<TokenWithSpan>) {
        let mut tokens = std::mem::replace(&mut self.parser, Parser::new(&DIALECT)).into_tokens();
        tokens.extend(more);
        self.parser = parser(tokens);
    }

    /// Goes on with tokens that were set aside.
    pub fn put_back(&mut self, tokens: Vec<TokenWithSpan>) {
        self.parser = parser(tokens);
    }

    /// Where the next token starts; the end of the text after the last.
    pub fn position(&self) -> Option<usize> {
        names::start(self.parser.peek_token_ref().span).or(Some(self.end))
    }

    /// Where the token before ends, exclusive.
    pub fn previous_end(&self) -> usize {
        self.parser.get_current_token().span.end.column as usize
    }

    /// Whether the token `n` places ahead is this word, unquoted.
    pub fn is(&self, n: usize, word: &str) -> bool {
        matches!(self.peek(n), Token::Word(Word { value, quote_style: None, .. }) if value.eq_ignore_ascii_case(word))
    }

    /// Takes these words if they are next.
    pub fn take(&mut self, words: &[&str]) -> bool {
        let all = words.iter().enumerate().all(|(i, w)| self.is(i, w));
        if all {
            words.iter().for_each(|_| self.parser.advance_token());
        }
        all
    }

    /// Takes one of these words if it is next: its place in the list.
    pub fn take_one<'w>(&mut self, words: &[&'w str]) -> Option<&'w str> {
        let found = words.iter().copied().find(|w| self.is(0, w))?;
        self.parser.advance_token();
        Some(found)
    }

    /// Takes these words or fails.
    pub fn expect(&mut self, words: &[&str]) -> Result<(), PlanError> {
        for word in words {
            if !self.take(&[word]) {
                return Err(self.unexpected());
            }
        }
        Ok(())
    }

    /// Takes a token if it is next.
    pub fn take_token(&mut self, token: &Token) -> bool {
        let found = self.peek(0) == token;
        if found {
            self.parser.advance_token();
        }
        found
    }

    /// Takes a token or fails.
    pub fn expect_token(&mut self, token: &Token) -> Result<(), PlanError> {
        if self.take_token(token) {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        *self.peek(0) == Token::EOF
    }

    /// Fails if something is left.
    pub fn end(&self) -> Result<(), PlanError> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    /// The syntax error at the next token.
    pub fn unexpected(&self) -> PlanError {
        self.unexpected_at(self.parser.peek_token_ref())
    }

    fn unexpected_at(&self, token: &TokenWithSpan) -> PlanError {
        if token.token == Token::EOF {
            return PlanError::syntax("syntax error at end of input").at(Some(self.end));
        }
        let Span { start, end } = token.span;
        let text = self
            .source
            .slice(start.column as usize, end.column as usize);
        PlanError::syntax(format!("syntax error at or near \"{text}\""))
            .at(Some(start.column as usize))
    }

    /// sqlparser's error as Postgres's.
    pub fn error(&self, error: ParserError) -> PlanError {
        let message = match error {
            ParserError::RecursionLimitExceeded => return crate::planner::too_deep(),
            ParserError::TokenizerError(message) | ParserError::ParserError(message) => message,
        };
        let column = message
            .rsplit_once("Column: ")
            .and_then(|(_, c)| c.trim().parse::<u64>().ok());
        let found = column.and_then(|c| self.token_at(c));
        match found {
            Some(token) => self.unexpected_at(&token),
            None if message.contains("found: EOF") => {
                PlanError::syntax("syntax error at end of input").at(Some(self.end))
            }
            None => self.unexpected().with_detail(message),
        }
    }

    /// The token that starts at a character.
    fn token_at(&self, column: u64) -> Option<TokenWithSpan> {
        let mut i = 0;
        loop {
            let token = self.parser.token_at(i);
            if token.token == Token::EOF {
                return None;
            }
            if token.span.start.column == column {
                return Some(token.clone());
            }
            i += 1;
        }
    }

    /// An identifier.
    pub fn ident(&mut self) -> Result<Ident, PlanError> {
        match self.peek(0) {
            Token::Word(Word {
                quote_style: Some('"'),
                value,
                ..
            }) if value.is_empty() => Err(PlanError::syntax(
                "zero-length delimited identifier at or near \"\"\"\"",
            )
            .at(self.position())),
            Token::Word(Word {
                quote_style: None | Some('"'),
                ..
            }) => self.parser.parse_identifier().map_err(|e| self.error(e)),
            _ => Err(self.unexpected()),
        }
    }

    /// A name of up to three parts.
    pub fn name(&mut self) -> Result<Name, PlanError> {
        let mut parts = vec![self.ident()?];
        while self.take_token(&Token::Period) {
            parts.push(self.ident()?);
        }
        Name::from_idents(&parts.iter().collect::<Vec<_>>())
    }

    /// Names parted by commas.
    pub fn names(&mut self) -> Result<Vec<Name>, PlanError> {
        let mut names = vec![self.name()?];
        while self.take_token(&Token::Comma) {
            names.push(self.name()?);
        }
        Ok(names)
    }

    /// `(a, b)`, if it is next.
    pub fn column_list(&mut self) -> Result<Vec<Ident>, PlanError> {
        let mut columns = Vec::new();
        if self.take_token(&Token::LParen) {
            columns.push(self.ident()?);
            while self.take_token(&Token::Comma) {
                columns.push(self.ident()?);
            }
            self.expect_token(&Token::RParen)?;
        }
        Ok(columns)
    }

    /// A query.
    pub fn query(&mut self) -> Result<Query, PlanError> {
        self.parser
            .parse_query()
            .map(|q| *q)
            .map_err(|e| self.error(e))
    }

    /// An expression.
    pub fn expr(&mut self) -> Result<Expr, PlanError> {
        self.parser.parse_expr().map_err(|e| self.error(e))
    }

    /// A string literal.
    pub fn string(&mut self) -> Result<String, PlanError> {
        let text = match self.peek(0) {
            Token::SingleQuotedString(s)
            | Token::EscapedStringLiteral(s)
            | Token::UnicodeStringLiteral(s) => s.clone(),
            Token::DollarQuotedString(s) => s.value.clone(),
            _ => return Err(self.unexpected()),
        };
        self.parser.advance_token();
        Ok(text)
    }

    /// An integer with an optional sign.
    pub fn integer(&mut self) -> Result<i64, PlanError> {
        let negative = self.take_token(&Token::Minus);
        if !negative {
            self.take_token(&Token::Plus);
        }
        let Token::Number(digits, _) = self.peek(0) else {
            return Err(self.unexpected());
        };
        let text = if negative {
            format!("-{digits}")
        } else {
            digits.clone()
        };
        let value = text.parse().map_err(|_| {
            PlanError::new(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                format!("value \"{text}\" is out of range for type bigint"),
            )
            .at(self.position())
        })?;
        self.parser.advance_token();
        Ok(value)
    }
}
