//! Identifiers, and the objects that names mean.

use crate::error::PlanError;
use everview_catalog::{Catalog, Object};
use everview_repr::{GlobalId, SqlState};
use sqlparser::ast::{Ident, ObjectName, ObjectNamePart};
use sqlparser::tokenizer::Span;
use std::sync::Arc;

/// An identifier as stored: folded to lower case unless quoted, at most 63 bytes.
pub(crate) fn fold(ident: &Ident) -> String {
    let name = match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_ascii_lowercase(),
    };
    truncate(name)
}

fn truncate(mut name: String) -> String {
    if name.len() > 63 {
        let mut end = 63;
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        name.truncate(end);
    }
    name
}

/// Where a span starts: characters from 1. Tokens carry offsets as columns of line 1.
pub(crate) fn start(span: Span) -> Option<usize> {
    (span.start.line > 0).then_some(span.start.column as usize)
}

/// Where an identifier starts.
pub(crate) fn at(ident: &Ident) -> Option<usize> {
    start(ident.span)
}

/// A name in parts, folded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Name {
    /// The schema, where given.
    pub schema: Option<String>,
    /// The last part.
    pub name: String,
    /// Where it starts.
    pub position: Option<usize>,
    /// Where it ends, exclusive.
    pub end: Option<usize>,
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl Name {
    /// The parts of a name: `name`, `schema.name` or `everview.schema.name`.
    pub(crate) fn new(name: &ObjectName) -> Result<Name, PlanError> {
        let mut parts = Vec::new();
        for part in &name.0 {
            match part {
                ObjectNamePart::Identifier(ident) => parts.push(ident),
                ObjectNamePart::Function(f) => {
                    return Err(PlanError::syntax(format!(
                        "syntax error at or near \"{}\"",
                        f.name.value
                    ))
                    .at(at(&f.name)));
                }
            }
        }
        Name::from_idents(&parts)
    }

    /// The same from identifiers.
    pub(crate) fn from_idents(parts: &[&Ident]) -> Result<Name, PlanError> {
        let position = parts.first().and_then(|i| at(i));
        let end = parts
            .last()
            .filter(|i| i.span.end.line > 0)
            .map(|i| i.span.end.column as usize);
        let folded: Vec<String> = parts.iter().map(|i| fold(i)).collect();
        let (schema, name) = match folded.as_slice() {
            [name] => (None, name.clone()),
            [schema, name] => (Some(schema.clone()), name.clone()),
            [database, schema, name] if database == "everview" => {
                (Some(schema.clone()), name.clone())
            }
            [database, schema, name] => {
                let message = format!(
                    "cross-database references are not implemented: \"{database}.{schema}.{name}\""
                );
                return Err(PlanError::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(position));
            }
            _ => {
                let all = folded.join(".");
                let message = format!("improper qualified name (too many dotted names): {all}");
                return Err(PlanError::syntax(message).at(position));
            }
        };
        Ok(Name {
            schema,
            name,
            position,
            end,
        })
    }

    /// The id in a stored reference: `"$16384"`.
    pub(crate) fn stored_id(&self) -> Option<GlobalId> {
        let digits = self.name.strip_prefix('$')?;
        if self.schema.is_some() || digits.is_empty() {
            return None;
        }
        digits.parse().ok().map(GlobalId)
    }
}

/// The schemas searched, in order: pg_catalog first unless the path names it.
pub(crate) fn searched<'c>(catalog: &'c Catalog, path: &[String]) -> Vec<&'c Arc<Object>> {
    let mut names: Vec<&str> = path.iter().map(String::as_str).collect();
    if !names.contains(&"pg_catalog") {
        names.insert(0, "pg_catalog");
    }
    names
        .into_iter()
        .filter_map(|n| catalog.schema(n))
        .collect()
}

/// The schema of that name.
pub(crate) fn schema<'c>(catalog: &'c Catalog, name: &str) -> Result<&'c Arc<Object>, PlanError> {
    catalog.schema(name).ok_or_else(|| {
        PlanError::new(
            SqlState::INVALID_SCHEMA_NAME,
            format!("schema \"{name}\" does not exist"),
        )
    })
}

/// The relation or index of a name, if there is one.
pub(crate) fn lookup<'c>(
    catalog: &'c Catalog,
    path: &[String],
    name: &Name,
) -> Option<&'c Arc<Object>> {
    if let Some(id) = name.stored_id() {
        return catalog.get(id);
    }
    match &name.schema {
        Some(schema) => catalog.in_schema(catalog.schema(schema)?.id, &name.name),
        None => searched(catalog, path)
            .into_iter()
            .find_map(|s| catalog.in_schema(s.id, &name.name)),
    }
}

/// The relation or index of a name.
pub(crate) fn resolve<'c>(
    catalog: &'c Catalog,
    path: &[String],
    name: &Name,
) -> Result<&'c Arc<Object>, PlanError> {
    lookup(catalog, path, name).ok_or_else(|| {
        PlanError::new(
            SqlState::UNDEFINED_TABLE,
            format!("relation \"{name}\" does not exist"),
        )
        .at(name.position)
    })
}

/// Where a new object of that name goes: the schema named, else the first of the path that exists.
pub(crate) fn creation_schema(
    catalog: &Catalog,
    path: &[String],
    name: &Name,
) -> Result<GlobalId, PlanError> {
    let schema = match &name.schema {
        Some(schema) => self::schema(catalog, schema).map_err(|e| e.at(name.position))?,
        None => path
            .iter()
            .filter(|s| *s != "pg_catalog")
            .find_map(|s| catalog.schema(s))
            .ok_or_else(|| {
                PlanError::new(
                    SqlState::INVALID_SCHEMA_NAME,
                    "no schema has been selected to create in",
                )
                .at(name.position)
            })?,
    };
    writable_schema(schema)?;
    Ok(schema.id)
}

/// Refuses the system's schemas.
pub(crate) fn writable_schema(schema: &Object) -> Result<(), PlanError> {
    if schema.id.is_system() && schema.name != "public" {
        return Err(PlanError::new(
            SqlState::INSUFFICIENT_PRIVILEGE,
            format!("permission denied for schema {}", schema.name),
        ));
    }
    Ok(())
}

/// Whether an unqualified name finds this object.
pub(crate) fn is_visible(catalog: &Catalog, path: &[String], object: &Object) -> bool {
    let name = Name {
        schema: None,
        name: object.name.clone(),
        position: None,
        end: None,
    };
    lookup(catalog, path, &name).is_some_and(|o| o.id == object.id)
}

/// The name by which a user finds it: qualified where the path does not reach it; quoted where need be.
pub(crate) fn display_name(catalog: &Catalog, path: &[String], object: &Object) -> String {
    let schema = object.schema.and_then(|s| catalog.get(s));
    match schema {
        Some(schema) if !is_visible(catalog, path, object) => {
            format!("{}.{}", quote(&schema.name), quote(&object.name))
        }
        _ => quote(&object.name),
    }
}

pub use everview_catalog::quote;
