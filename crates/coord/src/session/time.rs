//! AS OF and UP TO: which timestamps a statement means, and which can still be read.

use super::Session;
use super::run::Params;
use crate::error::Error;
use crate::travel;
use everview_expr::ScalarExpr;
use everview_repr::{Datum, RowArena, ScalarType, SqlState, Timestamp};

impl Session {
    /// The timestamp of the AS OF of a VERIFY, which memory must show.
    pub(super) fn as_of(&self, expr: &ScalarExpr, params: Params<'_>) -> Result<Timestamp, Error> {
        let at = self.time(expr, params)?;
        let (oldest, now) = (travel::oldest(&self.shared), self.shared.now());
        if at > now {
            return Err(travel::in_the_future(at, now));
        }
        if at < oldest {
            let message =
                format!("AS OF {at} is older than the history kept, which starts at {oldest}");
            return Err(
                Error::new(SqlState::INVALID_PARAMETER_VALUE, message).with_hint(
                    "Read at a later timestamp, or start the server with a longer history.",
                ),
            );
        }
        Ok(at)
    }
}

/// The timestamp that a value means.
pub(super) fn as_timestamp(
    datum: Datum<'_>,
    formatting: &everview_repr::text::Formatting,
) -> Result<Timestamp, Error> {
    const POSTGRES_EPOCH: i64 = 946_684_800_000_000;
    let invalid = |what: &str| {
        Error::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("invalid timestamp for AS OF: {what}"),
        )
    };
    let from_micros = |micros: i64| {
        u64::try_from(micros)
            .map(Timestamp)
            .map_err(|_| invalid("negative"))
    };
    match datum {
        Datum::Int16(v) => from_micros(v.into()),
        Datum::Int32(v) => from_micros(v.into()),
        Datum::Int64(v) => from_micros(v),
        Datum::Numeric(_) => {
            let value = datum.as_numeric().ok_or_else(|| invalid("malformed"))?;
            from_micros(value.to_i64()?)
        }
        Datum::TimestampTz(v) => from_micros(v.saturating_add(POSTGRES_EPOCH)),
        Datum::Timestamp(v) => from_micros(
            formatting
                .time_zone
                .to_utc(v)?
                .saturating_add(POSTGRES_EPOCH),
        ),
        Datum::Text(text) => match text.trim().parse::<u64>() {
            Ok(micros) => Ok(Timestamp(micros)),
            Err(_) => {
                let arena = RowArena::new();
                let ty = ScalarType::TimestampTz;
                let parsed = everview_repr::text::parse_with(&ty, text, formatting, &arena)?;
                as_timestamp(parsed, formatting)
            }
        },
        Datum::Null => Err(invalid("NULL")),
        _ => Err(invalid("neither a number nor a point in time")),
    }
}
