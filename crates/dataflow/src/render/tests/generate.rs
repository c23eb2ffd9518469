//! Random expressions over three small tables, and random histories of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use everview_expr::aggregate::{self, OrderExpr};
use everview_expr::window::{Frame, FrameBound, FrameUnits, resolve_window};
use everview_expr::{
    AggregateExpr, CallTypes, Id, LocalId, RelExpr, RelationType, ScalarExpr, WindowExpr, resolve,
};
use everview_repr::{
    ColumnOrder, ColumnType, Datum, Diff, GlobalId, Row, RowArena, ScalarType, Timestamp, Typmod,
};
use proptest::prelude::*;

use super::oracle::Answer;

/// Numbers and text; numbers of several identities; a table that only grows.
pub const TABLES: [GlobalId; 3] = [GlobalId(101), GlobalId(102), GlobalId(103)];

pub fn types(table: GlobalId) -> Vec<ColumnType> {
    let second = match table.0 {
        101 => ScalarType::Text,
        102 => ScalarType::Numeric,
        _ => ScalarType::Int32,
    };
    vec![ScalarType::Int32.nullable(), second.nullable()]
}

/// Choices, which end in zeros.
pub struct Entropy {
    bytes: std::vec::IntoIter<u8>,
    locals: Vec<(LocalId, RelationType)>,
    view: Option<RelExpr>,
    next_local: u32,
}

impl Entropy {
    pub fn new(bytes: Vec<u8>) -> Entropy {
        Entropy {
            bytes: bytes.into_iter(),
            locals: vec![],
            view: None,
            next_local: 0,
        }
    }

    /// From here on, expressions also read this view.
    pub fn over(&mut self, view: RelExpr) {
        self.view = Some(view);
    }

    fn below(&mut self, n: usize) -> usize {
        usize::from(self.bytes.next().unwrap_or(0)) % n.max(1)
    }
    fn chance(&mut self, of: usize) -> bool {
        self.below(of) == of - 1
    }
}

pub fn get(table: GlobalId) -> RelExpr {
    let mut ty = RelationType::new(types(table));
    ty.append_only = table == TABLES[2];
    RelExpr::Get {
        id: Id::Global(table),
        ty,
    }
}

/// An expression whose multiplicities are positive.
pub fn relation(g: &mut Entropy, depth: usize) -> RelExpr {
    if depth == 0 || g.chance(8) {
        return leaf(g);
    }
    let kind = g.below(13);
    let input = relation(g, depth - 1);
    let columns = input.ty().columns;
    match kind {
        0 => {
            let scalar = any_scalar(g, &columns, 2);
            input.map(vec![scalar])
        }
        1 => {
            let predicate = scalar(g, &columns, &ScalarType::Bool, 2);
            input.filter(vec![predicate])
        }
        2 => {
            let n = g.below(columns.len() + 1);
            let outputs = (0..n).map(|_| g.below(columns.len())).collect();
            input.project(outputs)
        }
        3 | 4 => join(g, input, depth),
        5 | 6 => reduce(g, input),
        7 => top_k(g, input),
        8 => window(g, input),
        9 => match same_shape(g, &input) {
            Some(other) => RelExpr::Union {
                inputs: vec![input, other.negate()],
            }
            .threshold(),
            None => input.distinct(),
        },
        10 => match same_shape(g, &input) {
            Some(other) => RelExpr::Union {
                inputs: vec![input, other],
            },
            None => input,
        },
        11 => {
            let id = LocalId(g.next_local);
            g.next_local += 1;
            g.locals.push((id, input.ty()));
            let body = relation(g, depth - 1);
            g.locals.pop();
            RelExpr::Let {
                id,
                value: Box::new(input),
                body: Box::new(body),
            }
        }
        _ => flat_map(g, input),
    }
}

fn leaf(g: &mut Entropy) -> RelExpr {
    if let Some(view) = g.view.clone()
        && g.chance(2)
    {
        return view;
    }
    if !g.locals.is_empty() && g.chance(2) {
        let at = g.below(g.locals.len());
        let (id, ty) = g.locals[at].clone();
        return RelExpr::Get {
            id: Id::Local(id),
            ty,
        };
    }
    match g.below(7) {
        6 => {
            let ty = RelationType::new(types(TABLES[0]));
            let row = |n: i32| (Row::pack([Datum::Int32(n), Datum::Text("a")]), i64::from(n));
            RelExpr::Constant {
                rows: Ok((1..g.below(4) as i32 + 1).map(row).collect()),
                ty,
            }
        }
        n => get(TABLES[n % 3]),
    }
}

