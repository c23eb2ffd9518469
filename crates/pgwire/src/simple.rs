//! The simple protocol: a string of statements, one implicit transaction.

use crate::connection::{Attempt, Connection, Failure};

impl Connection {
    /// Runs a query string and tells that it is over.
    pub async fn query(&mut self, sql: &str) -> Attempt<()> {
        self.statements.remove("");
        self.portals.remove("");
        match self.statements_of(sql).await {
            Ok(()) => {}
            Err(Failure::Error(error)) => self.report(error)?,
            Err(Failure::Gone) => return Err(Failure::Gone),
        }
        self.ready().await
    }

    async fn statements_of(&mut self, sql: &str) -> Attempt<()> {
        let statements = self.session.parse(sql)?;
        if statements.is_empty() {
            self.output.bare(b'I');
        }
        let several = statements.len() > 1;
        for (i, statement) in statements.iter().enumerate() {
            if several {
                self.session.begin_implicit();
            }
            let outcome = self.execute(statement, None).await?;
            let tag = self.send(outcome, true, &[]).await?;
            // The tag of the last statement says that all is durable.
            if several && i + 1 == statements.len() {
                self.session.end_implicit().await?;
            }
            self.notices();
            tag.iter().for_each(|tag| self.output.complete(tag));
            self.flush_if_large().await?;
        }
        Ok(())
    }
}
