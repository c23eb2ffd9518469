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
        let formatting = Arc::new(Formatting { time_zone });
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
    let ScalarType::Array(element) = ty else { return Ok(()) };
    let mut names = Vec::new();
    for value in array.elements() {
        names.push(match value {
            Datum::Oid(oid) => Some(catalog_name(types, element, oid)?),
            _ => None,
        });
    }
    let datums = names.iter().map(|n| n.as_deref().map_or(Datum::Null, Datum::Text));
    let packed = everview_repr::array::build(&array.dimensions(), datums);
    let named = Datum::Array(everview_repr::Array::from_packed(&packed));
    text::format_with(&ScalarType::Array(Box::new(ScalarType::Text)), named, &*zone(types)?, out);
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
    let Some((_, out)) = needs_catalog(ty) else { return Ok(oid.to_string()) };
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
    if let Some(datum) = relative_to_now(types, ty, text, arena)? {
        return Ok(datum);
    }
    text::parse_with(ty, text, &*zone(types)?, arena)
}

/// `now`, `today`, `tomorrow`, `yesterday` as dates and timestamps.
fn relative_to_now<'a>(
    types: &CallTypes,
    ty: &ScalarType,
    text: &str,
    arena: &'a RowArena,
) -> Result<Option<Datum<'a>>, EvalError> {
    use ScalarType::{Date, Time, Timestamp, TimestampTz};
    // The shortest of the words has three letters; dates and times start with a digit.
    if !matches!(ty, Date | Time | Timestamp | TimestampTz)
        || !text.trim_start().starts_with(|c: char| c.is_ascii_alphabetic())
    {
        return Ok(None);
    }
    let days = match text.trim().to_ascii_lowercase().as_str() {
        "now" => None,
        "today" => Some(0),
        "tomorrow" => Some(1),
        "yesterday" => Some(-1),
        _ => return Ok(None),
    };
    if *ty == Time && days.is_some() {
        return Ok(None);
    }
    let Datum::TimestampTz(now) = ask_named("now", types, &[], arena)? else {
        return Err(crate::value::mismatch());
    };
    let zone = zone(types)?;
    let local = zone.time_zone.to_local(now)?;
    let day = local.div_euclid(MICROS_PER_DAY) + days.unwrap_or(0);
    let local = if days.is_some() { day * MICROS_PER_DAY } else { local };
    Ok(Some(match ty {
        Date => Datum::Date(day as i32),
        Time => Datum::Time(local.rem_euclid(MICROS_PER_DAY)),
        Timestamp => Datum::Timestamp(local),
        _ => Datum::TimestampTz(zone.time_zone.to_utc(local)?),
    }))
}

const MICROS_PER_DAY: i64 = 86_400_000_000;

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
