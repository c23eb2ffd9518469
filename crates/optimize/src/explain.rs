//! Plans as text, one node a line, inputs indented: what EXPLAIN shows.

use crate::physical::{Arrangement, DataflowPlan, JoinPlan, JoinSource, Plan, ReducePart};
use everview_expr::{AggregateExpr, Id, MapFilterProject, RelExpr, ScalarExpr};
use everview_repr::{ColumnOrder, GlobalId};
use std::fmt::Write;

/// The names of relations.
pub type Names<'n> = dyn Fn(GlobalId) -> String + 'n;

/// The relational IR.
pub fn relation(expr: &RelExpr, names: &Names<'_>) -> String {
    let mut out = Printer {
        text: String::new(),
        names,
    };
    out.relation(expr, 0);
    out.text
}

/// The physical plan with what it reads.
pub fn physical(dataflow: &DataflowPlan, names: &Names<'_>) -> String {
    let mut out = Printer {
        text: String::new(),
        names,
    };
    out.plan(&dataflow.plan, 0);
    for id in dataflow.sources.keys() {
        out.line(0, format_args!("Source {}", names(*id)));
    }
    for (id, arrangements) in &dataflow.imports {
        for (_, arrangement) in arrangements {
            let key = list(&arrangement.key);
            out.line(0, format_args!("Import {} by ({key})", names(*id)));
        }
    }
    out.text
}

struct Printer<'n> {
    text: String,
    names: &'n Names<'n>,
}