/// Another expression with the same column types.
fn same_shape(g: &mut Entropy, expr: &RelExpr) -> Option<RelExpr> {
    let wanted: Vec<_> = expr.ty().columns.into_iter().map(|c| c.scalar).collect();
    let other = leaf(g);
    let columns = other.ty().columns;
    let outputs: Option<Vec<usize>> = wanted
        .iter()
        .map(|ty| columns.iter().position(|c| c.scalar == *ty))
        .collect();
    Some(other.project(outputs?))
}

fn join(g: &mut Entropy, first: RelExpr, depth: usize) -> RelExpr {
    let mut inputs = vec![first];
    for _ in 0..1 + g.below(3) {
        inputs.push(relation(g, depth.saturating_sub(2)));
    }
    let columns: Vec<ColumnType> = inputs.iter().flat_map(|i| i.ty().columns).collect();
    let starts: Vec<usize> = inputs
        .iter()
        .scan(0, |start, i| {
            *start += i.arity();
            Some(*start - i.arity())
        })
        .collect();
    // Mostly connected: each further input is tied to some column before it.
    let mut equivalences = Vec::new();
    for start in starts.into_iter().skip(1) {
        if g.chance(6) {
            continue;
        }
        let ties: Vec<_> = (0..start)
            .flat_map(|a| (start..columns.len()).map(move |b| (a, b)))
            .filter(|(a, b)| columns[*a].scalar == columns[*b].scalar)
            .collect();
        if !ties.is_empty() {
            let (a, b) = ties[g.below(ties.len())];
            let mut class = vec![ScalarExpr::Column(a), ScalarExpr::Column(b)];
            if columns[a].scalar == ScalarType::Int32 && g.chance(2) {
                class = class.into_iter().map(|e| fallible(g, e)).collect();
                if g.chance(3) {
                    class.push(literal(g, &ScalarType::Int32));
                }
            }
            equivalences.push(class);
        }
    }
    // Over both inputs of a join of two.
    if inputs.len() == 2 && g.chance(4) {
        let mine = scalar(g, &columns[..inputs[0].arity()], &ScalarType::Int32, 1);
        equivalences.push(vec![mine, scalar(g, &columns, &ScalarType::Int32, 2)]);
    }
    RelExpr::Join {
        inputs,
        equivalences,
    }
}

pub fn call_types(args: Vec<ScalarType>, result: ScalarType) -> Arc<CallTypes> {
    Arc::new(CallTypes {
        args,
        result,
        typmod: Typmod::NONE,
        time_zone: "UTC".into(),
        environment: None,
    })
}

fn operator(name: &str, args: Vec<ScalarExpr>, ty: &ScalarType) -> ScalarExpr {
    let types = vec![ty.clone(); args.len()];
    let resolved = resolve::resolve_operator(name, &types).expect("an operator");
    ScalarExpr::Call {
        func: resolved.func,
        args,
        types: call_types(resolved.args, resolved.result),
    }
}

fn literal(g: &mut Entropy, ty: &ScalarType) -> ScalarExpr {
    let arena = RowArena::new();
    let datum = match ty {
        ScalarType::Text => Datum::Text(["a", "b", ""][g.below(3)]),
        ScalarType::Numeric => numeric(&arena, ["1.0", "1.00", "2", "-0.5"][g.below(4)]),
        ScalarType::Int32 => Datum::Int32([-1, 0, 1, 2, i32::MAX][g.below(5)]),
        ScalarType::Int64 => Datum::Int64(g.below(3) as i64),
        ScalarType::Bool => Datum::Bool(g.chance(2)),
        _ => Datum::Null,
    };
    ScalarExpr::literal(datum, ty.clone())
}

fn numeric<'a>(arena: &'a RowArena, text: &str) -> Datum<'a> {
    everview_repr::text::parse(&ScalarType::Numeric, text, arena).expect("a number")
}

/// A number for which some numbers fail.
fn fallible(g: &mut Entropy, number: ScalarExpr) -> ScalarExpr {
    let other = literal(g, &ScalarType::Int32);
    match g.below(3) {
        0 => number,
        1 => operator("/", vec![other, number], &ScalarType::Int32),
        _ => operator("+", vec![number, other], &ScalarType::Int32),
    }
}

fn any_scalar(g: &mut Entropy, columns: &[ColumnType], depth: usize) -> ScalarExpr {
    let ty = [
        ScalarType::Int32,
        ScalarType::Text,
        ScalarType::Numeric,
        ScalarType::Bool,
    ][g.below(4)]
    .clone();
    scalar(g, columns, &ty, depth)
}

