//! What is measured, as lines for people and as one line of JSON.

use std::fmt;

use serde_json::{Value, json};

/// What a figure must keep to.
#[derive(Clone, Copy, Debug)]
pub enum Bound {
    /// At most so much.
    AtMost(f64),
    /// At least as much as the peer of the same run.
    Peer,
}

/// One measured figure.
#[derive(Clone, Debug)]
pub struct Figure {
    section: &'static str,
    name: String,
    value: f64,
    unit: &'static str,
    peer: Option<f64>,
    bound: Option<Bound>,
}

impl Figure {
    /// A figure of a section.
    pub fn new(section: &'static str, name: &str, value: f64, unit: &'static str) -> Figure {
        Figure {
            section,
            name: name.to_string(),
            value,
            unit,
            peer: None,
            bound: None,
        }
    }

    /// The same of PostgreSQL, in the same run.
    pub fn against(mut self, peer: f64) -> Figure {
        self.peer = Some(peer);
        self
    }

    /// What it must keep to.
    pub fn must(mut self, bound: Bound) -> Figure {
        self.bound = Some(bound);
        self
    }

    /// Whether it keeps to its bound, if it has one.
    pub fn holds(&self) -> Option<bool> {
        match (self.bound?, self.peer) {
            (Bound::AtMost(most), _) => Some(self.value <= most),
            (Bound::Peer, Some(peer)) => Some(self.value >= peer),
            (Bound::Peer, None) => Some(false),
        }
    }

    /// The figure for programs.
    pub fn json(&self) -> Value {
        json!({
            "section": self.section,
            "name": self.name,
            "value": rounded(self.value),
            "unit": self.unit,
            "postgresql": self.peer.map(rounded),
            "ratio": self.peer.map(|peer| rounded(self.value / peer)),
            "holds": self.holds(),
        })
    }
}

/// Four digits are more than such measurements give.
fn rounded(value: f64) -> f64 {
    let text = format!("{value:.3e}");
    text.parse().unwrap_or(value)
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = format!("{} {}", short(self.value), self.unit);
        write!(f, "  {:<58} {value:>18}", self.name)?;
        if let Some(peer) = self.peer {
            let ratio = self.value / peer;
            write!(f, "   PostgreSQL {:>9}, {ratio:.2} x", short(peer))?;
        }
        if let Some(Bound::AtMost(most)) = self.bound {
            write!(f, "   at most {}", short(most))?;
        }
        match self.holds() {
            Some(true) => write!(f, "   holds"),
            Some(false) => write!(f, "   MISSED"),
            None => Ok(()),
        }
    }
}

fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 1000.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

/// The value below which a part of the values lies.
pub fn quantile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = (values.len().saturating_sub(1)) as f64 * part;
    values.get(at.round() as usize).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_held_to_its_bound() {
        let figure = Figure::new("s", "n", 2.0, "ms");
        assert_eq!(figure.holds(), None);
        assert_eq!(figure.clone().must(Bound::AtMost(2.0)).holds(), Some(true));
        assert_eq!(figure.clone().must(Bound::AtMost(1.9)).holds(), Some(false));
        assert_eq!(
            figure.clone().against(1.5).must(Bound::Peer).holds(),
            Some(true)
        );
        assert_eq!(figure.must(Bound::Peer).holds(), Some(false));
    }

    #[test]
    fn quantiles_are_of_sorted_values() {
        let mut values = [5.0, 1.0, 3.0, 2.0, 4.0];
        assert_eq!(quantile(&mut values, 0.5), 3.0);
        assert_eq!(quantile(&mut values, 1.0), 5.0);
        assert!(quantile(&mut [], 0.5).is_nan());
    }
}
