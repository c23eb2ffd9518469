//! What names mean where.
//!
//! A [`Scope`] names the columns of one row. An [`Env`] is the chain of rows that an expression sees, innermost
//! first; each link but [`Frame::Reveal`] is one level of [`crate::hir::ColumnRef`]. A row on the left of a join
//! can be seen from its right side only through LATERAL: through a `Reveal`.

use crate::error::PlanError;
use crate::hir::{ColumnRef, HirScalar};
use everview_repr::{ColumnType, GlobalId, SqlState};

/// A column's name, type and origin.
pub(crate) type NamedColumn = (String, ColumnType, Option<(GlobalId, u16)>);

/// A named column of a row.
#[derive(Clone, Debug)]
pub(crate) struct ScopeColumn {
    /// Its name.
    pub name: String,
    /// Its position in the row.
    pub index: usize,
    /// Its type.
    pub ty: ColumnType,
    /// The relation's column that it is unchanged.
    pub origin: Option<(GlobalId, u16)>,
    /// Its place in [`Scope::tables`]; none for a column merged by USING.
    pub table: Option<usize>,
}

/// A FROM item's name and columns.
#[derive(Clone, Debug)]
pub(crate) struct ScopeTable {
    /// Its alias, or the relation's name; none cannot be named.
    pub name: Option<String>,
    /// The relation's schema, where no alias hides it.
    pub schema: Option<String>,
    /// The table or view itself.
    pub id: Option<GlobalId>,
    /// The columns.
    pub columns: Vec<ScopeColumn>,
    /// The row is one value of a scalar function: its name stands for the column.
    pub scalar: bool,
}

/// The names of one row's columns.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    /// FROM items, for qualified names.
    pub tables: Vec<ScopeTable>,
    /// What `*` and unqualified names mean, in order.
    pub visible: Vec<ScopeColumn>,
    /// How many columns the row has.
    pub arity: usize,
}

impl Scope {
    /// One table's row.
    pub fn table(
        name: Option<String>,
        schema: Option<String>,
        id: Option<GlobalId>,
        columns: Vec<NamedColumn>,
    ) -> Scope {
        let columns: Vec<_> = columns
            .into_iter()
            .enumerate()
            .map(|(index, (name, ty, origin))| ScopeColumn {
                name,
                index,
                ty,
                origin,
                table: Some(0),
            })
            .collect();
        let arity = columns.len();
        let visible = columns.clone();
        Scope {
            tables: vec![ScopeTable {
                name,
                schema,
                id,
                columns,
                scalar: false,
            }],
            visible,
            arity,
        }
    }

    /// This row and another after it.
    pub fn product(mut self, other: Scope) -> Scope {
        let (columns, tables) = (self.arity, self.tables.len());
        let shift = |mut c: ScopeColumn| {
            c.index += columns;
            c.table = c.table.map(|t| t + tables);
            c
        };
        self.visible.extend(other.visible.into_iter().map(shift));
        self.tables.extend(other.tables.into_iter().map(|mut t| {
            t.columns = t.columns.into_iter().map(shift).collect();
            t
        }));
        self.arity += other.arity;
        self
    }

    /// The columns can be NULL from here on: the outer side of a join.
    pub fn make_nullable(&mut self) {
        let tables = self.tables.iter_mut().flat_map(|t| &mut t.columns);
        for column in tables.chain(&mut self.visible) {
            column.ty.nullable = true;
        }
    }

    /// Positions in [`Scope::tables`] that a qualifier means.
    fn tables_named(&self, schema: Option<&str>, name: &str) -> impl Iterator<Item = &ScopeTable> {
        self.tables.iter().filter(move |t| {
            t.name.as_deref() == Some(name) && (schema.is_none() || t.schema.as_deref() == schema)
        })
    }
}

/// A column found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// Where.
    pub reference: ColumnRef,
    /// Its type.
    pub ty: ColumnType,
}

impl Found {
    /// As an expression.
    pub fn expr(&self) -> HirScalar {
        HirScalar::Column(self.reference)
    }
}

/// One link of the chain.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Frame<'e> {
    /// The row at hand of a query.
    Row(&'e Scope),
    /// The left row of a join, for its right side; `allowed` is false where the join is RIGHT or FULL.
    Left(&'e Scope, bool),
    /// What is inside is LATERAL: it sees the left rows next to here.
    Reveal,
}

/// The chain of rows that an expression sees.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Env<'e> {
    frame: Option<Frame<'e>>,
    parent: Option<&'e Env<'e>>,
}