fn scalar(g: &mut Entropy, columns: &[ColumnType], ty: &ScalarType, depth: usize) -> ScalarExpr {
    let there: Vec<usize> = (0..columns.len())
        .filter(|c| columns[*c].scalar == *ty)
        .collect();
    if depth > 0 && *ty == ScalarType::Bool {
        let of = [ScalarType::Int32, ScalarType::Text, ScalarType::Numeric][g.below(3)].clone();
        return match g.below(4) {
            0 => ScalarExpr::IsNull(Box::new(scalar(g, columns, &of, depth - 1))),
            n => {
                let args = vec![
                    scalar(g, columns, &of, depth - 1),
                    scalar(g, columns, &of, 0),
                ];
                operator(["=", "<", "<>"][n - 1], args, &of)
            }
        };
    }
    if depth > 0 && [ScalarType::Int32, ScalarType::Numeric].contains(ty) && g.chance(3) {
        let name = ["+", "/"][g.below(2)];
        let args = vec![
            scalar(g, columns, ty, depth - 1),
            scalar(g, columns, ty, depth - 1),
        ];
        return operator(name, args, ty);
    }
    if there.is_empty() || g.chance(4) {
        return literal(g, ty);
    }
    ScalarExpr::Column(there[g.below(there.len())])
}

fn reduce(g: &mut Entropy, input: RelExpr) -> RelExpr {
    let columns = input.ty().columns;
    let keys = g.below(3);
    let group_key = (0..keys).map(|_| match g.chance(5) {
        true => any_scalar(g, &columns, 1),
        false if columns.is_empty() => literal(g, &ScalarType::Int32),
        false => ScalarExpr::Column(g.below(columns.len())),
    });
    let group_key = group_key.collect();
    let aggregates = (0..g.below(4)).map(|_| aggregate(g, &columns)).collect();
    RelExpr::Reduce {
        input: Box::new(input),
        group_key,
        aggregates,
    }
}

fn aggregate(g: &mut Entropy, columns: &[ColumnType]) -> AggregateExpr {
    use ScalarType::{Int32, Numeric, Text};
    let (name, args): (_, Vec<ScalarType>) = match g.below(10) {
        0 => ("count", vec![]),
        1 => ("count", vec![Text]),
        2 => ("sum", vec![Int32]),
        3 => ("sum", vec![Numeric]),
        4 => ("min", vec![Numeric]),
        5 => ("max", vec![Numeric]),
        6 => ("min", vec![Int32]),
        7 => ("max", vec![Text]),
        8 => ("array_agg", vec![Int32]),
        _ => ("string_agg", vec![Text, Text]),
    };
    let resolved = resolve::resolve_aggregate(name, &args)
        .expect("an aggregate")
        .expect("of these");
    let exprs: Vec<_> = args.iter().map(|ty| scalar(g, columns, ty, 1)).collect();
    let distinct = !args.is_empty() && g.chance(3);
    let filter = g
        .chance(4)
        .then(|| scalar(g, columns, &ScalarType::Bool, 1));
    let whole = aggregate::get(resolved.func).kind == aggregate::AggregateKind::WholeGroup;
    let order_by = match whole && !distinct && !columns.is_empty() {
        true => vec![OrderExpr {
            expr: any_scalar(g, columns, 1),
            descending: g.chance(2),
            nulls_last: g.chance(2),
        }],
        false => vec![],
    };
    AggregateExpr {
        func: resolved.func,
        args: exprs,
        arg_types: resolved.args,
        result: resolved.result.nullable(),
        distinct,
        filter,
        order_by,
    }
}

fn top_k(g: &mut Entropy, input: RelExpr) -> RelExpr {
    let columns = input.arity();
    if columns == 0 {
        return input;
    }
    let group_key = (0..g.below(2)).map(|_| g.below(columns)).collect();
    let order = (0..g.below(3)).map(|_| ColumnOrder {
        column: g.below(columns),
        descending: g.chance(2),
        nulls_last: g.chance(2),
    });
    let order_key = order.collect();
    let limit = (!g.chance(4)).then(|| g.below(4) as u64);
    let offset = if g.chance(3) { g.below(3) as u64 } else { 0 };
    RelExpr::TopK {
        input: Box::new(input),
        group_key,
        order_key,
        limit,
        offset,
    }
}

fn window(g: &mut Entropy, input: RelExpr) -> RelExpr {
    let columns = input.ty().columns;
    if columns.is_empty() {
        return input;
    }
    let partition_by: Vec<_> = (0..g.below(2))
        .map(|_| any_scalar(g, &columns, 1))
        .collect();
    let functions = (0..1 + g.below(2)).map(|_| {
        let value = any_scalar(g, &columns, 1);
        let (name, args) = match g.below(4) {
            0 => ("row_number", vec![]),
            1 => ("rank", vec![]),
            2 => ("lag", vec![value]),
            _ => ("last_value", vec![value]),
        };
        let types: Vec<_> = args.iter().map(|e| e.ty(&columns).scalar).collect();
        let resolved = resolve_window(name, &types)
            .expect("a window function")
            .expect("of these");
        WindowExpr {
            func: resolved.func,
            args,
            partition_by: partition_by.clone(),
            order_by: vec![OrderExpr {
                expr: any_scalar(g, &columns, 1),
                descending: g.chance(2),
                nulls_last: true,
            }],
            frame: Frame {
                units: FrameUnits::Range,
                start: FrameBound::UnboundedPreceding,
                end: FrameBound::CurrentRow,
            },
            result: resolved.result.nullable(),
        }
    });
    let functions = functions.collect();
    RelExpr::Window {
        input: Box::new(input),
        functions,
    }
}

