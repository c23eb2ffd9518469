//! Which index answers a read of one relation, and by which of its keys.
//!
//! A conjunct that compares an index's key with a constant bounds the keys that are read; the filter is applied
//! all the same, so that a bound only has to miss no row. It knows no values: parameters are still to come.

use everview_dataflow::Direction;
use everview_expr::casts::cast_func;
use everview_expr::registry::{self, Volatility};
use everview_expr::{MapFilterProject, ScalarExpr};
use everview_optimize::physical::Arrangement;
use everview_repr::{ColumnOrder, ColumnType, GlobalId, RelationDesc, ScalarType};
use std::sync::Arc;

/// An index that can be read without a worker.
#[derive(Clone, Debug)]
pub(crate) enum Index {
    /// A unique constraint of a table, by position: in the store.
    Unique(usize),
    /// An arrangement that a dataflow publishes: the object that exports it, and the position among its arrangements.
    Arranged(GlobalId, usize),
}

/// What a leading key of an index is equal to.
#[derive(Clone, Debug)]
pub(crate) enum Equal {
    Null,
    AnyOf(Vec<ScalarExpr>),
    /// An element of an array.
    Element(ScalarExpr),
}

/// An end of a range.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    pub value: ScalarExpr,
    pub inclusive: bool,
}

/// A way to read a relation.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    pub relation: GlobalId,
    pub index: Index,
    /// The keys' expressions and types, as far as conditions reach.
    pub keys: Arc<[(ScalarExpr, ScalarType)]>,
    /// Conditions on the first keys.
    pub equal: Vec<Equal>,
    /// Bounds of the key behind them.
    pub low: Option<Bound>,
    pub high: Option<Bound>,
    /// Applied to the rows found.
    pub mfp: MapFilterProject,
}

/// A conjunct about one expression.
enum Condition {
    Equal(Equal),
    Low(Bound),
    High(Bound),
}

/// Ways to read a relation under a filter, the most selective first.
pub(crate) fn choose(
    relation: GlobalId,
    desc: &RelationDesc,
    unique: &[crate::table::UniqueKey],
    arranged: &[(GlobalId, Arrangement)],
    mfp: &MapFilterProject,
) -> Vec<Access> {
    let conditions = conditions(mfp);
    let mut found = Vec::new();
    for (n, constraint) in unique.iter().enumerate() {
        let keys = constraint.columns.iter().map(|c| {
            let ty = desc.columns[*c].ty.scalar.clone();
            (ScalarExpr::Column(*c), ty)
        });
        let keys = keys.collect();
        let access = access(relation, Index::Unique(n), keys, &conditions, mfp);
        // The store is asked for whole keys that are not NULL.
        if access.is_complete() && !access.equal.iter().any(|e| matches!(e, Equal::Null)) {
            found.push(access);
        }
    }
    let mut position = 0;
    for (n, (id, arrangement)) in arranged.iter().enumerate() {
        position = match n.checked_sub(1).and_then(|n| arranged.get(n)) {
            Some((before, _)) if before == id => position + 1,
            _ => 0,
        };
        let keys = arrangement.key.iter().cloned();
        let keys = keys.zip(arrangement.key_types.iter().cloned()).collect();
        let index = Index::Arranged(*id, position);
        found.push(access(relation, index, keys, &conditions, mfp));
    }
    found.sort_by_key(|access| std::cmp::Reverse(access.rank()));
    found
}

fn access(
    relation: GlobalId,
    index: Index,
    keys: Arc<[(ScalarExpr, ScalarType)]>,
    conditions: &[(ScalarExpr, Condition)],
    mfp: &MapFilterProject,
) -> Access {
    let mut access = Access {
        relation,
        index,
        keys,
        equal: Vec::new(),
        low: None,
        high: None,
        mfp: mfp.clone(),
    };
    for (key, ty) in access.keys.clone().iter() {
        let key = uncast(key);
        let about = conditions.iter().filter(|(subject, _)| subject == key);
        let about: Vec<_> = about
            .map(|(_, c)| c)
            .filter(|c| comparable(ty, c))
            .collect();
        // One value beats a list.
        let equal = about.iter().filter_map(|c| match c {
            Condition::Equal(equal) => Some(equal),
            _ => None,
        });
        match equal.min_by_key(|e| !e.is_single()) {
            Some(equal) => access.equal.push(equal.clone()),
            None => {
                for condition in about {
                    match condition {
                        Condition::Low(bound) => access.low = Some(bound.clone()),
                        Condition::High(bound) => access.high = Some(bound.clone()),
                        Condition::Equal(_) => {}
                    }
                }
                break;
            }
        }
    }
    access
}

