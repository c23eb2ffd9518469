//! SQL text as tokens with their nesting depth.
//!
//! Invariant: a token's text is a slice of the input at its offset, and nothing inside a string, a
//! quoted name or a comment is ever a token of its own. The lexical rules are Postgres's (chapter
//! 4.1); no keyword means anything here. Any text gives tokens: an unterminated string reaches to
//! the end.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A keyword or an unquoted name.
    Word,
    /// A name in double quotes.
    Quoted,
    /// A string literal of any form.
    Literal,
    /// A number.
    Number,
    /// One character of anything else.
    Symbol,
}

/// A token of an SQL text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    /// What it is.
    pub kind: Kind,
    /// Its text, quotes included.
    pub text: &'a str,
    /// Its first byte in the input.
    pub start: usize,
    /// How many brackets are open around it; a bracket itself counts as outside.
    pub depth: usize,
}

impl Token<'_> {
    /// Whether it is this word, case aside.
    pub fn is(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }

    /// Whether it is one of these words, case aside.
    pub fn is_any(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(word))
    }

    /// Whether it is this character.
    pub fn is_symbol(&self, symbol: &str) -> bool {
        self.kind == Kind::Symbol && self.text == symbol
    }

    /// The name it stands for: folded to lower case unless quoted.
    pub fn name(&self) -> Option<String> {
        match self.kind {
            Kind::Word => Some(self.text.to_lowercase()),
            Kind::Quoted => {
                let inner = self.text.strip_prefix('"').unwrap_or(self.text);
                Some(
                    inner
                        .strip_suffix('"')
                        .unwrap_or(inner)
                        .replace("\"\"", "\""),
                )
            }
            _ => None,
        }
    }
}

/// The tokens of a text, comments and blanks left out.
pub fn tokenize(sql: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(character) = sql[at..].chars().next() {
        let rest = &sql[at..];
        if character.is_whitespace() {
            at += character.len_utf8();
            continue;
        }
        if let Some(length) = comment(rest) {
            at += length;
            continue;
        }
        let (kind, length) = lex(rest, character);
        let text = &rest[..length];
        if matches!(text, ")" | "]") {
            depth = depth.saturating_sub(1);
        }
        tokens.push(Token {
            kind,
            text,
            start: at,
            depth,
        });
        if matches!(text, "(" | "[") {
            depth += 1;
        }
        at += length;
    }
    tokens
}

/// The length of the comment that the text starts with, if it does.
fn comment(text: &str) -> Option<usize> {
    if text.starts_with("--") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if !text.starts_with("/*") {
        return None;
    }
    let bytes = text.as_bytes();
    let (mut open, mut at) = (1, 2);
    while open > 0 && at < bytes.len() {
        match &bytes[at..bytes.len().min(at + 2)] {
            b"/*" => (open, at) = (open + 1, at + 2),
            b"*/" => (open, at) = (open - 1, at + 2),
            _ => at += 1,
        }
    }
    Some(at)
}

/// Kind and length of the token that the text starts with.
fn lex(text: &str, first: char) -> (Kind, usize) {
    match first {
        '\'' => (Kind::Literal, quoted(text, 0, '\'', false)),
        '"' => (Kind::Quoted, quoted(text, 0, '"', false)),
        '$' => match dollar_quoted(text) {
            Some(length) => (Kind::Literal, length),
            None => (Kind::Symbol, 1),
        },
        '0'..='9' => (Kind::Number, number(text)),
        '.' if text[1..].starts_with(|c: char| c.is_ascii_digit()) => (Kind::Number, number(text)),
        _ if first.is_alphabetic() || first == '_' => word_or_prefixed(text, first),
        _ => (Kind::Symbol, first.len_utf8()),
    }
}

/// A word, or a string with a prefix: `E'..'`, `B'..'`, `X'..'`, `N'..'`, `U&'..'`, `U&".."`.
fn word_or_prefixed(text: &str, first: char) -> (Kind, usize) {
    let after = &text[first.len_utf8()..];
    if matches!(first, 'e' | 'E') && after.starts_with('\'') {
        return (Kind::Literal, quoted(text, 1, '\'', true));
    }
    if matches!(first, 'b' | 'B' | 'x' | 'X' | 'n' | 'N') && after.starts_with('\'') {
        return (Kind::Literal, quoted(text, 1, '\'', false));
    }
    if matches!(first, 'u' | 'U') && after.starts_with("&'") {
        return (Kind::Literal, quoted(text, 2, '\'', false));
    }
    if matches!(first, 'u' | 'U') && after.starts_with("&\"") {
        return (Kind::Quoted, quoted(text, 2, '"', false));
    }
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'));
    (Kind::Word, end.unwrap_or(text.len()))
}

/// The length of a quoted token whose opening quote is at `open`; a doubled quote is one inside,
/// and so is one after a backslash where backslashes escape.
fn quoted(text: &str, open: usize, quote: char, escapes: bool) -> usize {
    let mut characters = text[open + 1..].char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        if escapes && character == '\\' {
            characters.next();
        } else if character == quote && characters.next_if(|(_, next)| *next == quote).is_none() {
            return open + 1 + at + 1;
        }
    }
    text.len()
}

/// `$tag$ .. $tag$`.
fn dollar_quoted(text: &str) -> Option<usize> {
    let close = text[1..].find('$')? + 2;
    let tag = &text[..close];
    let inner = &tag[1..close - 1];
    let is_tag = inner.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !inner.starts_with(|c: char| c.is_ascii_digit());
    is_tag.then(|| {
        text[close..]
            .find(tag)
            .map_or(text.len(), |at| close + at + close)
    })
}

fn number(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let exponent = matches!(byte, b'e' | b'E')
            && (bytes.get(at + 1).is_some_and(u8::is_ascii_digit)
                || (matches!(bytes.get(at + 1), Some(b'+' | b'-'))
                    && bytes.get(at + 2).is_some_and(u8::is_ascii_digit)));
        match byte {
            b'0'..=b'9' | b'.' => at += 1,
            _ if exponent => at += 2,
            _ => break,
        }
    }
    at
}

#[cfg(test)]
mod tests;
