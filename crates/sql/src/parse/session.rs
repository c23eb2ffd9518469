//! Transactions, settings, prepared statements, and what has no effect.

use super::input::Input;
use super::statement::*;
use crate::error::PlanError;
use sqlparser::tokenizer::Token;

impl Input<'_> {
    /// `BEGIN [WORK | TRANSACTION] [modes]`, `START TRANSACTION [modes]`.
    pub(super) fn begin(&mut self) -> Result<Statement, PlanError> {
        if self.take(&["start"]) {
            self.expect(&["transaction"])?;
        } else {
            self.expect(&["begin"])?;
            let _ = self.take(&["work"]) || self.take(&["transaction"]);
        }
        let read_only = self.transaction_modes()?;
        Ok(Statement::Begin {
            read_only: read_only.unwrap_or(false),
        })
    }

    /// Modes: every isolation level runs as serializable.
    fn transaction_modes(&mut self) -> Result<Option<bool>, PlanError> {
        let mut read_only = None;
        while !self.is_empty() {
            if self.take(&["isolation", "level"]) {
                let known: [&[&str]; 4] = [
                    &["serializable"],
                    &["repeatable", "read"],
                    &["read", "committed"],
                    &["read", "uncommitted"],
                ];
                if !known.iter().any(|level| self.take(level)) {
                    return Err(self.unexpected());
                }
            } else if self.take(&["read", "only"]) {
                read_only = Some(true);
            } else if self.take(&["read", "write"]) {
                read_only = Some(false);
            } else if self.take(&["deferrable"]) || self.take(&["not", "deferrable"]) {
                // A read waits for nothing here, so that deferring has nothing to do.
            } else {
                return Err(self.unexpected());
            }
            self.take_token(&Token::Comma);
        }
        Ok(read_only)
    }

    fn chain(&mut self) -> Result<bool, PlanError> {
        let _ = self.take(&["work"]) || self.take(&["transaction"]);
        if self.is(0, "prepared") {
            return Err(PlanError::unsupported("two-phase commit").at(self.position()));
        }
        if self.take(&["and", "no", "chain"]) {
            return Ok(false);
        }
        Ok(self.take(&["and", "chain"]))
    }

    pub(super) fn commit(&mut self) -> Result<Statement, PlanError> {
        self.parser.advance_token();
        Ok(Statement::Commit {
            chain: self.chain()?,
        })
    }

    pub(super) fn rollback(&mut self) -> Result<Statement, PlanError> {
        self.parser.advance_token();
        let chain = self.chain()?;
        if self.is(0, "to") {
            return Err(PlanError::unsupported("ROLLBACK TO SAVEPOINT").at(self.position()));
        }
        Ok(Statement::Rollback { chain })
    }

    /// `SET [SESSION | LOCAL] name {TO | =} value`, `SET TIME ZONE ..`, `SET TRANSACTION ..`.
    pub(super) fn set(&mut self) -> Result<Statement, PlanError> {
        self.expect(&["set"])?;
        if self.take(&["session", "characteristics", "as", "transaction"]) {
            let read_only = self.transaction_modes()?;
            let value = read_only.map(|r| if r { "on" } else { "off" }.to_string());
            return Ok(set("default_transaction_read_only", value, false));
        }
        if self.take(&["transaction"]) {
            if self.is(0, "snapshot") {
                return Err(PlanError::unsupported("SET TRANSACTION SNAPSHOT").at(self.position()));
            }
            let read_only = self.transaction_modes()?;
            let value = read_only.map(|r| if r { "on" } else { "off" }.to_string());
            return Ok(set("transaction_read_only", value, true));
        }
        let local = self.take(&["local"]);
        if !local {
            self.take(&["session"]);
        }
        if self.take(&["time", "zone"]) {
            let value = self
                .setting_value()?
                .filter(|v| !v.eq_ignore_ascii_case("local"));
            return Ok(set("timezone", value, local));
        }
        if self.take(&["names"]) {
            return Ok(set("client_encoding", self.setting_value()?, local));
        }
        for word in ["role", "authorization", "constraints"] {
            if self.is(0, word) {
                return Err(
                    PlanError::unsupported(format!("SET {}", word.to_uppercase()))
                        .at(self.position()),
                );
            }
        }
        let name = self.setting_name()?;
        if !self.take(&["to"]) {
            self.expect_token(&Token::Eq)?;
        }
        Ok(set(&name, self.setting_value()?, local))
    }

    fn setting_name(&mut self) -> Result<String, PlanError> {
        let mut name = crate::names::fold(&self.ident()?);
        while self.take_token(&Token::Period) {
            name = format!("{name}.{}", crate::names::fold(&self.ident()?));
        }
        Ok(name.to_ascii_lowercase())
    }

    /// A setting's text: values parted by commas; none for DEFAULT.
    fn setting_value(&mut self) -> Result<Option<String>, PlanError> {
        if self.take(&["default"]) {
            return Ok(None);
        }
        let mut parts = Vec::new();
        loop {
            parts.push(match self.peek(0) {
                Token::Number(digits, _) => {
                    let digits = digits.clone();
                    self.parser.advance_token();
                    digits
                }
                Token::Minus => {
                    self.parser.advance_token();
                    let Token::Number(digits, _) = self.peek(0) else {
                        return Err(self.unexpected());
                    };
                    let text = format!("-{digits}");
                    self.parser.advance_token();
                    text
                }
                Token::Word(_) => crate::names::fold(&self.ident()?),
                _ => self.string()?,
            });
            if !self.take_token(&Token::Comma) {
                return Ok(Some(parts.join(", ")));
            }
        }
    }

    pub(super) fn reset(&mut self) -> Result<Statement, PlanError> {
        self.expect(&["reset"])?;
        Ok(Statement::Reset(self.setting_or_all()?))
    }

    pub(super) fn show(&mut self) -> Result<Statement, PlanError> {
        self.expect(&["show"])?;
        Ok(Statement::Show(self.setting_or_all()?))
    }

    fn setting_or_all(&mut self) -> Result<Option<String>, PlanError> {
        if self.take(&["all"]) {
            return Ok(None);
        }
        if self.take(&["time", "zone"]) {
            return Ok(Some("timezone".to_string()));
        }
        if self.take(&["transaction", "isolation", "level"]) {
            return Ok(Some("transaction_isolation".to_string()));
        }
        self.setting_name().map(Some)
    }

    pub(super) fn discard(&mut self) -> Result<Statement, PlanError> {
        self.expect(&["discard"])?;
        match self.take_one(&["all", "plans", "sequences", "temporary", "temp"]) {
            Some(what) => Ok(Statement::Discard(what.to_uppercase())),
            None => Err(self.unexpected()),
        }
    }

    /// `PREPARE name [(types)] AS statement`.
    pub(super) fn prepare(&mut self) -> Result<Statement, PlanError> {
        self.expect(&["prepare"])?;
        if self.is(0, "transaction") {
            return Err(PlanError::unsupported("PREPARE TRANSACTION").at(self.position()));
        }
        let name = self.ident()?;
        let mut types = Vec::new();
        if self.take_token(&Token::LParen) {
            loop {
                types.push(self.parser.parse_data_type().map_err(|e| self.error(e))?);
                if !self.take_token(&Token::Comma) {
                    break;
                }
            }
            self.expect_token(&Token::RParen)?;
        }
        self.expect(&["as"])?;
        let start = self.position().unwrap_or(1);
        if !["select", "insert", "update", "delete", "values", "with"]
            .iter()
            .any(|w| self.is(0, w))
            && *self.peek(0) != Token::LParen
        {
            return Err(self.unexpected());
        }
        // The statement is read for its errors; its text is what is kept.
        super::statement::statement(self)?;
        let sql = self.source.slice(start, self.previous_end()).to_string();
        Ok(Statement::Prepare { name, types, sql })
    }

    pub(super) fn execute(&mut self) -> Result<Statement, PlanError> {
        self.expect(&["execute"])?;
        let name = self.ident()?;
        let mut args = Vec::new();
        if self.take_token(&Token::LParen) && !self.take_token(&Token::RParen) {
            args.push(self.expr()?);
            while self.take_token(&Token::Comma) {
                args.push(self.expr()?);
            }
            self.expect_token(&Token::RParen)?;
        }
        Ok(Statement::Execute { name, args })
    }

    pub(super) fn deallocate(&mut self) -> Result<Statement, PlanError> {
        self.expect(&["deallocate"])?;
        self.take(&["prepare"]);
        if self.take(&["all"]) {
            return Ok(Statement::Deallocate(None));
        }
        Ok(Statement::Deallocate(Some(self.ident()?)))
    }

    /// LOCK TABLE, ANALYZE, VACUUM: the names are looked up, and nothing is done.
    pub(super) fn nothing(&mut self) -> Result<Statement, PlanError> {
        let word = self.take_one(&["lock", "analyze", "analyse", "vacuum"]);
        let tag = match word {
            Some("lock") => "LOCK TABLE",
            Some("vacuum") => "VACUUM",
            _ => "ANALYZE",
        };
        if tag == "LOCK TABLE" {
            self.take(&["table"]);
            self.take(&["only"]);
        } else if self.take_token(&Token::LParen) {
            while !self.take_token(&Token::RParen) {
                if self.is_empty() {
                    return Err(self.unexpected());
                }
                self.parser.advance_token();
            }
        } else {
            while self
                .take_one(&[
                    "full",
                    "freeze",
                    "verbose",
                    "analyze",
                    "analyse",
                    "skip_locked",
                ])
                .is_some()
            {}
        }
        let mut names = Vec::new();
        while !self.is_empty() && !self.is(0, "in") && !self.is(0, "nowait") {
            names.push(self.name()?);
            self.column_list()?;
            if !self.take_token(&Token::Comma) {
                break;
            }
        }
        if tag == "LOCK TABLE" {
            if names.is_empty() {
                return Err(self.unexpected());
            }
            if self.take(&["in"]) {
                let words = ["access", "row", "share", "exclusive", "update"];
                while self.take_one(&words).is_some() {}
                self.expect(&["mode"])?;
            }
            self.take(&["nowait"]);
        }
        Ok(Statement::Nothing { tag, names })
    }
}

fn set(name: &str, value: Option<String>, local: bool) -> Statement {
    Statement::Set {
        name: name.to_string(),
        value,
        local,
    }
}
