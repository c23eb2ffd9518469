//! Constructors that keep expressions small: identities and empty lists leave no node.

use super::{Id, LocalId, RelExpr, RelationType};
use crate::scalar::ScalarExpr;
use everview_repr::{Datum, Row};

impl RelExpr {
    /// One row without columns: the input of a query without FROM.
    pub fn unit() -> RelExpr {
        let ty = RelationType {
            columns: vec![],
            keys: vec![vec![]],
            append_only: true,
        };
        RelExpr::Constant {
            rows: Ok(vec![(Row::default(), 1)]),
            ty,
        }
    }

    /// No rows of a type.
    pub fn empty(mut ty: RelationType) -> RelExpr {
        ty.keys = vec![vec![]];
        RelExpr::Constant {
            rows: Ok(vec![]),
            ty,
        }
    }

    /// A reference to a binding.
    pub fn local(id: LocalId, ty: RelationType) -> RelExpr {
        RelExpr::Get {
            id: Id::Local(id),
            ty,
        }
    }

    /// Picks columns.
    pub fn project(self, outputs: Vec<usize>) -> RelExpr {
        if outputs.iter().copied().eq(0..self.arity()) {
            return self;
        }
        match self {
            RelExpr::Project {
                input,
                outputs: inner,
            } => {
                let outputs = outputs.into_iter().map(|c| inner[c]).collect();
                input.project(outputs)
            }
            other => RelExpr::Project {
                input: Box::new(other),
                outputs,
            },
        }
    }

    /// Appends columns.
    pub fn map(self, scalars: Vec<ScalarExpr>) -> RelExpr {
        if scalars.is_empty() {
            return self;
        }
        RelExpr::Map {
            input: Box::new(self),
            scalars,
        }
    }

    /// Appends literal NULLs of these types.
    pub fn map_nulls(self, columns: &[everview_repr::ColumnType]) -> RelExpr {
        let nulls = columns.iter().map(|c| {
            let ty = c.clone().with_nullable(true);
            ScalarExpr::Literal(Row::pack([Datum::Null]), ty)
        });
        self.map(nulls.collect())
    }

    /// Keeps rows for which all predicates are true.
    pub fn filter(self, predicates: Vec<ScalarExpr>) -> RelExpr {
        if predicates.is_empty() {
            return self;
        }
        RelExpr::Filter {
            input: Box::new(self),
            predicates,
        }
    }

    /// The product of two relations.
    pub fn product(self, other: RelExpr) -> RelExpr {
        if self.is_unit() {
            return other;
        }
        if other.is_unit() {
            return self;
        }
        RelExpr::Join {
            inputs: vec![self, other],
            equivalences: vec![],
        }
    }

    /// The join of two relations on pairs of columns, NULL equal to NULL.
    pub fn join_on(self, other: RelExpr, pairs: &[(usize, usize)]) -> RelExpr {
        if pairs.is_empty() {
            return self.product(other);
        }
        let arity = self.arity();
        let equivalences = pairs
            .iter()
            .map(|(l, r)| vec![ScalarExpr::Column(*l), ScalarExpr::Column(arity + r)])
            .collect();
        RelExpr::Join {
            inputs: vec![self, other],
            equivalences,
        }
    }

    /// Each row once.
    pub fn distinct(self) -> RelExpr {
        let group_key = (0..self.arity()).map(ScalarExpr::Column).collect();
        RelExpr::Reduce {
            input: Box::new(self),
            group_key,
            aggregates: vec![],
        }
    }

    /// Negated multiplicities.
    pub fn negate(self) -> RelExpr {
        RelExpr::Negate {
            input: Box::new(self),
        }
    }

    /// Positive multiplicities only.
    pub fn threshold(self) -> RelExpr {
        RelExpr::Threshold {
            input: Box::new(self),
        }
    }

    /// Added multiplicities.
    pub fn union(self, other: RelExpr) -> RelExpr {
        match self {
            RelExpr::Union { mut inputs } => {
                inputs.push(other);
                RelExpr::Union { inputs }
            }
            first => RelExpr::Union {
                inputs: vec![first, other],
            },
        }
    }

    /// `LET id = self IN body(Get id)`; no binding for what is as cheap to repeat.
    pub fn let_in(self, id: LocalId, body: impl FnOnce(RelExpr) -> RelExpr) -> RelExpr {
        if matches!(self, RelExpr::Get { .. }) || self.is_unit() {
            return body(self);
        }
        let get = RelExpr::local(id, self.ty());
        RelExpr::Let {
            id,
            value: Box::new(self),
            body: Box::new(body(get)),
        }
    }

    /// Whether this is one row without columns.
    pub fn is_unit(&self) -> bool {
        match self {
            RelExpr::Constant { rows: Ok(rows), ty } => {
                ty.columns.is_empty() && rows.len() == 1 && rows[0].1 == 1
            }
            _ => false,
        }
    }
}
