//! Map, filter and project as one operation on a row.

#[cfg(test)]
mod tests;

use crate::scalar::ScalarExpr;
use everview_repr::{Datum, EvalError, Packer, Row, RowArena};

/// Appends expressions, drops rows by predicates, and picks columns, in one pass.
///
/// `expressions[i]` sees the input's columns and the expressions before it. A predicate is checked as soon as
/// the columns it reads are there.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MapFilterProject {
    /// Columns of the input.
    pub input_arity: usize,
    /// Columns appended.
    pub expressions: Vec<ScalarExpr>,
    /// How many columns must be there before the predicate is checked, ascending; and the predicate.
    pub predicates: Vec<(usize, ScalarExpr)>,
    /// Output columns, by position among input and appended columns.
    pub projection: Vec<usize>,
}

impl MapFilterProject {
    /// The identity on rows of that many columns.
    pub fn identity(input_arity: usize) -> MapFilterProject {
        MapFilterProject {
            input_arity,
            expressions: Vec::new(),
            predicates: Vec::new(),
            projection: (0..input_arity).collect(),
        }
    }

    /// Whether it changes nothing.
    pub fn is_identity(&self) -> bool {
        self.expressions.is_empty()
            && self.predicates.is_empty()
            && self.projection.iter().copied().eq(0..self.input_arity)
    }

    /// Output columns.
    pub fn output_arity(&self) -> usize {
        self.projection.len()
    }

    /// Appends a map over the current output columns.
    pub fn map(mut self, scalars: impl IntoIterator<Item = ScalarExpr>) -> MapFilterProject {
        for mut scalar in scalars {
            scalar.permute(|c| self.projection[c]);
            self.projection
                .push(self.input_arity + self.expressions.len());
            self.expressions.push(scalar);
        }
        self
    }

    /// Appends a filter over the current output columns.
    pub fn filter(mut self, predicates: impl IntoIterator<Item = ScalarExpr>) -> MapFilterProject {
        for mut predicate in predicates {
            predicate.permute(|c| self.projection[c]);
            let needed = predicate
                .columns()
                .last()
                .map_or(0, |c| c + 1)
                .max(self.input_arity);
            self.predicates.push((needed, predicate));
        }
        self.predicates.sort_by_key(|(needed, _)| *needed);
        self
    }

    /// Appends a projection of the current output columns.
    pub fn project(mut self, outputs: impl IntoIterator<Item = usize>) -> MapFilterProject {
        self.projection = outputs.into_iter().map(|c| self.projection[c]).collect();
        self
    }

    /// Applies it. `datums` holds the input and is left with the appended columns as well.
    ///
    /// `Ok(None)`: a predicate is not true. `Err`: no predicate is false or NULL, and some failed: the least of
    /// their errors, whatever their order.
    pub fn evaluate<'a>(
        &'a self,
        datums: &mut Vec<Datum<'a>>,
        arena: &'a RowArena,
        packer: &mut Packer,
    ) -> Result<Option<Row>, EvalError> {
        if !self.evaluate_datums(datums, arena)? {
            return Ok(None);
        }
        for &column in &self.projection {
            packer.push(datums[column]);
        }
        Ok(Some(packer.finish()))
    }

    /// As [`MapFilterProject::evaluate`], leaving the result in `datums` under `projection`; false when a
    /// predicate is not true.
    pub fn evaluate_datums<'a>(
        &'a self,
        datums: &mut Vec<Datum<'a>>,
        arena: &'a RowArena,
    ) -> Result<bool, EvalError> {
        let mut error: Option<everview_repr::datum::ErrorRef<'a>> = None;
        let mut predicates = self.predicates.iter().peekable();
        let mut pending = self.expressions.iter();
        loop {
            while let Some((_, predicate)) = predicates.next_if(|(n, _)| *n <= datums.len()) {
                match predicate.eval(datums, arena) {
                    Datum::Bool(true) => {}
                    Datum::Error(e) => error = Some(error.map_or(e, |least| least.min(e))),
                    _ => return Ok(false),
                }
            }
            match pending.next() {
                Some(expression) => {
                    let value = expression.eval(datums, arena);
                    datums.push(value);
                }
                None => break,
            }
        }
        error.map_or(Ok(true), |e| Err(e.to_error()))
    }
}
