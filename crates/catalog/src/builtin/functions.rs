//! Functions over the catalog, as stable functions ask for them by name.

use super::Deparser;
use super::definitions;
use super::indexes;
use super::names::{Names, quote};
use super::procedures;
use super::server::role_name;
use crate::catalog::Catalog;
use crate::object::ObjectKind;
use everview_repr::{Datum, EvalError, GlobalId, Row, ScalarType, SqlState, Typmod, array};

fn text(value: &str) -> Option<Row> {
    Some(Row::pack([Datum::Text(value)]))
}

fn text_or_null(value: Option<String>) -> Option<Row> {
    match value {
        Some(value) => text(&value),
        None => null(),
    }
}

fn boolean(value: bool) -> Option<Row> {
    Some(Row::pack([Datum::Bool(value)]))
}

fn oid_or_null(value: Option<u32>) -> Option<Row> {
    Some(Row::pack([value.map_or(Datum::Null, Datum::Oid)]))
}

fn null() -> Option<Row> {
    Some(Row::pack([Datum::Null]))
}

/// The relation that an argument names, by number or by name.
fn relation(names: &Names<'_>, arg: Option<&Datum<'_>>) -> Result<GlobalId, EvalError> {
    match arg {
        Some(Datum::Oid(oid)) => Ok(GlobalId(*oid)),
        Some(Datum::Text(name)) => names.relation(name).ok_or_else(|| no_relation(name)),
        _ => Ok(GlobalId(0)),
    }
}

fn no_relation(name: &str) -> EvalError {
    EvalError::new(
        SqlState::UNDEFINED_TABLE,
        format!("relation \"{name}\" does not exist"),
    )
}