fn flat_map(g: &mut Entropy, input: RelExpr) -> RelExpr {
    let columns = input.ty().columns;
    // A short series, or an error.
    let end = scalar(g, &columns, &ScalarType::Int32, 1);
    let three = ScalarExpr::literal(Datum::Int32(3), ScalarType::Int32);
    let args = vec![
        literal(g, &ScalarType::Int32),
        operator("%", vec![end, three], &ScalarType::Int32),
    ];
    let types = [ScalarType::Int32, ScalarType::Int32];
    let resolved = everview_expr::table_func::resolve_table_function("generate_series", &types);
    let resolved = resolved.expect("a table function").expect("of these");
    RelExpr::FlatMap {
        input: Box::new(input),
        func: resolved.func,
        args,
        types: call_types(resolved.args, ScalarType::Int32),
        columns: resolved
            .columns
            .into_iter()
            .map(|(_, ty)| ty.nullable())
            .collect(),
        ordinality: g.chance(2),
    }
}

/// Changes of the tables: those of one time are one commit.
#[derive(Clone, Debug)]
pub struct History {
    pub changes: Vec<(GlobalId, Row, Timestamp, Diff)>,
    /// All times lie before it.
    pub end: u64,
}

impl History {
    pub fn by_table(&self) -> BTreeMap<GlobalId, Vec<(Row, Timestamp, Diff)>> {
        let mut tables: BTreeMap<_, Vec<_>> = TABLES.iter().map(|table| (*table, vec![])).collect();
        for (table, row, time, diff) in &self.changes {
            tables
                .entry(*table)
                .or_default()
                .push((row.clone(), *time, *diff));
        }
        tables
    }

    pub fn tables_at(&self, time: u64) -> BTreeMap<GlobalId, Answer> {
        let mut tables: BTreeMap<_, Answer> = TABLES
            .iter()
            .map(|table| (*table, Answer::default()))
            .collect();
        for (table, row, at, diff) in &self.changes {
            if at.0 <= time {
                let bag = &mut tables.entry(*table).or_default().rows;
                *bag.entry(row.clone()).or_default() += diff;
                bag.retain(|_, count| *count != 0);
            }
        }
        tables
    }
}

fn row(table: GlobalId, a: u8, b: u8) -> Row {
    let arena = RowArena::new();
    let number = |n: u8| {
        if n == 0 {
            Datum::Null
        } else {
            Datum::Int32(i32::from(n) - 2)
        }
    };
    let second = match (table.0, b) {
        (_, 0) => Datum::Null,
        (101, b) => Datum::Text(["a", "b", "", "ab"][usize::from(b) % 4]),
        (102, b) => numeric(
            &arena,
            ["1.0", "1.00", "2", "-3.5", "0"][usize::from(b) % 5],
        ),
        (_, b) => number(b),
    };
    Row::pack([number(a), second])
}

/// Inserts, and deletes of rows that are there.
pub fn history() -> impl Strategy<Value = History> {
    let change = (
        0usize..3,
        0u8..5,
        0u8..5,
        0u64..12,
        0u8..3,
        any::<prop::sample::Index>(),
    );
    prop::collection::vec(change, 0..40).prop_map(|mut choices| {
        choices.sort_by_key(|choice| choice.3);
        let mut changes: Vec<(GlobalId, Row, Timestamp, Diff)> = Vec::new();
        let mut there: Vec<(GlobalId, Row)> = Vec::new();
        for (table, a, b, time, delete, which) in choices {
            let table = TABLES[table];
            let deletable: Vec<_> = (0..there.len())
                .filter(|n| there[*n].0 != TABLES[2])
                .collect();
            if delete == 0 && !deletable.is_empty() {
                let (table, row) = there.remove(deletable[which.index(deletable.len())]);
                changes.push((table, row, Timestamp(time), -1));
            } else {
                let row = row(table, a, b);
                there.push((table, row.clone()));
                changes.push((table, row, Timestamp(time), 1));
            }
        }
        let end = changes.last().map_or(1, |change| change.2.0 + 1);
        History { changes, end }
    })
}
