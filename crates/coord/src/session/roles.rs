//! ALTER ROLE.

use super::{Session, USERS};
use crate::error::Error;
use crate::outcome::{ClientNotice, Outcome};
use crate::passwords;
use everview_repr::SqlState;
use everview_sql::plan::AlterRolePlan;

impl Session {
    /// Sets or removes a role's password when the transaction commits.
    ///
    /// Errors: 42704 without the role; those of a password that cannot be kept.
    pub(super) async fn alter_role(&mut self, plan: AlterRolePlan) -> Result<Outcome, Error> {
        let role = plan.role.unwrap_or_else(|| self.entry.user.clone());
        if !USERS.contains(&role.as_str()) {
            let message = format!("role \"{role}\" does not exist");
            return Err(Error::new(SqlState::UNDEFINED_OBJECT, message));
        }
        let verifier = match plan.password {
            None => None,
            Some(password) => {
                // Slow on purpose: it does not hold up other sessions.
                let hashed =
                    tokio::task::spawn_blocking(move || passwords::verifier(password.reveal()));
                let verifier = hashed.await.map_err(|e| Error::internal(e.to_string()))??;
                if verifier.is_none() {
                    self.notice(ClientNotice {
                        severity: "NOTICE",
                        code: SqlState::SUCCESSFUL_COMPLETION,
                        message: "empty string is not a valid password, clearing password".into(),
                        detail: None,
                    });
                }
                verifier
            }
        };
        let altered = &mut self.transaction()?.passwords;
        passwords::alter(altered, role, verifier.as_ref())?;
        Ok(Outcome::Done("ALTER ROLE".to_string()))
    }
}
