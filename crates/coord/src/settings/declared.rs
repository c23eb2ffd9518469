//! The settings: each is declared once, here.

/// What values a setting takes.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// Any text.
    Text,
    /// Only these, case-insensitively; the first is how it is shown.
    OneOf(&'static [&'static str]),
    /// A time zone.
    TimeZone,
    /// A duration, milliseconds without a unit; 0 is off.
    Duration,
    /// An integer within bounds.
    Integer(i64, i64),
    /// on or off.
    Bool,
    /// Schema names.
    SearchPath,
    /// Nothing: it tells.
    ReadOnly,
    /// The session carries SET out itself: nothing is taken here.
    Statement,
}

pub(super) struct Setting {
    pub name: &'static str,
    pub default: &'static str,
    pub kind: Kind,
    /// The client is told of changes.
    pub reported: bool,
    pub doc: &'static str,
}

const fn setting(
    name: &'static str,
    default: &'static str,
    kind: Kind,
    reported: bool,
    doc: &'static str,
) -> Setting {
    Setting {
        name,
        default,
        kind,
        reported,
        doc,
    }
}

/// The version of Postgres whose behaviour is followed, as clients read it.
pub const SERVER_VERSION: &str = "15.0 (Everview)";

/// Isolation levels: all run as serializable.
const ISOLATION: Kind = Kind::OneOf(&[
    "serializable",
    "repeatable read",
    "read committed",
    "read uncommitted",
]);

pub(super) const SETTINGS: &[Setting] = &[
    setting(
        "application_name",
        "",
        Kind::Text,
        true,
        "The application's name, as statistics show it.",
    ),
    setting(
        "bytea_output",
        "hex",
        Kind::OneOf(&["hex"]),
        false,
        "The text form of bytea.",
    ),
    setting(
        "client_encoding",
        "UTF8",
        Kind::OneOf(&["UTF8", "utf-8", "unicode", "sql_ascii"]),
        true,
        "The client's character set.",
    ),
    setting(
        "client_min_messages",
        "notice",
        Kind::OneOf(&[
            "debug5", "debug4", "debug3", "debug2", "debug1", "debug", "log", "notice", "warning",
            "error",
        ]),
        false,
        "The least severity of messages sent to the client.",
    ),
    setting(
        "datestyle",
        "ISO, MDY",
        Kind::OneOf(&["ISO, MDY", "iso", "mdy", "iso,mdy", "default"]),
        true,
        "The text form of dates.",
    ),
    setting(
        "default_transaction_isolation",
        "serializable",
        ISOLATION,
        false,
        "The isolation level of new transactions; every one runs as serializable.",
    ),
    setting(
        "default_transaction_read_only",
        "off",
        Kind::Bool,
        true,
        "Whether new transactions are read only.",
    ),
    setting(
        "everview.duplicate_of",
        "",
        Kind::ReadOnly,
        false,
        "When the session's last batch was committed, if that was before its transaction; empty if it was new.",
    ),
    setting(
        "everview.log_head",
        "",
        Kind::ReadOnly,
        false,
        "The log's newest record and the hash over all up to it, as of the last SHOW: what to keep elsewhere, for everview verify --head.",
    ),
    setting(
        "everview.last_sequence",
        "",
        Kind::ReadOnly,
        false,
        "The highest sequence number that the session's producer has committed; 0 at first.",
    ),
    setting(
        "everview.producer",
        "",
        Kind::Statement,
        false,
        "The producer whose batches the session sends; SET takes a new epoch of it.",
    ),
    setting(
        "everview.producer_epoch",
        "",
        Kind::ReadOnly,
        false,
        "The epoch of the producer that the session holds.",
    ),
    setting(
        "everview.sequence",
        "",
        Kind::Statement,
        false,
        "The number of the batch that the transaction is: SET LOCAL before its first write.",
    ),
    setting(
        "everview.strict_sequence",
        "off",
        Kind::Bool,
        false,
        "Whether a batch must have the number after the last one.",
    ),
    setting(
        "everview.last_read_timestamp",
        "",
        Kind::ReadOnly,
        false,
        "The timestamp at which the last read was answered, in microseconds.",
    ),
    setting(
        "everview.last_commit_timestamp",
        "",
        Kind::ReadOnly,
        false,
        "The timestamp of the session's last commit, in microseconds.",
    ),
    setting(
        "extra_float_digits",
        "1",
        Kind::Integer(-15, 3),
        false,
        "Digits of floats; the shortest exact form is always used.",
    ),
    setting(
        "idle_in_transaction_session_timeout",
        "0",
        Kind::Duration,
        false,
        "How long a transaction may be idle before the session is ended.",
    ),
    setting(
        "in_hot_standby",
        "off",
        Kind::ReadOnly,
        true,
        "Whether this server is a standby.",
    ),
    setting(
        "integer_datetimes",
        "on",
        Kind::ReadOnly,
        true,
        "Times are 64-bit integers.",
    ),
    setting(
        "intervalstyle",
        "postgres",
        Kind::OneOf(&["postgres"]),
        true,
        "The text form of intervals.",
    ),
    setting(
        "is_superuser",
        "on",
        Kind::ReadOnly,
        true,
        "Whether the user is a superuser.",
    ),
    setting(
        "lc_collate",
        "C",
        Kind::ReadOnly,
        false,
        "Text is ordered by its bytes.",
    ),
    setting(
        "lc_ctype",
        "C.UTF-8",
        Kind::ReadOnly,
        false,
        "Characters are Unicode's.",
    ),
    setting(
        "lock_timeout",
        "0",
        Kind::Duration,
        false,
        "There are no locks to wait for.",
    ),
    setting(
        "max_identifier_length",
        "63",
        Kind::ReadOnly,
        false,
        "Bytes of a name.",
    ),
    setting(
        "password_encryption",
        "scram-sha-256",
        Kind::OneOf(&["scram-sha-256"]),
        false,
        "What is kept of a password.",
    ),
    setting(
        "search_path",
        "\"$user\", public",
        Kind::SearchPath,
        false,
        "Schemas searched for unqualified names.",
    ),
    setting(
        "server_encoding",
        "UTF8",
        Kind::ReadOnly,
        true,
        "The server's character set.",
    ),
    setting(
        "server_version",
        SERVER_VERSION,
        Kind::ReadOnly,
        true,
        "The version of Postgres that is followed.",
    ),
    setting(
        "server_version_num",
        "150000",
        Kind::ReadOnly,
        false,
        "The same as a number.",
    ),
    setting(
        "session_authorization",
        "",
        Kind::ReadOnly,
        true,
        "The session's user.",
    ),
    setting(
        "standard_conforming_strings",
        "on",
        Kind::OneOf(&["on"]),
        true,
        "Backslashes in plain strings are literal.",
    ),
    setting(
        "statement_timeout",
        "0",
        Kind::Duration,
        false,
        "How long a statement may run.",
    ),
    setting(
        "synchronous_commit",
        "on",
        Kind::OneOf(&["on", "remote_apply", "remote_write", "local"]),
        false,
        "Commits are durable when acknowledged.",
    ),
    setting(
        "timezone",
        "UTC",
        Kind::TimeZone,
        true,
        "The session's time zone.",
    ),
    setting(
        "transaction_isolation",
        "serializable",
        ISOLATION,
        false,
        "The isolation level; every transaction runs as serializable.",
    ),
    setting(
        "transaction_read_only",
        "off",
        Kind::Bool,
        false,
        "Whether the transaction is read only.",
    ),
];
