//! Decorrelation: the hir to the relational IR, subqueries gone.
//!
//! The general algorithm of Neumann and Kemper ("Unnesting Arbitrary Queries", BTW 2015): a correlated
//! expression is evaluated once for the set of all distinct outer rows that it can see, as a join with that set,
//! and joined back. `Lowering::apply` takes a relation to its value for every row of `outer`: its result
//! starts with the columns of `outer`. Where the inner relation does not need a set (it has no grouping that
//! would merge outer duplicates), the outer rows are used as they are and nothing is joined back.
//!
//! It knows no names and no SQL text; it decides nothing about cost.

use crate::hir::{ColumnRef, HirAggregate, HirOrder, HirRel, HirScalar, HirWindow, JoinKind};
use everview_expr::aggregate::{self, AggregateFunc, OrderExpr};
use everview_expr::window::WindowFunc;
use everview_expr::{AggregateExpr, Id, LocalId, RelExpr, RelationType, ScalarExpr, WindowExpr};
use everview_repr::{ColumnOrder, ColumnType, Datum, Row, ScalarType};
use std::collections::{BTreeMap, BTreeSet};

mod free;
mod outer_join;
mod subquery;

/// Lowers a query that refers to nothing around it.
pub fn lower(hir: HirRel) -> RelExpr {
    let mut lowering = Lowering::default();
    lowering.apply(hir, RelExpr::unit(), &Scope::default())
}

/// Lowers a scalar over the columns of `input`; subqueries become columns appended to it.
///
/// The result's first columns are those of `input`.
pub fn lower_scalars(input: RelExpr, scalars: Vec<HirScalar>) -> RelExpr {
    let mut lowering = Lowering::default();
    lowering.map(input, scalars, &Scope::default())
}

/// Where the columns of enclosing rows are among the columns of `outer`.
///
/// Levels are as a relation sees them: 1 is the nearest row around it.
#[derive(Clone, Default, Debug)]
struct Scope {
    positions: BTreeMap<ColumnRef, usize>,
}

impl Scope {
    /// The scope one level further in, where the row at hand, of `arity` columns from `start`, is level 1.
    fn enter(&self, start: usize, arity: usize) -> Scope {
        let outer = self.positions.iter().map(|(c, at)| {
            (
                ColumnRef {
                    level: c.level + 1,
                    ..*c
                },
                *at,
            )
        });
        let row = (0..arity).map(|column| (ColumnRef { level: 1, column }, start + column));
        Scope {
            positions: outer.chain(row).collect(),
        }
    }

    /// The scope after its columns have moved; those that are gone leave it.
    fn remap(&self, to: &BTreeMap<usize, usize>) -> Scope {
        let kept = self
            .positions
            .iter()
            .filter_map(|(c, at)| Some((*c, *to.get(at)?)));
        Scope {
            positions: kept.collect(),
        }
    }
}

/// A WITH query already lowered: its columns start with the first `outer_arity` columns of every later `outer`.
struct Cte {
    id: LocalId,
    ty: RelationType,
    outer_arity: usize,
}

#[derive(Default)]
struct Lowering {
    next_id: u32,
    ctes: BTreeMap<LocalId, Cte>,
}

impl Lowering {
    fn fresh(&mut self) -> LocalId {
        self.next_id += 1;
        LocalId(self.next_id)
    }

