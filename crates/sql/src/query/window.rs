//! Window functions and the select list's table functions, over the grouped rows.

use crate::error::PlanError;
use crate::hir::{HirRel, HirScalar, HirWindow, JoinKind};
use crate::planner::Planner;
use crate::query::build::{map, unit};
use crate::query::collect::{TABLES, TableCall, WINDOWS, WindowCall, WindowKind};
use crate::query::select::Step;
use crate::query::walk;
use everview_expr::ScalarExpr;
use everview_expr::aggregate::AggregateExpr;
use everview_expr::window::WindowFunc;

impl Planner<'_> {
    /// Appends the window functions' columns to a step.
    pub(super) fn windows(
        &mut self,
        calls: Vec<WindowCall>,
        step: &mut Step,
        tables: &mut [TableCall],
    ) -> Result<(), PlanError> {
        let mut scalars: Vec<HirScalar> = Vec::new();
        let mut functions = Vec::new();
        for call in calls {
            let WindowCall {
                kind,
                partition_by,
                order_by,
                frame,
                result,
            } = call;
            let (func, args) = match kind {
                WindowKind::Function(func, args) => (func, args),
                WindowKind::Aggregate(aggregate) => {
                    // An aggregate's own expressions are columns of the input.
                    let mut column = |expr: HirScalar| {
                        ScalarExpr::Column(match expr {
                            HirScalar::Column(c) if c.level == 0 => c.column,
                            expr => {
                                scalars.push(expr);
                                step.arity + scalars.len() - 1
                            }
                        })
                    };
                    let expr = AggregateExpr {
                        func: aggregate.func,
                        args: aggregate.args.into_iter().map(&mut column).collect(),
                        arg_types: aggregate.arg_types,
                        result: aggregate.result,
                        distinct: aggregate.distinct,
                        filter: aggregate.filter.map(&mut column),
                        order_by: vec![],
                    };
                    (WindowFunc::Aggregate(Box::new(expr)), vec![])
                }
            };
            functions.push(HirWindow {
                func,
                args,
                partition_by,
                order_by,
                frame,
                result,
            });
        }
        let input = map(std::mem::replace(&mut step.rel, unit()), scalars.clone());
        let first = step.arity + scalars.len();
        step.arity = first + functions.len();
        step.rel = HirRel::Window {
            input: Box::new(input),
            functions,
        };
        let place = &mut |e: &mut HirScalar| {
            walk::columns(e, &mut |c| {
                if c.column >= WINDOWS && c.column < TABLES {
                    c.column = first + (c.column - WINDOWS);
                }
            });
        };
        step.for_each(&mut |value| {
            place(&mut value.expr);
            Ok(())
        })?;
        tables.iter_mut().flat_map(|t| &mut t.args).for_each(place);
        Ok(())
    }

    /// Joins each row with the rows of the select list's table function.
    pub(super) fn table_calls(
        &mut self,
        mut calls: Vec<TableCall>,
        step: &mut Step,
    ) -> Result<(), PlanError> {
        if calls.len() > 1 {
            return Err(PlanError::unsupported(
                "several set-returning functions in one select list",
            )
            .with_hint("Move them into the FROM clause."));
        }
        let Some(TableCall {
            func,
            mut args,
            types,
            columns,
        }) = calls.pop()
        else {
            return Ok(());
        };
        if args
            .iter()
            .any(|a| walk::column_set(a).iter().any(|c| *c >= TABLES))
        {
            return Err(PlanError::unsupported(
                "a set-returning function of another in a select list",
            ));
        }
        args.iter_mut().for_each(|a| walk::shift_scalar(a, 1));
        let right = HirRel::TableFunction {
            func,
            args,
            types,
            columns,
            ordinality: false,
        };
        let left = std::mem::replace(&mut step.rel, unit());
        step.rel = HirRel::Join {
            left: Box::new(left),
            right: Box::new(right),
            on: vec![],
            kind: JoinKind::Inner,
        };
        let at = step.arity;
        step.arity += 1;
        step.for_each(&mut |value| {
            walk::columns(&mut value.expr, &mut |c| {
                if c.column >= TABLES {
                    c.column = at;
                }
            });
            Ok(())
        })
    }
}