impl Equal {
    /// Whether it is one value.
    pub fn is_single(&self) -> bool {
        match self {
            Equal::Null => true,
            Equal::AnyOf(values) => values.len() == 1,
            Equal::Element(_) => false,
        }
    }
}

impl Access {
    /// Whether every key is fixed.
    pub fn is_complete(&self) -> bool {
        self.equal.len() == self.keys.len()
    }

    /// Whether all keys are read.
    pub fn is_scan(&self) -> bool {
        self.equal.is_empty() && self.low.is_none() && self.high.is_none()
    }

    fn rank(&self) -> (bool, usize, usize) {
        let bounds = usize::from(self.low.is_some()) + usize::from(self.high.is_some());
        (self.is_complete(), self.equal.len(), bounds)
    }

    /// The direction in which the keys are walked so that rows come in this order, if there is one. `types` are the
    /// relation's columns'.
    pub fn serves(&self, order: &[ColumnOrder], types: &[ColumnType]) -> Option<Direction> {
        let mut keys = self.keys.iter().enumerate();
        let mut direction = None;
        for o in order {
            let column = inline(&self.mfp, ScalarExpr::Column(self.mfp.projection[o.column]));
            let fixed = |n: usize| self.equal.get(n).is_some_and(Equal::is_single);
            let found = loop {
                match keys.next()? {
                    (_, (key, _)) if *key == column => break true,
                    (n, _) if fixed(n) => {}
                    _ => break false,
                }
            };
            if !found {
                return None;
            }
            let nulls = column.ty(types).nullable;
            let next = match (o.descending, o.nulls_last) {
                (false, true) => Direction::Forward,
                (true, false) => Direction::Backward,
                (false, false) if !nulls => Direction::Forward,
                (true, true) if !nulls => Direction::Backward,
                _ => return None,
            };
            if *direction.get_or_insert(next) != next {
                return None;
            }
        }
        direction
    }

    /// Calls `f` on every expression in it.
    pub fn for_each_scalar(&mut self, f: &mut impl FnMut(&mut ScalarExpr)) {
        for equal in &mut self.equal {
            match equal {
                Equal::Null => {}
                Equal::AnyOf(values) => values.iter_mut().for_each(|e| e.visit_mut_post(f)),
                Equal::Element(array) => array.visit_mut_post(f),
            }
        }
        for bound in self.low.iter_mut().chain(&mut self.high) {
            bound.value.visit_mut_post(f);
        }
        crate::planning::settle::mfp(&mut self.mfp, f);
    }
}

/// What the conjuncts of a filter say, each about one expression over the relation's columns.
fn conditions(mfp: &MapFilterProject) -> Vec<(ScalarExpr, Condition)> {
    let mut out = Vec::new();
    for (_, predicate) in &mfp.predicates {
        let predicate = inline(mfp, predicate.clone());
        match &predicate {
            ScalarExpr::And(parts) => parts.iter().for_each(|p| out.extend(condition(p))),
            other => out.extend(condition(other)),
        }
    }
    out
}

fn condition(expr: &ScalarExpr) -> Option<(ScalarExpr, Condition)> {
    match expr {
        ScalarExpr::IsNull(subject) => {
            let subject = uncast(subject).clone();
            Some((subject, Condition::Equal(Equal::Null)))
        }
        ScalarExpr::Or(parts) => {
            let mut values = Vec::with_capacity(parts.len());
            let mut about = None;
            for part in parts {
                let Some((subject, Condition::Equal(Equal::AnyOf(more)))) = condition(part) else {
                    return None;
                };
                if about.get_or_insert_with(|| subject.clone()) != &subject {
                    return None;
                }
                values.extend(more);
            }
            Some((about?, Condition::Equal(Equal::AnyOf(values))))
        }
        ScalarExpr::Call { func, args, .. } => comparison(registry::get(*func).name, args),
        _ => None,
    }
}

fn comparison(name: &str, args: &[ScalarExpr]) -> Option<(ScalarExpr, Condition)> {
    let [left, right] = args else { return None };
    if name == "any=" {
        return is_constant(right).then(|| {
            let equal = Equal::Element(right.clone());
            (uncast(left).clone(), Condition::Equal(equal))
        });
    }
    let (subject, value, flipped) = match (is_constant(left), is_constant(right)) {
        (false, true) => (left, right, false),
        (true, false) => (right, left, true),
        _ => return None,
    };
    let bound = |inclusive| Bound {
        value: value.clone(),
        inclusive,
    };
    let condition = match (name, flipped) {
        ("=", _) => Condition::Equal(Equal::AnyOf(vec![value.clone()])),
        (">", false) | ("<", true) => Condition::Low(bound(false)),
        (">=", false) | ("<=", true) => Condition::Low(bound(true)),
        ("<", false) | (">", true) => Condition::High(bound(false)),
        ("<=", false) | (">=", true) => Condition::High(bound(true)),
        _ => return None,
    };
    Some((uncast(subject).clone(), condition))
}

