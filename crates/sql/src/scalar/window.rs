//! OVER: windows, their names and frames.

use crate::error::{At, PlanError};
use crate::functions;
use crate::names;
use crate::planner::{ExprContext, Planner};
use crate::query::collect::{WindowCall, WindowKind};
use crate::query::limit::to_plain_scalar;
use crate::query::walk;
use crate::scalar::call::{Call, window_message};
use everview_expr::ScalarExpr;
use everview_expr::window::{self, FrameBound, FrameUnits};
use everview_repr::{ScalarType, SqlState};
use sqlparser::ast::{
    Expr, Ident, OrderByExpr, Spanned, WindowFrame, WindowFrameBound, WindowFrameUnits, WindowSpec,
    WindowType,
};

const WINDOW: &str = "window definitions";

impl Planner<'_> {
    pub(super) fn window_call(
        &mut self,
        call: Call<'_>,
        over: &WindowType,
        cx: &ExprContext<'_>,
    ) -> Result<crate::typed::Typed, PlanError> {
        let collector = match cx.collector {
            Some(collector) if !collector.borrow().no_windows => collector,
            _ => {
                let message = match cx.clause {
                    WINDOW => "window function calls cannot be nested".to_string(),
                    clause => window_message(clause),
                };
                return Err(PlanError::new(SqlState::WINDOWING_ERROR, message).at(call.position));
            }
        };
        let spec = match over {
            WindowType::WindowSpec(spec) => self.resolve_window_spec(spec, cx)?,
            WindowType::NamedWindow(name) => named(name, cx)?,
        };
        // Aggregates can stand inside a window call, other windows cannot.
        let before = std::mem::replace(&mut collector.borrow_mut().no_windows, true);
        let planned = self.plan_window(&call, &spec, cx);
        collector.borrow_mut().no_windows = before;
        let planned = planned?;
        self.collect_window(planned, call.position, cx)
    }

    fn plan_window(
        &mut self,
        call: &Call<'_>,
        spec: &WindowSpec,
        cx: &ExprContext<'_>,
    ) -> Result<WindowCall, PlanError> {
        let cx = &ExprContext {
            clause: WINDOW,
            ..*cx
        };
        let mut partition_by = Vec::new();
        for e in &spec.partition_by {
            let value = self.expr(e, cx)?;
            partition_by.push(self.resolve_unknown(value)?.expr);
        }
        let order_by = self.orders(&spec.order_by, cx)?;
        let frame = self.frame(spec, &order_by, cx)?;
        let (kind, result) = if functions::is_aggregate(&call.name) {
            if call.distinct {
                return Err(PlanError::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    "DISTINCT is not implemented for window functions",
                )
                .at(call.position));
            }
            if !call.order_by.is_empty() {
                return Err(PlanError::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    "aggregate ORDER BY is not implemented for window functions",
                )
                .at(call.position));
            }
            let (aggregate, result) = self.aggregate(call, cx)?;
            (WindowKind::Aggregate(aggregate), result)
        } else {
            self.window_function(call, cx)?
        };
        Ok(WindowCall {
            kind,
            partition_by,
            order_by,
            frame,
            result,
        })
    }

    fn window_function(
        &mut self,
        call: &Call<'_>,
        cx: &ExprContext<'_>,
    ) -> Result<(WindowKind, everview_repr::ColumnType), PlanError> {
        if call.filter.is_some() {
            return Err(PlanError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "FILTER is not implemented for non-aggregate window functions",
            )
            .at(call.position));
        }
        let args = self.exprs(&call.args, cx)?;
        let Some(resolved) = window::resolve_window(&call.name, &functions::scalar_types(&args))
        else {
            let scalar = !everview_expr::registry::candidates(&call.name).is_empty();
            let error = if scalar {
                let message = format!(
                    "OVER specified, but {} is not a window function nor an aggregate function",
                    call.name
                );
                PlanError::new(SqlState::WRONG_OBJECT_TYPE, message)
            } else {
                functions::no_function(&call.name, &args).into()
            };
            return Err(error.at(call.position));
        };
        let resolved = resolved.map_err(|e| e.into_error()).at(call.position)?;
        let args = self.coerce_all(args, &resolved.args)?;
        let result = resolved
            .result
            .nullable()
            .with_nullable(!resolved.never_null);
        let args = args.into_iter().map(|a| a.expr).collect();
        Ok((WindowKind::Function(resolved.func, args), result))
    }

    /// `OVER (w ORDER BY ...)`: what the named window says, and what is added to it.
    fn resolve_window_spec(
        &mut self,
        spec: &WindowSpec,
        cx: &ExprContext<'_>,
    ) -> Result<WindowSpec, PlanError> {
        let WindowSpec {
            window_name,
            partition_by,
            order_by,
            window_frame,
        } = spec;
        let Some(name) = window_name else {
            return Ok(spec.clone());
        };
        let mut base = named(name, cx)?;
        let refused = |message: String| {
            Err(PlanError::new(SqlState::WINDOWING_ERROR, message).at(names::at(name)))
        };
        let name = names::fold(name);
        if !partition_by.is_empty() {
            return refused(format!(
                "cannot override PARTITION BY clause of window \"{name}\""
            ));
        }
        if !order_by.is_empty() && !base.order_by.is_empty() {
            return refused(format!(
                "cannot override ORDER BY clause of window \"{name}\""
            ));
        }
        if base.window_frame.is_some() {
            return refused(format!(
                "cannot copy window \"{name}\" because it has a frame clause"
            ));
        }
        if !order_by.is_empty() {
            base.order_by = order_by.clone();
        }
        base.window_frame = window_frame.clone();
        Ok(base)
    }

    fn frame(
        &mut self,
        spec: &WindowSpec,
        order_by: &[crate::hir::HirOrder],
        cx: &ExprContext<'_>,
    ) -> Result<window::Frame, PlanError> {
        let Some(WindowFrame {
            units,
            start_bound,
            end_bound,
        }) = &spec.window_frame
        else {
            let (start, end) = (FrameBound::UnboundedPreceding, FrameBound::CurrentRow);
            return Ok(window::Frame {
                units: FrameUnits::Range,
                start,
                end,
            });
        };
        let units = match units {
            WindowFrameUnits::Rows => FrameUnits::Rows,
            WindowFrameUnits::Range => FrameUnits::Range,
            WindowFrameUnits::Groups => FrameUnits::Groups,
        };
        let error = |message: &str| Err(PlanError::new(SqlState::WINDOWING_ERROR, message));
        if units == FrameUnits::Groups && order_by.is_empty() {
            return error("GROUPS mode requires an ORDER BY clause");
        }
        let start = self.bound(start_bound, units, &spec.order_by, cx)?;
        let end = match end_bound {
            Some(bound) => self.bound(bound, units, &spec.order_by, cx)?,
            None => FrameBound::CurrentRow,
        };
        use FrameBound::*;
        match (&start, &end) {
            (UnboundedFollowing, _) => error("frame start cannot be UNBOUNDED FOLLOWING"),
            (_, UnboundedPreceding) => error("frame end cannot be UNBOUNDED PRECEDING"),
            (CurrentRow, Preceding(_)) => {
                error("frame starting from current row cannot have preceding rows")
            }
            (Following(_), Preceding(_)) | (Following(_), CurrentRow) => {
                error("frame starting from following row cannot have preceding rows")
            }
            _ => Ok(window::Frame { units, start, end }),
        }
    }

    fn bound(
        &mut self,
        bound: &WindowFrameBound,
        units: FrameUnits,
        order_by: &[OrderByExpr],
        cx: &ExprContext<'_>,
    ) -> Result<FrameBound, PlanError> {
        Ok(match bound {
            WindowFrameBound::CurrentRow => FrameBound::CurrentRow,
            WindowFrameBound::Preceding(None) => FrameBound::UnboundedPreceding,
            WindowFrameBound::Following(None) => FrameBound::UnboundedFollowing,
            WindowFrameBound::Preceding(Some(e)) => {
                FrameBound::Preceding(self.offset(e, units, order_by, cx)?)
            }
            WindowFrameBound::Following(Some(e)) => {
                FrameBound::Following(self.offset(e, units, order_by, cx)?)
            }
        })
    }

    fn offset(
        &mut self,
        expr: &Expr,
        units: FrameUnits,
        order_by: &[OrderByExpr],
        cx: &ExprContext<'_>,
    ) -> Result<ScalarExpr, PlanError> {
        let position = names::start(expr.span());
        let to = match units {
            FrameUnits::Rows | FrameUnits::Groups => ScalarType::Int64,
            FrameUnits::Range => {
                let [item] = order_by else {
                    let message = "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column";
                    return Err(PlanError::new(SqlState::WINDOWING_ERROR, message).at(position));
                };
                let key = self.expr(&item.expr, cx)?;
                window::range_offset_type(key.scalar()).ok_or_else(|| {
                    let message = format!(
                        "RANGE with offset PRECEDING/FOLLOWING is not supported for column type {}",
                        key.scalar().sql_name()
                    );
                    PlanError::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(key.position)
                })?
            }
        };
        let value = self.expr(
            expr,
            &ExprContext {
                collector: None,
                ..*cx
            },
        )?;
        let (from, value_position) = (value.ty.scalar.sql_name(), value.position);
        let value = self.cast(value, &to, everview_expr::casts::CastContext::Implicit)?.ok_or_else(|| {
            let message = match units {
                FrameUnits::Rows => format!("argument of ROWS must be type bigint, not type {from}"),
                FrameUnits::Groups => format!("argument of GROUPS must be type bigint, not type {from}"),
                FrameUnits::Range => format!("RANGE with offset PRECEDING/FOLLOWING is not supported for offset type {from}"),
            };
            PlanError::new(SqlState::DATATYPE_MISMATCH, message).at(value_position)
        })?;
        if !walk::column_set(&value.expr).is_empty() {
            let mode = match units {
                FrameUnits::Rows => "ROWS",
                FrameUnits::Range => "RANGE",
                FrameUnits::Groups => "GROUPS",
            };
            let message = format!("argument of {mode} must not contain variables");
            return Err(PlanError::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(position));
        }
        to_plain_scalar(&value.expr)
            .ok_or_else(|| PlanError::unsupported("a subquery in a window frame").at(position))
    }
}

fn named(name: &Ident, cx: &ExprContext<'_>) -> Result<WindowSpec, PlanError> {
    let folded = names::fold(name);
    let found = cx.collector.and_then(|c| {
        c.borrow()
            .named_windows
            .iter()
            .find(|(n, _)| *n == folded)
            .map(|(_, spec)| spec.clone())
    });
    let Some(spec) = found else {
        let message = format!("window \"{folded}\" does not exist");
        return Err(PlanError::new(SqlState::UNDEFINED_OBJECT, message).at(names::at(name)));
    };
    match &spec.window_name {
        None => Ok(spec),
        Some(base) => {
            let mut resolved = named(base, cx)?;
            if !spec.order_by.is_empty() {
                resolved.order_by = spec.order_by;
            }
            resolved.window_frame = spec.window_frame;
            Ok(resolved)
        }
    }
}
