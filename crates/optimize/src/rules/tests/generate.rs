//! Expressions from a tape of bytes: few values, so that they meet, with NULLs, errors and lossy keys.

use super::evaluate::Bag;
use everview_expr::aggregate::OrderExpr;
use everview_expr::resolve::{resolve_aggregate, resolve_operator};
use everview_expr::window::{Frame, FrameBound, FrameUnits, WindowFunc};
use everview_expr::{
    AggregateExpr, CallTypes, Id, LocalId, RelExpr, RelationType, ScalarExpr, WindowExpr,
};
use everview_repr::{ColumnOrder, Datum, GlobalId, Row, RowArena, ScalarType, Typmod};

/// The type of every table: two integers of which the first is never NULL, and a numeric.
pub fn table_type(id: GlobalId) -> RelationType {
    let columns = vec![
        ScalarType::Int32.not_null(),
        ScalarType::Int32.nullable(),
        ScalarType::Numeric.nullable(),
    ];
    let mut ty = RelationType::new(columns);
    if id.0 == 2 {
        ty.keys = vec![vec![0]];
    }
    ty
}

/// The rows of the tables 0, 1 and 2; the first column of table 2 is unique.
pub fn table(id: GlobalId) -> Bag {
    let i = Some;
    let rows: &[(i32, Option<i32>, Option<&str>, i64)] = match id.0 {
        0 => &[
            (0, i(0), Some("1.0"), 1),
            (1, i(0), Some("1.00"), 2),
            (1, None, None, 1),
            (2, i(1), Some("2"), 1),
        ],
        1 => &[
            (1, i(1), Some("1"), 1),
            (2, None, Some("1.00"), 1),
            (0, i(2), None, 3),
        ],
        _ => &[
            (0, None, Some("1.0"), 1),
            (1, i(1), None, 1),
            (2, i(1), Some("2.0"), 1),
        ],
    };
    rows.iter()
        .map(|(a, b, c, n)| (row(*a, *b, *c), *n))
        .collect()
}

fn row(a: i32, b: Option<i32>, c: Option<&str>) -> Row {
    let arena = RowArena::new();
    let c = c.map_or(Datum::Null, |c| {
        arena.numeric(&c.parse().expect("a numeric"))
    });
    Row::pack([Datum::Int32(a), b.map_or(Datum::Null, Datum::Int32), c])
}

/// The expression on a tape.
pub fn relation(tape: &[u8]) -> RelExpr {
    let mut tape = Tape {
        bytes: tape.iter(),
        locals: vec![],
        next: 0,
    };
    tape.relation(5)
}

struct Tape<'t> {
    bytes: std::slice::Iter<'t, u8>,
    locals: Vec<(LocalId, RelationType)>,
    next: u32,
}

/// A call of an operator.
pub fn operator(name: &str, args: Vec<ScalarExpr>, types: &[ScalarType]) -> ScalarExpr {
    let resolved = resolve_operator(name, types).expect("an operator");
    let types = CallTypes {
        args: resolved.args,
        result: resolved.result,
        typmod: Typmod::NONE,
        time_zone: "UTC".into(),
        environment: None,
    };
    ScalarExpr::Call {
        func: resolved.func,
        args,
        types: types.into(),
    }
}

/// A call of an aggregate.
pub fn aggregate(name: &str, arg: Option<usize>, types: &RelationType) -> AggregateExpr {
    let arg_types: Vec<_> = arg
        .iter()
        .map(|c| types.columns[*c].scalar.clone())
        .collect();
    let resolved = resolve_aggregate(name, &arg_types)
        .expect("an aggregate")
        .expect("a signature");
    AggregateExpr {
        func: resolved.func,
        args: arg.into_iter().map(ScalarExpr::Column).collect(),
        arg_types: resolved.args,
        result: resolved.result.nullable(),
        distinct: false,
        filter: None,
        order_by: vec![],
    }
}

