//! Changed copies of jsonb values.
//!
//! Only the containers along the path are built anew; what hangs off it is copied as packed bytes.

use super::build::{ArrayBuilder, ObjectBuilder};
use super::{Json, JsonArray, JsonObject, Value, from_end, path_index};
use crate::error::{EvalError, SqlState};

fn wrong_kind(message: &str) -> EvalError {
    EvalError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// `a || b`: objects merge, the right one's members winning; anything else becomes an array, unless it is one, and
/// the arrays are joined.
pub fn concat(a: Json<'_>, b: Json<'_>) -> Result<Vec<u8>, EvalError> {
    if let (Value::Object(a), Value::Object(b)) = (a.value(), b.value()) {
        let mut builder = ObjectBuilder::new();
        a.iter()
            .chain(b.iter())
            .for_each(|(key, value)| builder.push(key, value));
        return builder.finish();
    }
    let mut builder = ArrayBuilder::new();
    for side in [a, b] {
        match side.as_array() {
            Some(array) => array.iter().for_each(|element| builder.push(element)),
            None => builder.push(side),
        }
    }
    builder.finish()
}

/// `- 'key'`: an object without that member, an array without the elements that are that string.
pub fn delete_key(value: Json<'_>, key: &str) -> Result<Vec<u8>, EvalError> {
    delete_keys(value, &[key])
}

/// `- '{key,..}'`: the same for several keys.
pub fn delete_keys(value: Json<'_>, keys: &[&str]) -> Result<Vec<u8>, EvalError> {
    match value.value() {
        Value::Object(object) => {
            let mut builder = ObjectBuilder::new();
            object
                .iter()
                .filter(|(key, _)| !keys.contains(key))
                .for_each(|(key, value)| builder.push(key, value));
            builder.finish()
        }
        Value::Array(array) => {
            let named = |e: &Json<'_>| matches!(e.value(), Value::String(s) if keys.contains(&s));
            let mut builder = ArrayBuilder::new();
            array
                .iter()
                .filter(|e| !named(e))
                .for_each(|e| builder.push(e));
            builder.finish()
        }
        _ => Err(wrong_kind("cannot delete from scalar")),
    }
}

/// `- n`: an array without that element; a subscript beyond it changes nothing.
pub fn delete_index(value: Json<'_>, index: i32) -> Result<Vec<u8>, EvalError> {
    match value.value() {
        Value::Object(_) => Err(wrong_kind("cannot delete from object using integer index")),
        Value::Array(array) => {
            let gone = from_end(index, array.len());
            let mut builder = ArrayBuilder::new();
            for (i, element) in array.iter().enumerate() {
                if Some(i) != gone {
                    builder.push(element);
                }
            }
            builder.finish()
        }
        _ => Err(wrong_kind("cannot delete from scalar")),
    }
}

/// What to do at the end of a path.
#[derive(Clone, Copy)]
enum Edit<'j> {
    Delete,
    Set { value: Json<'j>, create: bool },
    Insert { value: Json<'j>, after: bool },
}

/// `#- path`: without what the path leads to.
pub fn delete_path(value: Json<'_>, path: &[&str]) -> Result<Vec<u8>, EvalError> {
    if value.is_scalar() {
        return Err(wrong_kind("cannot delete path in scalar"));
    }
    edit(value, path, Edit::Delete)
}

/// `jsonb_set`: with `new` where the path leads; a missing last step is added if `create` says so.
pub fn set(
    value: Json<'_>,
    path: &[&str],
    new: Json<'_>,
    create: bool,
) -> Result<Vec<u8>, EvalError> {
    if value.is_scalar() {
        return Err(wrong_kind("cannot set path in scalar"));
    }
    edit(value, path, Edit::Set { value: new, create })
}

/// `jsonb_insert`: with `new` before (or after) the element that the path leads to, or as a new member.
pub fn insert(
    value: Json<'_>,
    path: &[&str],
    new: Json<'_>,
    after: bool,
) -> Result<Vec<u8>, EvalError> {
    if value.is_scalar() {
        return Err(wrong_kind("cannot set path in scalar"));
    }
    edit(value, path, Edit::Insert { value: new, after })
}

fn edit(value: Json<'_>, path: &[&str], edit: Edit<'_>) -> Result<Vec<u8>, EvalError> {
    let adds = matches!(edit, Edit::Set { create: true, .. } | Edit::Insert { .. });
    let empty = match value.value() {
        Value::Array(array) => array.is_empty(),
        Value::Object(object) => object.is_empty(),
        _ => false,
    };
    // Postgres does not look at the path where there is nothing to change.
    if empty && !adds {
        return Ok(value.bytes().to_vec());
    }
    walk(value, path, 1, edit)
}

/// Applies an edit below `value`; `position` counts path elements from 1, for messages.
fn walk(
    value: Json<'_>,
    path: &[&str],
    position: usize,
    edit: Edit<'_>,
) -> Result<Vec<u8>, EvalError> {
    let Some((&step, below)) = path.split_first() else {
        return Ok(value.bytes().to_vec());
    };
    match value.value() {
        Value::Object(object) => walk_object(object, step, below, position, edit),
        Value::Array(array) => walk_array(array, step, below, position, edit),
        _ => Ok(value.bytes().to_vec()),
    }
}

fn walk_object(
    object: JsonObject<'_>,
    step: &str,
    below: &[&str],
    position: usize,
    edit: Edit<'_>,
) -> Result<Vec<u8>, EvalError> {
    let mut builder = ObjectBuilder::new();
    for (key, value) in object.iter() {
        if key != step {
            builder.push(key, value);
            continue;
        }
        if !below.is_empty() {
            builder.push(
                key,
                Json::from_packed(&walk(value, below, position + 1, edit)?),
            );
            continue;
        }
        match edit {
            Edit::Delete => {}
            Edit::Set { value, .. } => builder.push(key, value),
            Edit::Insert { .. } => {
                return Err(wrong_kind("cannot replace existing key")
                    .with_hint("Try using the function jsonb_set to replace key value."));
            }
        }
    }
    if below.is_empty() && object.get(step).is_none() {
        match edit {
            Edit::Set {
                value,
                create: true,
            }
            | Edit::Insert { value, .. } => {
                builder.push(step, value);
            }
            _ => {}
        }
    }
    builder.finish()
}

fn walk_array(
    array: JsonArray<'_>,
    step: &str,
    below: &[&str],
    position: usize,
    edit: Edit<'_>,
) -> Result<Vec<u8>, EvalError> {
    let index = path_index(step).ok_or_else(|| {
        EvalError::new(
            SqlState::INVALID_TEXT_REPRESENTATION,
            format!("path element at position {position} is not an integer: \"{step}\""),
        )
    })?;
    let target = from_end(index, array.len());
    let new = match edit {
        Edit::Set {
            value,
            create: true,
        }
        | Edit::Insert { value, .. }
            if below.is_empty() =>
        {
            Some(value)
        }
        _ => None,
    };
    let mut builder = ArrayBuilder::new();
    // A subscript beyond the array adds at its nearer end.
    if let (None, Some(new)) = (target, new.filter(|_| index < 0)) {
        builder.push(new);
    }
    for (i, element) in array.iter().enumerate() {
        if Some(i) != target {
            builder.push(element);
        } else if !below.is_empty() {
            builder.push(Json::from_packed(&walk(
                element,
                below,
                position + 1,
                edit,
            )?));
        } else {
            push_edited(&mut builder, element, edit);
        }
    }
    if let (None, Some(new)) = (target, new.filter(|_| index >= 0)) {
        builder.push(new);
    }
    builder.finish()
}

fn push_edited(builder: &mut ArrayBuilder, element: Json<'_>, edit: Edit<'_>) {
    match edit {
        Edit::Delete => {}
        Edit::Set { value, .. } => builder.push(value),
        Edit::Insert {
            value,
            after: false,
        } => {
            builder.push(value);
            builder.push(element);
        }
        Edit::Insert { value, after: true } => {
            builder.push(element);
            builder.push(value);
        }
    }
}

/// `jsonb_strip_nulls`: without the members of objects that are null, at any depth. Null elements stay.
pub fn strip_nulls(value: Json<'_>) -> Result<Vec<u8>, EvalError> {
    match value.value() {
        Value::Object(object) => {
            let mut builder = ObjectBuilder::new();
            for (key, value) in object.iter().filter(|(_, v)| v.kind() != super::Kind::Null) {
                builder.push(key, Json::from_packed(&strip_nulls(value)?));
            }
            builder.finish()
        }
        Value::Array(array) => {
            let mut builder = ArrayBuilder::new();
            for element in array.iter() {
                builder.push(Json::from_packed(&strip_nulls(element)?));
            }
            builder.finish()
        }
        _ => Ok(value.bytes().to_vec()),
    }
}
