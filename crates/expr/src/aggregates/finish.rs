//! What a state comes to: the aggregate's value, as PostgreSQL gives it.

use super::accumulator::{Accumulator, Bits, Intervals, State};
use super::{Accumulation, BitOperation, Operation, Regression};
use crate::aggregate::{self, AggregateFunc};
use everview_repr::accumulator::FloatPairMoments;
use everview_repr::datum::ErrorRef;
use everview_repr::numeric::Numeric;
use everview_repr::{Datum, EvalError, Interval, RowArena, SqlState};

impl Accumulator {
    /// The aggregate's value: the least present error if there is one, else the value, which can be an error of
    /// its own (a sum out of range).
    pub fn finish<'a>(&self, func: AggregateFunc, arena: &'a RowArena) -> Datum<'a> {
        let values = match &self.0 {
            State::Failed(failed) => {
                if let Some((error, _)) = failed.errors.iter().find(|(_, count)| **count > 0) {
                    let packed = arena.bytes(error.clone());
                    return Datum::Error(ErrorRef::from_packed(packed));
                }
                &failed.rest.0
            }
            values => values,
        };
        match aggregate::get(func).operation {
            Operation::Accumulate(accumulation) => match values.value(accumulation, arena) {
                Ok(value) => value.unwrap_or(Datum::Null),
                Err(error) => arena.error(&error),
            },
            operation => {
                debug_assert!(false, "not accumulable: {operation:?}");
                Datum::Null
            }
        }
    }
}

type Value<'a> = Result<Option<Datum<'a>>, EvalError>;

impl State {
    /// The value; none for NULL.
    fn value<'a>(&self, accumulation: Accumulation, arena: &'a RowArena) -> Value<'a> {
        use Accumulation::*;
        let numeric = |value: Result<Numeric, EvalError>| Ok(Some(arena.numeric(&value?)));
        Ok(match (accumulation, self) {
            (Count, State::Count(count)) => Some(Datum::Int64(*count)),
            (Count, _) => Some(Datum::Int64(0)),
            (Regression(self::Regression::Count), State::Zero) => Some(Datum::Int64(0)),
            (SumInteger, State::Integer { count, sum }) if *count > 0 => {
                let sum = i64::try_from(*sum).map_err(|_| EvalError::out_of_range("bigint"))?;
                Some(Datum::Int64(sum))
            }
            (SumBigint, State::Integer { count, sum }) if *count > 0 => {
                return numeric(Ok(Numeric::from(*sum)));
            }
            (AverageInteger, State::Integer { count, sum }) if *count > 0 => {
                return numeric(Numeric::from(*sum).div(&Numeric::from(*count)));
            }
            (SumNumeric, State::Decimal { count, sum, scale }) if *count > 0 => {
                return numeric(Ok(decimal(*sum, *scale)));
            }
            (AverageNumeric, State::Decimal { count, sum, scale }) if *count > 0 => {
                return numeric(decimal(*sum, *scale).div(&Numeric::from(*count)));
            }
            (SumNumeric, State::Numeric(n)) if n.count > 0 => return numeric(n.sum.value()),
            (AverageNumeric, State::Numeric(n)) if n.count > 0 => {
                return numeric(
                    n.sum
                        .value()
                        .and_then(|sum| sum.div(&Numeric::from(n.count))),
                );
            }
            (SumReal, State::Float { count, sum }) if *count > 0 => {
                Some(Datum::Float32(sum.checked_value32(*count)?))
            }
            (SumDouble, State::Float { count, sum }) if *count > 0 => {
                Some(Datum::Float64(sum.checked_value(*count)?))
            }
            // Postgres adds to zero, so that even the average of negative zeros is zero.
            (AverageFloat, State::Float { count, sum }) => sum
                .average(*count)
                .map(|average| Datum::Float64(average + 0.0)),
            (SumInterval, State::Interval(i)) if i.count > 0 => Some(Datum::Interval(i.total()?)),
            (AverageInterval, State::Interval(i)) if i.count > 0 => {
                Some(Datum::Interval(i.total()?.div(i.count as f64)?))
            }
            (BoolAnd, State::Bool { count, trues }) if *count > 0 => {
                Some(Datum::Bool(trues == count))
            }
            (BoolOr, State::Bool { count, trues }) if *count > 0 => Some(Datum::Bool(*trues > 0)),
            (Bits(operation, width), State::Bits(bits)) if bits.count > 0 => {
                Some(bits.value(operation, width))
            }
            (SpreadNumeric(spread), State::Moments(m)) => {
                let value = if spread.root {
                    m.stddev(spread.sample)
                } else {
                    m.variance(spread.sample)
                };
                return value.map_or(Ok(None), numeric);
            }
            (SpreadFloat(spread), State::FloatMoments(m)) => {
                let value = if spread.root {
                    m.stddev(spread.sample)
                } else {
                    m.variance(spread.sample)
                };
                value.map(finite_or_nan).transpose()?.map(Datum::Float64)
            }
            (Regression(regression), State::Pairs(pairs)) => return regress(regression, pairs),
            _ => None,
        })
    }
}

