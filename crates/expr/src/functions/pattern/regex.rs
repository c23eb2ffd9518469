//! Compiled regular expressions, and the functions that search with them.
//!
//! Postgres matches as POSIX does: of the matches that start first, the longest, or the shortest where the
//! expression as a whole is not greedy. The `regex` crate prefers as Perl does: its start is right and its end may
//! not be, so where it matters the end is found by a second search, anchored there, that knows all ends. How a match
//! is divided among its groups stays Perl's choice: the first alternative that leads to that end.

use super::translate::{Translated, invalid, translate};
use crate::functions::Declarations;
use crate::functions::string_parts::text_array;
use crate::registry::{Eval, FunctionDesc};
use crate::value::{OwnedArray, eval};
use everview_repr::{EvalError, SqlState};
use regex_automata::nfa::thompson::pikevm::{self, PikeVM};
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

/// The most compiled expressions that a thread keeps.
const CACHE: usize = 64;

/// A compiled expression.
pub(crate) struct Regex {
    regex: regex::Regex,
    /// Where the end that the crate prefers may not be Postgres's.
    ends: Option<Ends>,
}

/// Finds the end of a match that starts at a known place, as POSIX has it.
struct Ends {
    /// Knows all ends of matches at a place.
    all: PikeVM,
    /// The expression up to the end of the text, for the groups of a match whose end is known.
    whole: regex::Regex,
    shortest: bool,
}

/// One match: the whole, and the parts in parentheses.
pub(crate) struct Found {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// The groups' bounds; `None` where a group took no part.
    pub(crate) groups: Vec<Option<(usize, usize)>>,
}

impl Regex {
    fn new(pattern: &str, flags: &str) -> Result<Regex, EvalError> {
        let translated = translate(pattern, flags)?;
        let Translated { text, options, .. } = &translated;
        let build = |text: &str| {
            regex::RegexBuilder::new(text)
                .case_insensitive(options.insensitive)
                .dot_matches_new_line(!options.dot_stops)
                .multi_line(options.anchors_at_lines)
                .build()
                .map_err(|e| match e {
                    regex::Error::CompiledTooBig(_) => invalid("regular expression is too complex"),
                    _ => invalid("invalid regexp"),
                })
        };
        let regex = build(text)?;
        let ends = if translated.ambiguous {
            let syntax = syntax::Config::new()
                .case_insensitive(options.insensitive)
                .dot_matches_new_line(!options.dot_stops)
                .multi_line(options.anchors_at_lines);
            let all = PikeVM::builder()
                .configure(pikevm::Config::new().match_kind(MatchKind::All))
                .syntax(syntax)
                .build(text)
                .map_err(|_| invalid("invalid regexp"))?;
            let whole = build(&format!(r"\A(?:{text})\z"))?;
            Some(Ends {
                all,
                whole,
                shortest: translated.shortest,
            })
        } else {
            None
        };
        Ok(Regex { regex, ends })
    }

    pub(crate) fn is_match(&self, s: &str) -> bool {
        self.regex.is_match(s)
    }

    /// The first match at or after a byte: of those that start first, the longest, or the shortest where the
    /// expression prefers that.
    pub(crate) fn find_at(&self, s: &str, from: usize) -> Option<Found> {
        let captures = self.regex.captures_at(s, from)?;
        let whole = captures.get(0)?;
        let bounds = |c: &regex::Captures<'_>, offset: usize| -> Vec<_> {
            let bound = |m: regex::Match<'_>| (m.start() + offset, m.end() + offset);
            c.iter().skip(1).map(|g| g.map(bound)).collect()
        };
        let (start, end) = (whole.start(), whole.end());
        let found = Found {
            start,
            end,
            groups: bounds(&captures, 0),
        };
        let Some(ends) = &self.ends else {
            return Some(found);
        };
        let end = ends.at(s, start).unwrap_or(end);
        if end == found.end {
            return Some(found);
        }
        // The groups are those of a match of just this part.
        let groups = match ends.whole.captures(&s[start..end]) {
            Some(captures) => bounds(&captures, start),
            None => found.groups,
        };
        Some(Found { start, end, groups })
    }

    /// Matches one after the other, as `regexp_matches(.., 'g')` finds them: after an empty one, the search goes
    /// on a character later.
    pub(crate) fn find_all<'s>(
        &'s self,
        s: &'s str,
        from: usize,
    ) -> impl Iterator<Item = Found> + 's {
        let mut next = Some(from);
        std::iter::from_fn(move || {
            let found = self.find_at(s, next?)?;
            next = if found.end > found.start {
                Some(found.end)
            } else {
                let step = s[found.end..].chars().next();
                step.map(|c| found.end + c.len_utf8())
            };
            Some(found)
        })
    }

    /// `substring`: the first group if there is one, else the whole match.
    pub(crate) fn first_part<'s>(&self, s: &'s str) -> Option<&'s str> {
        let found = self.find_at(s, 0)?;
        match found.groups.first() {
            Some(group) => group.map(|(start, end)| &s[start..end]),
            None => Some(&s[found.start..found.end]),
        }
    }
}

