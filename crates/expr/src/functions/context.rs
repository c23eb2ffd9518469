//! What a call captured: the session's time zone and the environment; and text forms under them.

use crate::scalar::CallTypes;
use everview_repr::datetime::Zone;
use everview_repr::text::Formatting;
use everview_repr::{Datum, EvalError, Row, RowArena, ScalarType, SqlState, text};
use std::cell::RefCell;
use std::sync::Arc;

/// The zone of the session when the call was planned.
pub(crate) fn zone(types: &CallTypes) -> Result<Arc<Formatting>, EvalError> {
    thread_local! {
        static LAST: RefCell<Option<(Arc<str>, Arc<Formatting>)>> = const { RefCell::new(None) };
    }
    LAST.with_borrow_mut(|last| {
        if let Some((name, formatting)) = last
            && (Arc::ptr_eq(name, &types.time_zone) || **name == *types.time_zone)
        {
            return Ok(formatting.clone());
        }
        let time_zone = match &*types.time_zone {
            "" | "UTC" => Zone::utc(),
            name => Zone::parse_setting(name)?,
        };
        let formatting = Arc::new(Formatting {
            time_zone,
            now: None,
        });
        *last = Some((types.time_zone.clone(), formatting.clone()));
        Ok(formatting)
    })
}

/// Whether values of a type are names of catalog objects, whose text form the catalog knows.
fn needs_catalog(ty: &ScalarType) -> Option<(&'static str, &'static str)> {
    Some(match ty {
        ScalarType::RegClass => ("regclass_in", "regclass_out"),
        ScalarType::RegType => ("regtype_in", "regtype_out"),
        ScalarType::RegProc => ("regproc_in", "regproc_out"),
        ScalarType::RegNamespace => ("regnamespace_in", "regnamespace_out"),
        _ => return None,
    })
}

/// Appends a value's text form; NULL appends nothing.
pub(crate) fn push_text(
    types: &CallTypes,
    ty: &ScalarType,
    datum: Datum<'_>,
    out: &mut String,
) -> Result<(), EvalError> {
    match datum {
        Datum::Null => {}
        Datum::Text(s) | Datum::BpChar(s) => out.push_str(s),
        Datum::Error(error) => return Err(error.to_error()),
        Datum::Oid(oid) if needs_catalog(ty).is_some() => {
            out.push_str(&catalog_name(types, ty, oid)?);
        }
        Datum::Array(array) if is_catalog_array(ty) => push_catalog_array(types, ty, array, out)?,
        datum => text::format_with(ty, datum, &*zone(types)?, out),
    }
    Ok(())
}

fn is_catalog_array(ty: &ScalarType) -> bool {
    matches!(ty, ScalarType::Array(element) if needs_catalog(element).is_some())
}

/// The text of an array of reg* values: that of the array of their names.
fn push_catalog_array(
    types: &CallTypes,
    ty: &ScalarType,
    array: everview_repr::Array<'_>,
    out: &mut String,
) -> Result<(), EvalError> {
    let ScalarType::Array(element) = ty else {
        return Ok(());
    };
    let mut names = Vec::new();
    for value in array.elements() {
        names.push(match value {
            Datum::Oid(oid) => Some(catalog_name(types, element, oid)?),
            _ => None,
        });
    }
    let datums = names
        .iter()
        .map(|n| n.as_deref().map_or(Datum::Null, Datum::Text));
    let packed = everview_repr::array::build(&array.dimensions(), datums);
    let named = Datum::Array(everview_repr::Array::from_packed(&packed));
    text::format_with(
        &ScalarType::Array(Box::new(ScalarType::Text)),
        named,
        &*zone(types)?,
        out,
    );
    Ok(())
}

/// The name of a catalog object. 0 is `-`, and a type of this build is known without a catalog.
fn catalog_name(types: &CallTypes, ty: &ScalarType, oid: u32) -> Result<String, EvalError> {
    if oid == 0 {
        return Ok("-".to_string());
    }
    if *ty == ScalarType::RegType
        && let Some(known) = ScalarType::from_oid(oid)
    {
        return Ok(known.sql_name());
    }
    let Some((_, out)) = needs_catalog(ty) else {
        return Ok(oid.to_string());
    };
    let row = ask_row(out, types, &[Datum::Oid(oid)])?;
    Ok(row.first().as_str().unwrap_or_default().to_string())
}

/// A value's text form.
pub(crate) fn to_text(
    types: &CallTypes,
    ty: &ScalarType,
    datum: Datum<'_>,
) -> Result<String, EvalError> {
    let mut out = String::new();
    push_text(types, ty, datum, &mut out)?;
    Ok(out)
}

/// The value of a text. `now`, `today` and their kind need the environment.
pub(crate) fn from_text<'a>(
    types: &CallTypes,
    ty: &ScalarType,
    text: &str,
    arena: &'a RowArena,
) -> Result<Datum<'a>, EvalError> {
    if let Some((input, _)) = needs_catalog(ty) {
        let trimmed = text.trim();
        if trimmed == "-" {
            return Ok(Datum::Oid(0));
        }
        if trimmed.parse::<u32>().is_err() {
            return ask_named(input, types, &[Datum::Text(text)], arena);
        }
    }
    if let Some(now) = now_for(types, ty, text)? {
        let formatting = Formatting {
            now: Some(now),
            ..(*zone(types)?).clone()
        };
        return text::parse_with(ty, text, &formatting, arena);
    }
    text::parse_with(ty, text, &*zone(types)?, arena)
}

/// The current time, where a text can mean it: `now`, `today 10:00`, `tomorrow`. Such words start with a letter, so
/// that the usual dates ask nobody.
fn now_for(types: &CallTypes, ty: &ScalarType, text: &str) -> Result<Option<i64>, EvalError> {
    use ScalarType::{Array, Date, Time, Timestamp, TimestampTz};
    let is_date = |ty: &ScalarType| matches!(ty, Date | Time | Timestamp | TimestampTz);
    let concerned = match ty {
        Array(element) => is_date(element),
        ty => {
            is_date(ty)
                && text
                    .trim_start()
                    .starts_with(|c: char| c.is_ascii_alphabetic())
        }
    };
    if !concerned || types.environment.is_none() {
        return Ok(None);
    }
    match ask_row("now", types, &[])?.first() {
        Datum::TimestampTz(now) => Ok(Some(now)),
        _ => Err(crate::value::mismatch()),
    }
}

fn ask_row(name: &str, types: &CallTypes, args: &[Datum<'_>]) -> Result<Row, EvalError> {
    match &types.environment {
        Some(environment) => environment.call(name, args),
        None => Err(EvalError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("function {name} depends on the session and cannot be used here"),
        )),
    }
}

/// Asks the environment. Without one: 0A000 that names the function.
pub(crate) fn ask_named<'a>(
    name: &str,
    types: &CallTypes,
    args: &[Datum<'_>],
    arena: &'a RowArena,
) -> Result<Datum<'a>, EvalError> {
    let row = arena.row(ask_row(name, types, args)?);
    Ok(row.iter().next().unwrap_or(Datum::Null))
}

/// The computation of a function that the environment answers.
macro_rules! ask {
    ($name:literal) => {
        |types, args, arena| $crate::functions::context::ask_named($name, types, args, arena)
    };
}
pub(crate) use ask;