/// Whether it has one value for all rows.
fn is_constant(expr: &ScalarExpr) -> bool {
    let mut constant = true;
    expr.visit(&mut |e| match e {
        ScalarExpr::Column(_) => constant = false,
        ScalarExpr::Call { func, .. } => {
            constant &= registry::get(*func).volatility != Volatility::Volatile;
        }
        _ => {}
    });
    constant
}

/// An expression over a relation's columns: what it reads of mapped columns is put in its place.
fn inline(mfp: &MapFilterProject, mut expr: ScalarExpr) -> ScalarExpr {
    for (n, mapped) in mfp.expressions.iter().enumerate().rev() {
        let column = mfp.input_arity + n;
        expr.visit_mut_post(&mut |e| {
            if matches!(e, ScalarExpr::Column(c) if *c == column) {
                *e = mapped.clone();
            }
        });
    }
    expr
}

/// Without casts that change neither a value nor its key: from the kinds of text to text.
fn uncast(expr: &ScalarExpr) -> &ScalarExpr {
    match expr {
        ScalarExpr::Call { func, args, .. }
            if [ScalarType::Varchar, ScalarType::Name]
                .iter()
                .any(|from| cast_func(from, &ScalarType::Text) == Some(*func)) =>
        {
            args.first().map_or(expr, uncast)
        }
        other => other,
    }
}

fn comparable(key: &ScalarType, condition: &Condition) -> bool {
    let same = |ty: &ScalarType| kind(key).is_some() && kind(key) == kind(ty);
    let value = |e: &ScalarExpr| same(&e.ty(&[]).scalar);
    match condition {
        Condition::Equal(Equal::Null) => true,
        Condition::Equal(Equal::AnyOf(values)) => values.iter().all(value),
        Condition::Equal(Equal::Element(array)) => match array.ty(&[]).scalar {
            ScalarType::Array(element) => same(&element),
            _ => false,
        },
        Condition::Low(bound) | Condition::High(bound) => value(&bound.value),
    }
}

/// Types whose values compare with each other as their keys do, after conversion to the key's own type.
fn kind(ty: &ScalarType) -> Option<u8> {
    use ScalarType as T;
    Some(match ty {
        T::Int16 | T::Int32 | T::Int64 => 0,
        T::Text | T::Varchar | T::Name | T::InternalChar => 1,
        T::Bool => 2,
        T::Float32 => 3,
        T::Float64 => 4,
        T::Numeric => 5,
        T::BpChar => 6,
        T::Bytea => 7,
        T::Date => 8,
        T::Time => 9,
        T::Timestamp => 10,
        T::TimestampTz => 11,
        T::Interval => 12,
        T::Uuid => 13,
        T::Oid => 14,
        _ => return None,
    })
}

/// How an access shows in EXPLAIN, without its filter.
pub(crate) fn describe(access: &Access, names: &dyn Fn(GlobalId) -> String) -> String {
    let mut parts = Vec::new();
    for ((key, _), equal) in access.keys.iter().zip(&access.equal) {
        parts.push(match equal {
            Equal::Null => format!("{key} IS NULL"),
            Equal::Element(array) => format!("{key} = ANY ({array})"),
            Equal::AnyOf(values) => match values.as_slice() {
                [one] => format!("{key} = {one}"),
                many => {
                    let many: Vec<_> = many.iter().map(ToString::to_string).collect();
                    format!("{key} IN ({})", many.join(", "))
                }
            },
        });
    }
    if let Some((key, _)) = access.keys.get(access.equal.len()) {
        let mut bound = |bound: &Option<Bound>, strict: &str, with: &str| {
            parts.extend(bound.iter().map(|b| {
                let operator = if b.inclusive { with } else { strict };
                format!("{key} {operator} {}", b.value)
            }));
        };
        bound(&access.low, ">", ">=");
        bound(&access.high, "<", "<=");
    }
    let kind = match access {
        a if a.is_scan() => "Scan",
        a if a.is_complete() => "Lookup",
        _ => "Range",
    };
    let keys: Vec<_> = access.keys.iter().map(|(key, _)| key.to_string()).collect();
    let index = match &access.index {
        Index::Unique(_) => "store".to_string(),
        Index::Arranged(id, _) => names(*id),
    };
    let relation = names(access.relation);
    let conditions = match parts.as_slice() {
        [] => String::new(),
        parts => format!(": {}", parts.join(" AND ")),
    };
    format!(
        "{kind} {relation} in {index} by ({}){conditions}",
        keys.join(", ")
    )
}
