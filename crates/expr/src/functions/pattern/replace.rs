//! regexp_replace, regexp_count, regexp_instr, regexp_substr (manual, section 9.7.3).

use super::regex::{Found, Regex, compile, split_global};
use crate::functions::Declarations;
use crate::functions::string::offset;
use crate::limit::within;
use crate::registry::{Eval, FunctionDesc};
use crate::value::{FromDatum, eval, mismatch};
use everview_repr::{Datum, EvalError, SqlState};

fn bad_parameter(name: &str, value: i32) -> EvalError {
    let message = format!("invalid value for parameter \"{name}\": {value}");
    EvalError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// The replacement of one match: `\1` to `\9` are groups, `\&` the whole, `\\` a backslash.
fn push_replacement(
    out: &mut String,
    s: &str,
    replacement: &str,
    found: &Found,
) -> Result<(), EvalError> {
    let mut chars = replacement.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.peek() {
            Some(d @ '1'..='9') => {
                let group = *d as usize - '1' as usize;
                if let Some(Some((start, end))) = found.groups.get(group) {
                    out.push_str(&s[*start..*end]);
                    within(out.len())?;
                }
                chars.next();
            }
            Some('&') => {
                out.push_str(&s[found.start..found.end]);
                within(out.len())?;
                chars.next();
            }
            Some('\\') => {
                out.push('\\');
                chars.next();
            }
            _ => out.push('\\'),
        }
    }
    within(out.len())
}

/// Replaces the n-th match from a byte on; all for 0.
fn replace(
    s: &str,
    regex: &Regex,
    replacement: &str,
    from: usize,
    n: usize,
) -> Result<String, EvalError> {
    let mut out = String::with_capacity(s.len());
    let mut copied = 0;
    for (i, found) in regex.find_all(s, from).enumerate() {
        if n != 0 && i + 1 != n {
            continue;
        }
        out.push_str(&s[copied..found.start]);
        push_replacement(&mut out, s, replacement, &found)?;
        copied = found.end;
        if n != 0 {
            break;
        }
    }
    out.push_str(&s[copied..]);
    Ok(out)
}

fn regexp_replace(s: &str, pattern: &str, new: &str, flags: &str) -> Result<String, EvalError> {
    if flags.starts_with(|c: char| c.is_ascii_digit()) {
        let first = flags.chars().next().unwrap_or('0');
        let message = format!("invalid regular expression option: \"{first}\"");
        return Err(EvalError::new(SqlState::INVALID_PARAMETER_VALUE, message).with_hint(
            "If you meant to use regexp_replace() with a start parameter, cast the fourth argument to integer explicitly.",
        ));
    }
    let (flags, global) = split_global(flags);
    let regex = compile(pattern, &flags)?;
    replace(s, &regex, new, 0, usize::from(!global))
}

/// Positions, counts and flags of the functions that take them, with their defaults.
struct Search<'a> {
    s: &'a str,
    pattern: &'a str,
    rest: &'a [Datum<'a>],
}

impl<'a> Search<'a> {
    fn new<'d: 'a>(args: &'a [Datum<'d>]) -> Result<Search<'a>, EvalError> {
        match args {
            [s, pattern, rest @ ..] => Ok(Search {
                s: FromDatum::from_datum(*s)?,
                pattern: FromDatum::from_datum(*pattern)?,
                rest,
            }),
            _ => Err(mismatch()),
        }
    }

    /// An integer argument that must be at least `least`.
    fn number(&self, at: usize, name: &str, default: i32, least: i32) -> Result<i32, EvalError> {
        let value = match self.rest.get(at) {
            Some(datum) => i32::from_datum(*datum)?,
            None => default,
        };
        if value < least {
            Err(bad_parameter(name, value))
        } else {
            Ok(value)
        }
    }

    /// The byte where the search starts; beyond the string there is none.
    fn start(&self, at: usize) -> Result<Option<usize>, EvalError> {
        let start = self.number(at, "start", 1, 1)? as usize - 1;
        let beyond = start > self.s.chars().count();
        Ok((!beyond).then(|| offset(self.s, start)))
    }

    fn regex(&self, at: usize, function: &str) -> Result<std::sync::Arc<Regex>, EvalError> {
        let flags = match self.rest.get(at) {
            Some(datum) => <&str>::from_datum(*datum)?,
            None => "",
        };
        if flags.contains('g') {
            let message = format!("{function}() does not support the \"global\" option");
            return Err(EvalError::new(SqlState::INVALID_PARAMETER_VALUE, message));
        }
        compile(self.pattern, flags)
    }

    /// The n-th match.
    fn nth(&self, regex: &Regex, start: Option<usize>, n: i32) -> Option<Found> {
        regex.find_all(self.s, start?).nth(n as usize - 1)
    }
}

/// The bounds of a group of a match, 0 for the whole.
fn group(found: &Found, n: i32) -> Option<(usize, usize)> {
    match n {
        0 => Some((found.start, found.end)),
        n => found.groups.get(n as usize - 1).copied().flatten(),
    }
}