    /// The value of `rel` for every row of `outer`, after the columns of `outer`.
    ///
    /// If [`free::needs_set`] holds for `rel`, the rows of `outer` must be distinct.
    fn apply(&mut self, rel: HirRel, outer: RelExpr, scope: &Scope) -> RelExpr {
        let outer_arity = outer.arity();
        match rel {
            HirRel::Constant { rows, ty } => {
                outer.product(RelExpr::Constant { rows: Ok(rows), ty })
            }
            HirRel::Get {
                id: Id::Local(id), ..
            } if self.ctes.contains_key(&id) => self.apply_cte(id, outer),
            HirRel::Get { id, ty } => outer.product(RelExpr::Get { id, ty }),
            HirRel::Let { id, value, body } => {
                let new_id = self.fresh();
                let shared = self.fresh();
                outer.let_in(shared, |outer| {
                    let value = self.apply(*value, outer.clone(), scope);
                    let ty = value.ty();
                    self.ctes.insert(
                        id,
                        Cte {
                            id: new_id,
                            ty,
                            outer_arity,
                        },
                    );
                    let body = self.apply(*body, outer, scope);
                    RelExpr::Let {
                        id: new_id,
                        value: Box::new(value),
                        body: Box::new(body),
                    }
                })
            }
            HirRel::LetRec { bindings, body } => self.apply_letrec(bindings, *body, outer, scope),
            HirRel::Project { input, outputs } => {
                let kept = (0..outer_arity)
                    .chain(outputs.iter().map(|c| outer_arity + c))
                    .collect();
                self.apply(*input, outer, scope).project(kept)
            }
            HirRel::Map { input, scalars } => {
                let input = self.apply(*input, outer, scope);
                self.map_in(input, scalars, outer_arity, scope)
            }
            HirRel::Filter { input, predicates } => {
                let input = self.apply(*input, outer, scope);
                self.filter(input, predicates, outer_arity, scope)
            }
            HirRel::TableFunction {
                func,
                args,
                types,
                columns,
                ordinality,
            } => {
                let (input, args) = self.scalars(outer, args, outer_arity, scope);
                let width = input.arity();
                let added = columns.len() + usize::from(ordinality);
                let input = Box::new(input);
                let call = RelExpr::FlatMap {
                    input,
                    func,
                    args,
                    types,
                    columns,
                    ordinality,
                };
                call.project((0..outer_arity).chain(width..width + added).collect())
            }
            HirRel::Join {
                left,
                right,
                on,
                kind,
            } => self.join(*left, *right, on, kind, outer, scope),
            HirRel::Reduce {
                input,
                group_key,
                aggregates,
            } => self.reduce(*input, group_key, aggregates, outer, scope),
            HirRel::Distinct { input } => self.apply(*input, outer, scope).distinct(),
            HirRel::TopK {
                input,
                group_key,
                order_key,
                limit,
                offset,
            } => {
                let input = Box::new(self.apply(*input, outer, scope));
                let shift = |c: usize| outer_arity + c;
                let group_key = (0..outer_arity)
                    .chain(group_key.into_iter().map(shift))
                    .collect();
                let order_key = order_key
                    .into_iter()
                    .map(|o| ColumnOrder {
                        column: shift(o.column),
                        ..o
                    })
                    .collect();
                RelExpr::TopK {
                    input,
                    group_key,
                    order_key,
                    limit,
                    offset,
                }
            }
            HirRel::Window { input, functions } => {
                let input = self.apply(*input, outer, scope);
                self.window(input, functions, outer_arity, scope)
            }
            HirRel::Threshold { input } => self.apply(*input, outer, scope).threshold(),
            HirRel::Negate { input } => self.apply(*input, outer, scope).negate(),
            HirRel::Union { inputs } => {
                let shared = self.fresh();
                outer.let_in(shared, |outer| RelExpr::Union {
                    inputs: inputs
                        .into_iter()
                        .map(|input| self.apply(input, outer.clone(), scope))
                        .collect(),
                })
            }
        }
    }

    /// A WITH query's rows, joined to the outer columns that it was computed for.
    fn apply_cte(&mut self, id: LocalId, outer: RelExpr) -> RelExpr {
        let cte = &self.ctes[&id];
        let get = RelExpr::local(cte.id, cte.ty.clone());
        let shared = cte.outer_arity;
        let outer_arity = outer.arity();
        let width = cte.ty.arity();
        let pairs: Vec<_> = (0..shared).map(|c| (c, c)).collect();
        let joined = outer.join_on(get, &pairs);
        joined.project(
            (0..outer_arity)
                .chain(outer_arity + shared..outer_arity + width)
                .collect(),
        )
    }

