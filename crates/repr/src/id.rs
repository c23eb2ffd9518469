//! Names of durable objects.

use serde::{Deserialize, Serialize};

/// The identity of a catalog object or of a system collection.
///
/// It is given once, never reused, and serves as the Postgres `oid` as well: it fits 32 bits.
/// Ids below [`GlobalId::FIRST_USER`] belong to the system.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct GlobalId(pub u32);

impl GlobalId {
    /// The first id of a user's object, as in Postgres.
    pub const FIRST_USER: GlobalId = GlobalId(16384);

    /// Whether this names a built-in object.
    pub fn is_system(self) -> bool {
        self < Self::FIRST_USER
    }
}

impl std::fmt::Display for GlobalId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}
