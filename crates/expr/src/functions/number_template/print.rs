//! Writing a number by a template: `NUM_processor` of Postgres's `formatting.c`, in the C locale.

use super::parse::{Anchor, Node, Template};

struct Printer<'t> {
    template: &'t Template,
    /// The digits, with a point.
    number: Vec<u8>,
    /// The next of them.
    at: usize,
    negative: bool,
    anchor: Anchor,
    bracket: bool,
    sign_written: bool,
    /// Digit places to leave blank at the front.
    blanks: usize,
    count: usize,
    current: usize,
    /// A digit has been written.
    inside: bool,
    /// With FM: the last character of the fraction to be shown.
    last_relevant: Option<usize>,
    out: String,
}

/// The number, already rounded to the template's places, as text.
pub(super) fn print(template: &Template, number: &str) -> String {
    if template.roman {
        return roman(template, number);
    }
    let (negative, digits) = match number.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, number),
    };
    let whole = digits.find('.').unwrap_or(digits.len());
    let number = if whole > template.pre {
        [
            vec![b'#'; template.pre],
            vec![b'.'],
            vec![b'#'; template.post],
        ]
        .concat()
    } else {
        digits.as_bytes().to_vec()
    };
    let mut printer = Printer {
        template,
        number,
        at: 0,
        negative,
        anchor: template.anchor,
        bracket: template.bracket,
        sign_written: false,
        blanks: template.pre.saturating_sub(whole),
        count: (template.pre + template.post).saturating_sub(1),
        current: 0,
        inside: false,
        last_relevant: None,
        out: String::new(),
    };
    printer.prepare();
    for node in &template.nodes {
        printer.node(node);
    }
    printer.out
}