    /// Recursive bindings see no row around the query.
    fn apply_letrec(
        &mut self,
        bindings: Vec<(LocalId, HirRel, RelationType)>,
        body: HirRel,
        outer: RelExpr,
        scope: &Scope,
    ) -> RelExpr {
        for (id, _, ty) in &bindings {
            let cte = Cte {
                id: self.fresh(),
                ty: ty.clone(),
                outer_arity: 0,
            };
            self.ctes.insert(*id, cte);
        }
        let mut lowered = Vec::new();
        for (id, value, ty) in bindings {
            let value = self.apply(value, RelExpr::unit(), &Scope::default());
            lowered.push((self.ctes[&id].id, value, ty));
        }
        let body = Box::new(self.apply(body, outer, scope));
        RelExpr::LetRec {
            bindings: lowered,
            body,
        }
    }

    /// Appends scalars whose level 0 is the whole input.
    fn map(&mut self, input: RelExpr, scalars: Vec<HirScalar>, scope: &Scope) -> RelExpr {
        self.map_in(input, scalars, 0, scope)
    }

    /// Appends scalars; level 0 starts at column `start` of the input.
    fn map_in(
        &mut self,
        mut input: RelExpr,
        scalars: Vec<HirScalar>,
        start: usize,
        scope: &Scope,
    ) -> RelExpr {
        let mut plain = Vec::new();
        for scalar in scalars {
            if !free::has_subquery(&scalar) {
                plain.push(self.plain(scalar, start, scope));
                continue;
            }
            input = input.map(std::mem::take(&mut plain));
            let arity = input.arity();
            let (wide, mut lowered) = self.scalars(input, vec![scalar], start, scope);
            let width = wide.arity();
            let value = lowered.pop().expect("one scalar in, one out");
            input = wide
                .map(vec![value])
                .project((0..arity).chain([width]).collect());
        }
        input.map(plain)
    }

    /// Lowers scalars over the input, which may get wider by the columns of subqueries.
    fn scalars(
        &mut self,
        mut input: RelExpr,
        scalars: Vec<HirScalar>,
        start: usize,
        scope: &Scope,
    ) -> (RelExpr, Vec<ScalarExpr>) {
        // The row at hand ends where the input does now: subqueries must not see each other's columns.
        let arity = input.arity() - start;
        let mut lowered = Vec::with_capacity(scalars.len());
        for scalar in scalars {
            lowered.push(self.scalar(scalar, &mut input, start, arity, scope));
        }
        (input, lowered)
    }

    /// A scalar without subqueries.
    fn plain(&mut self, scalar: HirScalar, start: usize, scope: &Scope) -> ScalarExpr {
        let mut nothing = RelExpr::unit();
        self.scalar(scalar, &mut nothing, start, 0, scope)
    }

