//! The extended protocol: prepared statements and portals.
//!
//! Everything between two Syncs is one transaction. A single Execute with Sync right behind it, which is nearly every
//! one, runs on its own, so that it is tried again by itself when it could not be serialized.

use crate::connection::{Attempt, Connection};
use crate::message::{Bind, Target, malformed};
use crate::params;
use everview_coord::outcome::TransactionStatus;
use everview_coord::subscribe::Subscription;
use everview_coord::{Error, Outcome, Statement, StatementDesc};
use everview_repr::{RelationDesc, Row, ScalarType, SqlState};
use std::sync::Arc;

/// A prepared statement.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// `None` for an empty one.
    parsed: Option<Arc<Statement>>,
    desc: StatementDesc,
}

/// A statement with its parameters, and how far it has got.
#[derive(Debug)]
pub(crate) struct Portal {
    statement: Arc<Prepared>,
    params: Option<Row>,
    formats: Vec<i16>,
    state: State,
}

#[derive(Debug)]
enum State {
    New,
    Rows {
        desc: Arc<RelationDesc>,
        rows: std::vec::IntoIter<Row>,
        tag: String,
    },
    Changes {
        subscription: Box<Subscription>,
        rows: std::vec::IntoIter<Row>,
    },
    Done,
}

impl Connection {
    pub async fn parse(&mut self, name: String, sql: &str, types: &[u32]) -> Attempt<()> {
        if !name.is_empty() && self.statements.contains_key(&name) {
            let message = format!("prepared statement \"{name}\" already exists");
            return Err(Error::new(SqlState::DUPLICATE_PREPARED_STATEMENT, message).into());
        }
        let mut parsed = self.session.parse(sql)?;
        if parsed.len() > 1 {
            let message = "cannot insert multiple commands into a prepared statement";
            return Err(Error::new(SqlState::SYNTAX_ERROR, message).into());
        }
        let types = types
            .iter()
            .map(|oid| declared(*oid))
            .collect::<Result<Vec<_>, _>>()?;
        let parsed = parsed.pop();
        let desc = match &parsed {
            Some(statement) => self.session.describe(statement, &types).await?,
            None => StatementDesc {
                params: Vec::new(),
                rows: None,
            },
        };
        self.statements
            .insert(name, Arc::new(Prepared { parsed, desc }));
        self.output.bare(b'1');
        Ok(())
    }

    pub fn bind(&mut self, bind: Bind) -> Attempt<()> {
        let statement = self.statement(&bind.statement)?;
        if !bind.portal.is_empty() && self.portals.contains_key(&bind.portal) {
            let message = format!("cursor \"{}\" already exists", bind.portal);
            return Err(Error::new(SqlState::DUPLICATE_CURSOR, message).into());
        }
        let columns = statement.desc.rows.as_ref().map_or(0, |desc| desc.arity());
        let formats = bind.result_formats;
        if formats.len() > 1 && formats.len() != columns {
            let message = format!(
                "bind message has {} result formats but query has {columns} columns",
                formats.len()
            );
            return Err(malformed(message).into());
        }
        let types = &statement.desc.params;
        let params = params::decode(
            &self.session,
            &self.formatting,
            &bind.statement,
            types,
            &bind.param_formats,
            &bind.params,
        )?;
        let portal = Portal {
            statement,
            params,
            formats,
            state: State::New,
        };
        self.portals.insert(bind.portal, portal);
        self.output.bare(b'2');
        Ok(())
    }

    pub fn describe(&mut self, target: &Target) -> Attempt<()> {
        let (statement, formats) = match target {
            Target::Statement(name) => {
                let statement = self.statement(name)?;
                self.output.parameters(&statement.desc);
                (statement, Vec::new())
            }
            Target::Portal(name) => {
                // DECLARE makes a portal too.
                if !self.portals.contains_key(name)
                    && let Some(desc) = self.session.cursor_desc(name)
                {
                    self.output.row_description(&desc, &[]);
                    return Ok(());
                }
                let portal = self.portals.get(name).ok_or_else(|| no_portal(name))?;
                (portal.statement.clone(), portal.formats.clone())
            }
        };
        match &statement.desc.rows {
            Some(desc) => self.output.row_description(desc, &formats),
            None => self.output.bare(b'n'),
        }
        Ok(())
    }

    fn statement(&self, name: &str) -> Result<Arc<Prepared>, Error> {
        self.statements.get(name).cloned().ok_or_else(|| {
            let message = match name {
                "" => "unnamed prepared statement does not exist".to_string(),
                name => format!("prepared statement \"{name}\" does not exist"),
            };
            Error::new(SqlState::INVALID_SQL_STATEMENT_NAME, message)
        })
    }