/// The result of a catalog function, one column; `None` if `name` is none of them.
///
/// `search_path` holds the session's schemas in order, `pg_catalog` only where it is named.
pub fn call(
    catalog: &Catalog,
    search_path: &[String],
    deparser: &dyn Deparser,
    name: &str,
    args: &[Datum<'_>],
) -> Result<Option<Row>, EvalError> {
    let names = Names {
        catalog,
        search_path,
        deparser,
    };
    let names = &names;
    let first = args.first();
    let oid = match first {
        Some(Datum::Oid(oid)) => *oid,
        Some(Datum::Int32(n)) => *n as u32,
        _ => 0,
    };
    let pretty = args.iter().any(Datum::is_true);
    Ok(match name {
        "pg_get_viewdef" => text_or_null(view_definition(names, relation(names, first)?, pretty)),
        "pg_get_indexdef" => text_or_null(index_definition(names, GlobalId(oid), args, pretty)),
        "pg_get_constraintdef" => text_or_null(constraint_definition(names, GlobalId(oid), pretty)),
        "pg_get_expr" => {
            let relation = relation(names, args.get(1))?;
            let stored = first.and_then(Datum::as_str);
            let shown = |sql| definitions::stored_expression(names, sql, relation, pretty);
            text_or_null(stored.map(shown))
        }
        "pg_get_userbyid" => match role_name(oid) {
            Some(role) => text(role),
            None => text(&format!("unknown (OID={oid})")),
        },
        "pg_get_function_arguments" | "pg_get_function_identity_arguments" => {
            text_or_null(procedures::get(oid).map(|p| p.arguments()))
        }
        "pg_get_function_result" => text_or_null(procedures::get(oid).map(|p| p.result())),
        "pg_get_ruledef" => text_or_null(rule_definition(names, GlobalId(oid))),
        "pg_get_triggerdef"
        | "pg_get_functiondef"
        | "pg_get_function_sqlbody"
        | "pg_get_partkeydef"
        | "pg_get_partition_constraintdef"
        | "pg_get_statisticsobjdef_columns"
        | "pg_get_serial_sequence"
        | "pg_get_replica_identity_index"
        | "shobj_description" => null(),
        "pg_relation_is_publishable" | "pg_is_other_temp_schema" => boolean(false),
        "pg_my_temp_schema" => oid_or_null(Some(0)),
        "pg_blocking_pids" => {
            let packed = array::build_vector(&[]);
            Some(Row::pack([Datum::Array(array::Array::from_packed(
                &packed,
            ))]))
        }
        "pg_relation_filenode" => oid_or_null(catalog.get(GlobalId(oid)).map(|o| o.id.0)),
        "pg_tablespace_location" => text(""),
        "obj_description" => text_or_null(description(catalog, GlobalId(oid), args)),
        "col_description" => text_or_null(column_description(catalog, GlobalId(oid), args)),
        "format_type" => text(&type_name(oid, args)),
        "pg_table_is_visible" => match names.is_visible(GlobalId(oid)) {
            Some(visible) => boolean(visible),
            None => null(),
        },
        "pg_type_is_visible" => visible(ScalarType::from_oid(oid).is_some()),
        "pg_function_is_visible" => visible(procedures::get(oid).is_some()),
        "pg_index_column_has_property" => index_property(args, 2),
        "pg_index_has_property" | "pg_indexam_has_property" => index_property(args, 1),
        _ if name.starts_with("pg_") && name.ends_with("_is_visible") => boolean(true),
        // Every role is a superuser.
        "pg_has_role" => boolean(true),
        _ if name.starts_with("has_") && name.ends_with("_privilege") => {
            privilege(names, name, args)?
        }
        _ => return reg_type(names, name, first),
    })
}

/// `to_reg*`, and the reg* types' text forms.
fn reg_type(
    names: &Names<'_>,
    function: &str,
    arg: Option<&Datum<'_>>,
) -> Result<Option<Row>, EvalError> {
    let Some((ty, direction)) = function
        .strip_prefix("to_")
        .map(|ty| (ty, "to"))
        .or_else(|| function.rsplit_once('_'))
    else {
        return Ok(None);
    };
    if !matches!(ty, "regclass" | "regtype" | "regproc" | "regnamespace") {
        return Ok(None);
    }
    match (direction, arg) {
        ("out", Some(Datum::Oid(oid))) => Ok(text(&reg_name(names, ty, *oid))),
        ("in" | "to", Some(Datum::Text(name))) => {
            let found = reg_oid(names, ty, name);
            match direction {
                "in" if found.is_none() => Err(unknown_name(ty, name)),
                _ => Ok(oid_or_null(found)),
            }
        }
        ("in" | "to" | "out", _) => Ok(null()),
        _ => Ok(None),
    }
}

fn reg_oid(names: &Names<'_>, ty: &str, name: &str) -> Option<u32> {
    let name = name.trim();
    if name == "-" {
        return Some(0);
    }
    if let Ok(oid) = name.parse() {
        return Some(oid);
    }
    match ty {
        "regclass" => names.relation(name).map(|id| id.0),
        "regtype" => names.ty(name),
        "regproc" => names.function(name),
        _ => names.schema(name).map(|id| id.0),
    }
}

fn reg_name(names: &Names<'_>, ty: &str, oid: u32) -> String {
    let found = match ty {
        _ if oid == 0 => Some("-".to_string()),
        "regclass" => names.shown(GlobalId(oid)),
        "regtype" => ScalarType::from_oid(oid).map(|t| t.sql_name()),
        "regproc" => procedures::get(oid).map(|p| quote(&p.name)),
        _ => names.catalog.get(GlobalId(oid)).map(|o| quote(&o.name)),
    };
    found.unwrap_or_else(|| oid.to_string())
}

fn unknown_name(ty: &str, name: &str) -> EvalError {
    match ty {
        "regclass" => no_relation(name),
        "regtype" => EvalError::new(
            SqlState::UNDEFINED_OBJECT,
            format!("type \"{name}\" does not exist"),
        ),
        "regproc" => EvalError::new(
            SqlState::UNDEFINED_FUNCTION,
            format!("function \"{name}\" does not exist"),
        ),
        _ => EvalError::new(
            SqlState::INVALID_SCHEMA_NAME,
            format!("schema \"{name}\" does not exist"),
        ),
    }
}

fn visible(exists: bool) -> Option<Row> {
    if exists { boolean(true) } else { null() }
}

fn view_definition(names: &Names<'_>, id: GlobalId, pretty: bool) -> Option<String> {
    match &names.catalog.get(id)?.kind {
        ObjectKind::View(view) | ObjectKind::MaterializedView(view) => {
            Some(definitions::view(names, view, pretty))
        }
        _ => None,
    }
}

fn rule_definition(names: &Names<'_>, id: GlobalId) -> Option<String> {
    let definition = view_definition(names, id, false)?;
    let object = names.catalog.get(id)?;
    let relation = names.qualified(object);
    Some(format!(
        "CREATE RULE \"_RETURN\" AS\n    ON SELECT TO {relation} DO INSTEAD {definition}"
    ))
}

fn index_definition(
    names: &Names<'_>,
    id: GlobalId,
    args: &[Datum<'_>],
    pretty: bool,
) -> Option<String> {
    let index = indexes::get(names.catalog, id)?;
    match args.get(1) {
        Some(Datum::Int32(column)) if *column > 0 => {
            let part = definitions::index_column(names, &index, *column as usize, pretty);
            Some(part.unwrap_or_default())
        }
        _ => Some(definitions::index(names, &index, pretty)),
    }
}

fn constraint_definition(names: &Names<'_>, id: GlobalId, pretty: bool) -> Option<String> {
    names.catalog.objects().find_map(|object| {
        let ObjectKind::Table(table) = &object.kind else {
            return None;
        };
        let constraint = table.constraints.iter().find(|c| c.id == id)?;
        Some(definitions::constraint(names, table, constraint, pretty))
    })
}

/// The comment on an object; with a catalog's name, only if the object is in that catalog.
fn description(catalog: &Catalog, id: GlobalId, args: &[Datum<'_>]) -> Option<String> {
    let wanted = args.get(1).and_then(Datum::as_str);
    if wanted.is_none_or(|class| class == "pg_constraint") {
        let tables = catalog.objects().filter_map(|object| match &object.kind {
            ObjectKind::Table(table) => Some(table),
            _ => None,
        });
        let mut constraints = tables.flat_map(|table| &table.constraints);
        if let Some(comment) = constraints.find_map(|c| c.comment.clone().filter(|_| c.id == id)) {
            return Some(comment);
        }
    }
    let object = catalog.get(id)?;
    let class = if matches!(object.kind, ObjectKind::Schema) {
        "pg_namespace"
    } else {
        "pg_class"
    };
    match wanted {
        Some(wanted) if wanted != class => None,
        _ => object.comment.clone(),
    }
}

fn column_description(catalog: &Catalog, id: GlobalId, args: &[Datum<'_>]) -> Option<String> {
    let number = match args.get(1)? {
        Datum::Int32(n) => usize::try_from(*n).ok()?,
        Datum::Int16(n) => usize::try_from(*n).ok()?,
        _ => return None,
    };
    let comment = catalog.get(id)?.column_comment(number.checked_sub(1)?)?;
    Some(comment.to_string())
}

fn type_name(oid: u32, args: &[Datum<'_>]) -> String {
    // Without any modifier it is the standard's name; with none given, -1, one that means just this type.
    match (ScalarType::from_oid(oid), args.get(1)) {
        (Some(ty), Some(Datum::Int32(typmod))) => ty.sql_name_with(Typmod(*typmod)),
        (Some(ty), _) => ty.sql_name(),
        (None, _) if oid == 0 => "-".to_string(),
        (None, _) => "???".to_string(),
    }
}

/// Btree is the only kind of index: ordered ascending, nulls last.
fn index_property(args: &[Datum<'_>], at: usize) -> Option<Row> {
    let name = args
        .get(at)
        .and_then(Datum::as_str)
        .unwrap_or_default()
        .to_ascii_lowercase();
    let yes = [
        "asc",
        "nulls_last",
        "orderable",
        "returnable",
        "search_array",
        "search_nulls",
        "can_order",
        "can_unique",
        "can_multi_col",
        "can_include",
        "index_scan",
        "backward_scan",
    ];
    let no = [
        "desc",
        "nulls_first",
        "distance_orderable",
        "can_exclude",
        "clusterable",
        "bitmap_scan",
    ];
    match name.as_str() {
        name if yes.contains(&name) => boolean(true),
        name if no.contains(&name) => boolean(false),
        _ => null(),
    }
}

/// Privileges of superusers: all of them, on what there is.
fn privilege(
    names: &Names<'_>,
    function: &str,
    args: &[Datum<'_>],
) -> Result<Option<Row>, EvalError> {
    // The object comes after the role, which may be left out; a column's privilege has one argument more.
    let after = if function == "has_column_privilege" {
        2
    } else {
        1
    };
    let object = args.len().checked_sub(after + 1).and_then(|i| args.get(i));
    let about_relation = matches!(
        function,
        "has_table_privilege"
            | "has_any_column_privilege"
            | "has_column_privilege"
            | "has_sequence_privilege"
    );
    match object {
        Some(Datum::Text(_)) if about_relation => {
            relation(names, object)?;
            Ok(boolean(true))
        }
        Some(Datum::Oid(oid)) if about_relation => Ok(if names.has_rows(GlobalId(*oid)) {
            boolean(true)
        } else {
            null()
        }),
        Some(Datum::Text(name)) if function == "has_schema_privilege" => match names.schema(name) {
            Some(_) => Ok(boolean(true)),
            None => Err(unknown_name("regnamespace", name)),
        },
        _ => Ok(boolean(true)),
    }
}
