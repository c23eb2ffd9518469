//! The text of a query string and its tokens.
//!
//! Tokens carry their place as characters from 1, in the column of line 1: that is what Postgres reports, and what
//! every span of the AST then says.

use crate::error::PlanError;
use crate::planner::too_deep;
use everview_repr::SqlState;
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer, TokenizerError, Word};

/// How far apart the known pairs of characters and bytes are.
const STRIDE: usize = 1024;

/// A text in which places are found in constant time.
pub(crate) struct Source<'t> {
    text: &'t str,
    /// Characters before each line.
    lines: Vec<usize>,
    /// Bytes before every [`STRIDE`]th character; none where all characters are single bytes.
    bytes: Option<Vec<usize>>,
}

impl<'t> Source<'t> {
    pub fn new(text: &'t str) -> Source<'t> {
        let mut lines = vec![0];
        if text.is_ascii() {
            lines.extend(memchr::memchr_iter(b'\n', text.as_bytes()).map(|i| i + 1));
            return Source {
                text,
                lines,
                bytes: None,
            };
        }
        let mut bytes = Vec::new();
        for (i, (at, c)) in text.char_indices().enumerate() {
            if i % STRIDE == 0 {
                bytes.push(at);
            }
            if c == '\n' {
                lines.push(i + 1);
            }
        }
        Source {
            text,
            lines,
            bytes: Some(bytes),
        }
    }

    /// The character, from 1, at a location of the tokenizer.
    fn offset(&self, location: Location) -> usize {
        let line = (location.line as usize)
            .saturating_sub(1)
            .min(self.lines.len() - 1);
        self.lines[line] + (location.column as usize).max(1)
    }

    /// The text from one character to another, from 1, the end exclusive.
    pub fn slice(&self, start: usize, end: usize) -> &'t str {
        let (start, end) = (self.byte(start), self.byte(end));
        self.text.get(start..end.max(start)).unwrap_or("")
    }

    fn byte(&self, character: usize) -> usize {
        let character = character.saturating_sub(1);
        match &self.bytes {
            None => character.min(self.text.len()),
            Some(bytes) => {
                let Some(&from) = bytes.get(character / STRIDE) else {
                    return self.text.len();
                };
                let mut rest = self.text[from..].char_indices();
                rest.nth(character % STRIDE)
                    .map_or(self.text.len(), |(i, _)| from + i)
            }
        }
    }

    /// The tokens without white space.
    pub fn tokenize(&self) -> Result<Vec<TokenWithSpan>, PlanError> {
        let dialect = PostgreSqlDialect {};
        let tokens = Tokenizer::new(&dialect, self.text)
            .with_unescape(true)
            .tokenize_with_location();
        let tokens = tokens.map_err(|e| self.tokenizer_error(e))?;
        let mut out = Vec::with_capacity(tokens.len() / 2 + 1);
        for token in tokens {
            if matches!(token.token, Token::Whitespace(_) | Token::EOF) {
                continue;
            }
            let place = |l| Location {
                line: 1,
                column: self.offset(l) as u64,
            };
            let span = Span {
                start: place(token.span.start),
                end: place(token.span.end),
            };
            out.push(TokenWithSpan {
                token: token.token,
                span,
            });
        }
        Ok(out)
    }

    fn tokenizer_error(&self, error: TokenizerError) -> PlanError {
        let at = self.offset(error.location);
        let message = error.message.as_str();
        let what = if message.contains("string literal") || message.contains("string constant") {
            "unterminated quoted string"
        } else if message.contains("close delimiter") || message.contains("quoted identifier") {
            "unterminated quoted identifier"
        } else if message.contains("comment") {
            "unterminated /* comment"
        } else if message.contains("dollar") {
            "unterminated dollar-quoted string"
        } else {
            let near: String = self.slice(at, at + 1).to_string();
            return PlanError::syntax(format!("syntax error at or near \"{near}\"")).at(Some(at));
        };
        let rest = self.slice(at, at + 200);
        let near = rest.lines().next().unwrap_or("");
        let near = if rest.len() >= 200 {
            near.chars().take(60).collect::<String>()
        } else {
            near.to_string()
        };
        PlanError::new(
            SqlState::SYNTAX_ERROR,
            format!("{what} at or near \"{near}\""),
        )
        .at(Some(at))
    }
}

