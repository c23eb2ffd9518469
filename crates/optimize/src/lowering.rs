//! The relational IR to the physical plan: fused map/filter/project, kinds of joins and reductions, arrangements.
//!
//! Every node of the IR becomes one node of the plan; what a rule can say about the IR is said there, before.

use crate::physical::{Arrangement, Plan, TopKPlan};
use everview_expr::{Id, MapFilterProject, RelExpr, ScalarExpr};
use everview_repr::GlobalId;
use std::collections::BTreeMap;

mod join;
mod reduce;

/// Arrangements of other dataflows that a plan may read: by relation, the index that exports them.
pub type Indexes = BTreeMap<GlobalId, Vec<(GlobalId, Arrangement)>>;

/// Why an expression has no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoweringError {
    /// A feature that is not rendered yet.
    #[error("{0} is not supported")]
    Unsupported(&'static str),
}

/// The plan of an optimized expression.
pub fn lower(expr: &RelExpr, indexes: &Indexes) -> Result<Plan, LoweringError> {
    let (mfp, inner) = extract_mfp(expr);
    let plan = match inner {
        RelExpr::Constant { rows, .. } => Plan::Constant { rows: rows.clone() },
        RelExpr::Get { id, .. } => return Ok(Plan::Get { id: *id, mfp }),
        RelExpr::Let { id, value, body } => Plan::Let {
            id: *id,
            value: Box::new(lower(value, indexes)?),
            arrangements: vec![],
            body: Box::new(lower(body, indexes)?),
        },
        RelExpr::LetRec { .. } => {
            return Err(LoweringError::Unsupported("WITH MUTUALLY RECURSIVE"));
        }
        RelExpr::FlatMap {
            input,
            func,
            args,
            types,
            ordinality,
            ..
        } => {
            return Ok(Plan::FlatMap {
                input: Box::new(lower(input, indexes)?),
                func: *func,
                args: args.clone(),
                types: types.clone(),
                ordinality: *ordinality,
                mfp,
            });
        }
        RelExpr::Join {
            inputs,
            equivalences,
        } => {
            return join::lower(inputs, equivalences, mfp, indexes);
        }
        RelExpr::Reduce {
            input,
            group_key,
            aggregates,
        } => {
            let plan = reduce::plan(&input.ty(), group_key, aggregates);
            return Ok(Plan::Reduce {
                input: Box::new(lower(input, indexes)?),
                plan,
                mfp,
            });
        }
        RelExpr::TopK {
            input,
            group_key,
            order_key,
            limit,
            offset,
        } => Plan::TopK {
            plan: TopKPlan {
                group_key: group_key.clone(),
                order: order_key.clone(),
                limit: *limit,
                offset: *offset,
                append_only: input.ty().append_only,
            },
            input: Box::new(lower(input, indexes)?),
        },
        RelExpr::Window { input, functions } => {
            let mut plan = lower(input, indexes)?;
            // Functions read input columns only, which chained nodes leave in place.
            for run in functions.chunk_by(|a, b| a.partition_by == b.partition_by) {
                plan = Plan::Window {
                    input: Box::new(plan),
                    partition_by: run[0].partition_by.clone(),
                    functions: run.to_vec(),
                };
            }
            plan
        }
        RelExpr::Threshold { input } => {
            let types = input.ty().columns;
            let key = (0..types.len()).map(ScalarExpr::Column).collect();
            let arrangement = Arrangement::new(key, &types);
            Plan::Threshold {
                input: Box::new(lower(input, indexes)?),
                arrangement,
            }
        }
        RelExpr::Negate { input } => Plan::Negate {
            input: Box::new(lower(input, indexes)?),
        },
        RelExpr::Union { inputs } => Plan::Union {
            consolidate: inputs.iter().any(negates),
            inputs: inputs
                .iter()
                .map(|i| lower(i, indexes))
                .collect::<Result<_, _>>()?,
        },
        RelExpr::ArrangeBy { input, .. } => lower(input, indexes)?,
        RelExpr::Project { .. } | RelExpr::Map { .. } | RelExpr::Filter { .. } => {
            unreachable!("extract_mfp takes these")
        }
    };
    Ok(with_mfp(plan, mfp))
}

/// The collections that a plan reads by id: those that an index serves, and those that must be fed.
pub fn global_reads(expr: &RelExpr) -> std::collections::BTreeSet<GlobalId> {
    let mut out = std::collections::BTreeSet::new();
    expr.visit(&mut |e| {
        if let RelExpr::Get {
            id: Id::Global(id), ..
        } = e
        {
            out.insert(*id);
        }
    });
    out
}

fn with_mfp(plan: Plan, mfp: MapFilterProject) -> Plan {
    if mfp.is_identity() {
        plan
    } else {
        Plan::Mfp {
            input: Box::new(plan),
            mfp,
        }
    }
}

/// The maps, filters and projections on top, fused, and what is below them.
fn extract_mfp(expr: &RelExpr) -> (MapFilterProject, &RelExpr) {
    match expr {
        RelExpr::Project { input, outputs } => {
            let (mfp, inner) = extract_mfp(input);
            (mfp.project(outputs.iter().copied()), inner)
        }
        RelExpr::Map { input, scalars } => {
            let (mfp, inner) = extract_mfp(input);
            (mfp.map(scalars.iter().cloned()), inner)
        }
        RelExpr::Filter { input, predicates } => {
            let (mfp, inner) = extract_mfp(input);
            (mfp.filter(predicates.iter().cloned()), inner)
        }
        other => (MapFilterProject::identity(other.arity()), other),
    }
}

/// Whether some multiplicities are negated on the way up from the leaves.
fn negates(expr: &RelExpr) -> bool {
    match expr {
        RelExpr::Negate { .. } => true,
        RelExpr::Project { input, .. }
        | RelExpr::Map { input, .. }
        | RelExpr::Filter { input, .. } => negates(input),
        RelExpr::Union { inputs } => inputs.iter().any(negates),
        _ => false,
    }
}
