//! What a front end asks of a session between statements.

use super::Session;
use crate::error::Error;
use crate::outcome::TransactionStatus;
use crate::read::Interrupt;
use everview_repr::SqlState;
use std::time::Duration;

impl Session {
    /// Waits for something of the running statement, the client's input or a subscription's rows, unless it is
    /// cancelled, runs out of time or the session must end.
    pub async fn guarded<T>(&self, future: impl Future<Output = T> + Send) -> Result<T, Error> {
        self.guard(future).await
    }

    /// Something about a statement failed outside of [`Session::execute`], as a parameter that cannot be read:
    /// an explicit transaction fails with it.
    pub fn fail(&mut self) {
        self.fail_transaction();
    }

    /// How long a client may now keep the session waiting, and what ends it then.
    pub fn idle_limit(&self) -> Option<(Duration, Error)> {
        if self.status() == TransactionStatus::Idle {
            return None;
        }
        let limit = self
            .settings
            .duration("idle_in_transaction_session_timeout")?;
        let message = "terminating connection due to idle-in-transaction timeout";
        let error = Error::new(SqlState::new("25P03"), message);
        Some((limit, error.fatal()))
    }
}
