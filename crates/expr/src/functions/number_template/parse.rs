//! A number template taken apart: its parts in order, and what they add up to (`NUMDesc` of Postgres).

use everview_repr::{EvalError, SqlState};

/// One part of a template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Node {
    /// `9` or, where true, `0`.
    Digit(bool),
    /// `.` or `D`.
    Point,
    /// `,` or `G`.
    Group,
    Minus,
    Plus,
    Sign,
    Currency,
    /// `RN` or, where true, `rn`.
    Roman(bool),
    /// `TH` or, where true, `th`.
    Ordinal(bool),
    /// What is shown as it is.
    Literal(char),
    /// What is noted in the template only: `FM`, `S`, `PR`, `V`, `B`.
    Silent,
}

/// Where `S` anchors the sign.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Anchor {
    None,
    Before,
    After,
}

/// A template.
#[derive(Clone, Debug)]
pub(super) struct Template {
    pub(super) nodes: Vec<Node>,
    /// Digits before the point.
    pub(super) pre: usize,
    /// Digits after the point.
    pub(super) post: usize,
    /// Digits after `V`.
    pub(super) multi: usize,
    pub(super) anchor: Anchor,
    /// Digits before `S`.
    pub(super) pre_anchor: usize,
    /// The position of the first `0` before the point.
    pub(super) zero_start: Option<usize>,
    /// The position after the last `0`.
    pub(super) zero_end: usize,
    pub(super) fill: bool,
    pub(super) decimal: bool,
    pub(super) bracket: bool,
    pub(super) minus: bool,
    pub(super) plus: bool,
    pub(super) roman: bool,
    has_multi: bool,
}

fn bad(message: &str) -> EvalError {
    EvalError::new(SqlState::SYNTAX_ERROR, message)
}

impl Template {
    pub(super) fn parse(text: &str) -> Result<Template, EvalError> {
        let mut out = Template {
            nodes: Vec::new(),
            pre: 0,
            post: 0,
            multi: 0,
            anchor: Anchor::None,
            pre_anchor: 0,
            zero_start: None,
            zero_end: 0,
            fill: false,
            decimal: false,
            bracket: false,
            minus: false,
            plus: false,
            roman: false,
            has_multi: false,
        };
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if let Some(length) = out.keyword(rest)? {
                rest = &rest[length..];
                continue;
            }
            rest = &rest[c.len_utf8()..];
            match c {
                '"' => rest = out.quoted(rest),
                // Outside quotes a backslash takes the next double quote for itself.
                '\\' if rest.starts_with('"') => {
                    out.nodes.push(Node::Literal('"'));
                    rest = &rest[1..];
                }
                c => out.nodes.push(Node::Literal(c)),
            }
        }
        Ok(out)
    }

    fn quoted<'t>(&mut self, text: &'t str) -> &'t str {
        let mut chars = text.char_indices();
        while let Some((i, c)) = chars.next() {
            match c {
                '"' => return &text[i + 1..],
                '\\' => self
                    .nodes
                    .extend(chars.next().map(|(_, c)| Node::Literal(c))),
                c => self.nodes.push(Node::Literal(c)),
            }
        }
        ""
    }

    /// Takes a keyword at the front; its length.
    fn keyword(&mut self, text: &str) -> Result<Option<usize>, EvalError> {
        let has = |word: &str| {
            text.get(..word.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(word))
        };
        let (node, length) = if has("EEEE") {
            let message = "\"EEEE\" in number templates is not supported";
            return Err(EvalError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
        } else if has("FM") {
            self.fill = true;
            (Node::Silent, 2)
        } else if has("MI") {
            self.no_anchor("MI")?;
            self.minus = true;
            (Node::Minus, 2)
        } else if has("PL") {
            self.no_anchor("PL")?;
            self.plus = true;
            (Node::Plus, 2)
        } else if has("SG") {
            self.no_anchor("SG")?;
            (self.minus, self.plus) = (true, true);
            (Node::Sign, 2)
        } else if has("PR") {
            if self.anchor != Anchor::None || self.plus || self.minus {
                return Err(bad(
                    "cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together",
                ));
            }
            self.bracket = true;
            (Node::Silent, 2)
        } else if has("RN") {
            self.roman = true;
            (Node::Roman(text.starts_with('r')), 2)
        } else if has("TH") {
            (Node::Ordinal(text.starts_with('t')), 2)
        } else {
            return self.letter(text);
        };
        self.nodes.push(node);
        Ok(Some(length))
    }

    fn letter(&mut self, text: &str) -> Result<Option<usize>, EvalError> {
        let node = match text.as_bytes().first().map(u8::to_ascii_uppercase) {
            Some(b'9') => {
                self.digit(false)?;
                Node::Digit(false)
            }
            Some(b'0') => {
                self.digit(true)?;
                Node::Digit(true)
            }
            Some(b'.' | b'D') => {
                if self.decimal {
                    return Err(bad("multiple decimal points"));
                }
                if self.has_multi {
                    return Err(bad("cannot use \"V\" and decimal point together"));
                }
                self.decimal = true;
                Node::Point
            }
            Some(b',' | b'G') => Node::Group,
            Some(b'L') => Node::Currency,
            Some(b'B') => Node::Silent,
            Some(b'V') => {
                if self.decimal {
                    return Err(bad("cannot use \"V\" and decimal point together"));
                }
                self.has_multi = true;
                Node::Silent
            }
            Some(b'S') => {
                self.sign()?;
                Node::Silent
            }
            _ => return Ok(None),
        };
        self.nodes.push(node);
        Ok(Some(1))
    }

    fn digit(&mut self, zero: bool) -> Result<(), EvalError> {
        if self.bracket {
            let digit = if zero { "0" } else { "9" };
            return Err(bad(&format!("\"{digit}\" must be ahead of \"PR\"")));
        }
        if zero && self.zero_start.is_none() && !self.decimal {
            self.zero_start = Some(self.pre);
        }
        if self.has_multi && !zero {
            self.multi += 1;
        } else if self.decimal {
            self.post += 1;
        } else {
            self.pre += 1;
        }
        if zero {
            self.zero_end = self.pre + self.post;
        }
        Ok(())
    }

    fn sign(&mut self) -> Result<(), EvalError> {
        if self.anchor != Anchor::None {
            return Err(bad("cannot use \"S\" twice"));
        }
        if self.plus || self.minus || self.bracket {
            return Err(bad(
                "cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together",
            ));
        }
        if self.decimal {
            self.anchor = Anchor::After;
        } else {
            self.anchor = Anchor::Before;
            self.pre_anchor = self.pre;
        }
        Ok(())
    }

    fn no_anchor(&self, word: &str) -> Result<(), EvalError> {
        if self.anchor != Anchor::None {
            return Err(bad(&format!("cannot use \"S\" and \"{word}\" together")));
        }
        Ok(())
    }
}
