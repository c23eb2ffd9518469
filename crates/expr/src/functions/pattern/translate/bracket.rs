//! Bracket expressions: `[abc]`, `[^a-z[:digit:]\w]`.

use super::{Reader, invalid};
use everview_repr::EvalError;

/// The members of a character class, for a place within brackets.
fn class(name: &str) -> Option<&'static str> {
    Some(match name {
        "alpha" => r"\p{Alphabetic}",
        "word" => r"\w",
        "alnum" => r"\p{Alphabetic}\p{Nd}",
        "digit" => r"\d",
        "upper" => r"\p{Uppercase}",
        "lower" => r"\p{Lowercase}",
        "space" => r"\s",
        "blank" => r"\t\x20",
        "punct" => r"[:punct:]\p{P}",
        "cntrl" => r"\p{Cc}",
        "xdigit" => "0-9A-Fa-f",
        "ascii" => r"\x00-\x7F",
        "print" => r"\p{L}\p{M}\p{N}\p{P}\p{S}\x20",
        "graph" => r"\p{L}\p{M}\p{N}\p{P}\p{S}",
        _ => return None,
    })
}

/// One thing within brackets.
enum Item {
    Char(char),
    Class(&'static str),
}

impl Reader<'_> {
    /// A bracket expression after its `[`.
    pub(super) fn bracket(&mut self) -> Result<(), EvalError> {
        self.out.push('[');
        if self.eat("^") {
            self.out.push('^');
            if self.options.dot_stops {
                self.out.push_str(r"\n");
            }
        }
        let mut first = true;
        loop {
            let unbalanced = || invalid("brackets [] not balanced");
            if !first && self.eat("]") {
                break;
            }
            first = false;
            match self.item().ok_or_else(unbalanced)?? {
                Item::Class(class) if class.starts_with('[') => {
                    self.out.push_str(&format!("[{class}]"));
                }
                Item::Class(class) => self.out.push_str(class),
                Item::Char(low) => {
                    if !self.rest.starts_with("-]") && self.eat("-") {
                        let Item::Char(high) = self.item().ok_or_else(unbalanced)?? else {
                            return Err(invalid("invalid character range"));
                        };
                        if low > high {
                            return Err(invalid("invalid character range"));
                        }
                        self.member(low);
                        self.out.push('-');
                        self.member(high);
                    } else {
                        self.member(low);
                    }
                }
            }
        }
        self.out.push(']');
        Ok(())
    }

    fn member(&mut self, c: char) {
        self.out.push_str(&format!(r"\x{{{:X}}}", c as u32));
    }

    fn item(&mut self) -> Option<Result<Item, EvalError>> {
        for (open, close, what) in [
            ("[:", ":]", "invalid character class"),
            ("[.", ".]", "invalid collating element"),
            ("[=", "=]", "invalid collating element"),
        ] {
            if self.eat(open) {
                let (name, rest) = self.rest.split_once(close)?;
                self.rest = rest;
                let mut chars = name.chars();
                let found = match (open, chars.next(), chars.next()) {
                    ("[:", ..) => class(name).map(Item::Class),
                    (_, Some(c), None) => Some(Item::Char(c)),
                    _ => None,
                };
                return Some(found.ok_or_else(|| invalid(what)));
            }
        }
        let c = self.next()?;
        if c != '\\' || self.options.extended {
            return Some(Ok(Item::Char(c)));
        }
        let c = self.next()?;
        Some(match c {
            'd' => Ok(Item::Class(r"\d")),
            's' => Ok(Item::Class(r"\s")),
            'w' => Ok(Item::Class(r"\w")),
            'D' => Ok(Item::Class(r"\D")),
            'S' => Ok(Item::Class(r"\S")),
            'W' => Ok(Item::Class(r"\W")),
            c if c.is_ascii_alphanumeric() => self.character(c).map(Item::Char),
            c => Ok(Item::Char(c)),
        })
    }
}
