//! Durable readers of changefeeds: `everview.ack`, `everview.drop_reader`, and where SUBSCRIBE FROM READER begins.

use super::Session;
use super::run::Params;
use super::time::as_timestamp;
use crate::error::Error;
use crate::outcome::Outcome;
use crate::producers;
use crate::travel;
use everview_expr::ScalarExpr;
use everview_repr::{Datum, RelationDesc, Row, SqlState, Timestamp};
use everview_sql::plan::ReaderCall;
use std::sync::Arc;

impl Session {
    /// `everview.ack(reader, t)` gives the time that is acknowledged when the transaction commits, which is later than t
    /// if that was before; `everview.drop_reader(reader)` whether there was one.
    ///
    /// Errors: 22023 for a time that no commit has reached.
    pub(super) fn call_reader(
        &mut self,
        call: &ReaderCall,
        desc: &RelationDesc,
        params: Params<'_>,
    ) -> Result<Outcome, Error> {
        let answer = match call {
            ReaderCall::Acknowledge { reader, at } => {
                let name = self.reader_name(reader, params)?;
                let at = self.constant(at, params, |datum| {
                    as_timestamp(datum, &self.input_formatting())
                })?;
                let now = self.shared.now();
                if at > now {
                    let message =
                        format!("{at} cannot be acknowledged: the newest timestamp is {now}");
                    return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, message));
                }
                let known = self.shared.readers.load();
                known.check(&name)?;
                let before = known.get(&name).map(|reader| reader.acknowledged);
                let acknowledged = &mut self.transaction()?.acknowledged;
                let own = acknowledged.get(&*name).copied();
                let before = own.unwrap_or(before);
                let after = before.map_or(at, |before| before.max(at));
                acknowledged.insert(name, Some(after));
                Datum::Int64(producers::micros(after))
            }
            ReaderCall::Drop { reader } => {
                let name = self.reader_name(reader, params)?;
                let known = self.shared.readers.load().get(&name).is_some();
                let before = self.transaction()?.acknowledged.insert(name, None);
                Datum::Bool(before.map_or(known, |own| own.is_some()))
            }
        };
        Ok(Outcome::Rows {
            desc: Arc::new(desc.clone()),
            rows: vec![Row::pack([answer])],
            tag: "SELECT 1".to_string(),
        })
    }

    fn reader_name(&self, expr: &ScalarExpr, params: Params<'_>) -> Result<Arc<str>, Error> {
        self.constant(expr, params, |datum| match datum {
            Datum::Text(name) => Ok(Arc::from(name)),
            _ => Err(Error::new(
                SqlState::NULL_VALUE_NOT_ALLOWED,
                "a reader's name cannot be NULL",
            )),
        })
    }

    /// Where a reader goes on: after this time; none if it has acknowledged nothing yet.
    pub(super) fn acknowledged(&self, reader: &str) -> Result<Option<Timestamp>, Error> {
        let known = self.shared.readers.load();
        known.check(reader)?;
        let at = known.get(reader).map(|reader| reader.acknowledged);
        match at {
            Some(at) if at > self.shared.now() => Err(travel::in_the_future(at, self.shared.now())),
            at => Ok(at),
        }
    }
}
