//! COPY: the table or query, the direction, and options in the old and the new style.

use super::input::Input;
use super::statement::*;
use crate::error::PlanError;
use sqlparser::tokenizer::Token;

impl Input<'_> {
    pub(super) fn copy(&mut self) -> Result<Statement, PlanError> {
        self.expect(&["copy"])?;
        if self.is(0, "binary")
            && !matches!(self.peek(1), Token::LParen)
            && !self.is(1, "from")
            && !self.is(1, "to")
        {
            return Err(PlanError::unsupported("COPY BINARY").at(self.position()));
        }
        let source = if self.take_token(&Token::LParen) {
            let source = if self.is(0, "subscribe") || self.is(0, "tail") {
                CopySource::Subscribe(Box::new(self.subscribe()?))
            } else if ["insert", "update", "delete"].iter().any(|w| self.is(0, w)) {
                return Err(PlanError::unsupported("COPY of a data-modifying statement")
                    .at(self.position()));
            } else {
                let (query, as_of) = self.copy_query()?;
                CopySource::Query { query, as_of }
            };
            self.expect_token(&Token::RParen)?;
            source
        } else {
            let name = self.name()?;
            CopySource::Table {
                name,
                columns: self.column_list()?,
            }
        };
        let from = self.is(0, "from");
        if from && !matches!(source, CopySource::Table { .. }) {
            return Err(self.unexpected());
        }
        if !from && !self.is(0, "to") {
            return Err(self.unexpected());
        }
        self.parser.advance_token();
        let position = self.position();
        if self.is(0, "program") {
            return Err(PlanError::unsupported("COPY with PROGRAM")
                .with_hint("psql's \\copy runs a program on the client.")
                .at(position));
        }
        if matches!(
            self.peek(0),
            Token::SingleQuotedString(_) | Token::EscapedStringLiteral(_)
        ) {
            return Err(PlanError::unsupported("COPY with a file of the server")
                .with_hint("psql's \\copy reads and writes files of the client.")
                .at(position));
        }
        // As in Postgres, STDIN and STDOUT are words for the same thing.
        if self.take_one(&["stdin", "stdout"]).is_none() {
            return Err(self.unexpected());
        }
        let options = self.copy_options()?;
        let position = self.position();
        let filter = match self.take(&["where"]) {
            true if !from => {
                return Err(PlanError::syntax("WHERE clause not allowed with COPY TO").at(position));
            }
            true => Some(Box::new(self.expr()?)),
            false => None,
        };
        Ok(Statement::Copy(Box::new(Copy {
            source,
            to: !from,
            options,
            filter,
        })))
    }

    /// The query within the parentheses.
    fn copy_query(
        &mut self,
    ) -> Result<
        (
            Box<sqlparser::ast::Query>,
            Option<Box<sqlparser::ast::Expr>>,
        ),
        PlanError,
    > {
        let mut depth = 0usize;
        let mut close = None;
        for n in 0.. {
            match self.ahead(n) {
                Token::EOF => break,
                Token::LParen => depth += 1,
                Token::RParen if depth == 0 => {
                    close = Some(n);
                    break;
                }
                Token::RParen => depth -= 1,
                _ => {}
            }
        }
        let Some(close) = close else {
            return Err(PlanError::syntax("syntax error at end of input"));
        };
        let rest = self.set_aside(close);
        let query = self.query_as_of()?;
        self.end()?;
        self.put_back(rest);
        Ok(query)
    }

    fn copy_options(&mut self) -> Result<Vec<CopyOption>, PlanError> {
        let mut options = Vec::new();
        let position = self.position();
        // Older than the oldest syntax, and still PostgreSQL's.
        if self.take(&["using", "delimiters"]) || self.take(&["delimiters"]) {
            let value = CopyValue::Text(self.string()?);
            let name = "delimiter".to_string();
            options.push(CopyOption {
                name,
                value,
                position,
            });
        }
        self.take(&["with"]);
        if self.take_token(&Token::LParen) {
            options.extend(self.new_options()?);
            return Ok(options);
        }
        while let Some(option) = self.old_option()? {
            options.push(option);
        }
        Ok(options)
    }

    /// `(FORMAT csv, HEADER true, NULL 'NA')`.
    fn new_options(&mut self) -> Result<Vec<CopyOption>, PlanError> {
        let mut options = Vec::new();
        loop {
            let position = self.position();
            let name = crate::names::fold(&self.ident()?);
            let value = match self.peek(0) {
                Token::Comma | Token::RParen => CopyValue::None,
                Token::LParen => CopyValue::Columns(self.column_list()?),
                Token::Mul => {
                    self.parser.advance_token();
                    CopyValue::Star
                }
                Token::Number(digits, _) => {
                    let digits = digits.clone();
                    self.parser.advance_token();
                    CopyValue::Text(digits)
                }
                Token::Word(_) => CopyValue::Text(crate::names::fold(&self.ident()?)),
                _ => CopyValue::Text(self.string()?),
            };
            options.push(CopyOption {
                name,
                value,
                position,
            });
            if !self.take_token(&Token::Comma) {
                break;
            }
        }
        self.expect_token(&Token::RParen)?;
        Ok(options)
    }

    /// `CSV HEADER NULL AS 'NA' DELIMITER ','`.
    fn old_option(&mut self) -> Result<Option<CopyOption>, PlanError> {
        let position = self.position();
        let option = |name: &str, value| {
            Some(CopyOption {
                name: name.to_string(),
                value,
                position,
            })
        };
        let Some(word) = self.take_one(&[
            "csv",
            "binary",
            "header",
            "freeze",
            "delimiter",
            "null",
            "quote",
            "escape",
            "force",
            "encoding",
        ]) else {
            return Ok(None);
        };
        Ok(match word {
            "csv" | "binary" => option("format", CopyValue::Text(word.to_string())),
            "header" | "freeze" => option(word, CopyValue::None),
            "force" => {
                let name = match self.take_one(&["quote", "not", "null"]) {
                    Some("quote") => "force_quote",
                    Some("not") => {
                        self.expect(&["null"])?;
                        "force_not_null"
                    }
                    Some(_) => "force_null",
                    None => return Err(self.unexpected()),
                };
                if name == "force_quote" && self.take_token(&Token::Mul) {
                    return Ok(option(name, CopyValue::Star));
                }
                let mut columns = vec![self.ident()?];
                while self.take_token(&Token::Comma) {
                    columns.push(self.ident()?);
                }
                option(name, CopyValue::Columns(columns))
            }
            word => {
                self.take(&["as"]);
                let text = self.string()?;
                option(word, CopyValue::Text(text))
            }
        })
    }
}