impl<'e> Env<'e> {
    /// No row at all.
    pub const EMPTY: Env<'static> = Env {
        frame: None,
        parent: None,
    };

    /// This chain with one more link inside.
    pub fn with(&'e self, frame: Frame<'e>) -> Env<'e> {
        Env {
            frame: Some(frame),
            parent: Some(self),
        }
    }

    /// The rows in view, with their level and whether they may be named.
    fn rows(&self) -> Vec<(usize, &'e Scope, Sight)> {
        let mut rows = Vec::new();
        let mut level = 0;
        let mut revealed = false;
        let mut at = Some(self);
        while let Some(env) = at {
            match env.frame {
                Some(Frame::Row(scope)) => {
                    rows.push((level, scope, Sight::Clear));
                    level += 1;
                    revealed = false;
                }
                Some(Frame::Left(scope, allowed)) => {
                    let sight = match (revealed, allowed) {
                        (true, true) => Sight::Clear,
                        (true, false) => Sight::Blocked,
                        (false, _) => Sight::Hidden,
                    };
                    rows.push((level, scope, sight));
                    level += 1;
                }
                Some(Frame::Reveal) => revealed = true,
                None => {}
            }
            at = env.parent;
        }
        rows
    }

    /// The name of the table that an unqualified column belongs to.
    pub fn table_of(&self, name: &str) -> Option<String> {
        let mut rows = self
            .rows()
            .into_iter()
            .filter(|(_, _, s)| *s != Sight::Hidden);
        rows.find_map(|(_, scope, _)| {
            let column = scope.visible.iter().find(|c| c.name == name)?;
            // A column merged by USING is that of one of its tables.
            let tables = scope.tables.iter();
            let own = tables.filter(|t| t.columns.iter().any(|c| c.index == column.index));
            Some(own.filter_map(|t| t.name.clone()).next())
        })?
    }

    /// The column of an unqualified name.
    pub fn column(&self, name: &str) -> Result<Found, PlanError> {
        for (level, scope, sight) in self.rows() {
            let mut matches = scope.visible.iter().filter(|c| c.name == name);
            let Some(column) = matches.next() else {
                continue;
            };
            if sight == Sight::Hidden {
                continue;
            }
            if matches.next().is_some() {
                return Err(ambiguous_column(name));
            }
            let table = column.table.and_then(|t| scope.tables[t].name.clone());
            sight.check(table.as_deref().unwrap_or(name))?;
            return Ok(found(level, column));
        }
        Err(self.undefined_column(name))
    }

    /// The column of a qualified name.
    pub fn qualified(
        &self,
        schema: Option<&str>,
        table: &str,
        name: &str,
    ) -> Result<Found, PlanError> {
        let Some((level, scope, sight)) = self.table_row(schema, table)? else {
            return Err(self.undefined_table(table));
        };
        sight.check(table)?;
        let mut matches = scope
            .tables_named(schema, table)
            .flat_map(|t| t.columns.iter().filter(|c| c.name == name));
        let Some(column) = matches.next() else {
            if SYSTEM_COLUMNS.contains(&name) {
                return Err(system_column(name));
            }
            let message = format!("column {table}.{name} does not exist");
            let error = PlanError::new(SqlState::UNDEFINED_COLUMN, message);
            let names = scope
                .tables_named(schema, table)
                .flat_map(|t| t.columns.iter().map(move |c| (t, c)));
            return Err(hint_like(
                error,
                name,
                names.map(|(t, c)| (t.name.as_deref(), c.name.as_str())),
            ));
        };
        if matches.next().is_some() {
            return Err(ambiguous_column(name));
        }
        Ok(found(level, column))
    }

    /// The FROM item of a name, with its level.
    pub fn table(
        &self,
        schema: Option<&str>,
        name: &str,
    ) -> Result<Option<(usize, &'e ScopeTable)>, PlanError> {
        let Some((level, scope, sight)) = self.table_row(schema, name)? else {
            return Ok(None);
        };
        sight.check(name)?;
        Ok(scope.tables_named(schema, name).next().map(|t| (level, t)))
    }

    fn table_row(
        &self,
        schema: Option<&str>,
        name: &str,
    ) -> Result<Option<(usize, &'e Scope, Sight)>, PlanError> {
        for (level, scope, sight) in self.rows() {
            let count = scope.tables_named(schema, name).count();
            if sight == Sight::Hidden || count == 0 {
                continue;
            }
            if count > 1 {
                let message = format!("table reference \"{name}\" is ambiguous");
                return Err(PlanError::new(SqlState::AMBIGUOUS_ALIAS, message));
            }
            return Ok(Some((level, scope, sight)));
        }
        Ok(None)
    }

    /// 42P01 as Postgres words it.
    pub fn undefined_table(&self, name: &str) -> PlanError {
        let hidden = self
            .rows()
            .into_iter()
            .any(|(_, s, _)| s.tables_named(None, name).next().is_some());
        if hidden {
            let message = format!("invalid reference to FROM-clause entry for table \"{name}\"");
            return PlanError::new(SqlState::UNDEFINED_TABLE, message).with_hint(format!(
                "There is an entry for table \"{name}\", but it cannot be referenced from this part of the query."
            ));
        }
        for (_, scope, _) in self.rows() {
            let alias = scope
                .tables
                .iter()
                .find(|t| t.schema.as_deref() == Some(name));
            if let Some(alias) = alias.and_then(|t| t.name.as_deref()) {
                let message =
                    format!("invalid reference to FROM-clause entry for table \"{name}\"");
                return PlanError::new(SqlState::UNDEFINED_TABLE, message).with_hint(format!(
                    "Perhaps you meant to reference the table alias \"{alias}\"."
                ));
            }
        }
        let message = format!("missing FROM-clause entry for table \"{name}\"");
        PlanError::new(SqlState::UNDEFINED_TABLE, message)
    }

    fn undefined_column(&self, name: &str) -> PlanError {
        if SYSTEM_COLUMNS.contains(&name) && !self.rows().is_empty() {
            return system_column(name);
        }
        let error = PlanError::new(
            SqlState::UNDEFINED_COLUMN,
            format!("column \"{name}\" does not exist"),
        );
        let rows = self.rows();
        for (_, scope, sight) in &rows {
            let hidden = scope.visible.iter().find(|c| c.name == name);
            if let (Sight::Hidden, Some(column)) = (sight, hidden) {
                let table = column
                    .table
                    .and_then(|t| scope.tables[t].name.as_deref())
                    .unwrap_or("");
                return error.with_hint(format!(
                    "There is a column named \"{name}\" in table \"{table}\", but it cannot be referenced from this part of the query."
                ));
            }
        }
        let names = rows
            .iter()
            .filter(|(_, _, sight)| *sight != Sight::Hidden)
            .flat_map(|(_, scope, _)| {
                let named = |c: &ScopeColumn| c.table.and_then(|t| scope.tables[t].name.as_deref());
                scope
                    .visible
                    .iter()
                    .map(move |c| (named(c), c.name.as_str()))
            });
        hint_like(error, name, names)
    }
}