    fn scalar(
        &mut self,
        scalar: HirScalar,
        input: &mut RelExpr,
        start: usize,
        arity: usize,
        scope: &Scope,
    ) -> ScalarExpr {
        let many = |this: &mut Self, args: Vec<HirScalar>, input: &mut RelExpr| {
            args.into_iter()
                .map(|a| this.scalar(a, input, start, arity, scope))
                .collect::<Vec<_>>()
        };
        match scalar {
            HirScalar::Column(ColumnRef { level: 0, column }) => ScalarExpr::Column(start + column),
            HirScalar::Column(outer) => ScalarExpr::Column(scope.positions[&outer]),
            HirScalar::Literal(row, ty) => ScalarExpr::Literal(row, ty),
            HirScalar::Parameter(n, ty) => ScalarExpr::Parameter(n, ty),
            HirScalar::Call { func, args, types } => ScalarExpr::Call {
                func,
                args: many(self, args, input),
                types,
            },
            HirScalar::And(args) => ScalarExpr::And(many(self, args, input)),
            HirScalar::Or(args) => ScalarExpr::Or(many(self, args, input)),
            HirScalar::Coalesce(args) => ScalarExpr::Coalesce(many(self, args, input)),
            HirScalar::Not(arg) => {
                ScalarExpr::Not(Box::new(self.scalar(*arg, input, start, arity, scope)))
            }
            HirScalar::IsNull(arg) => {
                ScalarExpr::IsNull(Box::new(self.scalar(*arg, input, start, arity, scope)))
            }
            HirScalar::If {
                condition,
                then,
                els,
            } => ScalarExpr::If {
                condition: Box::new(self.scalar(*condition, input, start, arity, scope)),
                then: Box::new(self.scalar(*then, input, start, arity, scope)),
                els: Box::new(self.scalar(*els, input, start, arity, scope)),
            },
            HirScalar::Exists(sub) => {
                let inner = scope.enter(start, arity);
                self.append(input, |this, outer| this.exists_column(*sub, outer, &inner))
            }
            HirScalar::Scalar(sub) => {
                let inner = scope.enter(start, arity);
                self.append(input, |this, outer| this.scalar_column(*sub, outer, &inner))
            }
            HirScalar::Any {
                input: sub,
                predicate,
            } => {
                let inner = scope.enter(start, arity);
                self.append(input, |this, outer| {
                    this.any_column(*sub, *predicate, outer, &inner)
                })
            }
        }
    }

    /// Replaces the input by one with one more column, and gives that column.
    fn append(
        &mut self,
        input: &mut RelExpr,
        f: impl FnOnce(&mut Self, RelExpr) -> RelExpr,
    ) -> ScalarExpr {
        let column = input.arity();
        let before = std::mem::replace(input, RelExpr::unit());
        *input = f(self, before);
        debug_assert_eq!(input.arity(), column + 1, "a subquery appends one column");
        ScalarExpr::Column(column)
    }

    /// Keeps rows; conjuncts that are subquery tests become semijoins and antijoins.
    fn filter(
        &mut self,
        mut input: RelExpr,
        predicates: Vec<HirScalar>,
        start: usize,
        scope: &Scope,
    ) -> RelExpr {
        let mut conjuncts = Vec::new();
        predicates
            .into_iter()
            .for_each(|p| flatten_and(p, &mut conjuncts));
        let (hard, easy): (Vec<_>, Vec<_>) = conjuncts.into_iter().partition(free::has_subquery);
        let easy = easy
            .into_iter()
            .map(|p| self.plain(p, start, scope))
            .collect();
        input = input.filter(easy);
        let arity = input.arity();
        for predicate in hard {
            let inner = scope.enter(start, arity - start);
            input = match subquery::Test::of(predicate) {
                Ok(test) => self.test(test, input, &inner),
                Err(other) => {
                    let (wide, lowered) = self.scalars(input, vec![other], start, scope);
                    wide.filter(lowered).project((0..arity).collect())
                }
            };
        }
        input
    }

    fn join(
        &mut self,
        left: HirRel,
        right: HirRel,
        on: Vec<HirScalar>,
        kind: JoinKind,
        outer: RelExpr,
        scope: &Scope,
    ) -> RelExpr {
        let outer_arity = outer.arity();
        match kind {
            JoinKind::Inner => {
                let left = self.apply(left, outer, scope);
                let inner = scope.enter(outer_arity, left.arity() - outer_arity);
                let both = self.branch(left, right, &inner);
                self.filter(both, on, outer_arity, scope)
            }
            JoinKind::Left | JoinKind::Right | JoinKind::Full => {
                self.outer_join(left, right, on, kind, outer, scope)
            }
        }
    }

    /// `rel` for every row of `outer`, whose rows may repeat: through the set of the outer columns that `rel`
    /// sees where it needs one.
    fn branch(&mut self, outer: RelExpr, rel: HirRel, scope: &Scope) -> RelExpr {
        if !free::needs_set(&rel) {
            return self.apply(rel, outer, scope);
        }
        self.branch_with(
            outer,
            &free::free_columns(&rel),
            &free::local_ids(&rel),
            scope,
            |this, keys, scope| this.apply(rel, keys, scope),
        )
    }

