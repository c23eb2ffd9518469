//! COPY's options, with PostgreSQL's checks in PostgreSQL's order (ProcessCopyOptions).

use super::column_positions;
use crate::error::PlanError;
use crate::parse::{CopyOption, CopyValue};
use crate::plan::{CopyEncoding, CopyHeader, CopyOptions};
use everview_repr::{RelationDesc, SqlState};

/// Options that have been read; columns are still to be looked up.
pub(super) struct Options<'o> {
    options: CopyOptions,
    /// FREEZE.
    pub freeze: bool,
    force_quote: Option<&'o CopyValue>,
    force_not_null: Option<&'o CopyValue>,
    force_null: Option<&'o CopyValue>,
}

/// What was given, as it was given.
#[derive(Default)]
struct Given<'o> {
    csv: Option<bool>,
    freeze: Option<bool>,
    delimiter: Option<String>,
    null: Option<String>,
    header: Option<CopyHeader>,
    quote: Option<String>,
    escape: Option<String>,
    force_quote: Option<&'o CopyValue>,
    force_not_null: Option<&'o CopyValue>,
    force_null: Option<&'o CopyValue>,
    encoding: Option<CopyEncoding>,
}

impl<'o> Options<'o> {
    /// Reads and checks options of COPY TO or FROM.
    pub fn read(options: &'o [CopyOption], to: bool) -> Result<Options<'o>, PlanError> {
        let mut given = Given::default();
        for option in options {
            given.take(option, to)?;
        }
        given.check(to)
    }

    /// With the columns of a query.
    pub fn of_query(self, desc: &RelationDesc) -> Result<CopyOptions, PlanError> {
        let all: Vec<usize> = (0..desc.arity()).collect();
        self.of_table(None, desc, &all)
    }

    /// With those columns of a table that are copied.
    pub fn of_table(
        self,
        relation: Option<&str>,
        desc: &RelationDesc,
        copied: &[usize],
    ) -> Result<CopyOptions, PlanError> {
        let columns = |what: &str, value| columns(what, value, relation, desc, copied);
        Ok(CopyOptions {
            force_quote: columns("FORCE_QUOTE", self.force_quote)?,
            force_not_null: columns("FORCE_NOT_NULL", self.force_not_null)?,
            force_null: columns("FORCE_NULL", self.force_null)?,
            ..self.options
        })
    }
}

impl<'o> Given<'o> {
    fn take(&mut self, option: &'o CopyOption, to: bool) -> Result<(), PlanError> {
        match option.name.as_str() {
            "format" => once(&mut self.csv, option, || format(option)),
            "freeze" => once(&mut self.freeze, option, || {
                boolean(option).ok_or_else(|| {
                    PlanError::syntax(format!("{} requires a Boolean value", option.name))
                })
            }),
            "delimiter" => once(&mut self.delimiter, option, || text(option)),
            "null" => once(&mut self.null, option, || text(option)),
            "header" => once(&mut self.header, option, || header(option, to)),
            "quote" => once(&mut self.quote, option, || text(option)),
            "escape" => once(&mut self.escape, option, || text(option)),
            "force_quote" => once(&mut self.force_quote, option, || list(option, true)),
            "force_not_null" => once(&mut self.force_not_null, option, || list(option, false)),
            "force_null" => once(&mut self.force_null, option, || list(option, false)),
            "encoding" => once(&mut self.encoding, option, || encoding(option)),
            other => {
                let message = format!("option \"{other}\" not recognized");
                Err(PlanError::syntax(message).at(option.position))
            }
        }
    }

    fn check(self, to: bool) -> Result<Options<'o>, PlanError> {
        let csv = self.csv.unwrap_or(false);
        let delimiter = self
            .delimiter
            .as_deref()
            .unwrap_or(if csv { "," } else { "\t" });
        let null = self
            .null
            .unwrap_or(if csv { "" } else { "\\N" }.to_string());
        let delimiter = one_byte(delimiter, "delimiter")?;
        if [b'\n', b'\r'].contains(&delimiter) {
            return Err(invalid(
                "COPY delimiter cannot be newline or carriage return",
            ));
        }
        if null.contains(['\n', '\r']) {
            let message = "COPY null representation cannot use newline or carriage return";
            return Err(invalid(message));
        }
        if !csv && b"\\.abcdefghijklmnopqrstuvwxyz0123456789".contains(&delimiter) {
            let message = format!("COPY delimiter cannot be \"{}\"", char::from(delimiter));
            return Err(invalid(message));
        }
        csv_only(csv, self.quote.is_some(), "quote")?;
        let quote = one_byte(self.quote.as_deref().unwrap_or("\""), "quote")?;
        if csv && delimiter == quote {
            return Err(invalid("COPY delimiter and quote must be different"));
        }
        csv_only(csv, self.escape.is_some(), "escape")?;
        let escape = self.escape.map(|e| one_byte(&e, "escape")).transpose()?;
        for (given, what, needs_to) in [
            (self.force_quote, "force quote", true),
            (self.force_not_null, "force not null", false),
            (self.force_null, "force null", false),
        ] {
            csv_only(csv, given.is_some(), what)?;
            if given.is_some() && needs_to != to {
                let direction = if needs_to { "TO" } else { "FROM" };
                let message = format!("COPY {what} only available using COPY {direction}");
                return Err(refused(message));
            }
        }
        if null.as_bytes().contains(&delimiter) {
            return Err(refused(
                "COPY delimiter must not appear in the NULL specification",
            ));
        }
        if csv && null.as_bytes().contains(&quote) {
            return Err(refused(
                "CSV quote character must not appear in the NULL specification",
            ));
        }
        let options = CopyOptions {
            csv,
            encoding: self.encoding.unwrap_or(CopyEncoding::Utf8),
            delimiter,
            null,
            header: self.header.unwrap_or(CopyHeader::None),
            quote,
            escape: escape.unwrap_or(quote),
            force_quote: vec![],
            force_not_null: vec![],
            force_null: vec![],
        };
        Ok(Options {
            options,
            freeze: self.freeze.unwrap_or(false),
            force_quote: self.force_quote,
            force_not_null: self.force_not_null,
            force_null: self.force_null,
        })
    }
}

