//! A session's settings.
//!
//! Each is declared once. A setting that could change results takes only values under which it does not, or has
//! its meaning; nothing is accepted and ignored that a client could notice.

use crate::error::Error;
use everview_repr::SqlState;
use everview_repr::datetime::Zone;
use std::collections::BTreeMap;

mod declared;

pub use declared::SERVER_VERSION;
use declared::{Kind, SETTINGS, Setting};

/// Values of all settings of a session.
#[derive(Clone, Debug)]
pub struct Settings {
    values: BTreeMap<&'static str, String>,
    defaults: BTreeMap<&'static str, String>,
    /// Values to put back when the transaction ends: of SET LOCAL always, of SET when it fails.
    local: BTreeMap<&'static str, String>,
    undo: BTreeMap<&'static str, String>,
    changed: Vec<&'static str>,
}

impl Settings {
    /// Defaults for a user.
    pub fn new(user: &str) -> Settings {
        let mut values: BTreeMap<_, _> = SETTINGS
            .iter()
            .map(|s| (s.name, s.default.to_string()))
            .collect();
        values.insert("session_authorization", user.to_string());
        Settings {
            defaults: values.clone(),
            values,
            local: BTreeMap::new(),
            undo: BTreeMap::new(),
            changed: Vec::new(),
        }
    }

    /// A setting's text. Postgres's spelling of names with capitals is accepted.
    pub fn get(&self, name: &str) -> Result<&str, Error> {
        let setting = find(name)?;
        Ok(self.values.get(setting.name).map_or("", String::as_str))
    }

    /// A setting's name as SHOW heads its column.
    pub fn shown(&self, name: &str) -> Result<String, Error> {
        Ok(shown_name(find(name)?.name).to_string())
    }

    /// Sets a value that the server tells.
    pub fn tell(&mut self, name: &'static str, value: String) {
        self.values.insert(name, value);
    }

    /// SET; `None` is the default.
    pub fn set(
        &mut self,
        name: &str,
        value: Option<&str>,
        local: bool,
        in_transaction: bool,
    ) -> Result<(), Error> {
        let setting = find(name)?;
        if matches!(setting.kind, Kind::ReadOnly | Kind::Statement) {
            let message = match setting.kind {
                Kind::ReadOnly => format!("parameter \"{}\" cannot be changed", setting.name),
                _ => format!("parameter \"{}\" takes a SET of its own", setting.name),
            };
            return Err(Error::new(SqlState::CANT_CHANGE_RUNTIME_PARAM, message));
        }
        let value = match value {
            None => self.defaults[setting.name].clone(),
            Some(value) => checked(setting, value)?,
        };
        let before = self.values.insert(setting.name, value).unwrap_or_default();
        if in_transaction {
            self.undo
                .entry(setting.name)
                .or_insert_with(|| before.clone());
            if local {
                self.local.entry(setting.name).or_insert(before);
            } else {
                self.local.remove(setting.name);
            }
        }
        self.note_change(setting);
        Ok(())
    }

    /// What a client asked for at its start becomes the default of the session.
    pub fn set_at_start(&mut self, name: &str, value: &str) -> Result<(), Error> {
        self.set(name, Some(value), false, false)?;
        let setting = find(name)?;
        self.defaults
            .insert(setting.name, self.values[setting.name].clone());
        Ok(())
    }

    /// RESET ALL.
    pub fn reset_all(&mut self, in_transaction: bool) -> Result<(), Error> {
        for setting in SETTINGS
            .iter()
            .filter(|s| !matches!(s.kind, Kind::ReadOnly | Kind::Statement))
        {
            self.set(setting.name, None, false, in_transaction)?;
        }
        Ok(())
    }

    /// The transaction has ended.
    pub fn end_transaction(&mut self, committed: bool) {
        let local = std::mem::take(&mut self.local);
        let undo = std::mem::take(&mut self.undo);
        let back = if committed { local } else { undo };
        for (name, value) in back {
            self.values.insert(name, value);
            if let Ok(setting) = find(name) {
                self.note_change(setting);
            }
        }
        self.values
            .insert("transaction_read_only", "off".to_string());
        let isolation = self.values["default_transaction_isolation"].clone();
        self.values.insert("transaction_isolation", isolation);
    }

