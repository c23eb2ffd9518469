//! Functions of session and catalog (manual, section 9.26): the environment answers them by name.

mod size;

use super::Declarations;
use super::context::ask;
use crate::registry::{Eval, FunctionDesc};
use crate::value::mismatch;
use everview_repr::{Datum, EvalError, RowArena, ScalarType, SqlState, Typmod};

/// One line a function: name, its signatures, what it is; all stable.
macro_rules! stable {
    ($out:ident, $($name:literal, [$($signature:literal),+], $doc:literal;)*) => {$($(
        $out.push(FunctionDesc::new($name, $signature, $doc, ask!($name)).nullable().stable());
    )+)*};
}

macro_rules! volatile {
    ($out:ident, $($name:literal, [$($signature:literal),+], $doc:literal;)*) => {$($(
        $out.push(FunctionDesc::new($name, $signature, $doc, ask!($name)).nullable().volatile());
    )+)*};
}

fn declare_clock(out: &mut Declarations) {
    stable!(out,
        "now", ["-> timestamptz"], "When the transaction started.";
        "current_timestamp", ["-> timestamptz", "int4 -> timestamptz"], "When the transaction started.";
        "transaction_timestamp", ["-> timestamptz"], "When the transaction started.";
        "statement_timestamp", ["-> timestamptz"], "When the statement arrived.";
        "localtimestamp", ["-> timestamp", "int4 -> timestamp"], "When the transaction started, in local time.";
        "current_date", ["-> date"], "The date when the transaction started.";
        "localtime", ["-> time", "int4 -> time"], "The time of day when the transaction started.";
        "mz_now", ["-> int8"], "The logical time, in microseconds since 1970; maintained views may filter by it.";
        "everview_now", ["-> int8"], "The logical time, in microseconds since 1970; maintained views may filter by it.";
        "age", ["timestamp -> interval", "timestamptz -> interval"], "From a timestamp to today's midnight, by calendar fields.";
    );
    volatile!(out,
        "clock_timestamp", ["-> timestamptz"], "The time now.";
        "timeofday", ["-> text"], "The time now, as text.";
    );
}

fn declare_session(out: &mut Declarations) {
    stable!(out,
        "current_user", ["-> name"], "Whose permissions apply.";
        "current_role", ["-> name"], "Whose permissions apply.";
        "user", ["-> name"], "Whose permissions apply.";
        "session_user", ["-> name"], "Who connected.";
        "current_database", ["-> name"], "The database's name.";
        "current_catalog", ["-> name"], "The database's name.";
        "current_schema", ["-> name"], "The first schema of the search path.";
        "current_schemas", ["bool -> name[]"], "The schemas of the search path, with implicit ones if asked.";
        "version", ["-> text"], "The server's version.";
        "pg_backend_pid", ["-> int4"], "The session's number, as for pg_cancel_backend.";
        "inet_server_addr", ["-> text"], "The server's address.";
        "inet_client_addr", ["-> text"], "The client's address.";
        "inet_server_port", ["-> int4"], "The server's port.";
        "inet_client_port", ["-> int4"], "The client's port.";
        "pg_postmaster_start_time", ["-> timestamptz"], "When the server started.";
        "pg_conf_load_time", ["-> timestamptz"], "When the configuration was read.";
        "pg_is_in_recovery", ["-> bool"], "Whether the server is a standby.";
        "pg_my_temp_schema", ["-> oid"], "The session's temporary schema, 0 for none.";
        "pg_is_other_temp_schema", ["oid -> bool"], "Whether a schema is another session's temporary one.";
        "pg_blocking_pids", ["int4 -> int4[]"], "The sessions that block one.";
        "current_setting", ["text -> text", "text, bool -> text"], "A setting's value.";
        "current_query", ["-> text"], "The text of the query under way.";
    );
    volatile!(out,
        "pg_cancel_backend", ["int4 -> bool"], "Cancels a session's statement.";
        "pg_terminate_backend", ["int4 -> bool", "int4, int8 -> bool"], "Ends a session.";
        "pg_sleep", ["float8 -> void"], "Waits so many seconds.";
        "pg_current_xact_id", ["-> int8"], "The transaction's number.";
        "txid_current", ["-> int8"], "The transaction's number.";
        "pg_notify", ["text, text -> void"], "Sends a notification.";
    );
    let doc = "Changes a setting, for the transaction if the third is true.";
    let set = FunctionDesc::new(
        "set_config",
        "text, text, bool -> text",
        doc,
        ask!("set_config"),
    );
    out.push(set.lenient().volatile());
}

