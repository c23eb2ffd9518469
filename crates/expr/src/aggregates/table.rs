//! The declarations of all aggregates.
//!
//! Tables 9.59 and 9.60 of PostgreSQL 15 as far as their types exist here. Ordered-set aggregates and the json
//! (not jsonb), XML and range ones are not declared, so that calls of them are refused by name.

use super::whole::Whole;
use super::{Accumulation, BitOperation, Operation, Regression, Spread};
use crate::aggregate::{AggregateDesc, AggregateKind};
use crate::registry::ParamType;
use everview_repr::ScalarType;

use ParamType::{Any, AnyArray, AnyElement, AnyNonArray, Exact};
use ScalarType::*;

/// Builds the list.
pub(crate) fn declare() -> Vec<AggregateDesc> {
    let mut table = Table(Vec::new());
    table.counts();
    table.sums();
    table.averages();
    table.extrema();
    table.logic();
    table.spreads();
    table.regressions();
    table.whole_groups();
    table.0
}

struct Table(Vec<AggregateDesc>);

impl Table {
    fn push(
        &mut self,
        name: &'static str,
        params: Vec<ParamType>,
        returns: ParamType,
        operation: Operation,
        doc: &'static str,
    ) {
        let counts = [
            Operation::Accumulate(Accumulation::Count),
            Operation::Accumulate(Accumulation::Regression(Regression::Count)),
        ];
        let never_null = counts.contains(&operation);
        let kind = match operation {
            Operation::Accumulate(_) => AggregateKind::Accumulable,
            Operation::Min => AggregateKind::Min,
            Operation::Max => AggregateKind::Max,
            Operation::Whole(_) => AggregateKind::WholeGroup,
        };
        self.0.push(AggregateDesc {
            name,
            params,
            returns,
            kind,
            operation,
            never_null,
            doc,
        });
    }

    /// An accumulable aggregate of one argument.
    fn over(
        &mut self,
        name: &'static str,
        param: ScalarType,
        returns: ScalarType,
        accumulation: Accumulation,
        doc: &'static str,
    ) {
        let operation = Operation::Accumulate(accumulation);
        self.push(name, vec![Exact(param)], Exact(returns), operation, doc);
    }

    fn counts(&mut self) {
        let count = Operation::Accumulate(Accumulation::Count);
        self.push("count", vec![], Exact(Int64), count, "The number of rows.");
        self.push(
            "count",
            vec![Any],
            Exact(Int64),
            count,
            "The number of rows whose argument is not NULL.",
        );
    }

    fn sums(&mut self) {
        use Accumulation::*;
        let doc = "The sum of the non-NULL values.";
        self.over("sum", Int16, Int64, SumInteger, doc);
        self.over("sum", Int32, Int64, SumInteger, doc);
        self.over("sum", Int64, Numeric, SumBigint, doc);
        self.over("sum", Numeric, Numeric, SumNumeric, doc);
        let doc = "The sum of the non-NULL values, exact and rounded once.";
        self.over("sum", Float32, Float32, SumReal, doc);
        self.over("sum", Float64, Float64, SumDouble, doc);
        self.over(
            "sum",
            Interval,
            Interval,
            SumInterval,
            "The sum of the non-NULL values, field by field.",
        );
    }

    fn averages(&mut self) {
        use Accumulation::*;
        let doc = "The average of the non-NULL values.";
        for integer in [Int16, Int32, Int64] {
            self.over("avg", integer, Numeric, AverageInteger, doc);
        }
        self.over("avg", Numeric, Numeric, AverageNumeric, doc);
        self.over("avg", Float32, Float64, AverageFloat, doc);
        self.over("avg", Float64, Float64, AverageFloat, doc);
        self.over("avg", Interval, Interval, AverageInterval, doc);
    }

    fn extrema(&mut self) {
        let ordered = [
            Int16,
            Int32,
            Int64,
            Oid,
            Float32,
            Float64,
            Numeric,
            Text,
            BpChar,
            Date,
            Time,
            Timestamp,
            TimestampTz,
            Interval,
        ];
        let mut params: Vec<ParamType> = ordered.into_iter().map(Exact).collect();
        params.push(AnyArray);
        let extrema = [
            ("min", Operation::Min, "The least of the non-NULL values."),
            (
                "max",
                Operation::Max,
                "The greatest of the non-NULL values.",
            ),
        ];
        for (name, operation, doc) in extrema {
            for param in &params {
                self.push(name, vec![param.clone()], param.clone(), operation, doc);
            }
        }
    }

