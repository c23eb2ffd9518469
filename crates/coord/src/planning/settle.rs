//! Parameters and the session's functions: put into a plan that was made without them.

use everview_expr::registry::{self, Volatility};
use everview_expr::{AggregateExpr, CallTypes, Environment, MapFilterProject, RelExpr, ScalarExpr};
use everview_optimize::physical::{JoinPlan, JoinSource, Plan, ReducePart, ReducePlan};
use everview_repr::{Datum, Row, RowArena, ScalarType};
use std::sync::{Arc, OnceLock};

use super::MakeEnvironment;

/// One row of parameters' values, and their types.
pub(crate) type Params<'p> = Option<(&'p Row, &'p [ScalarType])>;

/// Replaces parameters by their values, gives functions the session that they ask, and evaluates what is constant
/// then.
pub(crate) struct Settle<'p> {
    datums: Vec<Datum<'p>>,
    types: &'p [ScalarType],
    environment: Option<MakeEnvironment<'p>>,
    made: OnceLock<Arc<dyn Environment>>,
}

impl<'p> Settle<'p> {
    pub fn new(params: Params<'p>, environment: Option<MakeEnvironment<'p>>) -> Settle<'p> {
        let (datums, types) = match params {
            Some((values, types)) => (values.unpack(), types),
            None => (Vec::new(), &[][..]),
        };
        Settle {
            datums,
            types,
            environment,
            made: OnceLock::new(),
        }
    }

    /// One expression, whose operands are settled.
    pub fn one(&self, expr: &mut ScalarExpr) {
        match expr {
            ScalarExpr::Parameter(n, _) => {
                if let (Some(datum), Some(ty)) = (self.datums.get(*n - 1), self.types.get(*n - 1)) {
                    *expr = ScalarExpr::literal(*datum, ty.clone());
                }
            }
            ScalarExpr::Call { func, args, types } => {
                let volatility = registry::get(*func).volatility;
                if volatility != Volatility::Immutable {
                    self.attach(types);
                }
                let literal = args
                    .iter()
                    .all(|arg| matches!(arg, ScalarExpr::Literal(..)));
                let known = volatility != Volatility::Volatile
                    && (volatility == Volatility::Immutable || self.environment.is_some());
                if literal && known {
                    fold(expr);
                }
            }
            _ => {}
        }
    }

    /// An expression.
    pub fn scalar(&self, expr: &mut ScalarExpr) {
        expr.visit_mut_post(&mut |e| self.one(e));
    }

    /// A relational expression.
    pub fn relation(&self, expr: &mut RelExpr) {
        expr.visit_mut_post(&mut |e| {
            e.scalars_mut()
                .into_iter()
                .for_each(|scalar| self.scalar(scalar));
            if let RelExpr::FlatMap { types, .. } = e {
                self.attach(types);
            }
        });
    }

    /// A physical plan.
    pub fn plan(&self, expr: &mut Plan) {
        plan(expr, &mut |e| self.one(e), &mut |types| self.attach(types));
    }

    fn attach(&self, types: &mut Arc<CallTypes>) {
        if let Some(make) = self.environment {
            *types = Arc::new(CallTypes {
                environment: Some(self.made.get_or_init(make).clone()),
                ..(**types).clone()
            });
        }
    }
}

/// Replaces a call by its value, unless that is an error: whether a row meets it is for the plan to say.
fn fold(expr: &mut ScalarExpr) {
    let ty = expr.ty(&[]);
    let value = {
        let arena = RowArena::new();
        match expr.eval(&[], &arena) {
            Datum::Error(_) => return,
            datum => Row::pack([datum]),
        }
    };
    let nullable = value.first().is_null();
    *expr = ScalarExpr::Literal(value, ty.with_nullable(nullable));
}

/// Whether a plan holds parameters, or calls that ask the session.
pub(crate) fn is_open(expr: &mut Plan) -> bool {
    let mut open = false;
    let mut asks = false;
    let mut one = |e: &mut ScalarExpr| match e {
        ScalarExpr::Parameter(..) => open = true,
        ScalarExpr::Call { func, .. } => {
            open |= registry::get(*func).volatility != Volatility::Immutable;
        }
        _ => {}
    };
    plan(expr, &mut one, &mut |_| asks = true);
    open || asks
}

