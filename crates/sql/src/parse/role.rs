//! ALTER ROLE.

use super::input::Input;
use super::statement::Statement;
use crate::error::PlanError;
use crate::names::{fold, quote};
use crate::plan::{AlterRolePlan, Secret};
use sqlparser::tokenizer::Token;

impl Input<'_> {
    /// `ALTER {ROLE | USER} name [WITH] [ENCRYPTED] PASSWORD {'x' | NULL}`.
    pub(super) fn alter_role(&mut self) -> Result<Statement, PlanError> {
        self.take_one(&["role", "user"]);
        let itself = ["current_user", "current_role", "session_user"];
        let role = match self.take_one(&itself) {
            Some(_) => None,
            None => Some(fold(&self.ident()?)),
        };
        self.take(&["with"]);
        let position = self.position();
        if self.is(0, "unencrypted") {
            return Err(PlanError::unsupported("UNENCRYPTED PASSWORD").at(position));
        }
        if !self.take(&["encrypted", "password"]) && !self.take(&["password"]) {
            return Err(match self.peek(0) {
                Token::Word(word) => {
                    let what = format!("ALTER ROLE ... {}", word.value.to_uppercase());
                    PlanError::unsupported(what)
                        .with_hint("A role has a password and nothing else that can be altered.")
                        .at(position)
                }
                _ => self.unexpected(),
            });
        }
        let password = match self.take(&["null"]) {
            true => None,
            false => Some(Secret::new(self.string()?)),
        };
        if let Token::Word(word) = self.peek(0) {
            let what = format!("ALTER ROLE ... {}", word.value.to_uppercase());
            return Err(PlanError::unsupported(what).at(self.position()));
        }
        Ok(Statement::AlterRole(AlterRolePlan { role, password }))
    }
}

impl AlterRolePlan {
    /// The statement's text as it may be shown.
    pub(crate) fn shown(&self) -> String {
        let role = self.role.as_deref().map(quote);
        let password = match self.password {
            Some(_) => "'********'",
            None => "NULL",
        };
        format!(
            "ALTER ROLE {} PASSWORD {password}",
            role.as_deref().unwrap_or("CURRENT_USER")
        )
    }
}
