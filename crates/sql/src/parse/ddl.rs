//! CREATE, DROP, ALTER, COMMENT and TRUNCATE.

use super::input::Input;
use super::statement::*;
use crate::error::PlanError;
use sqlparser::ast;
use sqlparser::tokenizer::Token;

impl Input<'_> {
    pub(super) fn create(&mut self) -> Result<Statement, PlanError> {
        if self.is(1, "schema") {
            return self.create_schema();
        }
        if self.is(1, "table") {
            return self.create_table();
        }
        if self.is(1, "secret") {
            return self.create_secret();
        }
        if self.is(1, "connection") {
            return self.create_connection();
        }
        if self.is(1, "sink") {
            return self.create_sink();
        }
        if self.is(1, "view") || self.is(1, "materialized") {
            self.expect(&["create"])?;
            return self.create_view(false);
        }
        if self.is(1, "or")
            && self.is(2, "replace")
            && (self.is(3, "view") || self.is(3, "materialized"))
        {
            self.expect(&["create", "or", "replace"])?;
            return self.create_view(true);
        }
        if self.is(1, "index") {
            self.expect(&["create", "index"])?;
            return self.create_index(false);
        }
        if self.is(1, "unique") && self.is(2, "index") {
            self.expect(&["create", "unique", "index"])?;
            return self.create_index(true);
        }
        self.expect(&["create"])?;
        let position = self.position();
        let mut words = Vec::new();
        for n in 0..2 {
            if let Token::Word(word) = self.peek(n)
                && word.quote_style.is_none()
            {
                words.push(word.value.to_uppercase());
            }
        }
        match words.first().map(String::as_str) {
            Some("TEMP" | "TEMPORARY" | "LOCAL" | "GLOBAL") => {
                Err(PlanError::unsupported("a temporary relation").at(position))
            }
            Some("UNLOGGED") => Err(PlanError::unsupported("an UNLOGGED table").at(position)),
            Some("RECURSIVE") => Err(PlanError::unsupported("CREATE RECURSIVE VIEW").at(position)),
            Some(
                word @ ("TYPE" | "DOMAIN" | "FUNCTION" | "PROCEDURE" | "AGGREGATE" | "OPERATOR"
                | "SEQUENCE" | "TRIGGER" | "ROLE" | "USER" | "GROUP" | "DATABASE"
                | "EXTENSION" | "RULE" | "POLICY" | "COLLATION" | "CAST" | "SOURCE"
                | "PUBLICATION" | "SUBSCRIPTION" | "SERVER" | "STATISTICS" | "TABLESPACE"
                | "LANGUAGE" | "CLUSTER"),
            ) => Err(PlanError::unsupported(format!("CREATE {word}")).at(position)),
            Some("FOREIGN" | "EVENT" | "ACCESS" | "TEXT" | "USER_MAPPING") => {
                Err(PlanError::unsupported(format!("CREATE {}", words.join(" "))).at(position))
            }
            _ => Err(self.unexpected()),
        }
    }

    fn if_not_exists(&mut self) -> bool {
        self.take(&["if", "not", "exists"])
    }

    fn create_schema(&mut self) -> Result<Statement, PlanError> {
        self.expect(&["create", "schema"])?;
        let if_not_exists = self.if_not_exists();
        if self.is(0, "authorization") {
            return Err(PlanError::unsupported("CREATE SCHEMA AUTHORIZATION").at(self.position()));
        }
        let name = self.ident()?;
        if self.is(0, "authorization") {
            return Err(PlanError::unsupported("CREATE SCHEMA AUTHORIZATION").at(self.position()));
        }
        if self.is(0, "create") || self.is(0, "grant") {
            return Err(
                PlanError::unsupported("schema elements in CREATE SCHEMA").at(self.position())
            );
        }
        Ok(Statement::CreateSchema {
            name: Some(name),
            if_not_exists,
        })
    }

    /// CREATE TABLE: what follows the columns that sqlparser does not know is taken off its tokens.
    fn create_table(&mut self) -> Result<Statement, PlanError> {
        let likes = self.likes()?;
        let options = self.own_options()?;
        let mut append_only = false;
        let mut with_data = true;
        let mut depth = 0usize;
        let mut cut: Option<(usize, usize)> = None;
        let mut n = 0;
        loop {
            match self.ahead(n) {
                Token::EOF => break,
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.saturating_sub(1),
                token
                    if depth == 0
                        && n > 2
                        && super::rewrite::is_word(token, "append")
                        && super::rewrite::is_word(self.ahead(n + 1), "only") =>
                {
                    append_only = true;
                    cut = Some((n, 2));
                    break;
                }
                token if depth == 0 && super::rewrite::is_word(token, "with") => {
                    let next = self.ahead(n + 1);
                    if super::rewrite::is_word(next, "data") && *self.ahead(n + 2) == Token::EOF {
                        cut = Some((n, 2));
                    } else if super::rewrite::is_word(next, "no")
                        && super::rewrite::is_word(self.ahead(n + 2), "data")
                    {
                        with_data = false;
                        cut = Some((n, 3));
                    }
                }
                _ => {}
            }
            n += 1;
        }
        if let Some((at, count)) = cut {
            let mut rest = self.set_aside(at);
            rest.drain(..count.min(rest.len()));
            self.append(rest);
        }
        let position = self.position();
        let statement = self.parser.parse_statement().map_err(|e| self.error(e))?;
        match statement {
            ast::Statement::CreateTable(table) => Ok(Statement::CreateTable {
                table: Box::new(table),
                likes,
                append_only,
                with_data,
                options,
            }),
            _ => Err(PlanError::unsupported("this CREATE TABLE").at(position)),
        }
    }

    /// `[MATERIALIZED] VIEW [IF NOT EXISTS] name [(columns)] [WITH (...)] AS query [WITH [NO] DATA]`.
    fn create_view(&mut self, or_replace: bool) -> Result<Statement, PlanError> {
        let materialized = self.take(&["materialized"]);
        self.expect(&["view"])?;
        let position = self.position();
        let if_not_exists = self.if_not_exists();
        if materialized && or_replace {
            return Err(PlanError::unsupported("CREATE OR REPLACE MATERIALIZED VIEW").at(position));
        }
        if if_not_exists && !materialized {
            return Err(PlanError::unsupported("CREATE VIEW IF NOT EXISTS")
                .with_hint("Use CREATE OR REPLACE VIEW.")
                .at(position));
        }
        let name = self.name()?;
        let columns = self.column_list()?;
        if self.is(0, "with") && self.is(2, "retain") {
            return Err(PlanError::unsupported("RETAIN HISTORY of one relation")
                .with_hint(
                    "The server's --history is for all; any older time is read from the log.",
                )
                .at(self.position()));
        }
        if self.is(0, "with") {
            return Err(PlanError::unsupported("WITH options of a view").at(self.position()));
        }
        if self.is(0, "tablespace") || (self.is(0, "using") && materialized) {
            return Err(PlanError::unsupported("storage options of a view").at(self.position()));
        }
        self.expect(&["as"])?;
        let start = self.position().unwrap_or(1);
        let query = Box::new(self.query()?);
        let sql = self.source.slice(start, self.previous_end()).to_string();
        if materialized {
            if self.is(0, "with") && self.is(1, "no") {
                return Err(PlanError::unsupported("WITH NO DATA")
                    .with_hint(
                        "A materialized view is filled and kept up to date from its creation on.",
                    )
                    .at(self.position()));
            }
            self.take(&["with", "data"]);
        } else if self.is(0, "with") {
            return Err(PlanError::unsupported("WITH CHECK OPTION").at(self.position()));
        }
        Ok(Statement::CreateView(CreateView {
            name,
            columns,
            query,
            sql,
            start,
            materialized,
            or_replace,
            if_not_exists,
        }))
    }

    /// `[IF NOT EXISTS] [name] ON t [USING btree] (keys)`.
    fn create_index(&mut self, unique: bool) -> Result<Statement, PlanError> {
        if self.is(0, "concurrently") && !self.is(1, "on") {
            return Err(PlanError::unsupported("CREATE INDEX CONCURRENTLY").at(self.position()));
        }
        let if_not_exists = self.if_not_exists();
        let name = if self.is(0, "on") {
            None
        } else {
            Some(self.name()?)
        };
        self.expect(&["on"])?;
        self.take(&["only"]);
        let on = self.name()?;
        if self.take(&["using"]) {
            let position = self.position();
            let method = crate::names::fold(&self.ident()?);
            if method != "btree" {
                return Err(
                    PlanError::unsupported(format!("index method \"{method}\"")).at(position)
                );
            }
        }
        self.expect_token(&Token::LParen)?;
        let mut keys = Vec::new();
        loop {
            let start = self.position().unwrap_or(1);
            let expr = self.expr()?;
            keys.push((
                expr,
                self.source.slice(start, self.previous_end()).to_string(),
                start,
            ));
            // An arrangement is walked both ways, so that the direction of a key makes no difference to any result.
            self.take_one(&["asc", "desc"]);
            if self.take(&["nulls"]) && self.take_one(&["first", "last"]).is_none() {
                return Err(self.unexpected());
            }
            if !matches!(self.peek(0), Token::Comma | Token::RParen) {
                return Err(PlanError::unsupported("an operator class").at(self.position()));
            }
            if !self.take_token(&Token::Comma) {
                break;
            }
        }
        self.expect_token(&Token::RParen)?;
        for (word, what) in [
            ("include", "INCLUDE in an index"),
            ("where", "a partial index"),
            ("with", "storage parameters of an index"),
            ("tablespace", "TABLESPACE"),
            ("nulls", "NULLS [NOT] DISTINCT in an index"),
        ] {
            if self.is(0, word) {
                return Err(PlanError::unsupported(what).at(self.position()));
            }
        }
        Ok(Statement::CreateIndex(CreateIndex {
            name,
            if_not_exists,
            on,
            keys,
            unique,
        }))
    }

    pub(super) fn object_type(&mut self) -> Option<ObjectType> {
        if self.take(&["materialized", "view"]) {
            return Some(ObjectType::MaterializedView);
        }
        Some(
            match self.take_one(&[
                "table",
                "view",
                "index",
                "secret",
                "connection",
                "sink",
                "schema",
            ])? {
                "table" => ObjectType::Table,
                "view" => ObjectType::View,
                "index" => ObjectType::Index,
                "secret" => ObjectType::Secret,
                "connection" => ObjectType::Connection,
                "sink" => ObjectType::Sink,
                _ => ObjectType::Schema,
            },
        )
    }

    fn other_object(&self, verb: &str) -> PlanError {
        match self.peek(0) {
            Token::Word(word)
                if word.quote_style.is_none()
                    && word.keyword != sqlparser::keywords::Keyword::NoKeyword =>
            {
                PlanError::unsupported(format!("{verb} {}", word.value.to_uppercase()))
                    .at(self.position())
            }
            _ => self.unexpected(),
        }
    }

    pub(super) fn drop_statement(&mut self) -> Result<Statement, PlanError> {
        self.expect(&["drop"])?;
        if self.take(&["producer"]) {
            return self.drop_producer();
        }
        let Some(kind) = self.object_type() else {
            return Err(self.other_object("DROP"));
        };
        if kind == ObjectType::Index && self.is(0, "concurrently") {
            return Err(PlanError::unsupported("DROP INDEX CONCURRENTLY").at(self.position()));
        }
        let if_exists = self.take(&["if", "exists"]);
        let names = self.names()?;
        let cascade = self.take_one(&["cascade", "restrict"]) == Some("cascade");
        Ok(Statement::Drop(Drop {
            kind,
            names,
            if_exists,
            cascade,
        }))
    }

    /// `DROP PRODUCER [IF EXISTS] name, ...`
    fn drop_producer(&mut self) -> Result<Statement, PlanError> {
        let if_exists = self.take(&["if", "exists"]);
        let mut names = vec![self.ident()?];
        while self.take_token(&Token::Comma) {
            names.push(self.ident()?);
        }
        Ok(Statement::DropProducer { names, if_exists })
    }

    pub(super) fn alter(&mut self) -> Result<Statement, PlanError> {
        self.expect(&["alter"])?;
        if self.is(0, "role") || self.is(0, "user") && !self.is(1, "mapping") {
            return self.alter_role();
        }
        let Some(kind) = self.object_type() else {
            return Err(self.other_object("ALTER"));
        };
        let if_exists = self.take(&["if", "exists"]);
        self.take(&["only"]);
        let name = self.name()?;
        let position = self.position();
        let action = if self.take(&["rename"]) {
            if self.take(&["to"]) {
                AlterAction::Rename(self.ident()?)
            } else if kind == ObjectType::Table && self.take(&["constraint"]) {
                let from = self.ident()?;
                self.expect(&["to"])?;
                AlterAction::RenameConstraint {
                    from,
                    to: self.ident()?,
                }
            } else {
                self.take(&["column"]);
                let from = self.ident()?;
                self.expect(&["to"])?;
                AlterAction::RenameColumn {
                    from,
                    to: self.ident()?,
                }
            }
        } else if self.take(&["set", "schema"]) {
            AlterAction::SetSchema(self.ident()?)
        } else if kind == ObjectType::Table && self.begins_table_action() {
            let mut actions = vec![self.table_action()?];
            while self.take_token(&Token::Comma) {
                actions.push(self.table_action()?);
            }
            AlterAction::Table(actions)
        } else {
            let mut words = Vec::new();
            for n in 0..2 {
                if let Token::Word(word) = self.peek(n)
                    && word.quote_style.is_none()
                    && word.keyword != sqlparser::keywords::Keyword::NoKeyword
                {
                    words.push(word.value.to_uppercase());
                }
            }
            if words.is_empty() {
                return Err(self.unexpected());
            }
            let what = format!("ALTER {} ... {}", tag(kind), words.join(" "));
            return Err(PlanError::unsupported(what).at(position));
        };
        Ok(Statement::Alter(Alter {
            kind,
            name,
            if_exists,
            action,
        }))
    }

    /// `COMMENT ON kind name IS 'text' | NULL`.
    pub(super) fn comment(&mut self) -> Result<Statement, PlanError> {
        self.expect(&["comment", "on"])?;
        let (kind, name, column) = if self.take(&["constraint"]) {
            let constraint = self.ident()?;
            self.expect(&["on"])?;
            if self.is(0, "domain") {
                return Err(
                    PlanError::unsupported("COMMENT ON CONSTRAINT ... ON DOMAIN")
                        .at(self.position()),
                );
            }
            (CommentKind::Constraint, self.name()?, Some(constraint))
        } else if self.take(&["column"]) {
            let mut parts = vec![self.ident()?];
            while self.take_token(&Token::Period) {
                parts.push(self.ident()?);
            }
            let Some((column, relation)) = parts.split_last().filter(|(_, r)| !r.is_empty()) else {
                return Err(PlanError::syntax("column name must be qualified")
                    .at(parts.first().and_then(crate::names::at)));
            };
            let name = crate::names::Name::from_idents(&relation.iter().collect::<Vec<_>>())?;
            (CommentKind::Column, name, Some(column.clone()))
        } else {
            let Some(kind) = self.object_type() else {
                return Err(self.other_object("COMMENT ON"));
            };
            (CommentKind::Object(kind), self.name()?, None)
        };
        self.expect(&["is"])?;
        let text = if self.take(&["null"]) {
            None
        } else {
            Some(self.string()?)
        };
        Ok(Statement::Comment {
            kind,
            name,
            column,
            text,
        })
    }

    /// `TRUNCATE [TABLE] a, b [CONTINUE IDENTITY] [RESTRICT]`.
    pub(super) fn truncate(&mut self) -> Result<Statement, PlanError> {
        self.expect(&["truncate"])?;
        self.take(&["table"]);
        self.take(&["only"]);
        let names = self.names()?;
        if self.is(0, "restart") {
            return Err(PlanError::unsupported("TRUNCATE RESTART IDENTITY").at(self.position()));
        }
        self.take(&["continue", "identity"]);
        // Without foreign keys CASCADE and RESTRICT come to the same.
        self.take_one(&["cascade", "restrict"]);
        Ok(Statement::Truncate { names })
    }
}

/// The kind in command tags and messages.
pub(crate) fn tag(kind: ObjectType) -> &'static str {
    match kind {
        ObjectType::Table => "TABLE",
        ObjectType::View => "VIEW",
        ObjectType::MaterializedView => "MATERIALIZED VIEW",
        ObjectType::Index => "INDEX",
        ObjectType::Schema => "SCHEMA",
        ObjectType::Secret => "SECRET",
        ObjectType::Connection => "CONNECTION",
        ObjectType::Sink => "SINK",
    }
}
