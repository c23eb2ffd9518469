//! What an expression means, from scratch: a bag of rows and a set of errors, as the table in [`crate::render`] has
//! it, node by node.

use std::collections::{BTreeMap, BTreeSet};

use crate::export::tally::Contents;
use everview_expr::window::WindowFunc;
use everview_expr::{
    CallTypes, Id, LocalId, RelExpr, ScalarExpr, WindowExpr, registry, table_func,
};
use everview_repr::digest::{Digest, DigestKey};
use everview_repr::{Datum, GlobalId, Row, RowArena, RowRef, ScalarType, Typmod, key};

/// Rows with multiplicities, none of them zero.
pub type Bag = BTreeMap<Row, i64>;

/// Rows and errors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    pub rows: Bag,
    pub errors: BTreeSet<Row>,
}

impl Answer {
    /// Digests of rows and of errors.
    pub fn digests(&self) -> [Digest; 2] {
        let key = DigestKey::from_secret(b"a test");
        let mut digests = [Digest::default(); 2];
        for (row, count) in &self.rows {
            digests[0].update(&key, row.as_ref(), *count);
        }
        for row in &self.errors {
            digests[1].update(&key, row.as_ref(), 1);
        }
        digests
    }

    /// The rows, as a tally has them.
    pub fn contents(&self) -> Contents {
        let rows = self.rows.iter().map(|(row, count)| (row.clone(), *count));
        let mut contents = Contents::default();
        contents.add(&rows.collect::<Vec<_>>());
        contents
    }
}

pub fn evaluate(expr: &RelExpr, tables: &BTreeMap<GlobalId, Answer>) -> Answer {
    let mut oracle = Oracle {
        tables,
        locals: BTreeMap::new(),
        errors: BTreeSet::new(),
    };
    let mut rows = oracle.eval(expr);
    rows.retain(|_, count| *count != 0);
    Answer {
        rows,
        errors: oracle.errors,
    }
}

struct Oracle<'t> {
    tables: &'t BTreeMap<GlobalId, Answer>,
    locals: BTreeMap<LocalId, Answer>,
    errors: BTreeSet<Row>,
}

fn add(bag: &mut Bag, row: Row, count: i64) {
    let total = bag.entry(row.clone()).or_default();
    *total += count;
    if *total == 0 {
        bag.remove(&row);
    }
}