fn decimal(sum: i128, scale: u16) -> Numeric {
    Numeric::new(sum, scale.into()).expect("a scale that a numeric had")
}

/// 22003 for a value of finite inputs that is beyond the range of double precision.
fn finite_or_nan(value: f64) -> Result<f64, EvalError> {
    if value.is_infinite() {
        return Err(EvalError::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            "value out of range: overflow",
        ));
    }
    Ok(value)
}

impl Intervals {
    fn total(&self) -> Result<Interval, EvalError> {
        let out_of_range =
            || EvalError::new(SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range");
        Ok(Interval {
            months: i32::try_from(self.months).map_err(|_| out_of_range())?,
            days: i32::try_from(self.days).map_err(|_| out_of_range())?,
            micros: i64::try_from(self.micros).map_err(|_| out_of_range())?,
        })
    }
}

impl Bits {
    fn value(&self, operation: BitOperation, width: u8) -> Datum<'static> {
        let set = |ones: i64| match operation {
            BitOperation::And => ones == self.count,
            BitOperation::Or => ones > 0,
            BitOperation::Xor => ones % 2 != 0,
        };
        let bits = self.ones.iter().enumerate().filter(|(_, ones)| set(**ones));
        let value = bits.fold(0u64, |value, (bit, _)| value | 1 << bit);
        match width {
            16 => Datum::Int16(value as u16 as i16),
            32 => Datum::Int32(value as u32 as i32),
            _ => Datum::Int64(value as i64),
        }
    }
}

fn regress(regression: Regression, pairs: &FloatPairMoments) -> Value<'static> {
    let value = match regression {
        Regression::Count => return Ok(Some(Datum::Int64(pairs.count()))),
        Regression::AverageX => return Ok(pairs.regr_avgx().map(Datum::Float64)),
        Regression::AverageY => return Ok(pairs.regr_avgy().map(Datum::Float64)),
        Regression::Corr => pairs.correlation(),
        Regression::CovarPop => pairs.covariance(false),
        Regression::CovarSamp => pairs.covariance(true),
        Regression::Intercept => pairs.regr_intercept(),
        Regression::R2 => pairs.regr_r2(),
        Regression::Slope => pairs.regr_slope(),
        Regression::Sxx => pairs.regr_sxx(),
        Regression::Sxy => pairs.regr_sxy(),
        Regression::Syy => pairs.regr_syy(),
    };
    // Where X does not vary (for corr, X or Y), the result is NULL even if the other is not finite.
    let flat = |sum: Option<f64>| sum == Some(0.0);
    let undefined = match regression {
        Regression::Corr => flat(pairs.regr_sxx()) || flat(pairs.regr_syy()),
        Regression::Intercept | Regression::R2 | Regression::Slope => flat(pairs.regr_sxx()),
        _ => false,
    };
    match value {
        Some(value) if value.is_nan() && undefined => Ok(None),
        value => Ok(value.map(finite_or_nan).transpose()?.map(Datum::Float64)),
    }
}