    /// Calls `f` with the set of distinct values of those columns of `outer` that are visible as `columns`, and
    /// joins its result, which starts with them, back to `outer`.
    fn branch_with(
        &mut self,
        outer: RelExpr,
        columns: &BTreeSet<ColumnRef>,
        ctes: &BTreeSet<LocalId>,
        scope: &Scope,
        f: impl FnOnce(&mut Self, RelExpr, &Scope) -> RelExpr,
    ) -> RelExpr {
        let shared = ctes
            .iter()
            .filter_map(|id| self.ctes.get(id))
            .map(|cte| cte.outer_arity);
        let prefix = shared.max().unwrap_or(0);
        let seen = columns
            .iter()
            .filter_map(|c| scope.positions.get(c).copied());
        let needed: Vec<usize> = seen
            .chain(0..prefix)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        let outer_arity = outer.arity();
        if needed.is_empty() {
            let value = f(self, RelExpr::unit(), &Scope::default());
            return outer.product(value);
        }
        let to: BTreeMap<_, _> = needed
            .iter()
            .enumerate()
            .map(|(new, old)| (*old, new))
            .collect();
        let inner_scope = scope.remap(&to);
        let (outer_id, keys_id) = (self.fresh(), self.fresh());
        outer.let_in(outer_id, |outer| {
            let keys = outer.clone().project(needed.clone()).distinct();
            keys.let_in(keys_id, |keys| {
                let value = f(self, keys, &inner_scope);
                let pairs: Vec<_> = needed
                    .iter()
                    .enumerate()
                    .map(|(new, old)| (*old, new))
                    .collect();
                let width = value.arity();
                let joined = outer.join_on(value, &pairs);
                let added = outer_arity + needed.len()..outer_arity + width;
                joined.project((0..outer_arity).chain(added).collect())
            })
        })
    }

    fn reduce(
        &mut self,
        input: HirRel,
        group_key: Vec<usize>,
        aggregates: Vec<HirAggregate>,
        outer: RelExpr,
        scope: &Scope,
    ) -> RelExpr {
        let outer_arity = outer.arity();
        let outer_id = self.fresh();
        outer.let_in(outer_id, |outer| {
            let mut input = self.apply(input, outer.clone(), scope);
            let mut lowered = Vec::new();
            let width = input.arity();
            for aggregate in aggregates {
                lowered.push(self.aggregate(aggregate, &mut input, outer_arity, width, scope));
            }
            let global = group_key.is_empty();
            let key = (0..outer_arity).chain(group_key.into_iter().map(|c| outer_arity + c));
            let defaults: Vec<_> = lowered
                .iter()
                .map(|a| (a.default_value(), a.result.clone()))
                .collect();
            let reduced = RelExpr::Reduce {
                input: Box::new(input),
                group_key: key.map(ScalarExpr::Column).collect(),
                aggregates: lowered,
            };
            if global {
                self.with_default(reduced, outer, defaults)
            } else {
                reduced
            }
        })
    }