    fn logic(&mut self) {
        use Accumulation::*;
        self.over(
            "bool_and",
            Bool,
            Bool,
            BoolAnd,
            "Whether all non-NULL values are true.",
        );
        self.over("bool_or", Bool, Bool, BoolOr, "Whether some value is true.");
        self.over(
            "every",
            Bool,
            Bool,
            BoolAnd,
            "Whether all non-NULL values are true.",
        );
        let bits = [
            (
                "bit_and",
                BitOperation::And,
                "The bitwise AND of the non-NULL values.",
            ),
            (
                "bit_or",
                BitOperation::Or,
                "The bitwise OR of the non-NULL values.",
            ),
            (
                "bit_xor",
                BitOperation::Xor,
                "The bitwise exclusive OR of the non-NULL values.",
            ),
        ];
        for (name, operation, doc) in bits {
            for (integer, width) in [(Int16, 16), (Int32, 32), (Int64, 64)] {
                self.over(name, integer.clone(), integer, Bits(operation, width), doc);
            }
        }
    }

    fn spreads(&mut self) {
        let variance = |sample| Spread {
            sample,
            root: false,
        };
        let deviation = |sample| Spread { sample, root: true };
        let spreads = [
            (
                "stddev",
                deviation(true),
                "The standard deviation of a sample.",
            ),
            (
                "stddev_samp",
                deviation(true),
                "The standard deviation of a sample.",
            ),
            (
                "stddev_pop",
                deviation(false),
                "The standard deviation of the population.",
            ),
            ("variance", variance(true), "The variance of a sample."),
            ("var_samp", variance(true), "The variance of a sample."),
            (
                "var_pop",
                variance(false),
                "The variance of the population.",
            ),
        ];
        for (name, spread, doc) in spreads {
            for exact in [Int16, Int32, Int64, Numeric] {
                self.over(
                    name,
                    exact,
                    Numeric,
                    Accumulation::SpreadNumeric(spread),
                    doc,
                );
            }
            for float in [Float32, Float64] {
                self.over(name, float, Float64, Accumulation::SpreadFloat(spread), doc);
            }
        }
    }

    fn regressions(&mut self) {
        let pairs = [
            (
                "corr",
                Regression::Corr,
                "The correlation coefficient of pairs (Y, X).",
            ),
            (
                "covar_pop",
                Regression::CovarPop,
                "The covariance of the population.",
            ),
            (
                "covar_samp",
                Regression::CovarSamp,
                "The covariance of a sample.",
            ),
            (
                "regr_avgx",
                Regression::AverageX,
                "The average of X over the pairs without NULL.",
            ),
            (
                "regr_avgy",
                Regression::AverageY,
                "The average of Y over the pairs without NULL.",
            ),
            (
                "regr_intercept",
                Regression::Intercept,
                "Where the least-squares line meets X = 0.",
            ),
            (
                "regr_r2",
                Regression::R2,
                "The square of the correlation coefficient.",
            ),
            (
                "regr_slope",
                Regression::Slope,
                "The slope of the least-squares line.",
            ),
            (
                "regr_sxx",
                Regression::Sxx,
                "The sum of squares of X about its average.",
            ),
            (
                "regr_sxy",
                Regression::Sxy,
                "The sum of products of X and Y about their averages.",
            ),
            (
                "regr_syy",
                Regression::Syy,
                "The sum of squares of Y about its average.",
            ),
        ];
        let params = || vec![Exact(Float64), Exact(Float64)];
        for (name, regression, doc) in pairs {
            let operation = Operation::Accumulate(Accumulation::Regression(regression));
            self.push(name, params(), Exact(Float64), operation, doc);
        }
        let count = Operation::Accumulate(Accumulation::Regression(Regression::Count));
        self.push(
            "regr_count",
            params(),
            Exact(Int64),
            count,
            "The number of pairs without NULL.",
        );
    }

    fn whole_groups(&mut self) {
        let doc = "The non-NULL values joined, each but the first after its delimiter.";
        for string in [Text, Bytea] {
            let params = vec![Exact(string.clone()), Exact(string.clone())];
            self.push(
                "string_agg",
                params,
                Exact(string),
                Operation::Whole(Whole::StringAgg),
                doc,
            );
        }
        let arrays = Operation::Whole(Whole::ArrayAggArrays);
        let doc = "The arrays, of equal dimensions, as one array of one more dimension.";
        self.push("array_agg", vec![AnyArray], AnyArray, arrays, doc);
        let elements = Operation::Whole(Whole::ArrayAgg);
        let doc = "All values, NULLs included, as an array.";
        self.push("array_agg", vec![AnyNonArray], AnyArray, elements, doc);
        let doc = "The one value of a scalar subquery; an error if there are several rows.";
        let single = Operation::Whole(Whole::SingleValue);
        self.push("single_value", vec![AnyElement], AnyElement, single, doc);
        let doc = "All values, NULLs included, as a JSON array.";
        self.push(
            "jsonb_agg",
            vec![AnyElement],
            Exact(Jsonb),
            Operation::Whole(Whole::JsonbAgg),
            doc,
        );
        let object = Operation::Whole(Whole::JsonbObjectAgg);
        let doc = "Pairs of key and value as a JSON object; of equal keys the last one counts.";
        self.push(
            "jsonb_object_agg",
            vec![Any, Any],
            Exact(Jsonb),
            object,
            doc,
        );
    }
}