impl Ends {
    /// The end of the match that starts at a byte.
    fn at(&self, s: &str, start: usize) -> Option<usize> {
        let input = Input::new(s)
            .range(start..)
            .anchored(Anchored::Yes)
            .earliest(self.shortest);
        let mut slots = [None, None];
        self.all
            .search_slots(&mut self.all.create_cache(), &input, &mut slots)?;
        slots[1].map(|end| end.get())
    }
}

/// The compiled expression, from the thread's cache.
pub(crate) fn compile(pattern: &str, flags: &str) -> Result<Arc<Regex>, EvalError> {
    thread_local! {
        static COMPILED: RefCell<HashMap<String, Arc<Regex>>> = RefCell::new(HashMap::new());
    }
    let key = [flags, "/", pattern].concat();
    COMPILED.with_borrow_mut(|cache| {
        if let Some(regex) = cache.get(&key) {
            return Ok(regex.clone());
        }
        let regex = Arc::new(Regex::new(pattern, flags)?);
        if cache.len() >= CACHE {
            cache.clear();
        }
        cache.insert(key, regex.clone());
        Ok(regex)
    })
}

/// Flags without `g`, and whether it was there.
pub(crate) fn split_global(flags: &str) -> (String, bool) {
    (flags.replace('g', ""), flags.contains('g'))
}

/// 22023 where `g` makes no sense.
fn refuse_global(flags: &str, function: &str) -> Result<(), EvalError> {
    if !flags.contains('g') {
        return Ok(());
    }
    let message = format!("{function}() does not support the \"global\" option");
    let error = EvalError::new(SqlState::INVALID_PARAMETER_VALUE, message);
    Err(if function == "regexp_match" {
        error.with_hint("Use the regexp_matches function instead.")
    } else {
        error
    })
}

/// The parts of a match that `regexp_match` gives: the groups, or the whole if there are none.
pub(crate) fn parts(s: &str, found: &Found) -> OwnedArray {
    if found.groups.is_empty() {
        return text_array([Some(&s[found.start..found.end])]);
    }
    text_array(
        found
            .groups
            .iter()
            .map(|g| g.map(|(start, end)| &s[start..end])),
    )
}

fn regexp_match(s: &str, pattern: &str, flags: &str) -> Result<Option<OwnedArray>, EvalError> {
    refuse_global(flags, "regexp_match")?;
    let regex = compile(pattern, flags)?;
    Ok(regex.find_at(s, 0).map(|found| parts(s, &found)))
}

fn regexp_like(s: &str, pattern: &str, flags: &str) -> Result<bool, EvalError> {
    refuse_global(flags, "regexp_like")?;
    Ok(compile(pattern, flags)?.is_match(s))
}

/// Pieces between matches. Empty matches at the start, at the end or just after another match split nothing.
pub(crate) fn split<'s>(s: &'s str, regex: &Regex) -> Vec<&'s str> {
    let mut pieces = Vec::new();
    let mut from = 0;
    for found in regex.find_all(s, 0) {
        let empty = found.end == found.start;
        if empty && (found.start == from || found.start == s.len()) {
            continue;
        }
        pieces.push(&s[from..found.start]);
        from = found.end;
    }
    pieces.push(&s[from..]);
    pieces
}

fn split_to_array(s: &str, pattern: &str, flags: &str) -> Result<OwnedArray, EvalError> {
    refuse_global(flags, "regexp_split_to_array")?;
    let regex = compile(pattern, flags)?;
    Ok(text_array(split(s, &regex).into_iter().map(Some)))
}

pub(super) fn declare(out: &mut Declarations) {
    let doc = "The part of a string that matches a regular expression, or its first group.";
    let eval: Eval = eval!(|s: &str, p: &str| compile(p, "").map(|r| r.first_part(s)));
    out.push(FunctionDesc::new("substring", "text, text -> text", doc, eval).nullable());
    let doc = "The groups of the first match.";
    let eval: Eval = eval!(|s: &str, p: &str| regexp_match(s, p, ""));
    out.push(FunctionDesc::new("regexp_match", "text, text -> text[]", doc, eval).nullable());
    let eval: Eval = eval!(|s: &str, p: &str, flags: &str| regexp_match(s, p, flags));
    out.push(FunctionDesc::new("regexp_match", "text, text, text -> text[]", doc, eval).nullable());
    let doc = "Whether a regular expression matches.";
    let eval: Eval = eval!(|s: &str, p: &str| regexp_like(s, p, ""));
    out.push(FunctionDesc::new(
        "regexp_like",
        "text, text -> bool",
        doc,
        eval,
    ));
    let eval: Eval = eval!(|s: &str, p: &str, flags: &str| regexp_like(s, p, flags));
    out.push(FunctionDesc::new(
        "regexp_like",
        "text, text, text -> bool",
        doc,
        eval,
    ));
    let doc = "The pieces between the matches of a regular expression.";
    let eval: Eval = eval!(|s: &str, p: &str| split_to_array(s, p, ""));
    out.push(FunctionDesc::new(
        "regexp_split_to_array",
        "text, text -> text[]",
        doc,
        eval,
    ));
    let eval: Eval = eval!(|s: &str, p: &str, flags: &str| split_to_array(s, p, flags));
    out.push(FunctionDesc::new(
        "regexp_split_to_array",
        "text, text, text -> text[]",
        doc,
        eval,
    ));
}
