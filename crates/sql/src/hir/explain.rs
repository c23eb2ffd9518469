//! The high-level IR as text: one node a line, inputs indented, subqueries under the node whose expressions hold them.

use super::{HirAggregate, HirOrder, HirRel, HirScalar, HirWindow, JoinKind};
use everview_expr::window::WindowFunc;
use everview_expr::{Id, ScalarExpr, aggregate, registry, table_func};
use everview_repr::{ColumnOrder, GlobalId};
use std::fmt::Write;

/// A query, with the names of relations. `#n` is a column of the row at hand, `^#n` one of the row around it.
pub(crate) fn explain(rel: &HirRel, names: &dyn Fn(GlobalId) -> String) -> String {
    let mut printer = Printer {
        text: String::new(),
        names,
        subqueries: 0,
    };
    printer.relation(rel, 0);
    printer.text
}

struct Printer<'n> {
    text: String,
    names: &'n dyn Fn(GlobalId) -> String,
    /// How many were numbered.
    subqueries: usize,
}

/// Expressions of a node as text, and the subqueries in them with their numbers.
type Found<'h> = Vec<(usize, &'h HirRel)>;

impl Printer<'_> {
    fn line(&mut self, depth: usize, text: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "{:indent$}{text}", "", indent = 2 * depth);
    }

    fn relation(&mut self, rel: &HirRel, depth: usize) {
        let mut found = Found::new();
        let (text, inputs): (String, Vec<&HirRel>) = match rel {
            HirRel::Constant { rows, .. } => (format!("Constant: {} rows", rows.len()), vec![]),
            HirRel::Get {
                id: Id::Global(id), ..
            } => (format!("Get {}", (self.names)(*id)), vec![]),
            HirRel::Get {
                id: Id::Local(id), ..
            } => (format!("Get l{}", id.0), vec![]),
            HirRel::Let { id, value, body } => (format!("Let l{}", id.0), vec![value, body]),
            HirRel::LetRec { bindings, body } => {
                let names: Vec<_> = bindings
                    .iter()
                    .map(|(id, ..)| format!("l{}", id.0))
                    .collect();
                let values = bindings.iter().map(|(_, value, _)| value);
                let inputs = values.chain([&**body]).collect();
                (format!("LetRec {}", names.join(", ")), inputs)
            }
            HirRel::Project { input, outputs } => {
                (format!("Project ({})", columns(outputs)), vec![input])
            }
            HirRel::Map { input, scalars } => (
                format!("Map ({})", self.list(scalars, &mut found)),
                vec![input],
            ),
            HirRel::Filter { input, predicates } => {
                let predicates = self.joined(predicates, " AND ", &mut found);
                (format!("Filter ({predicates})"), vec![input])
            }
            HirRel::TableFunction {
                func,
                args,
                ordinality,
                ..
            } => {
                let name = table_func::get(*func).name;
                let ordinality = if *ordinality { " with ordinality" } else { "" };
                let args = self.list(args, &mut found);
                (format!("TableFunction {name}({args}){ordinality}"), vec![])
            }
            HirRel::Join {
                left,
                right,
                on,
                kind,
            } => {
                let kind = match kind {
                    JoinKind::Inner => "Join",
                    JoinKind::Left => "LeftJoin",
                    JoinKind::Right => "RightJoin",
                    JoinKind::Full => "FullJoin",
                };
                let on = self.joined(on, " AND ", &mut found);
                (format!("{kind} on ({on})"), vec![left, right])
            }
            HirRel::Reduce {
                input,
                group_key,
                aggregates,
            } => {
                let calls: Vec<_> = aggregates
                    .iter()
                    .map(|a| self.aggregate(a, &mut found))
                    .collect();
                let text = format!(
                    "Reduce group ({}) aggregates ({})",
                    columns(group_key),
                    calls.join(", ")
                );
                (text, vec![input])
            }
            HirRel::Distinct { input } => ("Distinct".to_string(), vec![input]),
            HirRel::TopK {
                input,
                group_key,
                order_key,
                limit,
                offset,
            } => {
                let limit = limit.map_or("all".to_string(), |limit| limit.to_string());
                let order: Vec<_> = order_key.iter().map(column_order).collect();
                let (group, order) = (columns(group_key), order.join(", "));
                let text =
                    format!("TopK group ({group}) order ({order}) limit {limit} offset {offset}");
                (text, vec![input])
            }
            HirRel::Window { input, functions } => {
                let calls: Vec<_> = functions
                    .iter()
                    .map(|f| self.window(f, &mut found))
                    .collect();
                (format!("Window ({})", calls.join(", ")), vec![input])
            }
            HirRel::Threshold { input } => ("Threshold".to_string(), vec![input]),
            HirRel::Negate { input } => ("Negate".to_string(), vec![input]),
            HirRel::Union { inputs } => ("Union".to_string(), inputs.iter().collect()),
        };
        self.line(depth, &text);
        for (number, subquery) in found {
            self.line(depth + 1, &format!("subquery {number}:"));
            self.relation(subquery, depth + 2);
        }
        for input in inputs {
            self.relation(input, depth + 1);
        }
    }

    fn list<'h>(&mut self, scalars: &'h [HirScalar], found: &mut Found<'h>) -> String {
        self.joined(scalars, ", ", found)
    }

    fn joined<'h>(&mut self, scalars: &'h [HirScalar], by: &str, found: &mut Found<'h>) -> String {
        let all: Vec<_> = scalars
            .iter()
            .map(|scalar| self.scalar(scalar, found))
            .collect();
        all.join(by)
    }

    fn subquery<'h>(&mut self, rel: &'h HirRel, found: &mut Found<'h>) -> usize {
        self.subqueries += 1;
        found.push((self.subqueries, rel));
        self.subqueries
    }

    fn scalar<'h>(&mut self, scalar: &'h HirScalar, found: &mut Found<'h>) -> String {
        match scalar {
            HirScalar::Column(column) => format!("{}#{}", "^".repeat(column.level), column.column),
            HirScalar::Literal(row, ty) => ScalarExpr::Literal(row.clone(), ty.clone()).to_string(),
            HirScalar::Parameter(number, _) => format!("${number}"),
            HirScalar::Call { func, args, types } => {
                let name = registry::get(*func).name;
                match args.as_slice() {
                    [arg] if name == registry::CAST => {
                        format!("{}::{}", self.scalar(arg, found), types.result.sql_name())
                    }
                    [a, b] if !name.starts_with(|c: char| c.is_alphabetic() || c == '_') => {
                        format!(
                            "({} {name} {})",
                            self.scalar(a, found),
                            self.scalar(b, found)
                        )
                    }
                    args => format!("{name}({})", self.list(args, found)),
                }
            }
            HirScalar::And(args) => format!("({})", self.joined(args, " AND ", found)),
            HirScalar::Or(args) => format!("({})", self.joined(args, " OR ", found)),
            HirScalar::Not(arg) => format!("NOT {}", self.scalar(arg, found)),
            HirScalar::IsNull(arg) => format!("{} IS NULL", self.scalar(arg, found)),
            HirScalar::If {
                condition,
                then,
                els,
            } => format!(
                "CASE WHEN {} THEN {} ELSE {} END",
                self.scalar(condition, found),
                self.scalar(then, found),
                self.scalar(els, found)
            ),
            HirScalar::Coalesce(args) => format!("coalesce({})", self.list(args, found)),
            HirScalar::Exists(rel) => format!("exists(subquery {})", self.subquery(rel, found)),
            HirScalar::Scalar(rel) => format!("(subquery {})", self.subquery(rel, found)),
            HirScalar::Any { input, predicate } => {
                let number = self.subquery(input, found);
                format!("any(subquery {number}: {})", self.scalar(predicate, found))
            }
        }
    }

    fn aggregate<'h>(&mut self, call: &'h HirAggregate, found: &mut Found<'h>) -> String {
        let distinct = if call.distinct { "distinct " } else { "" };
        let args = match call.args.as_slice() {
            [] => "*".to_string(),
            args => self.list(args, found),
        };
        let order = self.order_by(&call.order_by, found);
        let mut text = format!(
            "{}({distinct}{args}{order})",
            aggregate::get(call.func).name
        );
        if let Some(filter) = &call.filter {
            text += &format!(" filter {}", self.scalar(filter, found));
        }
        text
    }

    fn window<'h>(&mut self, call: &'h HirWindow, found: &mut Found<'h>) -> String {
        let name = match &call.func {
            WindowFunc::RowNumber => "row_number",
            WindowFunc::Rank => "rank",
            WindowFunc::DenseRank => "dense_rank",
            WindowFunc::PercentRank => "percent_rank",
            WindowFunc::CumeDist => "cume_dist",
            WindowFunc::Ntile => "ntile",
            WindowFunc::Lag => "lag",
            WindowFunc::Lead => "lead",
            WindowFunc::FirstValue => "first_value",
            WindowFunc::LastValue => "last_value",
            WindowFunc::NthValue => "nth_value",
            WindowFunc::Aggregate(call) => aggregate::get(call.func).name,
        };
        let (args, partition) = (
            self.list(&call.args, found),
            self.list(&call.partition_by, found),
        );
        let order = self.order_by(&call.order_by, found);
        format!("{name}({args}) over (partition by ({partition}){order})")
    }

    fn order_by<'h>(&mut self, order: &'h [HirOrder], found: &mut Found<'h>) -> String {
        if order.is_empty() {
            return String::new();
        }
        let all: Vec<_> = order
            .iter()
            .map(|o| {
                format!(
                    "{}{}",
                    self.scalar(&o.expr, found),
                    direction(o.descending, o.nulls_last)
                )
            })
            .collect();
        format!(" order by {}", all.join(", "))
    }
}

fn columns(columns: &[usize]) -> String {
    let all: Vec<_> = columns.iter().map(|column| format!("#{column}")).collect();
    all.join(", ")
}

fn column_order(order: &ColumnOrder) -> String {
    format!(
        "#{}{}",
        order.column,
        direction(order.descending, order.nulls_last)
    )
}

/// As SQL says it, where it is not what SQL takes by itself.
fn direction(descending: bool, nulls_last: bool) -> &'static str {
    match (descending, nulls_last) {
        (false, true) => "",
        (false, false) => " nulls first",
        (true, false) => " desc",
        (true, true) => " desc nulls last",
    }
}