fn declare_catalog(out: &mut Declarations) {
    stable!(out,
        "pg_get_viewdef", ["oid -> text", "oid, bool -> text", "oid, int4 -> text", "text -> text", "text, bool -> text"], "A view's query.";
        "pg_get_indexdef", ["oid -> text", "oid, int4, bool -> text"], "An index's definition, or that of a column of it.";
        "pg_get_constraintdef", ["oid -> text", "oid, bool -> text"], "A constraint's definition.";
        "pg_get_expr", ["text, oid -> text", "text, oid, bool -> text"], "An expression as kept in the catalog, as SQL.";
        "pg_get_ruledef", ["oid -> text", "oid, bool -> text"], "A rule's definition.";
        "pg_get_triggerdef", ["oid -> text", "oid, bool -> text"], "A trigger's definition.";
        "pg_get_functiondef", ["oid -> text"], "A function's definition.";
        "pg_get_function_arguments", ["oid -> text"], "A function's parameters.";
        "pg_get_function_identity_arguments", ["oid -> text"], "What names a function beside its name.";
        "pg_get_function_result", ["oid -> text"], "A function's result type.";
        "pg_get_function_sqlbody", ["oid -> text"], "A function's body in SQL.";
        "pg_get_partkeydef", ["oid -> text"], "A partitioned table's key.";
        "pg_get_partition_constraintdef", ["oid -> text"], "A partition's constraint.";
        "pg_get_statisticsobjdef_columns", ["oid -> text"], "The columns of extended statistics.";
        "pg_get_serial_sequence", ["text, text -> text"], "The sequence behind a column.";
        "pg_get_userbyid", ["oid -> name"], "A role's name.";
        "pg_get_replica_identity_index", ["regclass -> regclass"], "The index that identifies a table's rows.";
        "pg_relation_is_publishable", ["regclass -> bool"], "Whether a table can be in a publication.";
        "pg_relation_filenode", ["regclass -> oid"], "The number of a table's file.";
        "pg_tablespace_location", ["oid -> text"], "A tablespace's folder.";
        "obj_description", ["oid, name -> text", "oid -> text"], "The comment on an object.";
        "col_description", ["oid, int4 -> text"], "The comment on a column.";
        "shobj_description", ["oid, name -> text"], "The comment on a shared object.";
        "pg_table_is_visible", ["oid -> bool"], "Whether a relation is found without its schema.";
        "pg_type_is_visible", ["oid -> bool"], "Whether a type is found without its schema.";
        "pg_function_is_visible", ["oid -> bool"], "Whether a function is found without its schema.";
        "pg_operator_is_visible", ["oid -> bool"], "Whether an operator is found without its schema.";
        "pg_opclass_is_visible", ["oid -> bool"], "Whether an operator class is found without its schema.";
        "pg_opfamily_is_visible", ["oid -> bool"], "Whether an operator family is found without its schema.";
        "pg_collation_is_visible", ["oid -> bool"], "Whether a collation is found without its schema.";
        "pg_conversion_is_visible", ["oid -> bool"], "Whether a conversion is found without its schema.";
        "pg_statistics_obj_is_visible", ["oid -> bool"], "Whether statistics are found without their schema.";
        "pg_ts_config_is_visible", ["oid -> bool"], "Whether a text search configuration is found without its schema.";
        "pg_ts_dict_is_visible", ["oid -> bool"], "Whether a text search dictionary is found without its schema.";
        "pg_ts_parser_is_visible", ["oid -> bool"], "Whether a text search parser is found without its schema.";
        "pg_ts_template_is_visible", ["oid -> bool"], "Whether a text search template is found without its schema.";
        "to_regclass", ["text -> regclass"], "The relation of a name, or NULL.";
        "to_regtype", ["text -> regtype"], "The type of a name, or NULL.";
        "to_regproc", ["text -> regproc"], "The function of a name, or NULL.";
        "to_regnamespace", ["text -> regnamespace"], "The schema of a name, or NULL.";
        "pg_index_column_has_property", ["regclass, int4, text -> bool"], "Whether an index column has a property.";
        "pg_index_has_property", ["regclass, text -> bool"], "Whether an index has a property.";
        "pg_indexam_has_property", ["oid, text -> bool"], "Whether an access method has a property.";
    );
}