impl Tape<'_> {
    fn pick(&mut self, below: usize) -> usize {
        usize::from(*self.bytes.next().unwrap_or(&0)) % below.max(1)
    }

    fn leaf(&mut self) -> RelExpr {
        let n = self.pick(6);
        match self.locals.len().checked_sub(1) {
            Some(last) if n >= 4 => {
                let at = self.pick(last + 1);
                let (id, ty) = self.locals[at].clone();
                RelExpr::local(id, ty)
            }
            _ if n == 3 => {
                let ty = table_type(GlobalId(0));
                let rows = vec![(row(1, Some(2), Some("1.0")), 1), (row(2, None, None), 2)];
                RelExpr::Constant { rows: Ok(rows), ty }
            }
            _ => {
                let id = GlobalId(n as u32 % 3);
                RelExpr::Get {
                    id: Id::Global(id),
                    ty: table_type(id),
                }
            }
        }
    }

    fn relation(&mut self, depth: usize) -> RelExpr {
        if depth == 0 {
            return self.leaf();
        }
        match self.pick(18) {
            0 => self.leaf(),
            14 | 15 => self.subquery(depth),
            16 => self.outer_join(depth),
            1 | 2 => {
                let input = self.relation(depth - 1);
                let ty = input.ty();
                let predicates = (0..1 + self.pick(2))
                    .map(|_| self.boolean(&ty, 2))
                    .collect();
                input.filter(predicates)
            }
            3 => {
                let input = self.relation(depth - 1);
                let scalar = self.integer(&input.ty(), 2);
                input.map(vec![scalar])
            }
            4 => {
                let input = self.relation(depth - 1);
                let arity = input.arity();
                let outputs = (0..1 + self.pick(3)).map(|_| self.pick(arity)).collect();
                if arity == 0 {
                    input
                } else {
                    input.project(outputs)
                }
            }
            5..=7 => self.join(depth),
            8 => {
                let input = self.relation(depth - 1);
                let ty = input.ty();
                let group_key =
                    (0..self.pick(3)).map(|_| ScalarExpr::Column(self.pick(ty.arity())));
                let group_key: Vec<_> = if ty.arity() == 0 {
                    vec![]
                } else {
                    group_key.collect()
                };
                let aggregates = (0..self.pick(3)).map(|_| {
                    match (self.pick(3), self.typed(&ty, &ScalarType::Int32)) {
                        (1, Some(column)) => aggregate("sum", Some(column), &ty),
                        (2, Some(column)) => aggregate("min", Some(column), &ty),
                        _ => aggregate("count", None, &ty),
                    }
                });
                let aggregates = aggregates.collect();
                RelExpr::Reduce {
                    input: Box::new(input),
                    group_key,
                    aggregates,
                }
            }
            9 => self.relation(depth - 1).distinct(),
            10 => {
                let input = self.relation(depth - 1);
                let arity = input.arity();
                if arity == 0 {
                    return input;
                }
                RelExpr::TopK {
                    group_key: (0..self.pick(2)).map(|_| self.pick(arity)).collect(),
                    order_key: (0..self.pick(2))
                        .map(|_| ColumnOrder::ascending(self.pick(arity)))
                        .collect(),
                    limit: Some(self.pick(3) as u64),
                    offset: self.pick(2) as u64,
                    input: Box::new(input),
                }
            }
            11 => {
                let value = self.relation(depth - 1);
                let value = if self.pick(2) == 0 {
                    value.distinct()
                } else {
                    value
                };
                let id = LocalId(self.next);
                self.next += 1;
                let ty = value.ty();
                self.locals.push((id, ty));
                let body = self.join(depth);
                self.locals.pop();
                RelExpr::Let {
                    id,
                    value: Box::new(value),
                    body: Box::new(body),
                }
            }
            12 => {
                let input = self.relation(depth - 1);
                let ty = input.ty();
                let other = input.clone().filter(vec![self.boolean(&ty, 1)]);
                match self.pick(3) {
                    0 => input.union(other),
                    1 => input.union(other.negate()).threshold(),
                    _ => other.union(input.distinct().negate()).threshold(),
                }
            }
            _ => {
                let input = self.relation(depth - 1);
                let arity = input.arity();
                if arity == 0 {
                    return input;
                }
                let window = WindowExpr {
                    func: WindowFunc::RowNumber,
                    args: vec![],
                    partition_by: (0..self.pick(2))
                        .map(|_| ScalarExpr::Column(self.pick(arity)))
                        .collect(),
                    order_by: (0..self.pick(2))
                        .map(|_| OrderExpr {
                            expr: ScalarExpr::Column(self.pick(arity)),
                            descending: false,
                            nulls_last: true,
                        })
                        .collect(),
                    frame: Frame {
                        units: FrameUnits::Range,
                        start: FrameBound::UnboundedPreceding,
                        end: FrameBound::CurrentRow,
                    },
                    result: ScalarType::Int64.not_null(),
                };
                let number = RelExpr::Window {
                    input: Box::new(input),
                    functions: vec![window],
                };
                let limit =
                    ScalarExpr::literal(Datum::Int64(self.pick(3) as i64), ScalarType::Int64);
                let types = [ScalarType::Int64, ScalarType::Int64];
                let operands = vec![ScalarExpr::Column(arity), limit];
                number
                    .filter(vec![operator("<=", operands, &types)])
                    .project((0..arity).collect())
            }
        }
    }

    fn fresh(&mut self) -> LocalId {
        self.next += 1;
        LocalId(self.next - 1)
    }

    /// A subquery as decorrelation leaves it: for the set of outer rows, joined back.
    fn subquery(&mut self, depth: usize) -> RelExpr {
        let outer = self.relation(depth.min(3) - 1);
        let inner = self.relation(depth.min(3) - 1);
        let ty = outer.ty();
        let Some(column) = self.typed(&ty, &ScalarType::Int32) else {
            return outer;
        };
        let mut seen = vec![column];
        if self.pick(3) == 0 {
            seen.push(self.pick(ty.arity()));
            seen.sort_unstable();
            seen.dedup();
        }
        let width = seen.len();
        let (outer_id, keys_id, rows_id) = (self.fresh(), self.fresh(), self.fresh());
        let (flavour, spare) = (self.pick(4), self.pick(3));
        let predicates = |this: &mut Self, both: &RelationType| {
            let first = seen.iter().position(|c| *c == column).expect("it is seen");
            let fit = (width..both.arity()).find(|c| both.columns[*c].scalar == ScalarType::Int32);
            let mut out: Vec<_> = (0..spare).map(|_| this.boolean(both, 1)).collect();
            if let Some(fit) = fit.filter(|_| flavour < 3 || spare == 0) {
                let args = vec![ScalarExpr::Column(first), ScalarExpr::Column(fit)];
                out.push(operator("=", args, &[ScalarType::Int32, ScalarType::Int32]));
            }
            out
        };
        let arity = ty.arity();
        outer.let_in(outer_id, |outer| {
            let keys = outer.clone().project(seen.clone()).distinct();
            let subquery = keys.let_in(keys_id, |keys| {
                let both = keys.clone().product(inner);
                let both_type = both.ty();
                let rows = both.filter(predicates(self, &both_type));
                let shown: Vec<usize> = (0..width).collect();
                if flavour < 2 {
                    let present = rows.project(shown).distinct();
                    return match flavour {
                        0 => present,
                        _ => keys.union(present.negate()),
                    };
                }
                let call = match self.typed(&both_type, &ScalarType::Int32) {
                    Some(column) if flavour == 2 => aggregate("max", Some(column), &both_type),
                    _ => aggregate("count", None, &both_type),
                };
                let default = ScalarExpr::literal_null(call.result.scalar.clone());
                let reduced = RelExpr::Reduce {
                    input: Box::new(rows),
                    group_key: shown.iter().copied().map(ScalarExpr::Column).collect(),
                    aggregates: vec![call],
                };
                reduced.let_in(rows_id, |reduced| {
                    let missing = keys.union(reduced.clone().project(shown).negate());
                    reduced.union(missing.map(vec![default]))
                })
            });
            let pairs: Vec<_> = seen.iter().enumerate().map(|(k, c)| (*c, k)).collect();
            let width = subquery.arity();
            let joined = outer.join_on(subquery, &pairs);
            let kept = (0..arity).chain(arity + pairs.len()..arity + width);
            joined.project(kept.collect())
        })
    }

    /// A left join as lowering gives it, often under a predicate.
    fn outer_join(&mut self, depth: usize) -> RelExpr {
        let left = self.relation(depth.min(3) - 1);
        let right = self.relation(depth.min(3) - 1);
        let (left_id, both_id) = (self.fresh(), self.fresh());
        let arity = left.arity();
        let added = right.ty().columns;
        left.let_in(left_id, |left| {
            let both = left.clone().product(right);
            let ty = both.ty();
            let on = (0..1 + self.pick(2))
                .map(|_| self.boolean(&ty, 1))
                .collect();
            let joined = both.filter(on).let_in(both_id, |both| {
                let pairs: Vec<_> = (0..arity).map(|c| (c, c)).collect();
                let some = both.clone().project((0..arity).collect()).distinct();
                let matched = left.clone().join_on(some, &pairs);
                let matched = matched.project((0..arity).collect());
                both.union(left.union(matched.negate()).map_nulls(&added))
            });
            let ty = joined.ty();
            let above = (0..self.pick(3)).map(|_| self.boolean(&ty, 1)).collect();
            joined.filter(above)
        })
    }

    fn join(&mut self, depth: usize) -> RelExpr {
        let inputs: Vec<_> = (0..2 + self.pick(4) / 3)
            .map(|_| self.relation(depth.min(3) - 1))
            .collect();
        let joined = RelExpr::Join {
            inputs,
            equivalences: vec![],
        };
        let ty = joined.ty();
        let RelExpr::Join { inputs, .. } = joined else {
            unreachable!()
        };
        let mut equivalences = vec![];
        for _ in 0..self.pick(2) {
            if let (Some(a), Some(b)) = (
                self.typed(&ty, &ScalarType::Int32),
                self.typed(&ty, &ScalarType::Int32),
            ) && a != b
            {
                equivalences.push(vec![ScalarExpr::Column(a), ScalarExpr::Column(b)]);
            }
        }
        let predicates = (0..self.pick(3)).map(|_| self.boolean(&ty, 1)).collect();
        RelExpr::Join {
            inputs,
            equivalences,
        }
        .filter(predicates)
    }

    fn typed(&mut self, ty: &RelationType, scalar: &ScalarType) -> Option<usize> {
        let fit: Vec<_> = (0..ty.arity())
            .filter(|c| ty.columns[*c].scalar == *scalar)
            .collect();
        (!fit.is_empty()).then(|| fit[self.pick(fit.len())])
    }

    fn integer(&mut self, ty: &RelationType, depth: usize) -> ScalarExpr {
        let both = [ScalarType::Int32, ScalarType::Int32];
        match self.pick(if depth == 0 { 4 } else { 7 }) {
            0 => ScalarExpr::literal(Datum::Int32(self.pick(3) as i32), ScalarType::Int32),
            1 if depth > 0 => ScalarExpr::literal_null(ScalarType::Int32),
            4 => operator(
                "/",
                vec![self.integer(ty, depth - 1), self.integer(ty, depth - 1)],
                &both,
            ),
            5 => ScalarExpr::If {
                condition: Box::new(self.boolean(ty, depth - 1)),
                then: Box::new(self.integer(ty, depth - 1)),
                els: Box::new(self.integer(ty, depth - 1)),
            },
            6 => ScalarExpr::Coalesce(vec![
                self.integer(ty, depth - 1),
                self.integer(ty, depth - 1),
            ]),
            _ => match self.typed(ty, &ScalarType::Int32) {
                Some(column) => ScalarExpr::Column(column),
                None => ScalarExpr::literal(Datum::Int32(1), ScalarType::Int32),
            },
        }
    }

    fn boolean(&mut self, ty: &RelationType, depth: usize) -> ScalarExpr {
        let both = [ScalarType::Int32, ScalarType::Int32];
        match self.pick(if depth == 0 { 6 } else { 10 }) {
            0..=2 => operator(
                "=",
                vec![self.integer(ty, depth / 2), self.integer(ty, depth / 2)],
                &both,
            ),
            3 => operator(
                "<",
                vec![self.integer(ty, depth / 2), self.integer(ty, depth / 2)],
                &both,
            ),
            4 => match (
                self.typed(ty, &ScalarType::Numeric),
                self.typed(ty, &ScalarType::Numeric),
            ) {
                (Some(a), Some(b)) => {
                    let args = vec![ScalarExpr::Column(a), ScalarExpr::Column(b)];
                    operator("=", args, &[ScalarType::Numeric, ScalarType::Numeric])
                }
                _ => ScalarExpr::literal_true(),
            },
            5 => ScalarExpr::IsNull(Box::new(self.integer(ty, 0))),
            6 => ScalarExpr::And(vec![
                self.boolean(ty, depth - 1),
                self.boolean(ty, depth - 1),
            ]),
            7 => ScalarExpr::Or(vec![
                self.boolean(ty, depth - 1),
                self.boolean(ty, depth - 1),
            ]),
            8 => ScalarExpr::Not(Box::new(self.boolean(ty, depth - 1))),
            _ => ScalarExpr::literal_null(ScalarType::Bool),
        }
    }
}
