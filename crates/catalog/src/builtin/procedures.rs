//! pg_proc, pg_aggregate and pg_operator, from the registries of functions.
//!
//! What PostgreSQL has too carries PostgreSQL's number (`data/procedures.tsv`, `data/operators.tsv`); the rest is
//! numbered from [`FIRST_OWN`] in the registries' order.

use super::cells::{self, Cell, cells};
use super::relations::OWNER;
use super::schema::{PG_CATALOG, desc};
use everview_expr::registry::{
    self, CAST, FunctionDesc, ParamType, TYPMOD, TYPMOD_ASSIGNMENT, Volatility,
};
use everview_expr::{aggregate, table_func};
use everview_repr::{Row, ScalarType};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

const FIRST_OWN: u32 = 15200;
/// Language `internal`.
const INTERNAL: u32 = 12;

/// One function.
#[derive(Clone, Debug)]
pub(crate) struct Procedure {
    pub oid: u32,
    pub name: String,
    pub kind: &'static str,
    pub params: Vec<ParamType>,
    pub returns: ParamType,
    pub set: bool,
    variadic: bool,
    strict: bool,
    volatility: &'static str,
    /// Names and types of the columns of a table function with more than one.
    columns: Vec<(&'static str, ParamType)>,
}

type Numbers = BTreeMap<(String, Vec<u32>), u32>;

/// PostgreSQL's numbers by name and parameter types.
fn numbers() -> Numbers {
    let line = |line: &str| {
        let mut fields = line.split('\t');
        let oid = fields.next()?.parse().ok()?;
        let name = fields.next()?.to_string();
        let args = fields
            .next()?
            .split(' ')
            .filter_map(|a| a.parse().ok())
            .collect();
        Some(((name, args), oid))
    };
    include_str!("data/procedures.tsv")
        .lines()
        .filter_map(line)
        .collect()
}

fn volatility(desc: &FunctionDesc) -> &'static str {
    match desc.volatility {
        Volatility::Immutable => "i",
        Volatility::Stable => "s",
        Volatility::Volatile => "v",
    }
}

fn is_operator(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_alphanumeric() || c == '_')
}

/// Functions with names of their own, then aggregates, then table functions.
static PROCEDURES: LazyLock<Vec<Procedure>> =
    LazyLock::new(|| {
        let mut numbers = numbers();
        let mut all = Vec::new();
        let mut add = |name: &str, kind, params: &[ParamType], returns: &ParamType, volatility| {
            let key = (
                name.to_string(),
                params.iter().map(ParamType::oid).collect(),
            );
            let oid = numbers.remove(&key).unwrap_or(0);
            all.push(Procedure {
                oid,
                name: name.to_string(),
                kind,
                params: params.to_vec(),
                returns: returns.clone(),
                set: false,
                variadic: false,
                strict: true,
                volatility,
                columns: Vec::new(),
            });
            all.len() - 1
        };
        let hidden = [CAST, TYPMOD, TYPMOD_ASSIGNMENT];
        let mut lenient = Vec::new();
        let named = registry::functions()
            .iter()
            .filter(|f| !is_operator(f.name) && !hidden.contains(&f.name));
        for f in named {
            let i = add(f.name, "f", &f.params, &f.returns, volatility(f));
            lenient.push((i, f.strict, f.variadic));
        }
        for f in aggregate::aggregates().iter().filter(|f| !f.is_internal()) {
            let i = add(f.name, "a", &f.params, &f.returns, "i");
            lenient.push((i, false, false));
        }
        let record = ParamType::Exact(ScalarType::Record(Vec::new()));
        let mut sets = Vec::new();
        for f in table_func::table_functions() {
            let returns = match f.returns.as_slice() {
                [(_, ty)] => ty,
                _ => &record,
            };
            let i = add(f.name, "f", &f.params, returns, "i");
            lenient.push((i, f.strict, f.variadic));
            sets.push((i, f.returns.clone()));
        }
        for (i, strict, variadic) in lenient {
            all[i].strict = strict;
            all[i].variadic = variadic;
        }
        for (i, columns) in sets {
            all[i].set = true;
            if columns.len() > 1 {
                all[i].columns = columns;
            }
        }
        // Input and output functions of types are known by name, for regproc.
        let text = ParamType::Exact(ScalarType::Text);
        let io = io_functions();
        all.extend(numbers.into_iter().filter(|(_, oid)| io.contains(oid)).map(
            |((name, _), oid)| Procedure {
                oid,
                name,
                kind: "f",
                params: vec![text.clone()],
                returns: text.clone(),
                set: false,
                variadic: false,
                strict: true,
                volatility: "i",
                columns: Vec::new(),
            },
        ));
        for (oid, procedure) in (FIRST_OWN..).zip(all.iter_mut().filter(|p| p.oid == 0)) {
            procedure.oid = oid;
        }
        all
    });

