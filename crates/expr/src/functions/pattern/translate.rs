//! PostgreSQL's regular expressions in the `regex` crate's syntax.
//!
//! The source is an advanced regular expression (ARE; manual, section 9.7.3), or an extended or literal one by
//! flags. Lookaround constraints and back references, which no finite automaton has, are 0A000.

mod bracket;

use everview_repr::{EvalError, SqlState};

/// How an expression is read and matched: Postgres's option letters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Options {
    pub(super) insensitive: bool,
    /// `.` and complemented brackets do not match a newline.
    pub(super) dot_stops: bool,
    /// `^` and `$` match at newlines.
    pub(super) anchors_at_lines: bool,
    pub(super) expanded: bool,
    pub(super) literal: bool,
    /// Extended: backslash escapes a character and nothing else.
    pub(super) extended: bool,
}

impl Options {
    const DEFAULT: Options = Options {
        insensitive: false,
        dot_stops: false,
        anchors_at_lines: false,
        expanded: false,
        literal: false,
        extended: false,
    };

    fn apply(&mut self, letter: char) -> Result<bool, EvalError> {
        match letter {
            'b' => return Err(unsupported("basic regular expressions")),
            'c' => self.insensitive = false,
            'e' => self.extended = true,
            'i' => self.insensitive = true,
            'm' | 'n' => (self.dot_stops, self.anchors_at_lines) = (true, true),
            'p' => (self.dot_stops, self.anchors_at_lines) = (true, false),
            'q' => self.literal = true,
            's' => (self.dot_stops, self.anchors_at_lines) = (false, false),
            't' => self.expanded = false,
            'w' => (self.dot_stops, self.anchors_at_lines) = (false, true),
            'x' => self.expanded = true,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// 2201B, in Postgres's words.
pub(super) fn invalid(what: &str) -> EvalError {
    EvalError::new(
        SqlState::INVALID_REGULAR_EXPRESSION,
        format!("invalid regular expression: {what}"),
    )
}

fn unsupported(what: &str) -> EvalError {
    let message = format!("{what} are not supported in regular expressions");
    EvalError::new(SqlState::FEATURE_NOT_SUPPORTED, message)
}

/// An expression in the crate's syntax.
pub(super) struct Translated {
    pub(super) text: String,
    pub(super) options: Options,
    /// Of the matches at the first place, the shortest counts and not the longest.
    pub(super) shortest: bool,
    /// The crate's choice among the matches at one place can differ from Postgres's.
    pub(super) ambiguous: bool,
}

/// The expression in the crate's syntax.
pub(super) fn translate(pattern: &str, flags: &str) -> Result<Translated, EvalError> {
    let mut options = Options::DEFAULT;
    for letter in flags.chars() {
        if !options.apply(letter)? {
            let message = format!("invalid regular expression option: \"{letter}\"");
            return Err(EvalError::new(SqlState::INVALID_PARAMETER_VALUE, message));
        }
    }
    let mut rest = pattern;
    if !options.literal {
        if let Some(tail) = rest.strip_prefix("***=") {
            options.literal = true;
            rest = tail;
        } else if let Some(tail) = rest.strip_prefix("***:") {
            options.extended = false;
            rest = tail;
        } else if rest.starts_with("***") {
            return Err(invalid("invalid regexp (reg version 0.8)"));
        }
    }
    if options.literal {
        let text = regex::escape(rest);
        return Ok(Translated {
            text,
            options,
            shortest: false,
            ambiguous: false,
        });
    }
    if !options.extended {
        rest = embedded_options(rest, &mut options)?;
    }
    let mut reader = Reader {
        rest,
        options,
        out: String::with_capacity(rest.len() + 8),
        depth: 0,
        levels: vec![Preference::default()],
        closed: None,
        choices: 0,
    };
    reader.expression()?;
    reader.settle_atom();
    let shortest = reader
        .levels
        .first()
        .is_some_and(|l| l.greedy() == Some(false));
    let ambiguous = reader.choices > 1 || shortest;
    Ok(Translated {
        text: reader.out,
        options,
        shortest,
        ambiguous,
    })
}

/// What decides whether a part of an expression prefers its longest match (manual, section 9.7.3.5).
#[derive(Default)]
struct Preference {
    /// That of the first quantified atom that has one.
    first: Option<bool>,
    alternatives: bool,
}

impl Preference {
    fn greedy(&self) -> Option<bool> {
        if self.alternatives {
            Some(true)
        } else {
            self.first
        }
    }
}

/// `(?letters)` at the very start.
fn embedded_options<'p>(pattern: &'p str, options: &mut Options) -> Result<&'p str, EvalError> {
    let Some(tail) = pattern.strip_prefix("(?") else {
        return Ok(pattern);
    };
    if !tail.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Ok(pattern);
    }
    let Some((letters, rest)) = tail.split_once(')') else {
        return Err(invalid("invalid embedded option"));
    };
    for letter in letters.chars() {
        if !letter.is_ascii_alphabetic() || !options.apply(letter)? {
            return Err(invalid("invalid embedded option"));
        }
    }
    Ok(rest)
}