    /// Runs a portal for at most so many rows; 0 is all.
    pub async fn execute_portal(&mut self, name: String, most: usize) -> Attempt<()> {
        let mut portal = self.portals.remove(&name).ok_or_else(|| no_portal(&name))?;
        if let State::New = portal.state {
            self.start(&mut portal, most).await?;
        } else {
            self.go_on(&mut portal, most).await?;
        }
        self.portals.insert(name, portal);
        self.flush_if_large().await
    }

    async fn start(&mut self, portal: &mut Portal, most: usize) -> Attempt<()> {
        let statement = portal.statement.clone();
        portal.state = State::Done;
        let Some(parsed) = &statement.parsed else {
            self.output.bare(b'I');
            return Ok(());
        };
        let alone = !self.implicit && self.input.upcoming() == Some(b'S');
        if !alone && self.session.status() == TransactionStatus::Idle {
            self.session.begin_implicit();
            self.implicit = true;
        }
        let params = portal
            .params
            .as_ref()
            .map(|row| (row, statement.desc.params.as_slice()));
        match self.execute(parsed, params).await? {
            Outcome::Rows { desc, rows, tag } => {
                same_columns(statement.desc.rows.as_deref(), &desc)?;
                portal.state = State::Rows {
                    desc,
                    rows: rows.into_iter(),
                    tag,
                };
                self.go_on(portal, most).await
            }
            Outcome::Subscribe(subscription) => {
                portal.state = State::Changes {
                    subscription,
                    rows: Vec::new().into_iter(),
                };
                self.flush().await?;
                self.go_on(portal, most).await
            }
            other => {
                let tag = self.send(other, false, &portal.formats).await?;
                self.notices();
                tag.iter().for_each(|tag| self.output.complete(tag));
                Ok(())
            }
        }
    }

    async fn go_on(&mut self, portal: &mut Portal, most: usize) -> Attempt<()> {
        let Portal { formats, state, .. } = portal;
        let tag = match state {
            State::Rows { desc, rows, tag } => {
                let mut sent = 0;
                while most == 0 || sent < most {
                    let Some(row) = rows.next() else { break };
                    self.row(desc, formats, &row)?;
                    self.flush_if_large().await?;
                    sent += 1;
                }
                if most > 0 && sent == most {
                    self.output.bare(b's');
                    return Ok(());
                }
                if tag.starts_with("SELECT ") {
                    format!("SELECT {sent}")
                } else {
                    tag.clone()
                }
            }
            State::Changes { subscription, rows } => {
                let desc = subscription.desc().clone();
                let mut sent = 0;
                loop {
                    if most > 0 && sent == most {
                        self.output.bare(b's');
                        return Ok(());
                    }
                    if let Some(row) = rows.next() {
                        self.row(&desc, formats, &row)?;
                        self.flush_if_large().await?;
                        sent += 1;
                        continue;
                    }
                    self.flush().await?;
                    match self.changes(subscription).await? {
                        Some(next) => *rows = next.into_iter(),
                        None => break,
                    }
                }
                format!("SUBSCRIBE {sent}")
            }
            State::New | State::Done => {
                let message = "portal cannot be run";
                return Err(Error::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message).into());
            }
        };
        self.notices();
        self.output.complete(&tag);
        Ok(())
    }
}

/// The type that a client declares for a parameter; 0 and unknown leave it to be inferred.
fn declared(oid: u32) -> Result<Option<ScalarType>, Error> {
    match oid {
        0 | 705 => Ok(None),
        oid => ScalarType::from_oid(oid).map(Some).ok_or_else(|| {
            let message = format!("type with OID {oid} does not exist");
            Error::new(SqlState::UNDEFINED_OBJECT, message)
        }),
    }
}

fn no_portal(name: &str) -> Error {
    Error::new(
        SqlState::INVALID_CURSOR_NAME,
        format!("portal \"{name}\" does not exist"),
    )
}

/// A client decodes by what it was told: DDL since then must not have changed the columns' types.
fn same_columns(told: Option<&RelationDesc>, now: &RelationDesc) -> Result<(), Error> {
    let same = told.is_some_and(|told| {
        told.arity() == now.arity()
            && told
                .columns
                .iter()
                .zip(&now.columns)
                .all(|(a, b)| a.ty.scalar == b.ty.scalar)
    });
    if same {
        return Ok(());
    }
    let message = "cached plan must not change result type";
    Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, message))
}