fn list(exprs: &[ScalarExpr]) -> String {
    exprs
        .iter()
        .map(ScalarExpr::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

fn columns(columns: &[usize]) -> String {
    columns
        .iter()
        .map(|c| format!("#{c}"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn order(order: &[ColumnOrder]) -> String {
    let one = |o: &ColumnOrder| {
        let direction = if o.descending { " desc" } else { "" };
        let nulls = if o.nulls_last == o.descending {
            if o.nulls_last {
                " nulls last"
            } else {
                " nulls first"
            }
        } else {
            ""
        };
        format!("#{}{direction}{nulls}", o.column)
    };
    order.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn aggregates(aggregates: &[AggregateExpr]) -> String {
    let one = |a: &AggregateExpr| {
        let name = everview_expr::aggregate::get(a.func).name;
        let distinct = if a.distinct { "distinct " } else { "" };
        let filter = a
            .filter
            .as_ref()
            .map(|f| format!(" filter {f}"))
            .unwrap_or_default();
        let args = if a.args.is_empty() {
            "*".to_string()
        } else {
            list(&a.args)
        };
        format!("{name}({distinct}{args}){filter}")
    };
    aggregates.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn mfp(mfp: &MapFilterProject) -> String {
    let mut parts = Vec::new();
    if !mfp.expressions.is_empty() {
        parts.push(format!("map ({})", list(&mfp.expressions)));
    }
    if !mfp.predicates.is_empty() {
        let predicates: Vec<_> = mfp.predicates.iter().map(|(_, p)| p.to_string()).collect();
        parts.push(format!("filter ({})", predicates.join(" AND ")));
    }
    let all = mfp.input_arity + mfp.expressions.len();
    if !mfp.projection.iter().copied().eq(0..all) {
        parts.push(format!("project ({})", columns(&mfp.projection)));
    }
    if parts.is_empty() {
        String::new()
    } else {
        format!(" {}", parts.join(" "))
    }
}

impl Printer<'_> {
    fn line(&mut self, depth: usize, text: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{:indent$}{text}", "", indent = 2 * depth);
    }

    fn id(&self, id: Id) -> String {
        match id {
            Id::Global(id) => (self.names)(id),
            Id::Local(id) => format!("l{}", id.0),
        }
    }

    fn relation(&mut self, expr: &RelExpr, depth: usize) {
        match expr {
            RelExpr::Constant { rows: Ok(rows), .. } => {
                self.line(depth, format_args!("Constant: {} rows", rows.len()));
            }
            RelExpr::Constant {
                rows: Err(error), ..
            } => {
                self.line(depth, format_args!("Error: {error}"));
            }
            RelExpr::Get { id, .. } => {
                let name = self.id(*id);
                self.line(depth, format_args!("Get {name}"));
            }
            RelExpr::Let { id, .. } => self.line(depth, format_args!("Let l{}", id.0)),
            RelExpr::LetRec { .. } => self.line(depth, format_args!("LetRec")),
            RelExpr::Project { outputs, .. } => {
                self.line(depth, format_args!("Project ({})", columns(outputs)));
            }
            RelExpr::Map { scalars, .. } => {
                self.line(depth, format_args!("Map ({})", list(scalars)))
            }
            RelExpr::Filter { predicates, .. } => {
                self.line(depth, format_args!("Filter ({})", list(predicates)));
            }
            RelExpr::FlatMap { func, args, .. } => {
                let name = everview_expr::table_func::get(*func).name;
                self.line(depth, format_args!("FlatMap {name}({})", list(args)));
            }
            RelExpr::Join { equivalences, .. } => {
                let classes: Vec<_> = equivalences
                    .iter()
                    .map(|c| {
                        c.iter()
                            .map(ScalarExpr::to_string)
                            .collect::<Vec<_>>()
                            .join(" = ")
                    })
                    .collect();
                self.line(depth, format_args!("Join on ({})", classes.join(" AND ")));
            }
            RelExpr::Reduce {
                group_key,
                aggregates: calls,
                ..
            } if calls.is_empty() => {
                self.line(depth, format_args!("Distinct ({})", list(group_key)));
            }
            RelExpr::Reduce {
                group_key,
                aggregates: calls,
                ..
            } => {
                let calls = aggregates(calls);
                self.line(
                    depth,
                    format_args!("Reduce group ({}) aggregates ({calls})", list(group_key)),
                );
            }
            RelExpr::TopK {
                group_key,
                order_key,
                limit,
                offset,
                ..
            } => {
                let limit = limit.map_or("all".to_string(), |l| l.to_string());
                let group = columns(group_key);
                let order = order(order_key);
                self.line(
                    depth,
                    format_args!(
                        "TopK group ({group}) order ({order}) limit {limit} offset {offset}"
                    ),
                );
            }
            RelExpr::Window { functions, .. } => {
                self.line(depth, format_args!("Window: {} functions", functions.len()));
            }
            RelExpr::Threshold { .. } => self.line(depth, format_args!("Threshold")),
            RelExpr::Negate { .. } => self.line(depth, format_args!("Negate")),
            RelExpr::Union { .. } => self.line(depth, format_args!("Union")),
            RelExpr::ArrangeBy { keys, .. } => {
                let keys: Vec<_> = keys.iter().map(|k| format!("({})", list(k))).collect();
                self.line(depth, format_args!("ArrangeBy {}", keys.join(", ")));
            }
        }
        for child in expr.children() {
            self.relation(child, depth + 1);
        }
    }

    fn plan(&mut self, plan: &Plan, depth: usize) {
        match plan {
            Plan::Constant { rows: Ok(rows) } => {
                self.line(depth, format_args!("Constant: {} rows", rows.len()));
            }
            Plan::Constant { rows: Err(error) } => self.line(depth, format_args!("Error: {error}")),
            Plan::Get { id, mfp: applied } => {
                let name = self.id(*id);
                self.line(depth, format_args!("Get {name}{}", mfp(applied)));
            }
            Plan::Let {
                id, value, body, ..
            } => {
                self.line(depth, format_args!("Let l{}", id.0));
                self.plan(value, depth + 1);
                self.plan(body, depth + 1);
            }
            Plan::Mfp {
                input,
                mfp: applied,
            } => {
                self.line(depth, format_args!("Mfp{}", mfp(applied)));
                self.plan(input, depth + 1);
            }
            Plan::FlatMap {
                input,
                func,
                args,
                mfp: applied,
                ..
            } => {
                let name = everview_expr::table_func::get(*func).name;
                self.line(
                    depth,
                    format_args!("FlatMap {name}({}){}", list(args), mfp(applied)),
                );
                self.plan(input, depth + 1);
            }
            Plan::Join { inputs, plan } => {
                self.join(plan, depth);
                for (i, input) in inputs.iter().enumerate() {
                    let keys: Vec<_> = input
                        .arrangements
                        .iter()
                        .map(|a: &Arrangement| format!("({})", list(&a.key)))
                        .collect();
                    match &input.source {
                        JoinSource::Plan(plan) => {
                            self.line(
                                depth + 1,
                                format_args!("Input {i} arranged by {}", keys.join(", ")),
                            );
                            self.plan(plan, depth + 2);
                        }
                        JoinSource::Arranged(id) => {
                            let name = self.id(*id);
                            self.line(
                                depth + 1,
                                format_args!("Input {i}: {name}, shared, by {}", keys.join(", ")),
                            );
                        }
                    }
                }
            }
            Plan::Reduce {
                input,
                plan,
                mfp: applied,
            } => {
                self.line(
                    depth,
                    format_args!("Reduce by ({}){}", list(&plan.key), mfp(applied)),
                );
                for part in &plan.parts {
                    self.line(depth + 1, format_args!("{}", part_text(part)));
                }
                self.plan(input, depth + 1);
            }
            Plan::TopK { input, plan } => {
                let limit = plan.limit.map_or("all".to_string(), |l| l.to_string());
                let (group, order) = (columns(&plan.group_key), order(&plan.order));
                let only = if plan.append_only { " append only" } else { "" };
                self.line(
                    depth,
                    format_args!(
                        "TopK group ({group}) order ({order}) limit {limit} offset {}{only}",
                        plan.offset
                    ),
                );
                self.plan(input, depth + 1);
            }
            Plan::Window {
                input,
                partition_by,
                functions,
            } => {
                self.line(
                    depth,
                    format_args!(
                        "Window by ({}): {} functions",
                        list(partition_by),
                        functions.len()
                    ),
                );
                self.plan(input, depth + 1);
            }
            Plan::Threshold { input, .. } => {
                self.line(depth, format_args!("Threshold"));
                self.plan(input, depth + 1);
            }
            Plan::Negate { input } => {
                self.line(depth, format_args!("Negate"));
                self.plan(input, depth + 1);
            }
            Plan::Union {
                inputs,
                consolidate,
            } => {
                let consolidated = if *consolidate { " consolidated" } else { "" };
                self.line(depth, format_args!("Union{consolidated}"));
                inputs.iter().for_each(|i| self.plan(i, depth + 1));
            }
        }
    }

    fn join(&mut self, plan: &JoinPlan, depth: usize) {
        match plan {
            JoinPlan::Linear { source, stages, .. } => {
                let path: Vec<_> = stages.iter().map(|s| s.input.to_string()).collect();
                self.line(
                    depth,
                    format_args!("Linear join: {source}, {}", path.join(", ")),
                );
            }
            JoinPlan::Delta { paths } => {
                self.line(depth, format_args!("Delta join"));
                for path in paths {
                    let stages: Vec<_> = path.stages.iter().map(|s| s.input.to_string()).collect();
                    self.line(
                        depth + 1,
                        format_args!("Changes of {}: {}", path.source, stages.join(", ")),
                    );
                }
            }
        }
    }
}

fn part_text(part: &ReducePart) -> String {
    match part {
        ReducePart::Distinct => "Distinct".to_string(),
        ReducePart::Accumulable(a) => format!("Accumulable ({})", aggregates(a)),
        ReducePart::AccumulableDistinct(a) => {
            format!("Accumulable over distinct ({})", aggregates(a))
        }
        ReducePart::Extrema { aggregates: a } => format!("Sought in order ({})", aggregates(a)),
        ReducePart::First(exprs) => format!("Least identity ({})", list(exprs)),
        ReducePart::WholeGroup(a) => format!("Whole group ({})", aggregates(a)),
    }
}
