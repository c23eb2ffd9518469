//! COPY: what is copied and in which format.

use crate::dml::Target;
use crate::error::PlanError;
use crate::names::{self, Name, fold};
use crate::parse::{Copy, CopyOption, CopySource, CopyValue};
use crate::plan::{CopyHeader, CopyOptions, CopyPlan, Finishing, SelectPlan};
use crate::planner::Planner;
use crate::query::limit::to_plain_scalar;
use everview_expr::{Id, RelExpr, RelationType};
use everview_repr::{RelationDesc, SqlState};
use sqlparser::ast::Ident;

pub(crate) fn plan(planner: &mut Planner<'_>, copy: &Copy) -> Result<CopyPlan, PlanError> {
    let Copy {
        source,
        to,
        options,
    } = copy;
    match source {
        CopySource::Table { name, columns } if !to => from(planner, name, columns, options),
        CopySource::Table { name, columns } => {
            let select = table(planner, name, columns)?;
            let options = read_options(options, &select.desc, true)?;
            Ok(CopyPlan::To {
                select: Box::new(select),
                options,
            })
        }
        CopySource::Query { query, as_of } => {
            let select = planner.select_plan(query, as_of.as_deref())?;
            let options = read_options(options, &select.desc, true)?;
            Ok(CopyPlan::To {
                select: Box::new(select),
                options,
            })
        }
        CopySource::Subscribe(subscribe) => {
            let subscribe = planner.subscribe(subscribe)?;
            let options =
                read_options(options, &crate::statement::subscribe_desc(&subscribe), true)?;
            Ok(CopyPlan::Subscribe {
                subscribe: Box::new(subscribe),
                options,
            })
        }
    }
}

fn from(
    planner: &mut Planner<'_>,
    name: &Name,
    columns: &[Ident],
    options: &[CopyOption],
) -> Result<CopyPlan, PlanError> {
    let target = planner.target(name, "copy to").map_err(|mut e| {
        if e.code == SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE {
            e.code = SqlState::WRONG_OBJECT_TYPE;
        }
        e
    })?;
    let positions = column_positions(&target.desc, &target.object.name, columns)?;
    let defaults = defaults(planner, &target, &positions)?;
    let input = RelationDesc {
        columns: positions
            .iter()
            .map(|&c| target.desc.columns[c].clone())
            .collect(),
        keys: vec![],
    };
    let options = read_options(options, &input, false)?;
    Ok(CopyPlan::From {
        table: target.object.id,
        columns: positions,
        defaults,
        options,
    })
}

/// Defaults of the columns that are not in the input.
fn defaults(
    planner: &mut Planner<'_>,
    target: &Target,
    given: &[usize],
) -> Result<Vec<(usize, everview_expr::ScalarExpr)>, PlanError> {
    let mut out = Vec::new();
    for (i, column) in target
        .table
        .columns
        .iter()
        .enumerate()
        .filter(|(i, _)| !given.contains(i))
    {
        let value = planner.default_value(column)?;
        let value = to_plain_scalar(&value)
            .ok_or_else(|| PlanError::unsupported("a subquery in DEFAULT"))?;
        out.push((i, value));
    }
    Ok(out)
}

/// COPY table TO: its rows, as they are.
fn table(
    planner: &mut Planner<'_>,
    name: &Name,
    columns: &[Ident],
) -> Result<SelectPlan, PlanError> {
    let object = names::resolve(planner.catalog, planner.search_path, name)
        .map_err(|mut e| {
            e.position = None;
            e
        })?
        .clone();
    let Some(desc) = object.desc() else {
        return Err(crate::statement::wrong_kind(&object.name, "table"));
    };
    if let everview_catalog::ObjectKind::View(_) = object.kind {
        return Err(PlanError::new(
            SqlState::WRONG_OBJECT_TYPE,
            format!("cannot copy from view \"{}\"", object.name),
        )
        .with_hint("Try the COPY (SELECT ...) TO variant."));
    }
    let positions = column_positions(&desc, &object.name, columns)?;
    let ty = RelationType {
        columns: desc.types(),
        keys: desc.keys.clone(),
        append_only: false,
    };
    let expr = RelExpr::Get {
        id: Id::Global(object.id),
        ty,
    };
    let shown = RelationDesc {
        columns: positions.iter().map(|&c| desc.columns[c].clone()).collect(),
        keys: vec![],
    };
    let finishing = Finishing {
        project: positions,
        ..Finishing::default()
    };
    Ok(SelectPlan {
        expr,
        finishing,
        desc: shown,
        depends_on: [object.id].into(),
        as_of: None,
    })
}