impl Oracle<'_> {
    /// Map, Filter and Project that follow each other are one step with what is below them.
    fn eval(&mut self, expr: &RelExpr) -> Bag {
        let mut steps = Vec::new();
        let mut inner = expr;
        while let RelExpr::Project { input, .. }
        | RelExpr::Map { input, .. }
        | RelExpr::Filter { input, .. } = inner
        {
            steps.push(inner);
            inner = input;
        }
        steps.reverse();
        let rows = match inner {
            RelExpr::Join {
                inputs,
                equivalences,
            } => self.join(inputs, equivalences),
            other => {
                let rows = self.node(other).into_iter();
                rows.map(|(row, count)| (row, count, None)).collect()
            }
        };
        let mut bag = Bag::new();
        for (row, count, failed) in rows {
            match step(&steps, &row, failed) {
                Some(Ok(row)) => add(&mut bag, row, count),
                Some(Err(error)) => drop(self.errors.insert(error)),
                None => {}
            }
        }
        bag
    }

    fn node(&mut self, expr: &RelExpr) -> Bag {
        match expr {
            RelExpr::Constant { rows: Ok(rows), .. } => {
                let mut bag = Bag::new();
                rows.iter()
                    .for_each(|(row, count)| add(&mut bag, row.clone(), *count));
                bag
            }
            RelExpr::Constant {
                rows: Err(error), ..
            } => {
                self.errors.insert(crate::render::scratch::error_row(error));
                Bag::new()
            }
            RelExpr::Get {
                id: Id::Global(id), ..
            } => {
                let Answer { rows, errors } = self.tables[id].clone();
                self.errors.extend(errors);
                rows
            }
            RelExpr::Get {
                id: Id::Local(id), ..
            } => {
                let Answer { rows, errors } = self.locals[id].clone();
                self.errors.extend(errors);
                rows
            }
            RelExpr::Let { id, value, body } => {
                // Its errors are met by whoever reads it.
                let before = std::mem::take(&mut self.errors);
                let rows = self.eval(value);
                let errors = std::mem::replace(&mut self.errors, before);
                self.locals.insert(*id, Answer { rows, errors });
                self.eval(body)
            }
            RelExpr::FlatMap {
                input,
                func,
                args,
                types,
                ordinality,
                ..
            } => self.each(input, |errors, datums, out| {
                let arena = RowArena::new();
                let args: Vec<_> = args.iter().map(|a| a.eval(datums, &arena)).collect();
                let mut n = 0;
                let result = table_func::call(*func, types, &args, &mut |row: Row| {
                    n += 1;
                    let ordinal = ordinality.then_some(Datum::Int64(n));
                    out.push(Row::pack(
                        datums.iter().copied().chain(row.iter()).chain(ordinal),
                    ));
                    true
                });
                if let Err(error) = result {
                    errors.insert(crate::render::scratch::error_row(&error));
                }
            }),
            RelExpr::Reduce {
                input,
                group_key,
                aggregates,
            } => {
                let groups = self.groups(input, group_key);
                let mut bag = Bag::new();
                for rows in groups.values() {
                    let arena = RowArena::new();
                    let unpacked: Vec<(Vec<Datum<'_>>, u64)> = rows
                        .iter()
                        .map(|(row, n)| (row.unpack(), *n as u64))
                        .collect();
                    let keys = unpacked.iter().map(|(datums, _)| {
                        Row::pack(group_key.iter().map(|k| k.eval(datums, &arena)))
                    });
                    let key = keys.min().expect("a group has rows");
                    let results = aggregates.iter().map(|aggregate| {
                        let mut rows = unpacked.iter().map(|(datums, n)| (datums.as_slice(), *n));
                        aggregate.eval_rows(&mut rows, &arena)
                    });
                    add(&mut bag, Row::pack(key.iter().chain(results)), 1);
                }
                bag
            }
            RelExpr::TopK {
                input,
                group_key,
                order_key,
                limit,
                offset,
            } => {
                let rows = self.eval(input);
                let mut groups: BTreeMap<Vec<u8>, Vec<(Vec<u8>, Row)>> = BTreeMap::new();
                for (row, count) in rows {
                    let datums = row.unpack();
                    let columns = group_key.iter().copied();
                    let columns = columns.chain(order_key.iter().map(|order| order.column));
                    if let Some(error) = first_error(columns.map(|column| datums[column])) {
                        self.errors.insert(error);
                        continue;
                    }
                    let group = key::encode(group_key.iter().map(|c| datums[*c])).0;
                    let mut order = Vec::new();
                    key::push_order_by(&mut order, &datums, order_key);
                    let repeated = std::iter::repeat_n((order, row.clone()), count as usize);
                    groups.entry(group).or_default().extend(repeated);
                }
                let mut bag = Bag::new();
                for mut group in groups.into_values() {
                    group.sort();
                    let limit = limit.map_or(usize::MAX, |limit| limit as usize);
                    for (_, row) in group.into_iter().skip(*offset as usize).take(limit) {
                        add(&mut bag, row, 1);
                    }
                }
                bag
            }
            RelExpr::Window { input, functions } => self.window(input, functions),
            RelExpr::Threshold { input } => {
                let mut groups: BTreeMap<Vec<u8>, Vec<(Row, i64)>> = BTreeMap::new();
                for (row, count) in self.eval(input) {
                    if let Some(error) = first_error(row.iter()) {
                        self.errors.insert(error);
                        continue;
                    }
                    groups
                        .entry(key::encode(row.iter()).0)
                        .or_default()
                        .push((row, count));
                }
                let mut bag = Bag::new();
                for group in groups.into_values() {
                    let mut left: i64 = group.iter().map(|(_, count)| count).sum();
                    for (row, count) in group {
                        let kept = count.min(left).max(0);
                        left -= kept;
                        if kept > 0 {
                            add(&mut bag, row, kept);
                        }
                    }
                }
                bag
            }
            RelExpr::Negate { input } => self
                .eval(input)
                .into_iter()
                .map(|(row, count)| (row, -count))
                .collect(),
            RelExpr::Union { inputs } => {
                let mut bag = Bag::new();
                for input in inputs {
                    self.eval(input)
                        .into_iter()
                        .for_each(|(row, count)| add(&mut bag, row, count));
                }
                bag
            }
            RelExpr::ArrangeBy { input, .. } => self.eval(input),
            RelExpr::LetRec { .. } => unreachable!("not generated"),
            RelExpr::Project { .. }
            | RelExpr::Map { .. }
            | RelExpr::Filter { .. }
            | RelExpr::Join { .. } => unreachable!("steps"),
        }
    }

    fn each(
        &mut self,
        input: &RelExpr,
        mut f: impl FnMut(&mut BTreeSet<Row>, &[Datum<'_>], &mut Vec<Row>),
    ) -> Bag {
        let mut bag = Bag::new();
        let mut out = Vec::new();
        for (row, count) in self.eval(input) {
            f(&mut self.errors, &row.unpack(), &mut out);
            out.drain(..).for_each(|row| add(&mut bag, row, count));
        }
        bag
    }

    /// Rows by the key of some expressions.
    fn groups(
        &mut self,
        input: &RelExpr,
        exprs: &[ScalarExpr],
    ) -> BTreeMap<Vec<u8>, Vec<(Row, i64)>> {
        let mut groups: BTreeMap<Vec<u8>, Vec<(Row, i64)>> = BTreeMap::new();
        for (row, count) in self.eval(input) {
            assert!(count > 0, "a group's rows are there");
            let arena = RowArena::new();
            let datums = row.unpack();
            let keys: Vec<_> = exprs.iter().map(|e| e.eval(&datums, &arena)).collect();
            match keys.iter().find(|k| matches!(k, Datum::Error(_))) {
                Some(error) => drop(self.errors.insert(Row::pack([*error]))),
                None => groups
                    .entry(key::encode(keys).0)
                    .or_default()
                    .push((row.clone(), count)),
            }
        }
        groups
    }

    /// The rows of the product for which no equivalence is false, with the least error of the expressions over
    /// several inputs.
    fn join(
        &mut self,
        inputs: &[RelExpr],
        equivalences: &[Vec<ScalarExpr>],
    ) -> Vec<(Row, i64, Option<Row>)> {
        let mut product: Vec<(Row, i64)> = vec![(Row::default(), 1)];
        let mut start = 0;
        for input in inputs {
            let right = self.join_input(input, start, equivalences);
            start += input.arity();
            let pairs = product.iter().flat_map(|(a, m)| {
                let pair = move |(b, n): (&Row, &i64)| (Row::pack(a.iter().chain(b.iter())), m * n);
                right.iter().map(pair)
            });
            product = pairs.collect();
        }
        let mut out = Vec::new();
        'rows: for (row, count) in product {
            let arena = RowArena::new();
            let datums = row.unpack();
            let mut failed = None;
            for class in equivalences {
                let values = class.iter().map(|e| e.eval(&datums, &arena));
                let mut keys = BTreeSet::new();
                for value in values {
                    match value {
                        Datum::Error(_) => failed = least(failed, value),
                        value => drop(keys.insert(key::encode([value]).0)),
                    }
                }
                if keys.len() > 1 {
                    continue 'rows;
                }
            }
            let failed = failed.map(|error| Row::pack([error]));
            out.push((row.clone(), count, failed));
        }
        out
    }

    /// An input's rows that can have partners: what is equated within it is, and nothing compared fails.
    fn join_input(
        &mut self,
        input: &RelExpr,
        start: usize,
        equivalences: &[Vec<ScalarExpr>],
    ) -> Bag {
        let range = start..start + input.arity();
        let own = |e: &ScalarExpr| {
            let columns = e.columns();
            (!columns.is_empty() && columns.iter().all(|c| range.contains(c))).then(|| {
                let mut e = e.clone();
                e.permute(|c| c - range.start);
                e
            })
        };
        let types = input.ty().columns;
        let (mut predicates, mut compared) = (Vec::new(), Vec::new());
        for class in equivalences {
            let mine: Vec<_> = class.iter().filter_map(own).collect();
            let constant = class.iter().find(|e| e.columns().is_empty());
            if let (Some(anchor), false) = (constant.or(mine.first()), mine.is_empty()) {
                let others = &mine[usize::from(constant.is_none())..];
                predicates.extend(others.iter().map(|e| equal(anchor, e, &types)));
            }
            if class.len() > mine.len() {
                compared.extend(mine.into_iter().next());
            }
        }
        let mut bag = self.eval(&input.clone().filter(predicates));
        bag.retain(|row, _| {
            let arena = RowArena::new();
            let datums = row.unpack();
            let mut errors = compared.iter().map(|e| e.eval(&datums, &arena));
            let error = first_error(&mut errors);
            let fails = error.is_some();
            // Each that fails, not only the first.
            let rest = errors.filter_map(|value| first_error([value]));
            self.errors.extend(error.into_iter().chain(rest));
            !fails
        });
        bag
    }

    fn window(&mut self, input: &RelExpr, functions: &[WindowExpr]) -> Bag {
        let partition_by = &functions[0].partition_by;
        let groups = self.groups(input, partition_by);
        let mut bag = Bag::new();
        for rows in groups.into_values() {
            let arena = RowArena::new();
            let instances: Vec<&Row> = rows
                .iter()
                .flat_map(|(row, n)| std::iter::repeat_n(row, *n as usize))
                .collect();
            let mut out: Vec<Vec<Datum<'_>>> = instances.iter().map(|row| row.unpack()).collect();
            for function in functions {
                assert!(!matches!(function.func, WindowFunc::Ntile), "not generated");
                let mut order: Vec<usize> = (0..instances.len()).collect();
                order.sort_by_key(|at| {
                    let mut sort_key = Vec::new();
                    let datums = instances[*at].unpack();
                    function
                        .order_by
                        .iter()
                        .for_each(|o| o.push_key(&mut sort_key, &datums, &arena));
                    (sort_key, instances[*at].clone(), *at)
                });
                let sorted: Vec<RowRef<'_>> =
                    order.iter().map(|at| instances[*at].as_ref()).collect();
                let values = function.eval_partition(&sorted, &arena);
                order
                    .iter()
                    .zip(values)
                    .for_each(|(at, value)| out[*at].push(value));
            }
            out.into_iter()
                .for_each(|datums| add(&mut bag, Row::pack(datums), 1));
        }
        bag
    }
}

/// A row through steps: nothing where a predicate is false or NULL, else its error if there is one.
fn step(steps: &[&RelExpr], row: &Row, failed: Option<Row>) -> Option<Result<Row, Row>> {
    let arena = RowArena::new();
    let mut datums = row.unpack();
    let failed = failed.as_ref().map(|row| row.first());
    let mut failed = failed;
    for step in steps {
        match step {
            RelExpr::Project { outputs, .. } => {
                datums = outputs.iter().map(|c| datums[*c]).collect();
            }
            RelExpr::Map { scalars, .. } => {
                for scalar in scalars {
                    datums.push(scalar.eval(&datums, &arena));
                }
            }
            RelExpr::Filter { predicates, .. } => {
                for predicate in predicates {
                    match predicate.eval(&datums, &arena) {
                        Datum::Bool(true) => {}
                        error @ Datum::Error(_) => failed = least(failed, error),
                        _ => return None,
                    }
                }
            }
            other => unreachable!("no step: {other:?}"),
        }
    }
    Some(match failed {
        Some(error) => Err(Row::pack([error])),
        None => Ok(Row::pack(datums)),
    })
}

/// The lesser of two errors.
fn least<'a>(a: Option<Datum<'a>>, b: Datum<'a>) -> Option<Datum<'a>> {
    match (a, b) {
        (Some(Datum::Error(a)), Datum::Error(b)) => Some(Datum::Error(a.min(b))),
        _ => Some(b),
    }
}

/// The first error among some datums, as a row.
fn first_error<'d>(datums: impl IntoIterator<Item = Datum<'d>>) -> Option<Row> {
    let mut datums = datums.into_iter();
    datums.find_map(|datum| matches!(datum, Datum::Error(_)).then(|| Row::pack([datum])))
}

/// Equality where NULL equals NULL.
fn equal(a: &ScalarExpr, b: &ScalarExpr, types: &[everview_repr::ColumnType]) -> ScalarExpr {
    let ty = a.ty(types).scalar;
    ScalarExpr::Call {
        func: registry::by_name("is_not_distinct")[0],
        args: vec![a.clone(), b.clone()],
        types: std::sync::Arc::new(CallTypes {
            args: vec![ty.clone(), ty],
            result: ScalarType::Bool,
            typmod: Typmod::NONE,
            time_zone: "UTC".into(),
            environment: None,
        }),
    }
}