impl Printer<'_> {
    fn prepare(&mut self) {
        let t = self.template;
        if t.plus || t.minus {
            self.sign_written = t.minus || !t.plus;
        } else {
            if !self.negative && t.fill {
                self.bracket = false;
            }
            self.sign_written = !self.negative && t.fill && self.anchor == Anchor::None;
            if self.anchor == Anchor::Before && t.pre == t.pre_anchor {
                self.anchor = Anchor::After;
            }
        }
        if t.fill && t.decimal {
            self.last_relevant = self.last_nonzero();
            if let Some(last) = &mut self.last_relevant
                && t.zero_end > self.blanks
            {
                *last = (*last).max((self.number.len() - 1).min(t.zero_end - self.blanks));
            }
        }
        if !self.sign_written && self.blanks == 0 {
            self.count += 1;
        }
    }

    /// The last digit of the fraction that is not zero, or the point.
    fn last_nonzero(&self) -> Option<usize> {
        let point = self.number.iter().position(|b| *b == b'.')?;
        let after = self
            .number
            .iter()
            .rposition(|b| *b != b'0')
            .unwrap_or(point);
        Some(after.max(point))
    }

    fn node(&mut self, node: &Node) {
        let fill = self.template.fill;
        match node {
            Node::Digit(zero) => self.digit(*zero),
            Node::Point => self.digit(false),
            Node::Group if self.inside => self.out.push(','),
            Node::Group if fill => {}
            Node::Group | Node::Currency => self.out.push(' '),
            Node::Minus if self.negative => self.out.push('-'),
            Node::Plus if !self.negative => self.out.push('+'),
            Node::Minus | Node::Plus if fill => {}
            Node::Minus | Node::Plus => self.out.push(' '),
            Node::Sign => self.out.push(if self.negative { '-' } else { '+' }),
            Node::Ordinal(lower) => self.ordinal(*lower),
            Node::Literal(c) => self.out.push(*c),
            Node::Roman(_) | Node::Silent => {}
        }
    }

    /// Whether this is the zero of `0.1` under `9.9`, which is not shown.
    fn is_hidden_zero(&self) -> bool {
        let t = self.template;
        t.zero_start.is_none() && self.at == 0 && self.number.first() == Some(&b'0') && t.post != 0
    }

    fn keeps_only_the_point(&self) -> bool {
        self.last_relevant
            .is_some_and(|i| self.number.get(i) == Some(&b'.'))
    }

    fn push_sign(&mut self) {
        let t = self.template;
        let number_starts =
            self.current >= self.blanks || t.zero_start.is_some_and(|start| start == self.current);
        if self.sign_written
            || !number_starts
            || (self.is_hidden_zero() && !self.keeps_only_the_point())
        {
            return;
        }
        if self.anchor != Anchor::None {
            if self.anchor == Anchor::Before {
                self.out.push(if self.negative { '-' } else { '+' });
                self.sign_written = true;
            }
        } else if self.bracket {
            self.out.push(if self.negative { '<' } else { ' ' });
            self.sign_written = true;
        } else {
            if self.negative {
                self.out.push('-');
            } else if !t.fill {
                self.out.push(' ');
            }
            self.sign_written = true;
        }
    }

    fn digit(&mut self, zero: bool) {
        self.inside = false;
        self.push_sign();
        let t = self.template;
        let before_number = self.current < self.blanks;
        if before_number && t.zero_start.is_none_or(|start| start > self.current) {
            if !t.fill {
                self.out.push(' ');
            }
        } else if before_number {
            self.out.push('0');
            self.inside = true;
        } else {
            self.push_digit(zero);
            if self.at < self.number.len() {
                self.at += 1;
            }
        }
        let mut end = self.count + usize::from(self.blanks > 0) + usize::from(t.decimal);
        if self.last_relevant == Some(self.at) {
            end = self.current;
        }
        if self.current + 1 == end {
            if self.sign_written && self.bracket {
                self.out.push(if self.negative { '>' } else { ' ' });
            } else if self.anchor == Anchor::After {
                self.out.push(if self.negative { '-' } else { '+' });
            }
        }
        self.current += 1;
    }

    fn push_digit(&mut self, zero: bool) {
        let Some(&b) = self.number.get(self.at) else {
            return;
        };
        if b == b'.' {
            if !self.keeps_only_the_point() || self.template.fill {
                self.out.push('.');
            }
        } else if self.last_relevant.is_some_and(|last| self.at > last) && !zero {
            // A trailing zero that FM drops.
        } else if self.is_hidden_zero() {
            if !self.template.fill {
                self.out.push(' ');
            } else if self.keeps_only_the_point() {
                self.out.push('0');
            }
        } else {
            self.out.push(char::from(b));
            self.inside = true;
        }
    }

    fn ordinal(&mut self, lower: bool) {
        if self.negative || self.template.decimal || self.number.first() == Some(&b'#') {
            return;
        }
        let last = self.number.last().copied().unwrap_or(b'0');
        let teens = self.number.len() > 1 && self.number[self.number.len() - 2] == b'1';
        let suffix = match last {
            b'1' if !teens => "ST",
            b'2' if !teens => "ND",
            b'3' if !teens => "RD",
            _ => "TH",
        };
        self.out.push_str(&if lower {
            suffix.to_ascii_lowercase()
        } else {
            suffix.to_string()
        });
    }
}

const ROMAN: [(u32, &str); 13] = [
    (1000, "M"),
    (900, "CM"),
    (500, "D"),
    (400, "CD"),
    (100, "C"),
    (90, "XC"),
    (50, "L"),
    (40, "XL"),
    (10, "X"),
    (9, "IX"),
    (5, "V"),
    (4, "IV"),
    (1, "I"),
];

/// 1 to 3999 in Roman numerals, 15 characters wide unless FM says otherwise.
fn roman(template: &Template, number: &str) -> String {
    let whole = number.split('.').next().unwrap_or_default();
    let text = match whole.parse::<u32>() {
        Ok(mut n @ 1..=3999) => {
            let mut out = String::new();
            for (value, letters) in ROMAN {
                while n >= value {
                    out.push_str(letters);
                    n -= value;
                }
            }
            out
        }
        _ => "#".repeat(15),
    };
    let lower = template.nodes.contains(&Node::Roman(true));
    let text = if lower {
        text.to_ascii_lowercase()
    } else {
        text
    };
    if template.fill {
        text
    } else {
        format!("{text:>15}")
    }
}