    /// Adds, for every row of the set `outer` that `value` has no row for, one with these columns.
    fn with_default(
        &mut self,
        value: RelExpr,
        outer: RelExpr,
        defaults: Vec<(Datum<'_>, ColumnType)>,
    ) -> RelExpr {
        let outer_arity = outer.arity();
        let literals = defaults.into_iter().map(|(datum, ty)| {
            let ty = ty.with_nullable(datum.is_null());
            ScalarExpr::Literal(Row::pack([datum]), ty)
        });
        let literals = literals.collect();
        let id = self.fresh();
        value.let_in(id, |value| {
            let present = value.clone().project((0..outer_arity).collect());
            // The keys of `value` are distinct outer rows, so what is left of the set is what is missing.
            let missing = outer.union(present.negate());
            value.union(missing.map(literals))
        })
    }

    fn aggregate(
        &mut self,
        aggregate: HirAggregate,
        input: &mut RelExpr,
        start: usize,
        width: usize,
        scope: &Scope,
    ) -> AggregateExpr {
        let HirAggregate {
            func,
            args,
            arg_types,
            result,
            distinct,
            filter,
            order_by,
        } = aggregate;
        let arity = width - start;
        let args = args
            .into_iter()
            .map(|a| self.scalar(a, input, start, arity, scope))
            .collect();
        let filter = filter.map(|f| self.scalar(f, input, start, arity, scope));
        let order_by = self.orders(order_by, input, start, arity, scope);
        AggregateExpr {
            func,
            args,
            arg_types,
            result,
            distinct,
            filter,
            order_by,
        }
    }

    fn orders(
        &mut self,
        orders: Vec<HirOrder>,
        input: &mut RelExpr,
        start: usize,
        arity: usize,
        scope: &Scope,
    ) -> Vec<OrderExpr> {
        let mut lowered = Vec::with_capacity(orders.len());
        for HirOrder {
            expr,
            descending,
            nulls_last,
        } in orders
        {
            let expr = self.scalar(expr, input, start, arity, scope);
            lowered.push(OrderExpr {
                expr,
                descending,
                nulls_last,
            });
        }
        lowered
    }

    fn window(
        &mut self,
        mut input: RelExpr,
        functions: Vec<HirWindow>,
        start: usize,
        scope: &Scope,
    ) -> RelExpr {
        let width = input.arity();
        let arity = width - start;
        let mut lowered = Vec::with_capacity(functions.len());
        for HirWindow {
            func,
            args,
            partition_by,
            order_by,
            frame,
            result,
        } in functions
        {
            let func = shift_aggregate(func, start);
            let args = args
                .into_iter()
                .map(|a| self.scalar(a, &mut input, start, arity, scope))
                .collect();
            let keys = partition_by
                .into_iter()
                .map(|p| self.scalar(p, &mut input, start, arity, scope))
                .collect::<Vec<_>>();
            let partition_by = (0..start).map(ScalarExpr::Column).chain(keys).collect();
            let order_by = self.orders(order_by, &mut input, start, arity, scope);
            lowered.push(WindowExpr {
                func,
                args,
                partition_by,
                order_by,
                frame,
                result,
            });
        }
        let wide = input.arity();
        let added = lowered.len();
        let windowed = RelExpr::Window {
            input: Box::new(input),
            functions: lowered,
        };
        windowed.project((0..width).chain(wide..wide + added).collect())
    }
}

/// A window aggregate's own columns, past the outer ones.
fn shift_aggregate(mut func: WindowFunc, start: usize) -> WindowFunc {
    if let WindowFunc::Aggregate(aggregate) = &mut func {
        let exprs = aggregate.args.iter_mut().chain(&mut aggregate.filter);
        exprs.for_each(|e| e.permute(|c| c + start));
    }
    func
}

/// The conjuncts of a predicate.
fn flatten_and(predicate: HirScalar, out: &mut Vec<HirScalar>) {
    match predicate {
        HirScalar::And(args) => args.into_iter().for_each(|a| flatten_and(a, out)),
        other => out.push(other),
    }
}

/// The one aggregate of that name among the built-in ones that lowering itself uses.
fn built_in(name: &str) -> AggregateFunc {
    aggregate::by_name(name)
        .into_iter()
        .next()
        .expect("lowering's aggregates are registered")
}

/// `bool_or(column)` as an aggregate.
fn bool_or(arg: ScalarExpr) -> AggregateExpr {
    AggregateExpr {
        func: built_in("bool_or"),
        args: vec![arg],
        arg_types: vec![ScalarType::Bool],
        result: ScalarType::Bool.nullable(),
        distinct: false,
        filter: None,
        order_by: vec![],
    }
}
