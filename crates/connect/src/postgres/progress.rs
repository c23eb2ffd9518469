//! The target's own record of a sink: who may write, and how far it got.
//!
//! One row of `everview_sinks`, in the schema of the sink's table. A process takes a new epoch the first time it opens
//! the target, which ends the connections of whoever wrote before; opening it again, it goes on with the epoch it has,
//! unless a later one was taken. Every transaction moves the progress from what it was to what it becomes, with the
//! epoch as it knows it: that is one UPDATE of one row, so that of two writers only one can be right.

use super::fault;
use super::layout::Layout;
use crate::target::TargetError;
use everview_repr::Timestamp;
use tokio_postgres::Client;

/// What a writer for a sink calls itself.
pub(super) fn application(sink: &str) -> String {
    format!("everview sink {sink}")
}

/// A sink's row.
pub(super) struct Claim<'a> {
    pub layout: &'a Layout,
    /// The sink's identity.
    pub sink: &'a str,
}

fn refused<T>(message: String) -> Result<T, TargetError> {
    Err(TargetError::Refused(message))
}

fn micros(time: Timestamp) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

impl Claim<'_> {
    /// Takes the row for this process, with its epoch if it has one already, and makes row and tables if need be.
    /// Gives epoch and progress.
    pub async fn take(
        &self,
        client: &Client,
        own: Option<i64>,
        now: Timestamp,
    ) -> Result<(i64, Option<Timestamp>), TargetError> {
        if self.oid(client, &self.layout.progress).await?.is_none() {
            self.create(client).await?;
        }
        let before = self.row(client, "").await?;
        self.judge(before, own, now)?;
        // Whoever else is connected for this sink has written its last.
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE application_name = $1 AND pid <> pg_backend_pid()";
        let name = application(self.sink);
        client.execute(end, &[&name]).await.map_err(fault)?;
        client.batch_execute("BEGIN").await.map_err(fault)?;
        let before = self.row(client, "FOR UPDATE").await?;
        self.judge(before, own, now)?;
        let progress = before.and_then(|(_, progress)| progress);
        let table = match self.oid(client, &self.layout.table).await? {
            Some(table) => table,
            None if progress.is_some() => {
                return refused(format!("the table {} is gone", self.layout.table));
            }
            None => {
                client
                    .batch_execute(&self.layout.create())
                    .await
                    .map_err(fault)?;
                self.oid(client, &self.layout.table)
                    .await?
                    .unwrap_or_default()
            }
        };
        self.check_table(client, table).await?;
        if progress.is_none() {
            self.check_unwritten(client, table).await?;
        }
        let epoch = own.unwrap_or_else(|| before.map_or(1, |(epoch, _)| epoch + 1));
        let take = format!(
            "INSERT INTO {} (sink, target, epoch) SELECT $1, n.nspname || '.' || c.relname, $3 \
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $2 \
             ON CONFLICT (sink) DO UPDATE SET epoch = EXCLUDED.epoch, updated = now()",
            self.layout.progress
        );
        client
            .execute(&take, &[&self.sink, &table, &epoch])
            .await
            .map_err(fault)?;
        client.batch_execute("COMMIT").await.map_err(fault)?;
        Ok((
            epoch,
            progress.map(|p| Timestamp(u64::try_from(p).unwrap_or(0))),
        ))
    }

    /// Whether this process may go on from what the row says.
    fn judge(
        &self,
        row: Option<(i64, Option<i64>)>,
        own: Option<i64>,
        now: Timestamp,
    ) -> Result<(), TargetError> {
        match (row, own) {
            (Some((epoch, _)), Some(own)) if epoch != own => Err(TargetError::Fenced),
            (None, Some(_)) => refused(format!(
                "the sink's row is gone from {}",
                self.layout.progress
            )),
            (Some((_, Some(progress))), _) if progress > micros(now) => refused(format!(
                "the target has commits up to {progress}, and this server's newest is {now}: \
                 it was written by a later copy of the log"
            )),
            _ => Ok(()),
        }
    }

    /// In the transaction that is under way: the progress, if nobody else has moved it or taken an epoch.
    pub async fn advance(
        &self,
        client: &Client,
        epoch: i64,
        from: Option<Timestamp>,
        to: Timestamp,
    ) -> Result<(), TargetError> {
        let update = format!(
            "UPDATE {} SET progress = $4, updated = now() \
             WHERE sink = $1 AND epoch = $2 AND progress IS NOT DISTINCT FROM $3",
            self.layout.progress
        );
        let (from, to) = (from.map(micros), micros(to));
        let moved = client
            .execute(&update, &[&self.sink, &epoch, &from, &to])
            .await;
        match moved.map_err(fault)? {
            1 => Ok(()),
            _ => match self.row(client, "").await? {
                Some((now, _)) if now != epoch => Err(TargetError::Fenced),
                _ => refused(format!(
                    "the sink's row in {} was changed by somebody",
                    self.layout.progress
                )),
            },
        }
    }

    /// The row goes, if it is still ours.
    pub async fn forget(&self, client: &Client, epoch: i64) -> Result<(), TargetError> {
        let delete = format!(
            "DELETE FROM {} WHERE sink = $1 AND epoch = $2",
            self.layout.progress
        );
        client
            .execute(&delete, &[&self.sink, &epoch])
            .await
            .map_err(fault)?;
        Ok(())
    }

    /// Looks whether a new sink could write to its table, and changes nothing.
    pub async fn check(&self, client: &Client) -> Result<(), TargetError> {
        if let Some(table) = self.oid(client, &self.layout.table).await? {
            self.check_table(client, table).await?;
            return self.check_unwritten(client, table).await;
        }
        let may = "SELECT coalesce(has_schema_privilege(coalesce($1, current_schema()), 'CREATE'), false), \
                   coalesce($1, current_schema(), 'none')";
        let row = client
            .query_one(may, &[&self.layout.schema])
            .await
            .map_err(fault)?;
        match row.get(0) {
            true => Ok(()),
            false => refused(format!(
                "the table {} does not exist, and the connection's user may not create it in schema {}",
                self.layout.table,
                row.get::<_, String>(1)
            )),
        }
    }

    /// Creates the table of progress.
    async fn create(&self, client: &Client) -> Result<(), TargetError> {
        let create = format!(
            "CREATE TABLE IF NOT EXISTS {} (sink text PRIMARY KEY, target text UNIQUE NOT NULL, epoch bigint NOT NULL, \
             progress bigint, updated timestamptz NOT NULL DEFAULT now())",
            self.layout.progress
        );
        match client.batch_execute(&create).await {
            Ok(()) => Ok(()),
            // Another sink may have made it at this very moment.
            Err(_) if self.oid(client, &self.layout.progress).await?.is_some() => Ok(()),
            Err(error) => Err(fault(error)),
        }
    }

    /// Epoch and progress.
    async fn row(
        &self,
        client: &Client,
        lock: &str,
    ) -> Result<Option<(i64, Option<i64>)>, TargetError> {
        let row = format!(
            "SELECT epoch, progress FROM {} WHERE sink = $1 {lock}",
            self.layout.progress
        );
        let row = client.query_opt(&row, &[&self.sink]).await.map_err(fault)?;
        Ok(row.map(|row| (row.get(0), row.get(1))))
    }

    /// The number of a table; none if there is none of that name.
    async fn oid(&self, client: &Client, table: &str) -> Result<Option<u32>, TargetError> {
        let row = client
            .query_one("SELECT to_regclass($1)::oid", &[&table])
            .await;
        Ok(row.map_err(fault)?.get(0))
    }

    /// A table that no sink has written to holds nothing, and nobody else's sink writes to it.
    async fn check_unwritten(&self, client: &Client, table: u32) -> Result<(), TargetError> {
        if self.oid(client, &self.layout.progress).await?.is_some() {
            let other = format!(
                "SELECT sink FROM {} WHERE sink <> $1 AND target = (SELECT n.nspname || '.' || c.relname \
                 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $2)",
                self.layout.progress
            );
            let other = client.query_opt(&other, &[&self.sink, &table]).await;
            if let Some(row) = other.map_err(fault)? {
                return refused(format!(
                    "the table {} belongs to sink {} (delete its row from {} if that sink is no more)",
                    self.layout.table,
                    row.get::<_, String>(0),
                    self.layout.progress
                ));
            }
        }
        let any = format!("SELECT EXISTS (SELECT FROM {})", self.layout.table);
        match client.query_one(&any, &[]).await.map_err(fault)?.get(0) {
            true => refused(format!("the table {} is not empty", self.layout.table)),
            false => Ok(()),
        }
    }

    /// Compares a table with what the sink needs of it.
    async fn check_table(&self, client: &Client, table: u32) -> Result<(), TargetError> {
        let columns = "SELECT attname::text, format_type(atttypid, atttypmod), \
                       attnotnull AND NOT atthasdef AND attidentity = '', attgenerated <> '' \
                       FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped";
        let columns = client.query(columns, &[&table]).await.map_err(fault)?;
        let name = &self.layout.table;
        for wanted in &self.layout.columns {
            let column = &wanted.name;
            let found = columns.iter().find(|row| row.get::<_, &str>(0) == column);
            let Some(found) = found else {
                return refused(format!("the table {name} has no column {column}"));
            };
            let ty: &str = found.get(1);
            if ty != wanted.declared && ty != wanted.plain {
                let wanted = &wanted.declared;
                return refused(format!(
                    "column {column} of {name} is of type {ty}, and should be {wanted}"
                ));
            }
            if found.get(3) {
                return refused(format!("column {column} of {name} is generated"));
            }
        }
        let is_ours = |row: &&tokio_postgres::Row| {
            let name: &str = row.get(0);
            self.layout.columns.iter().any(|c| c.name == name)
        };
        let needed = columns
            .iter()
            .filter(|row| !is_ours(row))
            .find(|row| row.get(2));
        if let Some(row) = needed {
            let column: &str = row.get(0);
            return refused(format!(
                "column {column} of {name} is NOT NULL, and the sink has no value for it"
            ));
        }
        self.check_key(client, table).await
    }

    /// A unique index on the key, to which two NULLs are one where there can be any.
    async fn check_key(&self, client: &Client, table: u32) -> Result<(), TargetError> {
        let indexes = "SELECT array(SELECT attname::text FROM pg_attribute a WHERE a.attrelid = i.indrelid \
                       AND a.attnum = ANY (i.indkey)), \
                       coalesce(to_jsonb(i) ->> 'indnullsnotdistinct' = 'true', false) OR i.indisprimary \
                       FROM pg_index i WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indimmediate \
                       AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indnatts = i.indnkeyatts";
        let indexes = client.query(indexes, &[&table]).await.map_err(fault)?;
        let key = self.layout.key.iter().map(|c| &self.layout.columns[*c]);
        let mut names: Vec<_> = key.clone().map(|c| c.name.clone()).collect();
        let nullable = key.clone().any(|c| c.nullable);
        names.sort();
        let fits = indexes.iter().any(|row| {
            let mut columns: Vec<String> = row.get(0);
            columns.sort();
            columns == names && (!nullable || row.get(1))
        });
        match fits {
            true => Ok(()),
            false => refused(format!(
                "the table {} has no unique index on ({}){}",
                self.layout.table,
                names.join(", "),
                if nullable { " NULLS NOT DISTINCT" } else { "" }
            )),
        }
    }
}
