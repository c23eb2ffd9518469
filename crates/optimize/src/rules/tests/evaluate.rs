//! The meaning of an expression, node by node, without any cleverness.

use everview_expr::{Id, LocalId, RelExpr, ScalarExpr};
use everview_repr::{Datum, Row, RowArena, key};
use std::collections::BTreeMap;

/// Rows with multiplicities, none zero.
pub type Bag = BTreeMap<Row, i64>;

/// What a read gives.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    /// Rows without an error among them.
    Rows(Bag),
    /// An error.
    Fails,
    /// Too much to evaluate this way.
    TooLarge,
}

/// More rows than this in a product, or in a bag, are too many.
const MOST_ROWS: i64 = 3000;

/// Why there is no bag.
enum Stop {
    Error,
    TooLarge,
}

/// What reading the expression gives over [`super::generate::table`].
pub fn outcome(expr: &RelExpr) -> Outcome {
    outcome_in(expr, &Env::default())
}

/// The same, where a row is left out instead if a filter or a join key fails for it.
pub fn outcome_without_failing_rows(expr: &RelExpr) -> Outcome {
    let env = Env {
        leave_out: true,
        ..Env::default()
    };
    outcome_in(expr, &env)
}

/// What an expression is evaluated in.
#[derive(Clone, Default)]
struct Env {
    locals: BTreeMap<LocalId, Bag>,
    /// Rows for which a filter or a join key fails are left out.
    leave_out: bool,
}

fn outcome_in(expr: &RelExpr, env: &Env) -> Outcome {
    match eval(expr, env) {
        Ok(bag)
            if !bag
                .keys()
                .any(|r| r.iter().any(|d| matches!(d, Datum::Error(_)))) =>
        {
            Outcome::Rows(bag)
        }
        Ok(_) | Err(Stop::Error) => Outcome::Fails,
        Err(Stop::TooLarge) => Outcome::TooLarge,
    }
}

