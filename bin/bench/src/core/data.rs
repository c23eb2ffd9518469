//! Trade ticks, generated: the same for the same seed, on every machine.

use bytes::Bytes;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How many symbols trade.
pub const SYMBOLS: u32 = 2000;

/// Bytes of a piece of CSV.
const PIECE: usize = 1 << 18;

/// The start of the trading day, in seconds since 1970.
const OPENING: u64 = 1_704_187_800;

/// Columns of the ticks' table. PostgreSQL and Everview get the same text.
pub const COLUMNS: &str = "id bigint NOT NULL, at timestamp NOT NULL, symbol text NOT NULL, \
                           price numeric(10,2) NOT NULL, qty integer NOT NULL";

/// The view over them.
pub const VIEW: &str = "SELECT symbol, count(*) AS trades, sum(qty) AS qty, sum(price * qty) AS turnover, \
                        min(price) AS low, max(price) AS high FROM ticks GROUP BY symbol";

/// A source of ticks without end.
pub struct Ticks {
    random: ChaCha8Rng,
    next: u64,
}

impl Ticks {
    /// From the first tick on.
    pub fn new(seed: u64) -> Ticks {
        Ticks {
            random: ChaCha8Rng::seed_from_u64(seed),
            next: 0,
        }
    }

    /// From a tick with a number on: not those that would come after the others with this seed.
    pub fn starting(seed: u64, number: u64) -> Ticks {
        Ticks {
            random: ChaCha8Rng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number),
            next: number,
        }
    }

    /// The next ticks as CSV, in pieces that end with a line.
    pub fn csv(&mut self, count: u64) -> Vec<Bytes> {
        let mut pieces = Vec::new();
        let mut piece = Vec::with_capacity(PIECE + 128);
        for _ in 0..count {
            self.line(&mut piece);
            if piece.len() >= PIECE {
                let full = std::mem::replace(&mut piece, Vec::with_capacity(PIECE + 128));
                pieces.push(Bytes::from(full));
            }
        }
        if !piece.is_empty() {
            pieces.push(Bytes::from(piece));
        }
        pieces
    }

    fn line(&mut self, out: &mut Vec<u8>) {
        let id = self.next;
        self.next += 1;
        // Few symbols have most of the trades.
        let skew: f64 = self.random.random::<f64>();
        let symbol = (skew * skew * f64::from(SYMBOLS)) as u32;
        let cents = 1000 + u64::from(symbol) * 10 + self.random.random_range(0..500u64);
        let qty = self.random.random_range(1..1000u32);
        let (second, micros) = (OPENING % 86_400 + id / 400 % 23_400, id % 400 * 2_500);
        let (h, m, s) = (second / 3600, second / 60 % 60, second % 60);
        let (whole, part) = (cents / 100, cents % 100);
        let line = format!(
            "{id},2024-01-02 {h:02}:{m:02}:{s:02}.{micros:06},SYM{symbol:04},{whole}.{part:02},{qty}\n"
        );
        out.extend_from_slice(line.as_bytes());
    }
}

/// The name of a symbol.
pub fn symbol(number: u32) -> String {
    format!("SYM{number:04}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_the_same_for_a_seed_and_numbered() {
        let all: Vec<u8> = Ticks::new(7).csv(20_000).concat();
        let mut again = Ticks::new(7);
        let parts = [again.csv(1), again.csv(19_999)].concat();
        assert_eq!(all, parts.concat());
        let text = String::from_utf8(all).unwrap();
        assert_eq!(text.lines().count(), 20_000);
        assert!(text.lines().all(|line| line.split(',').count() == 5));
        assert!(text.starts_with("0,2024-01-02 09:30:00.000000,SYM"));
        assert_ne!(Ticks::new(8).csv(10), Ticks::new(7).csv(10));
    }
}