/// Calls `f` on every expression of a map, filter and project.
pub(crate) fn mfp(mfp: &mut MapFilterProject, f: &mut impl FnMut(&mut ScalarExpr)) {
    let predicates = mfp.predicates.iter_mut().map(|(_, predicate)| predicate);
    for expr in mfp.expressions.iter_mut().chain(predicates) {
        expr.visit_mut_post(f);
    }
}

/// Calls `f` on every expression of a plan that rows are evaluated with, and `g` on the calls of table functions.
fn plan(
    expr: &mut Plan,
    f: &mut impl FnMut(&mut ScalarExpr),
    g: &mut impl FnMut(&mut Arc<CallTypes>),
) {
    match expr {
        Plan::Constant { .. } => {}
        Plan::Get { mfp: m, .. } => mfp(m, f),
        Plan::Let { value, body, .. } => {
            plan(value, f, g);
            plan(body, f, g);
        }
        Plan::Mfp { input, mfp: m } => {
            plan(input, f, g);
            mfp(m, f);
        }
        Plan::FlatMap {
            input,
            args,
            types,
            mfp: m,
            ..
        } => {
            plan(input, f, g);
            args.iter_mut().for_each(|e| e.visit_mut_post(f));
            g(types);
            mfp(m, f);
        }
        Plan::Join { inputs, plan: join } => {
            for input in inputs {
                if let JoinSource::Plan(source) = &mut input.source {
                    plan(source, f, g);
                }
                for arrangement in &mut input.arrangements {
                    arrangement.key.iter_mut().for_each(|e| e.visit_mut_post(f));
                }
                input.compared.iter_mut().for_each(|e| e.visit_mut_post(f));
            }
            join_plan(join, f);
        }
        Plan::Reduce {
            input,
            plan: reduce,
            mfp: m,
        } => {
            plan(input, f, g);
            reduce_plan(reduce, f);
            mfp(m, f);
        }
        Plan::Window {
            input,
            partition_by,
            functions,
        } => {
            plan(input, f, g);
            partition_by.iter_mut().for_each(|e| e.visit_mut_post(f));
            for function in functions {
                let order = function.order_by.iter_mut().map(|o| &mut o.expr);
                let partition = function.partition_by.iter_mut();
                for e in function.args.iter_mut().chain(partition).chain(order) {
                    e.visit_mut_post(f);
                }
            }
        }
        Plan::TopK { input, .. } | Plan::Threshold { input, .. } | Plan::Negate { input } => {
            plan(input, f, g);
        }
        Plan::Union { inputs, .. } => inputs.iter_mut().for_each(|input| plan(input, f, g)),
    }
}

fn join_plan(join: &mut JoinPlan, f: &mut impl FnMut(&mut ScalarExpr)) {
    match join {
        JoinPlan::Linear {
            initial, stages, ..
        } => {
            mfp(initial, f);
            for stage in stages {
                stage
                    .stream
                    .key
                    .iter_mut()
                    .for_each(|e| e.visit_mut_post(f));
                mfp(&mut stage.closure, f);
            }
        }
        JoinPlan::Delta { paths } => {
            for path in paths {
                mfp(&mut path.initial, f);
                for stage in &mut path.stages {
                    stage.key.iter_mut().for_each(|e| e.visit_mut_post(f));
                    mfp(&mut stage.closure, f);
                }
            }
        }
    }
}

fn reduce_plan(reduce: &mut ReducePlan, f: &mut impl FnMut(&mut ScalarExpr)) {
    reduce.key.iter_mut().for_each(|e| e.visit_mut_post(f));
    let mut aggregates = |aggregates: &mut Vec<AggregateExpr>| {
        for aggregate in aggregates {
            let order = aggregate.order_by.iter_mut().map(|o| &mut o.expr);
            let filter = aggregate.filter.iter_mut();
            for e in aggregate.args.iter_mut().chain(filter).chain(order) {
                e.visit_mut_post(f);
            }
        }
    };
    for part in &mut reduce.parts {
        match part {
            ReducePart::Distinct => {}
            ReducePart::Accumulable(list)
            | ReducePart::AccumulableDistinct(list)
            | ReducePart::WholeGroup(list)
            | ReducePart::Extrema { aggregates: list } => aggregates(list),
            ReducePart::First(_) => {}
        }
    }
    for part in &mut reduce.parts {
        if let ReducePart::First(exprs) = part {
            exprs.iter_mut().for_each(|e| e.visit_mut_post(f));
        }
    }
}
