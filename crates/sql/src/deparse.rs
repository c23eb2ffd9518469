//! Definitions as PostgreSQL shows them: `pg_get_viewdef`, `pg_get_constraintdef`, `pg_get_indexdef`, `pg_get_expr`.
//!
//! A stored text is planned once more, and what planning finds out is noted by its place in the text: which table
//! an unqualified column belongs to, what `*` stands for, the type that a literal was given, the implicit cast of an
//! operand. The syntax tree is then printed with these notes, parenthesized and broken into lines as `ruleutils.c`
//! does. What is printed can be run again. A form that the printer does not know makes it give up: the definition
//! is then shown as it was written, with current names.

mod call;
mod expr;
mod from;
mod literal;
mod query;
mod shape;

use crate::hir::HirScalar;
use crate::names;
use crate::parse;
use crate::planner::{PlanContext, Planner};
use crate::scope::Env;
use crate::stored::{display_definition, display_expression};
use crate::typed::Typed;
use everview_catalog::Catalog;
use everview_catalog::object::View;
use everview_repr::{ColumnType, RelationDesc, Row, ScalarType};
use std::collections::BTreeMap;

/// What planning found out about a text, by the place of what it is about.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// The tables of unqualified columns.
    tables: BTreeMap<usize, String>,
    /// Types that columns and calls are implicitly cast to.
    casts: BTreeMap<usize, ScalarType>,
    /// Values and types of literals whose type the context gave.
    literals: BTreeMap<usize, (Row, ScalarType)>,
    /// The columns that `*` stands for, qualified, with their names.
    stars: BTreeMap<usize, Vec<(String, String)>>,
}

impl Notes {
    /// An unqualified column belongs to a table.
    pub fn table(&mut self, position: Option<usize>, table: Option<String>) {
        if let (Some(position), Some(table)) = (position, table) {
            self.tables.insert(position, table);
        }
    }

    /// A value was brought to a type.
    pub fn cast(&mut self, position: Option<usize>, was: &HirScalar, now: &Typed) {
        let Some(position) = position else { return };
        match (was, &now.expr) {
            (HirScalar::Literal(_, ty), HirScalar::Literal(row, _))
                if ty.scalar == ScalarType::Unknown =>
            {
                let value = (row.clone(), now.ty.scalar.clone());
                self.literals.insert(position, value);
            }
            // An operator is where its first operand is: only operands are noted.
            (HirScalar::Literal(..) | HirScalar::Column(_), _) => {
                self.casts.insert(position, now.ty.scalar.clone());
            }
            _ => {}
        }
    }

    /// `*` stands for a column.
    pub fn star(&mut self, position: Option<usize>, table: Option<String>, name: String) {
        if let Some(position) = position {
            let column = match table {
                Some(table) => format!("{}.{}", names::quote(&table), names::quote(&name)),
                None => names::quote(&name),
            };
            self.stars.entry(position).or_default().push((column, name));
        }
    }
}

/// The printer came to something that it does not know.
struct Unknown;

/// A text in the making.
struct Printer<'a> {
    out: String,
    notes: Notes,
    catalog: &'a Catalog,
    search_path: &'a [String],
    /// The columns that `"$1"` counts.
    columns: &'a [everview_repr::ColumnDesc],
    /// Parentheses only where they are needed.
    pretty: bool,
    /// Spaces before a new line's text.
    level: usize,
}

impl Printer<'_> {
    fn push(&mut self, text: &str) {
        self.out.push_str(text);
    }

    /// A new line, indented by the level and `plus` more; then the text.
    fn line(&mut self, level: usize, text: &str) {
        while self.out.ends_with(' ') {
            self.out.pop();
        }
        self.out.push('\n');
        self.out.extend(std::iter::repeat_n(' ', level));
        self.out.push_str(text);
    }
}

/// A view's query, with a semicolon. `pretty` leaves out parentheses that precedence makes needless.
pub fn view_definition(
    catalog: &Catalog,
    search_path: &[String],
    view: &View,
    pretty: bool,
) -> String {
    print_view(catalog, search_path, view, pretty).unwrap_or_else(|| {
        let shown = display_definition(catalog, search_path, view.sql.trim());
        format!(" {shown};")
    })
}

fn print_view(
    catalog: &Catalog,
    search_path: &[String],
    view: &View,
    pretty: bool,
) -> Option<String> {
    let context = PlanContext {
        catalog,
        search_path: &[],
        time_zone: &view.time_zone,
        params: &[],
        environment: None,
    };
    let names: Vec<&str> = view.desc.names().collect();
    let printed = parse::with_query(&view.sql, |query, marks| {
        let mut planner = Planner::new(&context, marks);
        planner.notes = Some(Notes::default());
        planner.subquery(query, &Env::EMPTY)?;
        let mut printer = Printer {
            out: String::new(),
            notes: planner.notes.take().unwrap_or_default(),
            catalog,
            search_path,
            columns: &[],
            pretty,
            level: 0,
        };
        Ok(printer
            .query(query, Some(&names))
            .ok()
            .map(|()| printer.out))
    });
    printed.ok().flatten().map(|text| text + ";")
}

/// An expression over one relation's columns; with a type, as a value for a column of it.
///
/// Operators are in parentheses unless `pretty` leaves out the needless ones.
pub fn expression(
    catalog: &Catalog,
    desc: &RelationDesc,
    target: Option<&ColumnType>,
    sql: &str,
    pretty: bool,
) -> String {
    let context = PlanContext {
        catalog,
        search_path: &[],
        time_zone: "UTC",
        params: &[],
        environment: None,
    };
    let printed = parse::with_expr(sql, |expr, marks| {
        let mut planner = Planner::new(&context, marks);
        planner.notes = Some(Notes::default());
        match target {
            Some(ty) => {
                let value = planner.unresolved_positional(expr, desc)?;
                planner.assign(value, "", ty)?;
            }
            None => drop(planner.positional(expr, desc)?),
        }
        let mut printer = Printer {
            out: String::new(),
            notes: planner.notes.take().unwrap_or_default(),
            catalog,
            search_path: &[],
            columns: &desc.columns,
            pretty,
            level: 0,
        };
        Ok(printer.expr(expr, false).ok().map(|()| printer.out))
    });
    printed
        .ok()
        .flatten()
        .unwrap_or_else(|| display_expression(desc, sql))
}

/// An index's column of an expression, as catalogs describe it.
#[derive(Debug)]
pub struct IndexColumn {
    /// The function's name, else `expr`.
    pub name: String,
    /// The expression's type.
    pub ty: ColumnType,
    /// A call, which CREATE INDEX takes without parentheses around it.
    pub is_call: bool,
}

/// Describes an index's expression over its relation's columns; none for a text that cannot be planned.
pub fn index_column(catalog: &Catalog, desc: &RelationDesc, sql: &str) -> Option<IndexColumn> {
    let ty = crate::plan_scalar_text(catalog, desc, sql)
        .ok()?
        .ty(&desc.types());
    let describe = |expr: &sqlparser::ast::Expr, _: &[parse::Mark]| {
        Ok(IndexColumn {
            name: crate::query::column_name(expr).unwrap_or_else(|| "expr".to_string()),
            ty: ty.clone(),
            is_call: expr::is_plain_call(expr),
        })
    };
    parse::with_expr(sql, describe).ok()
}
