//! Which parts a reduction has.

use crate::physical::{ReducePart, ReducePlan};
use everview_expr::aggregate::{self, AggregateKind};
use everview_expr::{AggregateExpr, RelationType, ScalarExpr};

/// Aggregates of one kind share a part; extrema and distinct aggregates share one where their arguments do.
pub(super) fn plan(
    input: &RelationType,
    group_key: &[ScalarExpr],
    aggregates: &[AggregateExpr],
) -> ReducePlan {
    let key_types: Vec<_> = group_key
        .iter()
        .map(|k| k.ty(&input.columns).scalar)
        .collect();
    let decode_key = key_types.iter().all(|t| !t.key_loses_identity());
    let mut parts: Vec<ReducePart> = Vec::new();
    let mut results = Vec::with_capacity(aggregates.len());
    for aggregate in aggregates {
        let at = parts
            .iter()
            .position(|part| joins_part(part, aggregate, input.append_only));
        let at = at.unwrap_or_else(|| {
            parts.push(new_part(aggregate, input.append_only));
            parts.len() - 1
        });
        let members = members(&mut parts[at]);
        // The same call twice is one result.
        let place = members
            .iter()
            .position(|a| a == aggregate)
            .unwrap_or_else(|| {
                members.push(aggregate.clone());
                members.len() - 1
            });
        results.push((at, place));
    }
    if !decode_key {
        parts.push(ReducePart::First(group_key.to_vec()));
    } else if parts.is_empty() {
        parts.push(ReducePart::Distinct);
    }
    ReducePlan {
        key: group_key.to_vec(),
        key_types,
        decode_key,
        parts,
        results,
    }
}

fn kind(aggregate: &AggregateExpr) -> AggregateKind {
    aggregate::get(aggregate.func).kind
}

fn joins_part(part: &ReducePart, aggregate: &AggregateExpr, append_only: bool) -> bool {
    let same_input = |members: &[AggregateExpr]| {
        members
            .iter()
            .all(|m| m.args == aggregate.args && m.filter == aggregate.filter)
    };
    match (part, kind(aggregate)) {
        (ReducePart::Accumulable(_), AggregateKind::Accumulable) => !aggregate.distinct,
        (ReducePart::AccumulableDistinct(members), AggregateKind::Accumulable) => {
            aggregate.distinct && same_input(members)
        }
        (ReducePart::Accumulable(_), AggregateKind::Min | AggregateKind::Max) => append_only,
        (ReducePart::Extrema { aggregates }, AggregateKind::Min | AggregateKind::Max) => {
            same_input(aggregates)
        }
        (ReducePart::WholeGroup(_), AggregateKind::WholeGroup) => true,
        _ => false,
    }
}

fn new_part(aggregate: &AggregateExpr, append_only: bool) -> ReducePart {
    match kind(aggregate) {
        AggregateKind::Accumulable if aggregate.distinct => ReducePart::AccumulableDistinct(vec![]),
        AggregateKind::Accumulable => ReducePart::Accumulable(vec![]),
        AggregateKind::Min | AggregateKind::Max if append_only => ReducePart::Accumulable(vec![]),
        AggregateKind::Min | AggregateKind::Max => ReducePart::Extrema { aggregates: vec![] },
        AggregateKind::WholeGroup => ReducePart::WholeGroup(vec![]),
    }
}

fn members(part: &mut ReducePart) -> &mut Vec<AggregateExpr> {
    match part {
        ReducePart::Accumulable(members)
        | ReducePart::AccumulableDistinct(members)
        | ReducePart::Extrema {
            aggregates: members,
        }
        | ReducePart::WholeGroup(members) => members,
        ReducePart::Distinct | ReducePart::First(_) => unreachable!("not made for an aggregate"),
    }
}