fn add(bag: &mut Bag, row: Row, diff: i64) {
    use std::collections::btree_map::Entry;
    match bag.entry(row) {
        Entry::Vacant(entry) => drop(entry.insert(diff)),
        Entry::Occupied(mut entry) => {
            *entry.get_mut() += diff;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

/// The key of a row, or none if it fails.
fn key_of<'e>(
    exprs: impl IntoIterator<Item = &'e ScalarExpr>,
    row: &Row,
) -> Result<key::Key, Stop> {
    let arena = RowArena::new();
    let datums = row.unpack();
    let mut out = Vec::new();
    for expr in exprs {
        match expr.eval(&datums, &arena) {
            Datum::Error(_) => return Err(Stop::Error),
            datum => key::push(&mut out, datum),
        }
    }
    Ok(key::Key(out))
}

fn eval(expr: &RelExpr, env: &Env) -> Result<Bag, Stop> {
    let mut out = Bag::new();
    match expr {
        RelExpr::Constant { rows, .. } => {
            for (row, diff) in rows.as_ref().map_err(|_| Stop::Error)? {
                add(&mut out, row.clone(), *diff);
            }
        }
        RelExpr::Get {
            id: Id::Global(id), ..
        } => return Ok(super::generate::table(*id)),
        RelExpr::Get {
            id: Id::Local(id), ..
        } => return Ok(env.locals[id].clone()),
        RelExpr::Let { id, value, body } => {
            let mut env = env.clone();
            let value = eval(value, &env)?;
            env.locals.insert(*id, value);
            return eval(body, &env);
        }
        RelExpr::Project { input, outputs } => {
            for (row, diff) in eval(input, env)? {
                let datums = row.unpack();
                add(
                    &mut out,
                    Row::pack(outputs.iter().map(|c| datums[*c])),
                    diff,
                );
            }
        }
        RelExpr::Map { input, scalars } => {
            for (row, diff) in eval(input, env)? {
                let arena = RowArena::new();
                let mut datums = row.unpack();
                for scalar in scalars {
                    let datum = scalar.eval(&datums, &arena);
                    datums.push(datum);
                }
                add(&mut out, Row::pack(datums.iter().copied()), diff);
            }
        }
        RelExpr::Filter { input, predicates } => {
            for (row, diff) in eval(input, env)? {
                let arena = RowArena::new();
                let datums = row.unpack();
                let results: Vec<_> = predicates.iter().map(|p| p.eval(&datums, &arena)).collect();
                if results
                    .iter()
                    .any(|d| matches!(d, Datum::Null | Datum::Bool(false)))
                {
                    continue;
                }
                if results.iter().any(|d| matches!(d, Datum::Error(_))) {
                    if env.leave_out {
                        continue;
                    }
                    return Err(Stop::Error);
                }
                add(&mut out, row.clone(), diff);
            }
        }
        RelExpr::Join {
            inputs,
            equivalences,
        } => return join(inputs, equivalences, env),
        RelExpr::Reduce {
            input,
            group_key,
            aggregates,
        } => {
            let mut groups: BTreeMap<key::Key, Vec<(Row, u64)>> = BTreeMap::new();
            for (row, diff) in eval(input, env)? {
                let key = key_of(group_key, &row)?;
                groups
                    .entry(key)
                    .or_default()
                    .push((row, u64::try_from(diff).expect("not negated")));
            }
            for rows in groups.values() {
                let arena = RowArena::new();
                let unpacked: Vec<_> = rows.iter().map(|(r, n)| (r.unpack(), *n)).collect();
                let keys = unpacked
                    .iter()
                    .map(|(datums, _)| Row::pack(group_key.iter().map(|k| k.eval(datums, &arena))));
                let least = keys.min().expect("a group has rows");
                let results = aggregates
                    .iter()
                    .map(|a| a.eval_rows(&mut unpacked.iter().map(|(d, n)| (&d[..], *n)), &arena));
                let results: Vec<_> = results.collect();
                add(&mut out, Row::pack(least.iter().chain(results)), 1);
            }
        }
        RelExpr::TopK {
            input,
            group_key,
            order_key,
            limit,
            offset,
        } => {
            let key_exprs: Vec<_> = group_key.iter().copied().map(ScalarExpr::Column).collect();
            let mut groups: BTreeMap<key::Key, Vec<(Vec<u8>, Row)>> = BTreeMap::new();
            for (row, diff) in eval(input, env)? {
                let group = groups.entry(key_of(&key_exprs, &row)?).or_default();
                let mut order = Vec::new();
                key::push_order_by(&mut order, &row.unpack(), order_key);
                for _ in 0..diff {
                    group.push((order.clone(), row.clone()));
                }
            }
            for mut group in groups.into_values() {
                group.sort();
                let limit = limit.map_or(usize::MAX, |l| l as usize);
                for (_, row) in group.into_iter().skip(*offset as usize).take(limit) {
                    add(&mut out, row, 1);
                }
            }
        }
        RelExpr::Window { input, functions } => {
            let all: Vec<Row> = eval(input, env)?
                .into_iter()
                .flat_map(|(row, n)| std::iter::repeat_n(row, n as usize))
                .collect();
            let mut columns: Vec<Vec<Row>> = Vec::new();
            for function in functions {
                let mut values = vec![Row::default(); all.len()];
                let mut parts: BTreeMap<key::Key, Vec<(Vec<u8>, Row, usize)>> = BTreeMap::new();
                for (at, row) in all.iter().enumerate() {
                    let arena = RowArena::new();
                    let datums = row.unpack();
                    let mut order = Vec::new();
                    function
                        .order_by
                        .iter()
                        .for_each(|o| o.push_key(&mut order, &datums, &arena));
                    let part = parts
                        .entry(key_of(&function.partition_by, row)?)
                        .or_default();
                    part.push((order, row.clone(), at));
                }
                for mut part in parts.into_values() {
                    part.sort();
                    let arena = RowArena::new();
                    let rows: Vec<_> = part.iter().map(|(_, r, _)| r.as_ref()).collect();
                    let results = function.eval_partition(&rows, &arena);
                    for ((_, _, at), datum) in part.iter().zip(results) {
                        values[*at] = Row::pack([datum]);
                    }
                }
                columns.push(values);
            }
            for (at, row) in all.iter().enumerate() {
                let added = columns.iter().map(|c| c[at].first());
                add(&mut out, Row::pack(row.iter().chain(added)), 1);
            }
        }
        RelExpr::Threshold { input } => {
            out = eval(input, env)?;
            out.retain(|_, d| *d > 0);
        }
        RelExpr::Negate { input } => {
            out = eval(input, env)?;
            out.values_mut().for_each(|d| *d = -*d);
        }
        RelExpr::Union { inputs } => {
            for input in inputs {
                eval(input, env)?
                    .into_iter()
                    .for_each(|(row, diff)| add(&mut out, row, diff));
            }
        }
        RelExpr::ArrangeBy { input, .. } => return eval(input, env),
        RelExpr::LetRec { .. } | RelExpr::FlatMap { .. } => unreachable!("not generated"),
    }
    if out.values().map(|d| d.abs()).sum::<i64>() > MOST_ROWS {
        return Err(Stop::TooLarge);
    }
    Ok(out)
}

fn join(inputs: &[RelExpr], equivalences: &[Vec<ScalarExpr>], env: &Env) -> Result<Bag, Stop> {
    let mut product: Vec<(Row, i64)> = vec![(Row::default(), 1)];
    let mut start = 0;
    for input in inputs {
        let mut bag = eval(input, env)?;
        let range = start..start + input.arity();
        // A key that fails is an error of its input, whether it has a partner or not.
        for expr in equivalences.iter().flatten() {
            let own = expr.columns().iter().all(|c| range.contains(c));
            let mut local = expr.clone();
            if own && !expr.columns().is_empty() {
                local.permute(|c| c - range.start);
                if env.leave_out {
                    bag.retain(|row, _| key_of([&local], row).is_ok());
                }
                for row in bag.keys() {
                    key_of([&local], row)?;
                }
            }
        }
        if (product.len() * bag.len()) as i64 > MOST_ROWS {
            return Err(Stop::TooLarge);
        }
        let mut next = Vec::new();
        for (left, n) in &product {
            for (right, m) in &bag {
                next.push((Row::pack(left.iter().chain(right.iter())), n * m));
            }
        }
        product = next;
        start = range.end;
    }
    let mut out = Bag::new();
    for (row, diff) in product {
        let mut holds = true;
        for class in equivalences {
            let keys: Result<Vec<_>, Stop> = class.iter().map(|e| key_of([e], &row)).collect();
            holds &= keys?.windows(2).all(|w| w[0] == w[1]);
        }
        if holds {
            add(&mut out, row, diff);
        }
    }
    Ok(out)
}
