//! Evaluation errors and SQLSTATE codes.
//!
//! An error of evaluation is data: it can be packed into a row, compared and retracted. Its message is a
//! pure function of the values that caused it.

use serde::{Deserialize, Serialize};

/// A five-character SQLSTATE.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SqlState(pub [u8; 5]);

macro_rules! sqlstates {
    ($($name:ident = $code:literal),* $(,)?) => {
        /// The codes in use, by their names in Postgres's appendix A. Class VE is our own: the SQL standard leaves
        /// classes that begin with I to Z to implementations (ISO/IEC 9075-2, 24.1), and PostgreSQL uses none of V.
        impl SqlState {
            $(#[doc = $code] pub const $name: SqlState = SqlState::new($code);)*
        }
    };
}

sqlstates! {
    SUCCESSFUL_COMPLETION = "00000",
    WARNING = "01000",
    NO_DATA = "02000",
    CONNECTION_EXCEPTION = "08000",
    PROTOCOL_VIOLATION = "08P01",
    FEATURE_NOT_SUPPORTED = "0A000",
    CARDINALITY_VIOLATION = "21000",
    DATA_EXCEPTION = "22000",
    STRING_DATA_RIGHT_TRUNCATION = "22001",
    NUMERIC_VALUE_OUT_OF_RANGE = "22003",
    NULL_VALUE_NOT_ALLOWED = "22004",
    INVALID_DATETIME_FORMAT = "22007",
    DATETIME_FIELD_OVERFLOW = "22008",
    INVALID_TIME_ZONE_DISPLACEMENT_VALUE = "22009",
    INVALID_ESCAPE_CHARACTER = "22019",
    INVALID_ESCAPE_SEQUENCE = "22025",
    INTERVAL_FIELD_OVERFLOW = "22015",
    INVALID_REGULAR_EXPRESSION = "2201B",
    INVALID_ARGUMENT_FOR_LOGARITHM = "2201E",
    INVALID_ARGUMENT_FOR_POWER_FUNCTION = "2201F",
    INVALID_ARGUMENT_FOR_WIDTH_BUCKET_FUNCTION = "2201G",
    INVALID_ROW_COUNT_IN_LIMIT_CLAUSE = "2201W",
    INVALID_ROW_COUNT_IN_RESULT_OFFSET_CLAUSE = "2201X",
    SUBSTRING_ERROR = "22011",
    DIVISION_BY_ZERO = "22012",
    INVALID_PARAMETER_VALUE = "22023",
    CHARACTER_NOT_IN_REPERTOIRE = "22021",
    ARRAY_SUBSCRIPT_ERROR = "2202E",
    BAD_COPY_FILE_FORMAT = "22P04",
    INVALID_TEXT_REPRESENTATION = "22P02",
    INVALID_BINARY_REPRESENTATION = "22P03",
    UNTRANSLATABLE_CHARACTER = "22P05",
    INTEGRITY_CONSTRAINT_VIOLATION = "23000",
    NOT_NULL_VIOLATION = "23502",
    FOREIGN_KEY_VIOLATION = "23503",
    UNIQUE_VIOLATION = "23505",
    CHECK_VIOLATION = "23514",
    INVALID_CURSOR_STATE = "24000",
    ACTIVE_SQL_TRANSACTION = "25001",
    READ_ONLY_SQL_TRANSACTION = "25006",
    NO_ACTIVE_SQL_TRANSACTION = "25P01",
    IN_FAILED_SQL_TRANSACTION = "25P02",
    INVALID_SQL_STATEMENT_NAME = "26000",
    INVALID_AUTHORIZATION_SPECIFICATION = "28000",
    INVALID_PASSWORD = "28P01",
    DEPENDENT_OBJECTS_STILL_EXIST = "2BP01",
    INVALID_CURSOR_NAME = "34000",
    INVALID_CATALOG_NAME = "3D000",
    INVALID_SCHEMA_NAME = "3F000",
    SERIALIZATION_FAILURE = "40001",
    SYNTAX_ERROR = "42601",
    INSUFFICIENT_PRIVILEGE = "42501",
    CANNOT_COERCE = "42846",
    GROUPING_ERROR = "42803",
    WINDOWING_ERROR = "42P20",
    INVALID_RECURSION = "42P19",
    DATATYPE_MISMATCH = "42804",
    INDETERMINATE_DATATYPE = "42P18",
    WRONG_OBJECT_TYPE = "42809",
    UNDEFINED_COLUMN = "42703",
    UNDEFINED_FUNCTION = "42883",
    UNDEFINED_TABLE = "42P01",
    UNDEFINED_PARAMETER = "42P02",
    UNDEFINED_OBJECT = "42704",
    DUPLICATE_COLUMN = "42701",
    DUPLICATE_CURSOR = "42P03",
    DUPLICATE_DATABASE = "42P04",
    DUPLICATE_FUNCTION = "42723",
    DUPLICATE_PREPARED_STATEMENT = "42P05",
    DUPLICATE_SCHEMA = "42P06",
    DUPLICATE_TABLE = "42P07",
    DUPLICATE_ALIAS = "42712",
    DUPLICATE_OBJECT = "42710",
    AMBIGUOUS_COLUMN = "42702",
    AMBIGUOUS_FUNCTION = "42725",
    AMBIGUOUS_ALIAS = "42P09",
    INVALID_COLUMN_REFERENCE = "42P10",
    INVALID_TABLE_DEFINITION = "42P16",
    INVALID_OBJECT_DEFINITION = "42P17",
    INVALID_NAME = "42602",
    NAME_TOO_LONG = "42622",
    RESERVED_NAME = "42939",
    INVALID_COLUMN_DEFINITION = "42611",
    INVALID_FOREIGN_KEY = "42830",
    GENERATED_ALWAYS = "428C9",
    COLLATION_MISMATCH = "42P21",
    INDETERMINATE_COLLATION = "42P22",
    WITH_CHECK_OPTION_VIOLATION = "44000",
    INSUFFICIENT_RESOURCES = "53000",
    DISK_FULL = "53100",
    OUT_OF_MEMORY = "53200",
    TOO_MANY_CONNECTIONS = "53300",
    CONFIGURATION_LIMIT_EXCEEDED = "53400",
    PROGRAM_LIMIT_EXCEEDED = "54000",
    STATEMENT_TOO_COMPLEX = "54001",
    TOO_MANY_COLUMNS = "54011",
    TOO_MANY_ARGUMENTS = "54023",
    OBJECT_NOT_IN_PREREQUISITE_STATE = "55000",
    OBJECT_IN_USE = "55006",
    CANT_CHANGE_RUNTIME_PARAM = "55P02",
    QUERY_CANCELED = "57014",
    ADMIN_SHUTDOWN = "57P01",
    CRASH_SHUTDOWN = "57P02",
    CANNOT_CONNECT_NOW = "57P03",
    IO_ERROR = "58030",
    DUPLICATE_BATCH = "VE000",
    PRODUCER_FENCED = "VE001",
    BATCH_DIFFERS = "VE002",
    SEQUENCE_GAP = "VE003",
    INTERNAL_ERROR = "XX000",
    DATA_CORRUPTED = "XX001",
}

impl SqlState {
    /// The code spelled by five ASCII characters.
    pub const fn new(code: &str) -> SqlState {
        let b = code.as_bytes();
        assert!(b.len() == 5, "a SQLSTATE has five characters");
        SqlState([b[0], b[1], b[2], b[3], b[4]])
    }

    /// The five characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XX000")
    }
}