    fn note_change(&mut self, setting: &Setting) {
        if setting.reported {
            self.changed.push(setting.name);
        }
    }

    /// Reported settings changed since the last call, with their values.
    pub fn take_changes(&mut self) -> Vec<(String, String)> {
        let changed: std::collections::BTreeSet<_> = self.changed.drain(..).collect();
        changed
            .into_iter()
            .map(|n| (shown_name(n).to_string(), self.values[n].clone()))
            .collect()
    }

    /// Every setting that a client is told of at its start.
    pub fn reported(&self) -> Vec<(String, String)> {
        let reported = SETTINGS.iter().filter(|s| s.reported);
        reported
            .map(|s| (shown_name(s.name).to_string(), self.values[s.name].clone()))
            .collect()
    }

    /// Name, value and description of all, for SHOW ALL.
    pub fn all(&self) -> Vec<(String, String, &'static str)> {
        SETTINGS
            .iter()
            .map(|s| {
                (
                    shown_name(s.name).to_string(),
                    self.values[s.name].clone(),
                    s.doc,
                )
            })
            .collect()
    }

    /// Schemas searched, `"$user"` replaced.
    pub fn search_path(&self, user: &str) -> Vec<String> {
        let parts = split_names(&self.values["search_path"]);
        // The user everview shares its name with the schema of system views, which is nobody's own.
        let own = (user != "everview").then(|| user.to_string());
        parts
            .into_iter()
            .filter_map(|p| if p == "$user" { own.clone() } else { Some(p) })
            .collect()
    }

    /// The setting `search_path` as it is written.
    pub fn search_path_text(&self) -> &str {
        &self.values["search_path"]
    }

    /// The time zone's name.
    pub fn time_zone(&self) -> &str {
        &self.values["timezone"]
    }

    /// A duration in milliseconds; none when off.
    pub fn duration(&self, name: &'static str) -> Option<std::time::Duration> {
        let millis: u64 = self.values.get(name)?.parse().ok()?;
        (millis > 0).then(|| std::time::Duration::from_millis(millis))
    }

    /// Whether a boolean setting is on.
    pub fn is_on(&self, name: &'static str) -> bool {
        self.values.get(name).is_some_and(|v| v == "on")
    }
}

/// Postgres's spelling where it has capitals.
fn shown_name(name: &'static str) -> &'static str {
    match name {
        "datestyle" => "DateStyle",
        "intervalstyle" => "IntervalStyle",
        "timezone" => "TimeZone",
        other => other,
    }
}

fn find(name: &str) -> Result<&'static Setting, Error> {
    let lower = name.to_ascii_lowercase();
    let lower = match lower.as_str() {
        "time zone" => "timezone",
        "names" => "client_encoding",
        "session characteristics as transaction isolation level" => "default_transaction_isolation",
        other => other,
    };
    SETTINGS.iter().find(|s| s.name == lower).ok_or_else(|| {
        let message = format!("unrecognized configuration parameter \"{name}\"");
        Error::new(SqlState::UNDEFINED_OBJECT, message)
            .with_hint("SHOW ALL lists the parameters that there are.")
    })
}

