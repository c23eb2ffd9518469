//! What a query's expressions hold that is computed between its clauses.
//!
//! An aggregate, window function or table function in an expression becomes a column beyond [`AGGREGATES`] and the
//! like at level 0; once the query knows where that column will be, [`crate::query::walk`] puts the position in.

use crate::hir::{HirAggregate, HirOrder, HirScalar};
use everview_expr::window::{Frame, WindowFunc};
use everview_expr::{CallTypes, TableFunc};
use everview_repr::ColumnType;
use sqlparser::ast::WindowSpec;
use std::sync::Arc;

/// Columns from here on are aggregates.
pub(crate) const AGGREGATES: usize = 1 << 40;
/// Columns from here on are window functions.
pub(crate) const WINDOWS: usize = 1 << 41;
/// Columns from here on are table functions.
pub(crate) const TABLES: usize = 1 << 42;

/// A column of the row at hand that an expression names, outside aggregates.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    /// Its position in the row.
    pub column: usize,
    /// As written.
    pub name: String,
    /// Where.
    pub position: Option<usize>,
}

/// What a window call computes.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum WindowKind {
    /// A window function proper.
    Function(WindowFunc, Vec<HirScalar>),
    /// An aggregate over the frame.
    Aggregate(HirAggregate),
}

/// A window function's call.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct WindowCall {
    pub kind: WindowKind,
    pub partition_by: Vec<HirScalar>,
    pub order_by: Vec<HirOrder>,
    pub frame: Frame,
    pub result: ColumnType,
}

/// A table function's call in the select list.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct TableCall {
    pub func: TableFunc,
    pub args: Vec<HirScalar>,
    pub types: Arc<CallTypes>,
    pub columns: Vec<ColumnType>,
}

/// The calls found so far.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    pub aggregates: Vec<HirAggregate>,
    pub windows: Vec<WindowCall>,
    pub tables: Vec<TableCall>,
    /// The query's WINDOW clause.
    pub named_windows: Vec<(String, WindowSpec)>,
    /// Whether window functions and table functions may stand here.
    pub no_windows: bool,
}

/// The place of an item in a list, where equal ones share a place.
fn place<T: PartialEq>(list: &mut Vec<T>, item: T) -> usize {
    match list.iter().position(|i| *i == item) {
        Some(i) => i,
        None => {
            list.push(item);
            list.len() - 1
        }
    }
}

impl Collector {
    pub fn aggregate(&mut self, call: HirAggregate) -> usize {
        AGGREGATES + place(&mut self.aggregates, call)
    }

    pub fn window(&mut self, call: WindowCall) -> usize {
        WINDOWS + place(&mut self.windows, call)
    }

    pub fn table(&mut self, call: TableCall) -> usize {
        TABLES + place(&mut self.tables, call)
    }
}
