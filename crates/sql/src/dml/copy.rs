//! COPY: what is copied. In which format says `copy_options`.

use crate::dml::Target;
use crate::error::PlanError;
use crate::names::{self, Name, fold};
use crate::parse::{Copy, CopyOption, CopySource};
use crate::plan::{CopyOptions, CopyPlan, Finishing, SelectPlan};
use crate::planner::{ExprContext, Planner};
use crate::query::limit::to_plain_scalar;
use crate::scope::{Env, Frame};
use everview_expr::{Id, RelExpr, RelationType, ScalarExpr};
use everview_repr::{RelationDesc, SqlState};
use sqlparser::ast::{Expr, Ident};

mod options;

use options::Options;

pub(crate) fn plan(planner: &mut Planner<'_>, copy: &Copy) -> Result<CopyPlan, PlanError> {
    let Copy {
        source,
        to,
        options,
        filter,
    } = copy;
    match source {
        CopySource::Table { name, columns } if !to => {
            from(planner, name, columns, options, filter.as_deref())
        }
        CopySource::Table { name, columns } => {
            let (select, options) = table(planner, name, columns, options)?;
            Ok(CopyPlan::To {
                select: Box::new(select),
                options,
            })
        }
        CopySource::Query { query, as_of } => {
            let select = planner.select_plan(query, as_of.as_deref())?;
            let options = Options::read(options, true)?.of_query(&select.desc)?;
            Ok(CopyPlan::To {
                select: Box::new(select),
                options,
            })
        }
        CopySource::Subscribe(subscribe) => {
            let subscribe = planner.subscribe(subscribe)?;
            let desc = crate::statement::subscribe_desc(&subscribe);
            let options = Options::read(options, true)?.of_query(&desc)?;
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
    filter: Option<&Expr>,
) -> Result<CopyPlan, PlanError> {
    let target = planner.target(name, "copy to").map_err(|mut e| {
        if e.code == SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE {
            e.code = SqlState::WRONG_OBJECT_TYPE;
        }
        e.position = None;
        e
    })?;
    let filter = filter.map(|f| condition(planner, &target, f)).transpose()?;
    let options = Options::read(options, false)?;
    let freeze = options.freeze;
    let relation = Some(target.object.name.as_str());
    let positions = column_positions(&target.desc, relation, columns)?;
    let options = options.of_table(relation, &target.desc, &positions)?;
    let defaults = defaults(planner, &target, &positions)?;
    Ok(CopyPlan::From {
        table: target.object.id,
        columns: positions,
        defaults,
        filter,
        freeze,
        options,
    })
}

/// WHERE over the table's row.
fn condition(
    planner: &mut Planner<'_>,
    target: &Target,
    filter: &Expr,
) -> Result<ScalarExpr, PlanError> {
    let schema = planner.schema_name(&target.object);
    let scope = target.scope(None, schema);
    let env = Env::EMPTY.with(Frame::Row(&scope));
    let cx = ExprContext::plain(&env, "COPY FROM WHERE conditions");
    let value = planner.expr(filter, &cx)?;
    let value = planner.coerce_boolean(value, "WHERE")?;
    to_plain_scalar(&value.expr).ok_or_else(|| {
        let message = "cannot use subquery in COPY FROM WHERE condition";
        PlanError::new(SqlState::FEATURE_NOT_SUPPORTED, message)
    })
}

/// Defaults of the columns that are not in the input.
fn defaults(
    planner: &mut Planner<'_>,
    target: &Target,
    given: &[usize],
) -> Result<Vec<(usize, ScalarExpr)>, PlanError> {
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
    options: &[CopyOption],
) -> Result<(SelectPlan, CopyOptions), PlanError> {
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
    let options = Options::read(options, true)?;
    let relation = Some(object.name.as_str());
    let positions = column_positions(&desc, relation, columns)?;
    let options = options.of_table(relation, &desc, &positions)?;
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
    let select = SelectPlan {
        expr,
        finishing,
        desc: shown,
        depends_on: [object.id].into(),
        as_of: None,
    };
    Ok((select, options))
}

/// Positions of columns that are named, of all if none is.
fn column_positions(
    desc: &RelationDesc,
    relation: Option<&str>,
    columns: &[Ident],
) -> Result<Vec<usize>, PlanError> {
    if columns.is_empty() {
        return Ok((0..desc.arity()).collect());
    }
    let mut out = Vec::new();
    for column in columns {
        let name = fold(column);
        let Some(at) = desc.position(&name) else {
            let of = relation.map(|r| format!(" of relation \"{r}\""));
            let message = format!("column \"{name}\"{} does not exist", of.unwrap_or_default());
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
