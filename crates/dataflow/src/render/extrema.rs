//! The value bytes under which min and max are sought.
//!
//! An argument sorts among its group's so that the answer comes first in walking order: errors before values,
//! the least error first; values by SQL's order, of equal ones the least identity; rows without a value last, so
//! that a group of NULLs is there and NULL.
//!
//! | | error | value | NULL or filtered out |
//! |---|---|---|---|
//! | forward | 0, bytes | 1, key, then identity where the key loses it | 2 |
//! | backward | 2, complemented bytes, 255 | 1, key | 0 |

use everview_expr::AggregateExpr;
use everview_expr::aggregate::{AggregateInput, AggregateKind};
use everview_repr::datum::ErrorRef;
use everview_repr::{Datum, Row, RowArena, RowRef, ScalarType, key, row};

use crate::arrange::group::Direction;

/// How the arguments of one extremum are encoded and walked.
#[derive(Clone, Debug)]
pub struct Order {
    /// Which way the answer comes first.
    pub direction: Direction,
    descending: bool,
    /// The value carries its identity behind its key.
    identity: bool,
    scalar: ScalarType,
}

impl Order {
    /// An order in which the answer comes first forwards.
    pub fn forward(aggregate: &AggregateExpr) -> Order {
        let max = aggregate.kind() == AggregateKind::Max;
        let order = Order::of(aggregate);
        Order {
            direction: Direction::Forward,
            descending: max,
            // A key that descends is not decoded.
            identity: max || order.identity,
            ..order
        }
    }

    /// The order that an aggregate seeks in.
    pub fn of(aggregate: &AggregateExpr) -> Order {
        let scalar = aggregate
            .arg_types
            .first()
            .cloned()
            .unwrap_or(ScalarType::Bool);
        let identity = scalar.key_loses_identity();
        let max = aggregate.kind() == AggregateKind::Max;
        // Backwards, equal values would show their greatest identity.
        let (direction, descending) = match (max, identity) {
            (true, false) => (Direction::Backward, false),
            (max, _) => (Direction::Forward, max),
        };
        Order {
            direction,
            descending,
            identity,
            scalar,
        }
    }

    /// Appends the value bytes of an input row.
    pub fn encode(&self, out: &mut Vec<u8>, input: AggregateInput<'_>) {
        let forward = self.direction == Direction::Forward;
        match input {
            AggregateInput::Failed(error) if forward => {
                out.push(0);
                out.extend_from_slice(error.bytes());
            }
            AggregateInput::Failed(error) => {
                out.push(2);
                out.extend(error.bytes().iter().map(|byte| !byte));
                out.push(255);
            }
            AggregateInput::Args(args) => match args.first() {
                Some(value) if !value.is_null() => self.encode_value(out, *value),
                _ => out.push(if forward { 2 } else { 0 }),
            },
            AggregateInput::Skipped => out.push(if forward { 2 } else { 0 }),
        }
    }

    fn encode_value(&self, out: &mut Vec<u8>, value: Datum<'_>) {
        out.push(1);
        key::push_ordered(out, value, self.descending, true);
        if self.identity {
            let start = out.len();
            row::push_datum(out, value);
            let length = (out.len() - start) as u32;
            out.extend_from_slice(&length.to_be_bytes());
        }
    }

    /// The row of one datum that value bytes stand for.
    pub fn decode(&self, bytes: &[u8]) -> Row {
        let forward = self.direction == Direction::Forward;
        match bytes.split_first() {
            Some((1, value)) if self.identity => RowRef::from_packed(behind(value).1).to_row(),
            Some((1, mut value)) => {
                let arena = RowArena::new();
                let datum = key::decode(&mut value, &self.scalar, &arena);
                Row::pack([datum.expect("a key of this type, which keeps identity")])
            }
            Some((0, error)) if forward => Row::pack([Datum::Error(ErrorRef::from_packed(error))]),
            Some((2, error)) if !forward => {
                let error: Vec<u8> = error[..error.len() - 1].iter().map(|byte| !byte).collect();
                Row::pack([Datum::Error(ErrorRef::from_packed(&error))])
            }
            _ => Row::pack([Datum::Null]),
        }
    }
}

/// Parts bytes from what was appended to them with its length behind it, four bytes.
pub fn behind(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (rest, length) = bytes
        .split_last_chunk::<4>()
        .expect("a length was appended");
    rest.split_at(rest.len() - u32::from_be_bytes(*length) as usize)
}
