//! Built-in objects.

use crate::object::{Object, ObjectKind};
use everview_repr::{GlobalId, Timestamp};

/// Built-in schemas, system tables and views; all ids below [`GlobalId::FIRST_USER`].
pub fn objects() -> Vec<Object> {
    let schema = |id, name: &str| Object {
        id: GlobalId(id),
        schema: None,
        name: name.to_string(),
        created: Timestamp::MIN,
        comment: None,
        kind: ObjectKind::Schema,
    };
    vec![
        schema(11, "pg_catalog"),
        schema(2200, "public"),
        schema(13000, "information_schema"),
        schema(13001, "everview"),
    ]
}