fn column_positions(
    desc: &RelationDesc,
    relation: &str,
    columns: &[Ident],
) -> Result<Vec<usize>, PlanError> {
    if columns.is_empty() {
        return Ok((0..desc.arity()).collect());
    }
    let mut out = Vec::new();
    for column in columns {
        let name = fold(column);
        let Some(at) = desc.position(&name) else {
            let message = format!("column \"{name}\" of relation \"{relation}\" does not exist");
            return Err(PlanError::new(SqlState::UNDEFINED_COLUMN, message));
        };
        if out.contains(&at) {
            let message = format!("column \"{name}\" specified more than once");
            return Err(PlanError::new(SqlState::DUPLICATE_COLUMN, message));
        }
        out.push(at);
    }
    Ok(out)
}

fn invalid(message: impl Into<String>) -> PlanError {
    PlanError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// The options with their defaults; `desc` are the columns copied.
fn read_options(
    options: &[CopyOption],
    desc: &RelationDesc,
    to: bool,
) -> Result<CopyOptions, PlanError> {
    let mut seen: Vec<&str> = Vec::new();
    let mut csv = false;
    for option in options {
        if seen.contains(&option.name.as_str()) {
            return Err(PlanError::syntax("conflicting or redundant options").at(option.position));
        }
        seen.push(&option.name);
        if option.name == "format" {
            csv = format(option)?;
        }
    }
    let mut out = CopyOptions {
        csv,
        delimiter: if csv { b',' } else { b'\t' },
        null: if csv {
            String::new()
        } else {
            "\\N".to_string()
        },
        header: CopyHeader::None,
        quote: b'"',
        escape: b'"',
        force_quote: vec![],
        force_not_null: vec![],
        force_null: vec![],
    };
    let mut escape = None;
    for option in options {
        match option.name.as_str() {
            "format" => {}
            "delimiter" => out.delimiter = one_byte(option, "delimiter")?,
            "null" => out.null = text(option)?,
            "header" => out.header = header(option, to)?,
            "quote" if !csv => return Err(csv_only("quote")),
            "quote" => out.quote = one_byte(option, "quote")?,
            "escape" if !csv => return Err(csv_only("escape")),
            "escape" => escape = Some(one_byte(option, "escape")?),
            "force_quote" => {
                force_allowed(csv && to, "force quote", csv, to)?;
                out.force_quote = columns(option, desc)?;
            }
            "force_not_null" => {
                force_allowed(csv && !to, "force not null", csv, to)?;
                out.force_not_null = columns(option, desc)?;
            }
            "force_null" => {
                force_allowed(csv && !to, "force null", csv, to)?;
                out.force_null = columns(option, desc)?;
            }
            "encoding" => {
                let name = text(option)?;
                if !["utf8", "utf-8", "unicode"].contains(&name.to_lowercase().as_str()) {
                    return Err(
                        PlanError::unsupported(format!("COPY with ENCODING '{name}'"))
                            .at(option.position),
                    );
                }
            }
            "freeze" => return Err(PlanError::unsupported("COPY with FREEZE").at(option.position)),
            other => {
                return Err(
                    PlanError::syntax(format!("option \"{other}\" not recognized"))
                        .at(option.position),
                );
            }
        }
    }
    out.escape = escape.unwrap_or(out.quote);
    check_options(&out)?;
    Ok(out)
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

fn check_options(options: &CopyOptions) -> Result<(), PlanError> {
    let CopyOptions {
        csv,
        delimiter,
        null,
        header: _,
        quote,
        ..
    } = options;
    if [b'\n', b'\r'].contains(delimiter) {
        return Err(invalid(
            "COPY delimiter cannot be newline or carriage return",
        ));
    }
    if null.contains(['\n', '\r']) {
        return Err(invalid(
            "COPY null representation cannot use newline or carriage return",
        ));
    }
    if !csv && b"\\.abcdefghijklmnopqrstuvwxyz0123456789".contains(delimiter) {
        return Err(invalid(format!(
            "COPY delimiter cannot be \"{}\"",
            *delimiter as char
        )));
    }
    if *csv && delimiter == quote {
        return Err(invalid("COPY delimiter and quote must be different"));
    }
    if null.as_bytes().contains(delimiter) {
        return Err(invalid(
            "COPY delimiter must not appear in the NULL specification",
        ));
    }
    if *csv && null.as_bytes().contains(quote) {
        return Err(invalid(
            "CSV quote character must not appear in the NULL specification",
        ));
    }
    Ok(())
}

fn csv_only(what: &str) -> PlanError {
    PlanError::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!("COPY {what} available only in CSV mode"),
    )
}

fn force_allowed(allowed: bool, what: &str, csv: bool, to: bool) -> Result<(), PlanError> {
    if allowed {
        return Ok(());
    }
    let message = match (csv, to) {
        (false, _) => format!("COPY {what} available only in CSV mode"),
        (true, true) => format!("COPY {what} only available using COPY FROM"),
        (true, false) => format!("COPY {what} only available using COPY TO"),
    };
    Err(PlanError::new(SqlState::FEATURE_NOT_SUPPORTED, message))
}

fn text(option: &CopyOption) -> Result<String, PlanError> {
    match &option.value {
        CopyValue::Text(text) => Ok(text.clone()),
        _ => Err(
            PlanError::syntax(format!("{} requires a parameter", option.name)).at(option.position),
        ),
    }
}

fn one_byte(option: &CopyOption, what: &str) -> Result<u8, PlanError> {
    match text(option)?.as_bytes() {
        [byte] => Ok(*byte),
        _ => Err(PlanError::new(
            if what == "delimiter" {
                SqlState::FEATURE_NOT_SUPPORTED
            } else {
                SqlState::INVALID_PARAMETER_VALUE
            },
            format!("COPY {what} must be a single one-byte character"),
        )),
    }
}

fn header(option: &CopyOption, to: bool) -> Result<CopyHeader, PlanError> {
    match &option.value {
        CopyValue::None => Ok(CopyHeader::Skip),
        CopyValue::Text(text) => match text.to_lowercase().as_str() {
            "true" | "on" | "1" => Ok(CopyHeader::Skip),
            "false" | "off" | "0" => Ok(CopyHeader::None),
            "match" if to => Err(PlanError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "cannot use \"match\" with HEADER in COPY TO",
            )),
            "match" => Ok(CopyHeader::Match),
            _ => Err(PlanError::syntax(
                "header requires a Boolean value or \"match\"",
            )),
        },
        _ => Err(PlanError::syntax(
            "header requires a Boolean value or \"match\"",
        )),
    }
}

/// Positions among the columns copied.
fn columns(option: &CopyOption, desc: &RelationDesc) -> Result<Vec<usize>, PlanError> {
    match &option.value {
        CopyValue::Star => Ok((0..desc.arity()).collect()),
        CopyValue::Columns(columns) => columns
            .iter()
            .map(|c| {
                desc.position(&fold(c)).ok_or_else(|| {
                    let message = format!("column \"{}\" is not copied", fold(c));
                    PlanError::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(names::at(c))
                })
            })
            .collect(),
        _ => Err(PlanError::syntax(format!(
            "argument to option \"{}\" must be a list of column names",
            option.name
        ))),
    }
}
