//! SELECT with AS OF, SUBSCRIBE, EXPLAIN, cursors, INSERT, UPDATE and DELETE.

use super::input::Input;
use super::statement::*;
use crate::error::PlanError;
use crate::plan::ExplainStage;
use sqlparser::ast::{self, Expr, Query};
use sqlparser::tokenizer::Token;

impl Input<'_> {
    pub(super) fn select(&mut self) -> Result<Statement, PlanError> {
        let (query, as_of) = self.query_as_of()?;
        Ok(Statement::Query { query, as_of })
    }

    /// A query and the AS OF after it.
    ///
    /// sqlparser takes `AS of` for an alias, so the tokens from there on are set aside while it reads the query.
    pub(super) fn query_as_of(&mut self) -> Result<(Box<Query>, Option<Box<Expr>>), PlanError> {
        let Some(at) = self.find_as_of() else {
            return Ok((Box::new(self.query()?), None));
        };
        let rest = self.set_aside(at);
        let query = Box::new(self.query()?);
        self.end()?;
        self.put_back(rest);
        self.expect(&["as", "of"])?;
        Ok((query, Some(Box::new(self.expr()?))))
    }

    /// How far ahead an AS OF of the statement's own level is.
    fn find_as_of(&self) -> Option<usize> {
        let mut depth = 0usize;
        let mut found = None;
        for n in 0.. {
            match self.ahead(n) {
                Token::EOF => break,
                Token::LParen | Token::LBracket => depth += 1,
                Token::RParen | Token::RBracket if depth == 0 => break,
                Token::RParen | Token::RBracket => depth -= 1,
                token if depth == 0 && super::rewrite::is_word(token, "as") => {
                    let of = super::rewrite::is_word(self.ahead(n + 1), "of");
                    if of && !ends(self.ahead(n + 2)) {
                        found = Some(n);
                    }
                }
                _ => {}
            }
        }
        found
    }

    /// SUBSCRIBE as a statement.
    pub(super) fn subscribe_statement(&mut self) -> Result<Statement, PlanError> {
        Ok(Statement::Subscribe(Box::new(self.subscribe()?)))
    }

    /// `SUBSCRIBE [TO] name | (query) [WITH (...)] [AS OF t | FROM READER 'name'] [UP TO t]`.
    pub(super) fn subscribe(&mut self) -> Result<Subscribe, PlanError> {
        self.parser.advance_token();
        self.take(&["to"]);
        let target = if self.take_token(&Token::LParen) {
            let query = self.query()?;
            self.expect_token(&Token::RParen)?;
            SubscribeTarget::Query(Box::new(query))
        } else if self.is(0, "select") || self.is(0, "values") {
            return Err(self
                .unexpected()
                .with_hint("Put the query in parentheses: SUBSCRIBE (SELECT ...)."));
        } else {
            self.take(&["table"]);
            self.take(&["view"]);
            SubscribeTarget::Name(self.name()?)
        };
        let mut subscribe = Subscribe {
            target,
            snapshot: true,
            progress: false,
            as_of: None,
            reader: None,
            up_to: None,
        };
        if self.take(&["with"]) {
            self.subscribe_options(&mut subscribe)?;
        }
        if self.take(&["as", "of"]) {
            subscribe.as_of = Some(Box::new(self.expr()?));
        }
        if subscribe.as_of.is_none() && self.take(&["from", "reader"]) {
            subscribe.reader = Some(self.string()?);
        }
        if self.take(&["up", "to"]) {
            subscribe.up_to = Some(Box::new(self.expr()?));
        }
        Ok(subscribe)
    }

    /// `VERIFY ALL | TABLE name | MATERIALIZED VIEW name [AS OF t]`.
    pub(super) fn verify(&mut self) -> Result<Statement, PlanError> {
        self.expect(&["verify"])?;
        let position = self.position();
        let object = if self.take(&["all"]) {
            None
        } else {
            match self.object_type() {
                Some(kind @ (ObjectType::Table | ObjectType::MaterializedView)) => {
                    Some((kind, self.name()?))
                }
                Some(_) => {
                    let message = "VERIFY of what is neither a table nor a materialized view";
                    return Err(PlanError::unsupported(message).at(position));
                }
                None => return Err(self.unexpected()),
            }
        };
        let as_of = match self.take(&["as", "of"]) {
            true => Some(Box::new(self.expr()?)),
            false => None,
        };
        Ok(Statement::Verify { object, as_of })
    }

    fn subscribe_options(&mut self, subscribe: &mut Subscribe) -> Result<(), PlanError> {
        let parens = self.take_token(&Token::LParen);
        loop {
            let position = self.position();
            let name = crate::names::fold(&self.ident()?);
            self.take_token(&Token::Eq);
            let value = self.option_boolean()?;
            match name.as_str() {
                "snapshot" => subscribe.snapshot = value,
                "progress" => subscribe.progress = value,
                other => {
                    return Err(PlanError::unsupported(format!(
                        "the SUBSCRIBE option {}",
                        other.to_uppercase()
                    ))
                    .at(position));
                }
            }
            if !self.take_token(&Token::Comma) {
                break;
            }
        }
        if parens {
            self.expect_token(&Token::RParen)
        } else {
            Ok(())
        }
    }

    /// A boolean option's value; none is true.
    pub(super) fn option_boolean(&mut self) -> Result<bool, PlanError> {
        if matches!(self.peek(0), Token::Comma | Token::RParen | Token::EOF) {
            return Ok(true);
        }
        let position = self.position();
        let text = match self.peek(0) {
            Token::Word(word) => word.value.to_ascii_lowercase(),
            Token::Number(digits, _) => digits.clone(),
            Token::SingleQuotedString(s) => s.to_ascii_lowercase(),
            _ => return Err(self.unexpected()),
        };
        self.parser.advance_token();
        match text.as_str() {
            "true" | "on" | "1" | "yes" => Ok(true),
            "false" | "off" | "0" | "no" => Ok(false),
            _ => Err(PlanError::syntax("an option requires a Boolean value").at(position)),
        }
    }

    /// `EXPLAIN [stage] PLAN FOR ...`, `EXPLAIN (TIMING) query`, `EXPLAIN query`.
    pub(super) fn explain(&mut self) -> Result<Statement, PlanError> {
        self.expect(&["explain"])?;
        let mut stage = ExplainStage::Physical;
        if self.take_token(&Token::LParen) {
            if !self.take(&["timing"]) {
                return Err(
                    PlanError::unsupported("an option of EXPLAIN other than TIMING")
                        .at(self.position()),
                );
            }
            self.take(&["on"]);
            self.expect_token(&Token::RParen)?;
            stage = ExplainStage::Timing;
        } else {
            for word in ["analyze", "verbose"] {
                if self.is(0, word) {
                    return Err(
                        PlanError::unsupported(format!("EXPLAIN {}", word.to_uppercase()))
                            .at(self.position()),
                    );
                }
            }
            let named = self.take_one(&["raw", "decorrelated", "optimized", "physical"]);
            stage = match named {
                Some("raw") => ExplainStage::Raw,
                Some("decorrelated") => ExplainStage::Decorrelated,
                Some("optimized") => ExplainStage::Optimized,
                _ => stage,
            };
            if named.is_some() || self.is(0, "plan") {
                self.expect(&["plan", "for"])?;
            }
        }
        let target = if self.take(&["materialized", "view"]) {
            ExplainTarget::View {
                name: self.name()?,
                materialized: true,
            }
        } else if self.take(&["view"]) {
            ExplainTarget::View {
                name: self.name()?,
                materialized: false,
            }
        } else if ["insert", "update", "delete", "create", "declare", "execute"]
            .iter()
            .any(|w| self.is(0, w))
        {
            return Err(
                PlanError::unsupported("EXPLAIN of other statements than queries")
                    .at(self.position()),
            );
        } else {
            let (query, as_of) = self.query_as_of()?;
            ExplainTarget::Query { query, as_of }
        };
        Ok(Statement::Explain(Explain { stage, target }))
    }

    /// `DECLARE name [options] CURSOR [WITH HOLD] FOR ...`.
    pub(super) fn declare(&mut self) -> Result<Statement, PlanError> {
        self.expect(&["declare"])?;
        let name = self.ident()?;
        loop {
            if self.take(&["no", "scroll"])
                || self.take(&["insensitive"])
                || self.take(&["asensitive"])
            {
                continue;
            }
            if self.is(0, "scroll") || self.is(0, "binary") {
                let error = if self.is(0, "scroll") {
                    "SCROLL cursors"
                } else {
                    "BINARY cursors"
                };
                return Err(PlanError::unsupported(error).at(self.position()));
            }
            break;
        }
        self.expect(&["cursor"])?;
        let hold = self.take(&["with", "hold"]);
        self.take(&["without", "hold"]);
        self.expect(&["for"])?;
        let statement = if self.is(0, "subscribe") || self.is(0, "tail") {
            self.subscribe_statement()?
        } else {
            self.select()?
        };
        Ok(Statement::Declare {
            name,
            statement: Box::new(statement),
            hold,
        })
    }

    /// `FETCH [count | ALL | NEXT | FORWARD ...] [FROM | IN] name [WITH (timeout = '...')]`.
    pub(super) fn fetch(&mut self) -> Result<Statement, PlanError> {
        self.expect(&["fetch"])?;
        let position = self.position();
        if self.take(&["next"]) {
            return self.fetch_from(Some(1));
        }
        for word in ["prior", "first", "last", "absolute", "relative", "backward"] {
            if self.is(0, word) && !matches!(self.peek(1), Token::EOF) {
                return Err(
                    PlanError::unsupported(format!("FETCH {}", word.to_uppercase())).at(position),
                );
            }
        }
        let forward = self.take(&["forward"]);
        if self.take(&["all"]) {
            return self.fetch_from(None);
        }
        if matches!(self.peek(0), Token::Number(..) | Token::Minus | Token::Plus) {
            let count = self.integer()?;
            if count < 0 {
                return Err(PlanError::unsupported("FETCH backward").at(position));
            }
            return self.fetch_from(Some(count));
        }
        let _ = forward;
        self.fetch_from(Some(1))
    }

    fn fetch_from(&mut self, count: Option<i64>) -> Result<Statement, PlanError> {
        if !self.take(&["from"]) {
            self.take(&["in"]);
        }
        let name = self.ident()?;
        let mut timeout = None;
        if self.take(&["with"]) {
            self.expect_token(&Token::LParen)?;
            self.expect(&["timeout"])?;
            self.take_token(&Token::Eq);
            timeout = Some(match self.peek(0) {
                Token::Number(digits, _) => {
                    let digits = digits.clone();
                    self.parser.advance_token();
                    digits
                }
                _ => self.string()?,
            });
            self.expect_token(&Token::RParen)?;
        }
        Ok(Statement::Fetch {
            name,
            count,
            timeout,
        })
    }

    pub(super) fn close(&mut self) -> Result<Statement, PlanError> {
        self.expect(&["close"])?;
        if self.take(&["all"]) {
            return Ok(Statement::Close(None));
        }
        Ok(Statement::Close(Some(self.ident()?)))
    }

    /// INSERT, UPDATE, DELETE.
    pub(super) fn data_change(&mut self) -> Result<Statement, PlanError> {
        let position = self.position();
        let statement = self.parser.parse_statement().map_err(|e| self.error(e))?;
        match statement {
            ast::Statement::Insert(insert) => Ok(Statement::Insert(Box::new(insert))),
            ast::Statement::Update(update) => Ok(Statement::Update(Box::new(update))),
            ast::Statement::Delete(delete) => Ok(Statement::Delete(Box::new(delete))),
            other => {
                let text = crate::scalar::short(&other.to_string());
                Err(PlanError::unsupported(format!("the statement {text}")).at(position))
            }
        }
    }
}

/// Whether `AS OF` before this token is an alias named `of`.
fn ends(token: &Token) -> bool {
    matches!(token, Token::EOF | Token::Comma | Token::RParen)
        || [
            "from", "where", "group", "order", "limit", "union", "having", "join", "on",
        ]
        .iter()
        .any(|w| super::rewrite::is_word(token, w))
}