impl std::fmt::Debug for SqlState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::fmt::Display for SqlState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why an expression or aggregate has no value: what Postgres would report.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct EvalError(Box<Fields>);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
struct Fields {
    code: SqlState,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
}

impl EvalError {
    /// An error with its code and primary message.
    pub fn new(code: SqlState, message: impl Into<String>) -> EvalError {
        EvalError(Box::new(Fields {
            code,
            message: message.into(),
            detail: None,
            hint: None,
        }))
    }

    /// The same with Postgres's DETAIL.
    pub fn with_detail(mut self, detail: impl Into<String>) -> EvalError {
        self.0.detail = Some(detail.into());
        self
    }

    /// The same with a HINT.
    pub fn with_hint(mut self, hint: impl Into<String>) -> EvalError {
        self.0.hint = Some(hint.into());
        self
    }

    /// Its SQLSTATE.
    pub fn code(&self) -> SqlState {
        self.0.code
    }

    /// Its primary message.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Its DETAIL.
    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// Its HINT.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// `TYPE out of range`, as integers report it.
    pub fn out_of_range(type_name: &str) -> EvalError {
        EvalError::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            format!("{type_name} out of range"),
        )
    }

    /// `division by zero`.
    pub fn division_by_zero() -> EvalError {
        EvalError::new(SqlState::DIVISION_BY_ZERO, "division by zero")
    }

    /// `invalid input syntax for type TYPE: "TEXT"`.
    pub fn invalid_input(type_name: &str, text: &str) -> EvalError {
        EvalError::new(
            SqlState::INVALID_TEXT_REPRESENTATION,
            format!("invalid input syntax for type {type_name}: \"{text}\""),
        )
    }
}

impl std::fmt::Display for EvalError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for EvalError {}