/// How well a row can be seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sight {
    Clear,
    /// By LATERAL through a RIGHT or FULL join.
    Blocked,
    /// Without LATERAL.
    Hidden,
}

impl Sight {
    fn check(self, table: &str) -> Result<(), PlanError> {
        if self != Sight::Blocked {
            return Ok(());
        }
        let message = format!("invalid reference to FROM-clause entry for table \"{table}\"");
        Err(PlanError::new(SqlState::INVALID_COLUMN_REFERENCE, message)
            .with_detail("The combining JOIN type must be INNER or LEFT for a LATERAL reference."))
    }
}

fn found(level: usize, column: &ScopeColumn) -> Found {
    let reference = ColumnRef {
        level,
        column: column.index,
    };
    Found {
        reference,
        ty: column.ty.clone(),
    }
}

fn ambiguous_column(name: &str) -> PlanError {
    PlanError::new(
        SqlState::AMBIGUOUS_COLUMN,
        format!("column reference \"{name}\" is ambiguous"),
    )
}

/// Postgres's hint at similar names: those within half the name's length, the nearest, at most two.
fn hint_like<'n>(
    error: PlanError,
    name: &str,
    names: impl Iterator<Item = (Option<&'n str>, &'n str)>,
) -> PlanError {
    let mut best: Vec<String> = Vec::new();
    let limit = name.chars().count().div_ceil(2).min(3);
    let mut distance = limit + 1;
    for (table, column) in names {
        let d = levenshtein(name, column);
        let full = match table {
            Some(table) => format!("\"{table}.{column}\""),
            None => format!("\"{column}\""),
        };
        match d.cmp(&distance) {
            std::cmp::Ordering::Less => {
                best = vec![full];
                distance = d;
            }
            std::cmp::Ordering::Equal if d <= limit => best.push(full),
            _ => {}
        }
    }
    match best.as_slice() {
        [] => error,
        [one] => error.with_hint(format!("Perhaps you meant to reference the column {one}.")),
        [one, two] => error.with_hint(format!(
            "Perhaps you meant to reference the column {one} or the column {two}."
        )),
        _ => error,
    }
}

fn levenshtein(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// Columns that every table of Postgres has.
const SYSTEM_COLUMNS: [&str; 6] = ["tableoid", "ctid", "xmin", "xmax", "cmin", "cmax"];

fn system_column(name: &str) -> PlanError {
    PlanError::unsupported(format!("the system column {name}"))
}
