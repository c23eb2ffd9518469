//! Names of catalog objects, in and out: quoting, qualification by the search path, reg* types.

use super::{Deparser, indexes, procedures};
use crate::catalog::Catalog;
use crate::object::Object;
use everview_repr::{GlobalId, ScalarType};

/// A catalog as seen through a search path.
pub(crate) struct Names<'a> {
    pub catalog: &'a Catalog,
    pub search_path: &'a [String],
    pub deparser: &'a dyn Deparser,
}

pub(crate) use crate::quote;

/// The parts of a dotted name, folded and unquoted; `None` where it is malformed.
pub(crate) fn split(text: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    loop {
        let mut part = String::new();
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut chars = quoted.char_indices().peekable();
            let end = loop {
                match chars.next()? {
                    (_, '"') if chars.peek().is_some_and(|(_, c)| *c == '"') => {
                        chars.next();
                        part.push('"');
                    }
                    (i, '"') => break i + 1,
                    (_, c) => part.push(c),
                }
            };
            rest = &quoted[end..];
        } else {
            let end = rest.find('.').unwrap_or(rest.len());
            part = rest[..end].trim().to_ascii_lowercase();
            rest = &rest[end..];
        }
        if part.is_empty() {
            return None;
        }
        parts.push(part);
        rest = rest.trim_start();
        if rest.is_empty() {
            return Some(parts);
        }
        rest = rest.strip_prefix('.')?.trim_start();
    }
}

impl Names<'_> {
    /// The schemas in which unqualified names are looked for: pg_catalog first unless the path names it.
    fn path(&self) -> Vec<GlobalId> {
        let named = self.search_path.iter().any(|s| s == "pg_catalog");
        let implicit = (!named).then_some("pg_catalog");
        let names = implicit
            .into_iter()
            .chain(self.search_path.iter().map(String::as_str));
        names
            .filter_map(|n| self.catalog.schema(n))
            .map(|s| s.id)
            .collect()
    }

    /// The relation or index of a name in a schema.
    fn in_schema(&self, schema: GlobalId, name: &str) -> Option<GlobalId> {
        if let Some(object) = self.catalog.in_schema(schema, name) {
            return Some(object.id);
        }
        let constraint = indexes::all(self.catalog)
            .into_iter()
            .find(|i| i.on.schema == Some(schema) && i.name == name);
        constraint.map(|i| i.id)
    }

    /// The relation or index of a name as written in SQL.
    pub fn relation(&self, text: &str) -> Option<GlobalId> {
        let parts = split(text)?;
        match parts.as_slice() {
            [name] => self
                .path()
                .into_iter()
                .find_map(|schema| self.in_schema(schema, name)),
            [schema, name] | [_, schema, name] => {
                self.in_schema(self.catalog.schema(schema)?.id, name)
            }
            _ => None,
        }
    }

    /// Schema and name of a relation or index.
    fn placed(&self, id: GlobalId) -> Option<(GlobalId, String)> {
        if let Some(object) = self.catalog.get(id) {
            return Some((object.schema?, object.name.clone()));
        }
        let index = indexes::get(self.catalog, id)?;
        Some((index.on.schema?, index.name.to_string()))
    }

    /// Whether a relation or index is found by its name alone; `None` if there is none.
    pub fn is_visible(&self, id: GlobalId) -> Option<bool> {
        let (_, name) = self.placed(id)?;
        let first = self
            .path()
            .into_iter()
            .find_map(|schema| self.in_schema(schema, &name));
        Some(first == Some(id))
    }

    /// The name of a relation, qualified where the search path does not find it.
    pub fn shown(&self, id: GlobalId) -> Option<String> {
        let (schema, name) = self.placed(id)?;
        if self.is_visible(id) == Some(true) {
            return Some(quote(&name));
        }
        Some(format!(
            "{}.{}",
            quote(&self.catalog.get(schema)?.name),
            quote(&name)
        ))
    }

    /// The name of a relation with its schema.
    pub fn qualified(&self, object: &Object) -> String {
        match object.schema.and_then(|s| self.catalog.get(s)) {
            Some(schema) => format!("{}.{}", quote(&schema.name), quote(&object.name)),
            None => quote(&object.name),
        }
    }

    /// The type of a name as written in SQL.
    pub fn ty(&self, text: &str) -> Option<u32> {
        let text = text.trim();
        let base = text.strip_suffix("[]").unwrap_or(text).trim();
        let name = base.strip_prefix("pg_catalog.").unwrap_or(base);
        let (name, tail) = match (name.find('('), name.find(')')) {
            (Some(open), Some(close)) if open < close => (name[..open].trim(), &name[close + 1..]),
            _ => (name, ""),
        };
        let name = format!("{name}{tail}");
        let name = match name.strip_prefix('"').and_then(|n| n.strip_suffix('"')) {
            Some("char") => "\"char\"".to_string(),
            Some(quoted) => quoted.to_string(),
            None => name.to_ascii_lowercase(),
        };
        let name = match name.as_str() {
            "int" => "int4",
            "decimal" | "dec" => "numeric",
            "char" => "bpchar",
            "float" => "float8",
            other => other,
        };
        let all = ScalarType::all();
        let found = all
            .iter()
            .find(|t| t.sql_name() == name)
            .or_else(|| all.iter().find(|t| t.catalog_name() == name));
        match found {
            Some(ty) if text.ends_with("[]") => Some(ty.array_oid()).filter(|oid| *oid != 0),
            Some(ty) => Some(ty.oid()),
            None => match name {
                "record" => Some(2249),
                "unknown" => Some(705),
                "void" => Some(2278),
                "any" | "\"any\"" => Some(2276),
                "anyarray" => Some(2277),
                "anyelement" => Some(2283),
                "anynonarray" => Some(2776),
                _ => None,
            },
        }
    }

    /// The schema of a name as written in SQL.
    pub fn schema(&self, text: &str) -> Option<GlobalId> {
        match split(text)?.as_slice() {
            [name] => self.catalog.schema(name).map(|s| s.id),
            _ => None,
        }
    }

    /// The function of a name as written in SQL.
    pub fn function(&self, text: &str) -> Option<u32> {
        match split(text)?.as_slice() {
            [name] => procedures::by_name(name),
            [schema, name] if schema == "pg_catalog" => procedures::by_name(name),
            _ => None,
        }
    }

    /// Whether an object is a relation of a kind that has rows.
    pub fn has_rows(&self, id: GlobalId) -> bool {
        self.catalog.get(id).is_some_and(|o| o.desc().is_some())
    }
}