fn once<T>(
    slot: &mut Option<T>,
    option: &CopyOption,
    value: impl FnOnce() -> Result<T, PlanError>,
) -> Result<(), PlanError> {
    if slot.is_some() {
        return Err(PlanError::syntax("conflicting or redundant options").at(option.position));
    }
    *slot = Some(value()?);
    Ok(())
}

fn invalid(message: impl Into<String>) -> PlanError {
    PlanError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn refused(message: impl Into<String>) -> PlanError {
    PlanError::new(SqlState::FEATURE_NOT_SUPPORTED, message)
}

fn csv_only(csv: bool, given: bool, what: &str) -> Result<(), PlanError> {
    match given && !csv {
        true => Err(refused(format!("COPY {what} available only in CSV mode"))),
        false => Ok(()),
    }
}

fn one_byte(text: &str, what: &str) -> Result<u8, PlanError> {
    match text.as_bytes() {
        [byte] => Ok(*byte),
        _ => Err(refused(format!(
            "COPY {what} must be a single one-byte character"
        ))),
    }
}

fn text(option: &CopyOption) -> Result<String, PlanError> {
    match &option.value {
        CopyValue::Text(text) => Ok(text.clone()),
        _ => Err(PlanError::syntax(format!(
            "{} requires a parameter",
            option.name
        ))),
    }
}

fn format(option: &CopyOption) -> Result<bool, PlanError> {
    match text(option)?.as_str() {
        "csv" => Ok(true),
        "text" => Ok(false),
        "binary" => Err(PlanError::unsupported("COPY with FORMAT binary").at(option.position)),
        other => {
            Err(invalid(format!("COPY format \"{other}\" not recognized")).at(option.position))
        }
    }
}

fn boolean(option: &CopyOption) -> Option<bool> {
    match &option.value {
        CopyValue::None => Some(true),
        CopyValue::Text(text) => match text.to_lowercase().as_str() {
            "true" | "on" | "1" => Some(true),
            "false" | "off" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn header(option: &CopyOption, to: bool) -> Result<CopyHeader, PlanError> {
    match (boolean(option), &option.value) {
        (Some(true), _) => Ok(CopyHeader::Skip),
        (Some(false), _) => Ok(CopyHeader::None),
        (None, CopyValue::Text(text)) if text.eq_ignore_ascii_case("match") => match to {
            true => Err(refused(format!(
                "cannot use \"{text}\" with HEADER in COPY TO"
            ))),
            false => Ok(CopyHeader::Match),
        },
        _ => Err(PlanError::syntax(
            "header requires a Boolean value or \"match\"",
        )),
    }
}

/// Names of encodings, in lower case and without what is no letter or digit.
const LATIN1: [&str; 2] = ["latin1", "iso88591"];
const UTF8: [&str; 2] = ["utf8", "unicode"];
/// Encodings that PostgreSQL has and Everview does not, by how their names begin.
const OTHERS: [&str; 18] = [
    "sqlascii", "abc", "alt", "big5", "euc", "gb", "iso8859", "johab", "koi8", "latin", "mskanji",
    "mule", "shiftjis", "sjis", "tcvn", "uhc", "vscii", "win",
];

fn encoding(option: &CopyOption) -> Result<CopyEncoding, PlanError> {
    let name = text(option)?;
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let plain = plain.to_ascii_lowercase();
    if UTF8.contains(&plain.as_str()) {
        Ok(CopyEncoding::Utf8)
    } else if LATIN1.contains(&plain.as_str()) {
        Ok(CopyEncoding::Latin1)
    } else if OTHERS.iter().any(|other| plain.starts_with(other)) {
        let hint = "UTF8 and LATIN1 are.";
        let error = PlanError::unsupported(format!("COPY with ENCODING '{name}'"));
        Err(error.with_hint(hint).at(option.position))
    } else {
        let message = "argument to option \"encoding\" must be a valid encoding name";
        Err(invalid(message).at(option.position))
    }
}

fn list(option: &CopyOption, star: bool) -> Result<&CopyValue, PlanError> {
    match &option.value {
        CopyValue::Star if star => Ok(&option.value),
        CopyValue::Columns(_) => Ok(&option.value),
        _ => {
            let name = &option.name;
            let message = format!("argument to option \"{name}\" must be a list of column names");
            Err(invalid(message).at(option.position))
        }
    }
}

/// Positions, among the columns copied, of those that an option names.
fn columns(
    what: &str,
    value: Option<&CopyValue>,
    relation: Option<&str>,
    desc: &RelationDesc,
    copied: &[usize],
) -> Result<Vec<usize>, PlanError> {
    let named = match value {
        Some(CopyValue::Columns(columns)) => column_positions(desc, relation, columns)?,
        Some(CopyValue::Star) => copied.to_vec(),
        _ => vec![],
    };
    let position = |column: &usize| {
        copied.iter().position(|c| c == column).ok_or_else(|| {
            let name = &desc.columns[*column].name;
            let message = format!("{what} column \"{name}\" not referenced by COPY");
            PlanError::new(SqlState::INVALID_COLUMN_REFERENCE, message)
        })
    };
    named.iter().map(position).collect()
}