/// The numbers that pg_type gives for its functions.
fn io_functions() -> BTreeSet<u32> {
    let columns = desc("pg_type")
        .columns
        .iter()
        .map(|c| c.ty.scalar == ScalarType::RegProc);
    let is_function: Vec<_> = columns.collect();
    let fields = include_str!("data/pg_type.tsv")
        .lines()
        .flat_map(|line| line.split('\t').enumerate());
    let functions = fields.filter(|(i, _)| is_function.get(*i).copied().unwrap_or(false));
    functions
        .filter_map(|(_, f)| f.parse().ok())
        .filter(|f| *f != 0)
        .collect()
}

/// The function of an oid.
pub(crate) fn get(oid: u32) -> Option<&'static Procedure> {
    static BY_OID: LazyLock<BTreeMap<u32, usize>> = LazyLock::new(|| {
        PROCEDURES
            .iter()
            .enumerate()
            .map(|(i, p)| (p.oid, i))
            .collect()
    });
    BY_OID.get(&oid).map(|i| &PROCEDURES[*i])
}

/// The oid of the function of a name, the first if there are several.
pub(crate) fn by_name(name: &str) -> Option<u32> {
    PROCEDURES.iter().find(|p| p.name == name).map(|p| p.oid)
}

impl Procedure {
    /// `pg_get_function_arguments`.
    pub fn arguments(&self) -> String {
        let last = self.params.len().saturating_sub(1);
        let mut parts: Vec<_> = self.params.iter().map(ParamType::sql_name).collect();
        if self.variadic
            && let Some(part) = parts.get_mut(last)
        {
            *part = format!("VARIADIC {part}");
        }
        parts.extend(
            self.columns
                .iter()
                .map(|(name, ty)| format!("OUT {name} {}", ty.sql_name())),
        );
        parts.join(", ")
    }

    /// `pg_get_function_result`.
    pub fn result(&self) -> String {
        let set = if self.set { "SETOF " } else { "" };
        format!("{set}{}", self.returns.sql_name())
    }

    fn row(&self) -> Row {
        let mut cells = cells! {
            "oid" => self.oid, "proname" => &self.name, "pronamespace" => PG_CATALOG.0, "proowner" => OWNER,
            "prolang" => INTERNAL, "procost" => 1.0f32, "prorows" => if self.set { 1000.0f32 } else { 0.0 },
            "prokind" => self.kind, "prosecdef" => false, "proleakproof" => false, "proisstrict" => self.strict,
            "proretset" => self.set, "provolatile" => self.volatility, "proparallel" => "s",
            "pronargs" => self.params.len() as i16, "prorettype" => self.returns.oid(), "prosrc" => &self.name,
        };
        if self.variadic
            && let Some(last) = self.params.last()
        {
            cells.push(("provariadic", Cell::Oid(last.oid())));
        }
        cells.push((
            "proargtypes",
            Cell::OidVector(self.params.iter().map(ParamType::oid).collect()),
        ));
        cells::row(desc("pg_proc"), cells)
    }
}

/// The rows of pg_proc.
pub(crate) fn pg_proc() -> Vec<Row> {
    static ROWS: LazyLock<Vec<Row>> =
        LazyLock::new(|| PROCEDURES.iter().map(Procedure::row).collect());
    ROWS.clone()
}

/// The rows of pg_aggregate.
pub(crate) fn pg_aggregate() -> Vec<Row> {
    let aggregates = PROCEDURES.iter().filter(|p| p.kind == "a");
    aggregates
        .map(|p| {
            let cells = cells! {
                "aggfnoid" => p.oid, "aggkind" => "n", "aggfinalmodify" => "r", "aggmfinalmodify" => "r",
                "aggtranstype" => p.returns.oid(),
            };
            cells::row(desc("pg_aggregate"), cells)
        })
        .collect()
}

/// The rows of pg_operator: what both PostgreSQL and the registry have, with PostgreSQL's numbers.
pub(crate) fn pg_operator() -> Vec<Row> {
    static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| {
        let known: BTreeSet<_> = registry::functions().iter().map(|f| f.name).collect();
        include_str!("data/operators.tsv")
            .lines()
            .filter_map(|line| operator(line, &known))
            .collect()
    });
    ROWS.clone()
}

fn operator(line: &str, known: &BTreeSet<&str>) -> Option<Row> {
    let fields: Vec<_> = line.split('\t').collect();
    let number = |i: usize| fields.get(i).and_then(|f| f.parse::<u32>().ok());
    let name = *fields.get(1)?;
    known.contains(name).then_some(())?;
    let left = number(2)?;
    Some(cells::row(
        desc("pg_operator"),
        cells! {
            "oid" => number(0)?, "oprname" => name, "oprnamespace" => PG_CATALOG.0, "oprowner" => OWNER,
            "oprkind" => if left == 0 { "l" } else { "b" }, "oprcanmerge" => name == "=", "oprcanhash" => name == "=",
            "oprleft" => left, "oprright" => number(3)?, "oprresult" => number(4)?, "oprcode" => number(5)?,
        },
    ))
}
