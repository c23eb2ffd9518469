//! What a front end asks of a session between statements.

use super::Session;
use crate::error::Error;
use crate::read::Interrupt;

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
}
