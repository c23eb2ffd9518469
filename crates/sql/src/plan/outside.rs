//! What leads out of the database: secrets, connections, sinks.

use super::Secret;
use everview_catalog::outside::{Connection, Sink};
use everview_repr::GlobalId;

/// CREATE SECRET, CREATE CONNECTION, CREATE SINK.
#[derive(Clone, Debug)]
pub struct CreateOutsidePlan {
    /// The schema.
    pub schema: GlobalId,
    /// The name.
    pub name: String,
    /// IF NOT EXISTS.
    pub if_not_exists: bool,
    /// What is created.
    pub what: Outside,
}

/// One of the three.
#[derive(Clone, Debug)]
pub enum Outside {
    /// A secret's text, still to be encrypted.
    Secret(Secret),
    /// A connection whose password is still to be put in.
    Connection(Connection, Option<NewPassword>),
    /// A sink.
    Sink {
        /// Its definition.
        sink: Sink,
        /// Its key has to be known to be unique; NOT ENFORCED takes the user's word.
        enforced: bool,
    },
}

/// A connection's password.
#[derive(Clone, Debug)]
pub enum NewPassword {
    /// Its text, still to be encrypted.
    Text(Secret),
    /// A secret.
    Secret(GlobalId),
}

impl Outside {
    /// What the command tag names.
    pub fn kind(&self) -> &'static str {
        match self {
            Outside::Secret(_) => "SECRET",
            Outside::Connection(..) => "CONNECTION",
            Outside::Sink { .. } => "SINK",
        }
    }
}