fn checked(setting: &Setting, value: &str) -> Result<String, Error> {
    let invalid = || {
        let message = format!(
            "invalid value for parameter \"{}\": \"{value}\"",
            setting.name
        );
        Error::new(SqlState::INVALID_PARAMETER_VALUE, message)
    };
    match setting.kind {
        Kind::Text => Ok(value.to_string()),
        Kind::OneOf(values) => {
            let found = values
                .iter()
                .position(|v| v.eq_ignore_ascii_case(value.trim()));
            let at = found.ok_or_else(|| {
                invalid().with_hint(format!("Available values: {}.", values.join(", ")))
            })?;
            let synonyms = matches!(setting.name, "client_encoding" | "datestyle");
            Ok(values[if synonyms { 0 } else { at }].to_string())
        }
        Kind::TimeZone => {
            let zone = Zone::parse_setting(value).map_err(|_| invalid())?;
            Ok(zone.name().to_string())
        }
        Kind::Duration => Ok(duration(value).ok_or_else(invalid)?.to_string()),
        Kind::Integer(low, high) => {
            let n: i64 = value.trim().parse().map_err(|_| invalid())?;
            if !(low..=high).contains(&n) {
                let message = format!(
                    "{n} is outside the valid range for parameter \"{}\" ({low} .. {high})",
                    setting.name
                );
                return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, message));
            }
            Ok(n.to_string())
        }
        Kind::Bool => {
            let on = everview_repr::text::parse_bool(value).map_err(|_| {
                let message = format!("parameter \"{}\" requires a Boolean value", setting.name);
                Error::new(SqlState::INVALID_PARAMETER_VALUE, message)
            })?;
            Ok(if on { "on" } else { "off" }.to_string())
        }
        Kind::SearchPath => Ok(value.to_string()),
        Kind::ReadOnly | Kind::Statement => Err(invalid()),
    }
}

/// Milliseconds of `10`, `10ms`, `2s`, `5min`, `1h`, `1d`.
fn duration(value: &str) -> Option<u64> {
    let value = value.trim();
    let digits = value
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(value.len());
    let n: u64 = value[..digits].parse().ok()?;
    let unit = match value[digits..].trim() {
        "" | "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    n.checked_mul(unit).filter(|ms| *ms <= i32::MAX as u64)
}

/// Names parted by commas, folded unless quoted.
fn split_names(list: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut name = String::new();
    let mut quoted = false;
    let mut was_quoted = false;
    let mut chars = list.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                name.push('"');
            }
            '"' => {
                quoted = !quoted;
                was_quoted = true;
            }
            ',' if !quoted => {
                push_name(&mut names, &mut name, was_quoted);
                was_quoted = false;
            }
            c if quoted => name.push(c),
            c if c.is_whitespace() => {}
            c => name.extend(c.to_lowercase()),
        }
    }
    push_name(&mut names, &mut name, was_quoted);
    names
}

fn push_name(names: &mut Vec<String>, name: &mut String, quoted: bool) {
    if !name.is_empty() || quoted {
        names.push(std::mem::take(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_local_ends_with_the_transaction_and_set_with_its_failure() {
        let mut settings = Settings::new("u");
        settings
            .set("statement_timeout", Some("2s"), true, true)
            .expect("valid");
        assert_eq!(settings.get("statement_timeout").expect("known"), "2000");
        settings.end_transaction(true);
        assert_eq!(settings.get("statement_timeout").expect("known"), "0");
        settings
            .set("application_name", Some("x"), false, true)
            .expect("valid");
        settings.end_transaction(false);
        assert_eq!(settings.get("application_name").expect("known"), "");
        settings
            .set("application_name", Some("x"), false, true)
            .expect("valid");
        settings.end_transaction(true);
        assert_eq!(settings.get("application_name").expect("known"), "x");
    }

    #[test]
    fn unknown_settings_and_values_are_refused_by_name() {
        let mut settings = Settings::new("u");
        let unknown = settings
            .set("no_such", Some("1"), false, false)
            .expect_err("unknown");
        assert_eq!(unknown.code, SqlState::UNDEFINED_OBJECT);
        let invalid = settings
            .set("datestyle", Some("German"), false, false)
            .expect_err("invalid");
        assert_eq!(invalid.code, SqlState::INVALID_PARAMETER_VALUE);
    }

    #[test]
    fn search_paths_keep_quotes_and_fold_the_rest() {
        assert_eq!(
            split_names("\"$user\", Public, \"A b\""),
            ["$user", "public", "A b"]
        );
    }
}
