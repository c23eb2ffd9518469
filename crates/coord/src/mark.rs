//! What the store keeps with the time that it is complete to: where in the log recovery goes on.
//!
//! | bytes | |
//! |---|---|
//! | version u8 | 2 |
//! | position 20 | the record of the commit that the store is complete to |
//! | floor u64 | no later commit is at or below this |
//! | transaction u64 | the first id that no transaction has had |
//! | object u32 | the first id that no object has had |

use crate::pieces::{push_position, take_position};
use everview_log::{Position, Start};
use everview_repr::GlobalId;

const VERSION: u8 = 2;

/// Where recovery goes on after a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub position: Position,
    pub floor: u64,
    pub transaction: u64,
    pub next_object: GlobalId,
}

impl Mark {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        push_position(&mut out, self.position);
        out.extend_from_slice(&self.floor.to_le_bytes());
        out.extend_from_slice(&self.transaction.to_le_bytes());
        out.extend_from_slice(&self.next_object.0.to_le_bytes());
        out
    }

    /// None if these are not a mark's bytes.
    pub fn decode(bytes: &[u8]) -> Option<Mark> {
        let (&version, mut rest) = bytes.split_first()?;
        let position = take_position(&mut rest)?;
        let (floor, rest) = rest.split_first_chunk::<8>()?;
        let (transaction, rest) = rest.split_first_chunk::<8>()?;
        let (object, rest) = rest.split_first_chunk::<4>()?;
        (version == VERSION && rest.is_empty()).then(|| Mark {
            position,
            floor: u64::from_le_bytes(*floor),
            transaction: u64::from_le_bytes(*transaction),
            next_object: GlobalId(u32::from_le_bytes(*object)),
        })
    }

    /// Where the log is to be read from.
    pub fn start(&self) -> Start {
        Start {
            segment: self.position.segment,
            lease: self.floor,
            transaction: self.transaction.saturating_sub(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use everview_log::SegmentId;

    #[test]
    fn a_mark_comes_back_and_other_bytes_are_none() {
        let mark = Mark {
            position: Position {
                segment: SegmentId(3),
                offset: 128,
                length: 77,
            },
            floor: 1 << 50,
            transaction: 12,
            next_object: GlobalId(16_400),
        };
        let bytes = mark.encode();
        assert_eq!(Mark::decode(&bytes), Some(mark));
        for end in 0..bytes.len() {
            assert_eq!(Mark::decode(&bytes[..end]), None);
        }
    }
}
