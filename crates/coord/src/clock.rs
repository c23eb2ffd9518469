//! The one place where the wall clock is read.
//!
//! A commit's timestamp is the wall clock in microseconds, or one more than the last if the clock has not moved
//! past it. A clock far ahead of the last commit is believed only up to `MOST_JUMP`: one bad reading must not
//! push time forward for ever.

use everview_repr::Timestamp;

/// The largest step between two commits that is taken from the wall clock: a hundred years.
const MOST_JUMP: u64 = 100 * 365 * 86_400 * 1_000_000;

/// Microseconds since the Unix epoch.
pub fn wall_clock() -> u64 {
    #[allow(clippy::disallowed_methods)]
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| d.as_micros() as u64)
}

/// Microseconds since 2000-01-01, as `timestamptz` counts.
pub fn wall_clock_timestamptz() -> i64 {
    to_timestamptz(wall_clock())
}

/// A wall clock reading as `timestamptz` counts.
pub fn to_timestamptz(unix_micros: u64) -> i64 {
    const POSTGRES_EPOCH: i64 = 946_684_800_000_000;
    i64::try_from(unix_micros).unwrap_or(i64::MAX) - POSTGRES_EPOCH
}

/// The timestamp of the commit after `last`.
pub fn next(last: Timestamp, wall: u64) -> Timestamp {
    let after = last.next();
    let jumped = last > Timestamp::MIN && wall > last.0.saturating_add(MOST_JUMP);
    if jumped {
        after
    } else {
        Timestamp(after.0.max(wall))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_rise_when_the_clock_stands_or_steps_back() {
        assert_eq!(next(Timestamp(10), 5), Timestamp(11));
        assert_eq!(next(Timestamp(10), 10), Timestamp(11));
        assert_eq!(next(Timestamp(10), 50), Timestamp(50));
    }

    #[test]
    fn one_absurd_reading_does_not_move_time_for_ever() {
        let last = Timestamp(1_700_000_000_000_000);
        assert_eq!(next(last, u64::MAX / 2), last.next());
    }
}
