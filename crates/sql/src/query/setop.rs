//! UNION, INTERSECT and EXCEPT.

use crate::error::PlanError;
use crate::hir::HirRel;
use crate::planner::Planner;
use crate::query::body::outputs_of;
use crate::query::limit::Limits;
use crate::query::values::column_type;
use crate::query::{Body, Output};
use crate::scope::Env;
use everview_expr::{Id, RelationType};
use everview_repr::{ColumnDesc, RelationDesc};
use sqlparser::ast::{SetExpr, SetOperator, SetQuantifier};

impl Planner<'_> {
    pub(super) fn set_operation(
        &mut self,
        left: &SetExpr,
        op: SetOperator,
        quantifier: SetQuantifier,
        right: &SetExpr,
        env: &Env<'_>,
    ) -> Result<Body, PlanError> {
        let all = match quantifier {
            SetQuantifier::All => true,
            SetQuantifier::None | SetQuantifier::Distinct => false,
            SetQuantifier::ByName | SetQuantifier::AllByName | SetQuantifier::DistinctByName => {
                return Err(PlanError::syntax("syntax error at or near \"by\""));
            }
        };
        let name = match op {
            SetOperator::Union => "UNION",
            SetOperator::Except => "EXCEPT",
            SetOperator::Intersect => "INTERSECT",
            SetOperator::Minus => {
                return Err(PlanError::syntax("syntax error at or near \"minus\""));
            }
        };
        let mut left = self.set_expr(left, &[], env)?;
        let mut right = self.set_expr(right, &[], env)?;
        if left.outputs.len() != right.outputs.len() {
            let message = format!("each {name} query must have the same number of columns");
            return Err(
                PlanError::syntax(message).at(right.outputs.first().and_then(|o| o.value.position))
            );
        }
        let mut columns = Vec::new();
        for (l, r) in left.outputs.iter_mut().zip(&mut right.outputs) {
            let pair = self.in_common_type(vec![l.value.clone(), r.value.clone()], name)?;
            let Ok([a, b]) = <[_; 2]>::try_from(pair) else {
                continue;
            };
            (l.value, r.value) = (a, b);
            let ty = column_type([&l.value.ty, &r.value.ty].into_iter());
            columns.push(ColumnDesc {
                name: l.name.clone(),
                ty,
                origin: None,
            });
        }
        left.order.clear();
        right.order.clear();
        let (left, _) = left.finish(self, Limits::default())?.into_relation()?;
        let (right, _) = right.finish(self, Limits::default())?.into_relation()?;
        let mut desc = RelationDesc {
            columns,
            keys: vec![],
        };
        if !all {
            desc.keys.push((0..desc.arity()).collect());
        }
        let rel = self.combine(left, op, all, right, &desc);
        let outputs: Vec<Output> = outputs_of(&desc);
        Ok(Body {
            rel,
            arity: desc.arity(),
            outputs,
            order: vec![],
            keys: desc.keys,
        })
    }

    fn combine(
        &mut self,
        left: HirRel,
        op: SetOperator,
        all: bool,
        right: HirRel,
        desc: &RelationDesc,
    ) -> HirRel {
        let each_once = |rel: HirRel| if all { rel } else { distinct(rel) };
        match op {
            SetOperator::Except => minus(each_once(left), each_once(right)),
            SetOperator::Intersect => {
                // What is in both is the left without what only the left has.
                let ty = RelationType::new(desc.types());
                let id = self.local();
                let get = || HirRel::Get {
                    id: Id::Local(id),
                    ty: ty.clone(),
                };
                let only_left = minus(get(), each_once(right));
                let body = HirRel::Union {
                    inputs: vec![get(), negate(only_left)],
                };
                HirRel::Let {
                    id,
                    value: Box::new(each_once(left)),
                    body: Box::new(body),
                }
            }
            SetOperator::Union | SetOperator::Minus => {
                let mut inputs = match left {
                    HirRel::Union { inputs } if all => inputs,
                    left => vec![left],
                };
                inputs.push(right);
                each_once(HirRel::Union { inputs })
            }
        }
    }
}

fn distinct(rel: HirRel) -> HirRel {
    match rel {
        HirRel::Distinct { .. } => rel,
        rel => HirRel::Distinct {
            input: Box::new(rel),
        },
    }
}

fn negate(rel: HirRel) -> HirRel {
    HirRel::Negate {
        input: Box::new(rel),
    }
}

fn minus(left: HirRel, right: HirRel) -> HirRel {
    HirRel::Threshold {
        input: Box::new(HirRel::Union {
            inputs: vec![left, negate(right)],
        }),
    }
}