/// The tokens of each statement that is not empty.
pub(crate) fn split(tokens: Vec<TokenWithSpan>) -> impl Iterator<Item = Vec<TokenWithSpan>> {
    let mut rest = tokens.into_iter().peekable();
    std::iter::from_fn(move || {
        loop {
            rest.peek()?;
            let mut statement = Vec::new();
            for token in rest.by_ref() {
                if token.token == Token::SemiColon {
                    break;
                }
                statement.push(token);
            }
            if !statement.is_empty() {
                return Some(statement);
            }
        }
    })
}

/// Where some tokens start, and end exclusive.
pub(crate) fn extent(tokens: &[TokenWithSpan]) -> (usize, usize) {
    let start = tokens.first().map_or(1, |t| t.span.start.column as usize);
    let end = tokens.last().map_or(start, |t| t.span.end.column as usize);
    (start, end)
}

/// Where a token is, for the place of an operator.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    /// Where it starts: characters from 1.
    pub start: usize,
    /// It is a closing parenthesis.
    pub closes: bool,
}

/// The places of tokens, in order.
pub(crate) fn marks(tokens: &[TokenWithSpan]) -> Vec<Mark> {
    let mark = |t: &TokenWithSpan| Mark {
        start: t.span.start.column as usize,
        closes: t.token == Token::RParen,
    };
    tokens.iter().map(mark).collect()
}

/// How deep parentheses nest at most.
const MAX_NESTING: usize = 120;
/// How long a chain of operators can be: its tree is as deep as it is long.
const MAX_CHAIN: usize = 20_000;

/// Refuses what would nest too deeply, before anything recurses over it: the length of the longest chain.
pub(crate) fn check_depth(tokens: &[TokenWithSpan]) -> Result<usize, PlanError> {
    let mut open: Vec<usize> = Vec::new();
    let mut chain = 0;
    let mut prefix = 0;
    let mut longest = 0;
    for TokenWithSpan { token, span } in tokens {
        prefix = if is_prefix(token) { prefix + 1 } else { 0 };
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => {
                open.push(std::mem::take(&mut chain));
            }
            Token::RParen | Token::RBracket | Token::RBrace => chain = open.pop().unwrap_or(0) + 1,
            Token::Comma => chain = 0,
            Token::Word(Word {
                value,
                quote_style: None,
                ..
            }) if value.eq_ignore_ascii_case("case") => {
                open.push(std::mem::take(&mut chain));
            }
            Token::Word(Word {
                value,
                quote_style: None,
                ..
            }) if value.eq_ignore_ascii_case("end") => {
                chain = open.pop().unwrap_or(0) + 1;
            }
            _ => chain += 1,
        }
        if open.len() > MAX_NESTING || chain > MAX_CHAIN || prefix > MAX_NESTING {
            return Err(too_deep().at(Some(span.start.column as usize)));
        }
        longest = longest.max(chain);
    }
    Ok(longest)
}

/// Runs what recurses over a tree as deep as a chain is long, with a stack for it: Rust drops and compares trees by
/// recursion.
pub(crate) fn with_stack<T>(chain: usize, f: impl FnOnce() -> T) -> T {
    if chain > 150 {
        stacker::grow((2 << 20) + chain * 4096, f)
    } else {
        stacker::maybe_grow(512 << 10, 8 << 20, f)
    }
}

/// Tokens that open a level without a parenthesis: prefix operators, and NOT.
fn is_prefix(token: &Token) -> bool {
    match token {
        Token::Minus | Token::Plus | Token::Tilde | Token::AtSign | Token::ExclamationMark => true,
        Token::Word(Word {
            value,
            quote_style: None,
            ..
        }) => value.eq_ignore_ascii_case("not") || value.eq_ignore_ascii_case("explain"),
        _ => false,
    }
}
