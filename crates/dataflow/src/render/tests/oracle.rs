//! What an expression means, from scratch: a bag of rows and a set of errors.

use std::collections::{BTreeMap, BTreeSet};

use everview_expr::window::WindowFunc;
use everview_expr::{Id, LocalId, RelExpr, ScalarExpr, WindowExpr, table_func};
use everview_repr::{Datum, GlobalId, Row, RowArena, RowRef, key};

/// Rows with multiplicities, none of them zero.
pub type Bag = BTreeMap<Row, i64>;

/// Rows and errors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    pub rows: Bag,
    pub errors: BTreeSet<Row>,
}

pub fn evaluate(expr: &RelExpr, tables: &BTreeMap<GlobalId, Bag>) -> Answer {
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
    tables: &'t BTreeMap<GlobalId, Bag>,
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
    fn eval(&mut self, expr: &RelExpr) -> Bag {
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
            } => self.tables[id].clone(),
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
            RelExpr::Project { input, outputs } => self.each(input, |_, datums, out| {
                out.push(Row::pack(outputs.iter().map(|c| datums[*c])));
            }),
            RelExpr::Map { input, scalars } => self.each(input, |_, datums, out| {
                let arena = RowArena::new();
                let mut all = datums.to_vec();
                for scalar in scalars {
                    let value = scalar.eval(&all, &arena);
                    all.push(value);
                }
                out.push(Row::pack(all));
            }),
            RelExpr::Filter { input, predicates } => self.each(input, |errors, datums, out| {
                let arena = RowArena::new();
                let values: Vec<_> = predicates.iter().map(|p| p.eval(datums, &arena)).collect();
                let dropped = values
                    .iter()
                    .any(|v| !matches!(v, Datum::Bool(true) | Datum::Error(_)));
                let error = values.iter().find(|v| matches!(v, Datum::Error(_)));
                match (dropped, error) {
                    (true, _) => {}
                    (false, Some(error)) => drop(errors.insert(Row::pack([*error]))),
                    (false, None) => out.push(Row::pack(datums.iter().copied())),
                }
            }),
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
            RelExpr::Join {
                inputs,
                equivalences,
            } => self.join(inputs, equivalences),
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

    fn join(&mut self, inputs: &[RelExpr], equivalences: &[Vec<ScalarExpr>]) -> Bag {
        let mut product: Bag = [(Row::default(), 1)].into();
        let mut width = 0;
        for input in inputs {
            let right = self.eval(input);
            let (start, end) = (width, width + input.arity());
            width = end;
            let own = |e: &&ScalarExpr| {
                let columns = e.columns();
                !columns.is_empty() && columns.iter().all(|c| (start..end).contains(c))
            };
            // An input's keys are evaluated whether the other inputs have rows or not.
            for row in right.keys() {
                let arena = RowArena::new();
                let datums: Vec<_> = std::iter::repeat_n(Datum::Null, start)
                    .chain(row.iter())
                    .collect();
                for expr in equivalences.iter().flatten().filter(own) {
                    if let error @ Datum::Error(_) = expr.eval(&datums, &arena) {
                        self.errors.insert(Row::pack([error]));
                    }
                }
            }
            let mut next = Bag::new();
            for (a, m) in &product {
                for (b, n) in &right {
                    add(&mut next, Row::pack(a.iter().chain(b.iter())), m * n);
                }
            }
            product = next;
        }
        let mut bag = Bag::new();
        for (row, count) in product {
            let arena = RowArena::new();
            let datums = row.unpack();
            let equal = equivalences.iter().all(|class| {
                let keys: Vec<_> = class
                    .iter()
                    .map(|e| key::encode([e.eval(&datums, &arena)]))
                    .collect();
                keys.windows(2).all(|pair| pair[0] == pair[1])
            });
            let error = equivalences
                .iter()
                .flatten()
                .find_map(|e| match e.eval(&datums, &arena) {
                    error @ Datum::Error(_) => Some(Row::pack([error])),
                    _ => None,
                });
            match error {
                Some(error) => drop(self.errors.insert(error)),
                None if equal => add(&mut bag, row.clone(), count),
                None => {}
            }
        }
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