/// Privileges: with the role by name or oid or left out, and the object by name or oid.
fn declare_privileges(out: &mut Declarations) {
    macro_rules! privilege {
        ($name:literal, $doc:literal) => {
            stable!(out, $name,
                ["name, text, text -> bool", "name, oid, text -> bool", "oid, text, text -> bool",
                 "oid, oid, text -> bool", "text, text -> bool", "oid, text -> bool"], $doc;);
        };
    }
    privilege!(
        "has_table_privilege",
        "Whether a role may do something to a table."
    );
    privilege!(
        "has_any_column_privilege",
        "Whether a role may do something to a column of a table."
    );
    privilege!(
        "has_sequence_privilege",
        "Whether a role may do something to a sequence."
    );
    privilege!(
        "has_schema_privilege",
        "Whether a role may do something to a schema."
    );
    privilege!(
        "has_database_privilege",
        "Whether a role may do something to a database."
    );
    privilege!(
        "has_function_privilege",
        "Whether a role may call a function."
    );
    privilege!("has_type_privilege", "Whether a role may use a type.");
    privilege!(
        "has_language_privilege",
        "Whether a role may use a language."
    );
    privilege!(
        "has_tablespace_privilege",
        "Whether a role may use a tablespace."
    );
    privilege!("has_server_privilege", "Whether a role may use a server.");
    privilege!(
        "has_foreign_data_wrapper_privilege",
        "Whether a role may use a foreign data wrapper."
    );
    stable!(out,
        "has_column_privilege",
            ["name, text, text, text -> bool", "name, oid, text, text -> bool", "text, text, text -> bool",
             "oid, text, text -> bool", "oid, int2, text -> bool", "text, int2, text -> bool"],
            "Whether a role may do something to a column.";
        "pg_has_role",
            ["name, name, text -> bool", "name, oid, text -> bool", "oid, name, text -> bool",
             "oid, oid, text -> bool", "name, text -> bool", "oid, text -> bool"],
            "Whether a role has another's privileges.";
    );
}

/// `format_type(oid, typmod)`: of a type of this build without a catalog.
fn format_type<'a>(args: &[Datum<'a>], arena: &'a RowArena) -> Result<Datum<'a>, EvalError> {
    let [oid, typmod, ..] = args else {
        return Err(mismatch());
    };
    let Datum::Oid(oid) = oid else {
        return Ok(Datum::Null);
    };
    let typmod = match typmod {
        Datum::Int32(typmod) => Typmod(*typmod),
        _ => Typmod::NONE,
    };
    Ok(match (oid, ScalarType::from_oid(*oid)) {
        (0, _) => Datum::Text("-"),
        (_, Some(ty)) => Datum::Text(arena.string(ty.sql_name_with(typmod))),
        (1033, None) => Datum::Text("aclitem"),
        (2249, None) => Datum::Text("record"),
        (2283, None) => Datum::Text("anyelement"),
        (2277, None) => Datum::Text("anyarray"),
        _ => Datum::Text("???"),
    })
}

/// UTF8 is the only encoding that there is.
fn declare_encodings(out: &mut Declarations) {
    let name: Eval = |_, args, _| match args {
        [Datum::Int32(6), ..] => Ok(Datum::Text("UTF8")),
        [Datum::Int32(0), ..] => Ok(Datum::Text("SQL_ASCII")),
        _ => Ok(Datum::Text("")),
    };
    out.push(
        FunctionDesc::new(
            "pg_encoding_to_char",
            "int4 -> name",
            "An encoding's name.",
            name,
        )
        .infallible(),
    );
    let number: Eval = |_, args, _| match args {
        [Datum::Text(name), ..]
            if name.eq_ignore_ascii_case("utf8") || name.eq_ignore_ascii_case("utf-8") =>
        {
            Ok(Datum::Int32(6))
        }
        _ => Ok(Datum::Int32(-1)),
    };
    out.push(
        FunctionDesc::new(
            "pg_char_to_encoding",
            "name -> int4",
            "An encoding's number.",
            number,
        )
        .infallible(),
    );
    let utf8: Eval = |_, _, _| Ok(Datum::Text("UTF8"));
    out.push(
        FunctionDesc::new(
            "pg_client_encoding",
            "-> name",
            "The client's encoding.",
            utf8,
        )
        .infallible(),
    );
    out.push(
        FunctionDesc::new(
            "getdatabaseencoding",
            "-> name",
            "The database's encoding.",
            utf8,
        )
        .infallible(),
    );
}

pub(super) fn declare(out: &mut Declarations) {
    declare_clock(out);
    declare_session(out);
    declare_catalog(out);
    declare_privileges(out);
    declare_encodings(out);
    let doc = "A type's name, by its oid and modifier.";
    let eval: Eval = |_, args, arena| format_type(args, arena);
    out.push(
        FunctionDesc::new("format_type", "oid, int4 -> text", doc, eval)
            .lenient()
            .infallible(),
    );
    let eval: Eval = |types, _, arena| match types.args.first() {
        Some(ty) => Ok(Datum::Text(arena.string(ty.sql_name()))),
        None => Err(EvalError::new(
            SqlState::INTERNAL_ERROR,
            "pg_typeof without an argument",
        )),
    };
    let doc = "The type of the argument.";
    out.push(
        FunctionDesc::new("pg_typeof", "any -> text", doc, eval)
            .lenient()
            .infallible(),
    );
    size::declare(out);
}