/// Reads the expression from front to back.
struct Reader<'p> {
    rest: &'p str,
    options: Options,
    out: String,
    depth: usize,
    /// The preference of each open parenthesis, the whole expression first.
    levels: Vec<Preference>,
    /// The preference of the parenthesis just closed, which a quantifier overrides.
    closed: Option<bool>,
    /// Quantifiers and alternatives so far.
    choices: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn eat(&mut self, prefix: &str) -> bool {
        match self.rest.strip_prefix(prefix) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn literal(&mut self, c: char) {
        self.out
            .push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
    }

    fn expression(&mut self) -> Result<(), EvalError> {
        // Whether a quantifier may follow.
        let mut atom = false;
        while let Some(c) = self.next() {
            if !matches!(c, '*' | '+' | '?' | '{') {
                self.settle_atom();
            }
            atom = match c {
                '*' | '+' | '?' => {
                    self.quantifier(c, atom)?;
                    false
                }
                '{' if self.rest.starts_with(|c: char| c.is_ascii_digit()) => {
                    self.bound(atom)?;
                    false
                }
                '{' if self.options.extended => return Err(invalid("invalid repetition count(s)")),
                '(' => {
                    self.open()?;
                    false
                }
                ')' if self.depth == 0 => return Err(invalid("parentheses () not balanced")),
                ')' => {
                    self.depth -= 1;
                    self.closed = self.levels.pop().and_then(|l| l.greedy());
                    self.out.push(')');
                    true
                }
                '|' => {
                    self.out.push('|');
                    self.choices += 2;
                    if let Some(level) = self.levels.last_mut() {
                        level.alternatives = true;
                    }
                    false
                }
                '[' => {
                    if self.eat("[:<:]]") {
                        self.out.push_str(r"\b{start}");
                    } else if self.eat("[:>:]]") {
                        self.out.push_str(r"\b{end}");
                    } else {
                        self.bracket()?;
                    }
                    true
                }
                '\\' => self.escape()?,
                '^' | '$' => {
                    self.out.push(c);
                    false
                }
                '.' => {
                    self.out.push('.');
                    true
                }
                '#' if self.options.expanded => {
                    self.rest = self.rest.split_once('\n').map_or("", |(_, rest)| rest);
                    atom
                }
                c if self.options.expanded && c.is_whitespace() => atom,
                c => {
                    self.literal(c);
                    true
                }
            };
        }
        if self.depth > 0 {
            Err(invalid("parentheses () not balanced"))
        } else {
            Ok(())
        }
    }

    fn quantifier(&mut self, c: char, atom: bool) -> Result<(), EvalError> {
        if !atom {
            return Err(invalid("quantifier operand invalid"));
        }
        self.out.push(c);
        self.lazy()
    }

    fn lazy(&mut self) -> Result<(), EvalError> {
        self.lazy_or(None)
    }

    /// `{m}` and `{m}?` have their atom's preference, every other quantifier its own.
    fn lazy_or(&mut self, atom: Option<Option<bool>>) -> Result<(), EvalError> {
        let lazy = !self.options.extended && self.eat("?");
        if lazy {
            self.out.push('?');
        }
        self.closed = atom.unwrap_or(Some(!lazy));
        self.choices += 1;
        self.settle_atom();
        Ok(())
    }

    /// The atom before is complete: its preference is the level's, if that has none yet.
    fn settle_atom(&mut self) {
        if let (Some(greedy), Some(level)) = (self.closed.take(), self.levels.last_mut()) {
            level.first.get_or_insert(greedy);
        }
    }

    /// `{m}`, `{m,}`, `{m,n}` after the brace.
    fn bound(&mut self, atom: bool) -> Result<(), EvalError> {
        if !atom {
            return Err(invalid("quantifier operand invalid"));
        }
        let Some((bound, rest)) = self.rest.split_once('}') else {
            return Err(invalid("braces {} not balanced"));
        };
        self.rest = rest;
        let bad = || invalid("invalid repetition count(s)");
        let count = |s: &str| s.parse::<u32>().ok().filter(|n| *n <= 255).ok_or_else(bad);
        match bound.split_once(',') {
            None => drop(count(bound)?),
            Some((low, "")) => drop(count(low)?),
            Some((low, high)) => {
                if count(low)? > count(high)? {
                    return Err(bad());
                }
            }
        }
        self.out.push_str(&format!("{{{bound}}}"));
        let inner = self.closed;
        self.lazy_or(if bound.contains(',') {
            None
        } else {
            Some(inner)
        })
    }

    fn open(&mut self) -> Result<(), EvalError> {
        self.depth += 1;
        self.levels.push(Preference::default());
        if self.options.extended || !self.eat("?") {
            self.out.push('(');
            return Ok(());
        }
        if self.eat(":") {
            self.out.push_str("(?:");
            return Ok(());
        }
        if self.eat("#") {
            self.depth -= 1;
            self.levels.pop();
            let Some((_, rest)) = self.rest.split_once(')') else {
                return Err(invalid("parentheses () not balanced"));
            };
            self.rest = rest;
            return Ok(());
        }
        if ["=", "!", "<=", "<!"]
            .iter()
            .any(|p| self.rest.starts_with(p))
        {
            return Err(unsupported("lookahead and lookbehind constraints"));
        }
        Err(invalid("quantifier operand invalid"))
    }

    /// What follows a backslash outside brackets; whether it is an atom.
    fn escape(&mut self) -> Result<bool, EvalError> {
        let Some(c) = self.next() else {
            return Err(invalid("invalid escape \\ sequence"));
        };
        if self.options.extended || !c.is_ascii_alphanumeric() {
            self.literal(c);
            return Ok(true);
        }
        let (text, atom) = match c {
            'd' | 'D' | 's' | 'S' | 'w' | 'W' => {
                self.out.push('\\');
                self.out.push(c);
                return Ok(true);
            }
            'A' => (r"\A", false),
            'Z' => (r"\z", false),
            'm' => (r"\b{start}", false),
            'M' => (r"\b{end}", false),
            'y' => (r"\b", false),
            'Y' => (r"\B", false),
            '1'..='9' if !(self.rest.starts_with(|c: char| c.is_ascii_digit())) => {
                return Err(unsupported("back references"));
            }
            _ => {
                let literal = self.character(c)?;
                self.literal(literal);
                return Ok(true);
            }
        };
        self.out.push_str(text);
        Ok(atom)
    }

    /// The character that an escape names.
    fn character(&mut self, c: char) -> Result<char, EvalError> {
        let bad = || invalid("invalid escape \\ sequence");
        Ok(match c {
            'a' => '\u{7}',
            'b' => '\u{8}',
            'B' => '\\',
            'c' => char::from((self.next().ok_or_else(bad)? as u32 & 0x1f) as u8),
            'e' => '\u{1b}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            'u' => self.code(16, 4, 4)?,
            'U' => self.code(16, 8, 8)?,
            'x' => self.code(16, 1, 255)?,
            '0'..='7' => self.octal(c)?,
            _ => return Err(bad()),
        })
    }

    /// Up to three octal digits, the first of which is taken already.
    fn octal(&mut self, first: char) -> Result<char, EvalError> {
        let mut code = first.to_digit(8).unwrap_or(0);
        for _ in 0..2 {
            let Some(digit) = self.rest.chars().next().and_then(|c| c.to_digit(8)) else {
                break;
            };
            self.next();
            code = code * 8 + digit;
        }
        char::from_u32(code).ok_or_else(|| invalid("invalid escape \\ sequence"))
    }

    fn code(&mut self, radix: u32, least: usize, most: usize) -> Result<char, EvalError> {
        let bad = || invalid("invalid escape \\ sequence");
        let digits = self
            .rest
            .chars()
            .take(most)
            .take_while(|c| c.is_digit(radix))
            .count();
        if digits < least {
            return Err(bad());
        }
        let (text, rest) = self.rest.split_at(digits);
        self.rest = rest;
        let code = u32::from_str_radix(text, radix).map_err(|_| bad())?;
        char::from_u32(code).ok_or_else(bad)
    }
}
