//! What leads out of the database: secrets, connections to other servers, and the sinks that write there.

use everview_repr::{GlobalId, RelationDesc};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Encrypted text, as base64. Who has the log or the catalog, and not the key, learns its length from it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed(pub String);

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("********")
    }
}

/// How to reach a PostgreSQL server.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Connection {
    /// A name or an address.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// Who connects.
    pub user: String,
    /// What proves it; none where the server asks for nothing.
    pub password: Option<Password>,
}

/// A password.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Password {
    /// Kept with the connection.
    Own(Sealed),
    /// A secret that connections share.
    Secret(GlobalId),
}

/// A relation whose changes are written to a table of another server.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Sink {
    /// The relation.
    pub from: GlobalId,
    /// Where the other server is.
    pub connection: GlobalId,
    /// The schema of the table there; its search path decides where none is named.
    pub schema: Option<String>,
    /// The table there.
    pub table: String,
    /// The relation's columns as they were when the sink was made: later ones are not written.
    pub columns: RelationDesc,
    /// Positions of the columns by which rows are replaced; without a key every change is a row of its own.
    pub key: Option<Vec<usize>>,
}
