//! CREATE SECRET, CREATE CONNECTION and CREATE SINK.

use super::input::Input;
use super::statement::Statement;
use crate::error::PlanError;
use crate::names::{Name, fold};
use crate::plan::Secret;
use sqlparser::ast::Ident;
use sqlparser::tokenizer::Token;

/// `CREATE SECRET [IF NOT EXISTS] name AS 'text'`.
#[derive(Clone, Debug)]
pub(crate) struct CreateSecret {
    pub name: Name,
    pub if_not_exists: bool,
    pub text: Secret,
}

/// `CREATE CONNECTION [IF NOT EXISTS] name TO POSTGRES (HOST '..', PORT n, DATABASE '..', USER '..', PASSWORD ..)`.
#[derive(Clone, Debug)]
pub(crate) struct CreateConnection {
    pub name: Name,
    pub if_not_exists: bool,
    pub host: Option<String>,
    pub port: Option<i64>,
    pub database: Option<String>,
    pub user: Option<String>,
    pub password: Option<Password>,
    /// Where the options begin, for errors about what is missing.
    pub position: Option<usize>,
}

/// PASSWORD 'text', or PASSWORD SECRET name.
#[derive(Clone, Debug)]
pub(crate) enum Password {
    Text(Secret),
    Secret(Name),
}

/// `CREATE SINK [IF NOT EXISTS] name FROM relation INTO POSTGRES (CONNECTION c, TABLE t [, KEY (..) [NOT ENFORCED]])`.
#[derive(Clone, Debug)]
pub(crate) struct CreateSink {
    pub name: Name,
    pub if_not_exists: bool,
    pub from: Name,
    pub connection: Name,
    pub table: Name,
    pub key: Option<Vec<Ident>>,
    pub enforced: bool,
}

impl Input<'_> {
    pub(super) fn create_secret(&mut self) -> Result<Statement, PlanError> {
        self.expect(&["create", "secret"])?;
        let if_not_exists = self.take(&["if", "not", "exists"]);
        let name = self.name()?;
        self.expect(&["as"])?;
        let text = Secret::new(self.string()?);
        Ok(Statement::CreateSecret(CreateSecret {
            name,
            if_not_exists,
            text,
        }))
    }

    pub(super) fn create_connection(&mut self) -> Result<Statement, PlanError> {
        self.expect(&["create", "connection"])?;
        let if_not_exists = self.take(&["if", "not", "exists"]);
        let name = self.name()?;
        self.expect(&["to"])?;
        self.postgres("a connection to")?;
        let mut create = CreateConnection {
            name,
            if_not_exists,
            host: None,
            port: None,
            database: None,
            user: None,
            password: None,
            position: self.position(),
        };
        self.options("CREATE CONNECTION", |input, option| {
            input.take_token(&Token::Eq);
            match option {
                "host" => create.host = Some(input.string()?),
                "port" => create.port = Some(input.integer()?),
                "database" => create.database = Some(input.string()?),
                "user" => create.user = Some(input.string()?),
                "password" => create.password = Some(input.password()?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(Statement::CreateConnection(create))
    }

    fn password(&mut self) -> Result<Password, PlanError> {
        match self.take(&["secret"]) {
            true => Ok(Password::Secret(self.name()?)),
            false => Ok(Password::Text(Secret::new(self.string()?))),
        }
    }

    pub(super) fn create_sink(&mut self) -> Result<Statement, PlanError> {
        self.expect(&["create", "sink"])?;
        let if_not_exists = self.take(&["if", "not", "exists"]);
        let name = self.name()?;
        self.expect(&["from"])?;
        let from = self.name()?;
        self.expect(&["into"])?;
        self.postgres("a sink into")?;
        let (mut connection, mut table, mut key, mut enforced) = (None, None, None, true);
        let position = self.position();
        self.options("CREATE SINK", |input, option| {
            match option {
                "connection" => connection = Some(input.name()?),
                "table" => table = Some(input.name()?),
                "key" => {
                    if *input.peek(0) != Token::LParen {
                        return Err(input.unexpected());
                    }
                    key = Some(input.column_list()?);
                    enforced = !input.take(&["not", "enforced"]);
                }
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        let missing = |option: &str| missing("CREATE SINK", option).at(position);
        Ok(Statement::CreateSink(CreateSink {
            name,
            if_not_exists,
            from,
            connection: connection.ok_or_else(|| missing("CONNECTION"))?,
            table: table.ok_or_else(|| missing("TABLE"))?,
            key,
            enforced,
        }))
    }

    /// The kind of server.
    fn postgres(&mut self, what: &str) -> Result<(), PlanError> {
        if self.take(&["postgres"]) {
            return Ok(());
        }
        let position = self.position();
        match self.peek(0) {
            Token::Word(word) => {
                let what = format!("{what} {}", word.value.to_uppercase());
                Err(PlanError::unsupported(what).at(position))
            }
            _ => Err(self.unexpected()),
        }
    }

    /// Options in parentheses, each at most once; false from `take` is one that there is not.
    fn options(
        &mut self,
        statement: &str,
        mut take: impl FnMut(&mut Self, &str) -> Result<bool, PlanError>,
    ) -> Result<(), PlanError> {
        self.expect_token(&Token::LParen)?;
        let mut seen = Vec::new();
        loop {
            let position = self.position();
            let option = fold(&self.ident()?);
            let shown = option.to_uppercase();
            if seen.contains(&option) {
                let message = format!("option {shown} is given more than once");
                return Err(PlanError::syntax(message).at(position));
            }
            if !take(self, &option)? {
                let what = format!("the option {shown} of {statement}");
                return Err(PlanError::unsupported(what).at(position));
            }
            seen.push(option);
            if !self.take_token(&Token::Comma) {
                return self.expect_token(&Token::RParen);
            }
        }
    }
}

/// An option that has to be there is not.
pub(crate) fn missing(statement: &str, option: &str) -> PlanError {
    PlanError::syntax(format!("{statement} needs the option {option}"))
}

const HIDDEN: &str = "'********'";

impl CreateSecret {
    /// The statement's text as it may be shown.
    pub fn shown(&self) -> String {
        format!("CREATE SECRET {} AS {HIDDEN}", self.name)
    }
}

impl CreateConnection {
    /// The statement's text as it may be shown.
    pub fn shown(&self) -> String {
        let mut options = Vec::new();
        let literal = |text: &String| format!("'{}'", text.replace('\'', "''"));
        options.extend(self.host.as_ref().map(|v| format!("HOST {}", literal(v))));
        options.extend(self.port.map(|v| format!("PORT {v}")));
        options.extend(
            self.database
                .as_ref()
                .map(|v| format!("DATABASE {}", literal(v))),
        );
        options.extend(self.user.as_ref().map(|v| format!("USER {}", literal(v))));
        options.extend(self.password.as_ref().map(|v| match v {
            Password::Text(_) => format!("PASSWORD {HIDDEN}"),
            Password::Secret(name) => format!("PASSWORD SECRET {name}"),
        }));
        format!(
            "CREATE CONNECTION {} TO POSTGRES ({})",
            self.name,
            options.join(", ")
        )
    }
}