fn count<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, EvalError> {
    let search = Search::new(args)?;
    let start = search.start(0)?;
    let regex = search.regex(1, "regexp_count")?;
    let count = start.map_or(0, |start| regex.find_all(search.s, start).count());
    Ok(Datum::Int32(count as i32))
}

fn instr<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, EvalError> {
    let search = Search::new(args)?;
    let start = search.start(0)?;
    let n = search.number(1, "n", 1, 1)?;
    let end = search.number(2, "endoption", 0, 0)?;
    if end > 1 {
        return Err(bad_parameter("endoption", end));
    }
    let regex = search.regex(3, "regexp_instr")?;
    let part = search.number(4, "subexpr", 0, 0)?;
    let found = search
        .nth(&regex, start, n)
        .and_then(|found| group(&found, part));
    let position = found.map_or(0, |(from, to)| {
        let at = if end == 1 { to } else { from };
        search.s[..at].chars().count() as i32 + 1
    });
    Ok(Datum::Int32(position))
}

fn substr<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, EvalError> {
    let Some(Datum::Text(s)) = args.first().copied() else {
        return Err(mismatch());
    };
    let search = Search::new(args)?;
    let start = search.start(0)?;
    let n = search.number(1, "n", 1, 1)?;
    let regex = search.regex(2, "regexp_substr")?;
    let part = search.number(3, "subexpr", 0, 0)?;
    let found = search
        .nth(&regex, start, n)
        .and_then(|found| group(&found, part));
    Ok(found.map_or(Datum::Null, |(from, to)| Datum::Text(&s[from..to])))
}

fn replace_from<'a>(
    args: &[Datum<'a>],
    arena: &'a everview_repr::RowArena,
) -> Result<Datum<'a>, EvalError> {
    let [s, pattern, new, start, rest @ ..] = args else {
        return Err(mismatch());
    };
    let s = <&str>::from_datum(*s)?;
    let start = i32::from_datum(*start)?;
    if start < 1 {
        return Err(bad_parameter("start", start));
    }
    let n = rest.first().map_or(Ok(1), |n| i32::from_datum(*n))?;
    if n < 0 {
        return Err(bad_parameter("n", n));
    }
    let (flags, global) = match rest.get(1) {
        Some(flags) => split_global(FromDatum::from_datum(*flags)?),
        None => (String::new(), false),
    };
    // With an explicit n the flag g has no say.
    let n = if rest.is_empty() && global {
        0
    } else {
        n as usize
    };
    let regex = compile(FromDatum::from_datum(*pattern)?, &flags)?;
    let from = offset(s, start as usize - 1);
    let out = replace(s, &regex, FromDatum::from_datum(*new)?, from, n)?;
    Ok(Datum::Text(arena.string(out)))
}

/// One declaration for each number of arguments that may be left out.
fn declare_optional(
    out: &mut Declarations,
    name: &'static str,
    params: &[&str],
    required: usize,
    returns: &str,
    doc: &'static str,
    eval: Eval,
) {
    for count in required..=params.len() {
        let signature = format!("{} -> {returns}", params[..count].join(", "));
        out.push(FunctionDesc::new(name, &signature, doc, eval).nullable());
    }
}

pub(super) fn declare(out: &mut Declarations) {
    let doc = "The first match (all, with flag g) of a regular expression replaced.";
    let eval: Eval = eval!(|s: &str, p: &str, new: &str| regexp_replace(s, p, new, ""));
    out.push(FunctionDesc::new(
        "regexp_replace",
        "text, text, text -> text",
        doc,
        eval,
    ));
    let eval: Eval =
        eval!(|s: &str, p: &str, new: &str, flags: &str| regexp_replace(s, p, new, flags));
    out.push(FunctionDesc::new(
        "regexp_replace",
        "text, text, text, text -> text",
        doc,
        eval,
    ));
    let doc = "The n-th match (all, for 0) from a position on replaced.";
    let params = ["text", "text", "text", "int4", "int4", "text"];
    declare_optional(
        out,
        "regexp_replace",
        &params,
        4,
        "text",
        doc,
        |_, args, arena| replace_from(args, arena),
    );
    let doc = "How often a regular expression matches.";
    let params = ["text", "text", "int4", "text"];
    declare_optional(
        out,
        "regexp_count",
        &params,
        2,
        "int4",
        doc,
        |_, args, _| count(args),
    );
    let doc = "Where the n-th match of a regular expression starts, or ends.";
    let params = ["text", "text", "int4", "int4", "int4", "text", "int4"];
    declare_optional(
        out,
        "regexp_instr",
        &params,
        2,
        "int4",
        doc,
        |_, args, _| instr(args),
    );
    let doc = "The n-th match of a regular expression, or a group of it.";
    let params = ["text", "text", "int4", "int4", "text", "int4"];
    declare_optional(
        out,
        "regexp_substr",
        &params,
        2,
        "text",
        doc,
        |_, args, _| substr(args),
    );
}
