//! CREATE TABLE and CREATE TABLE AS.

use crate::ddl::constraints::Constraints;
use crate::error::{At, PlanError};
use crate::hir::HirRel;
use crate::lower::lower;
use crate::names::{self, Name, fold};
use crate::parse::Like;
use crate::plan::CreateTablePlan;
use crate::planner::{ExprContext, Planner};
use crate::query::limit::to_plain_scalar;
use crate::scalar::literal;
use crate::scope::{Env, Frame, Scope};
use crate::types;
use everview_catalog::ObjectKind;
use everview_catalog::object::TableColumn;
use everview_repr::{ColumnType, GlobalId, RelationDesc, ScalarType, SqlState};
use sqlparser::ast::{
    ColumnDef, ColumnOption, ColumnOptionDef, CreateTable, CreateTableOptions, Expr,
    HiveDistributionStyle, Ident, SqlOption, Value,
};

impl Planner<'_> {
    pub(crate) fn create_table(
        &mut self,
        create: &CreateTable,
        likes: &[Like],
        append_only: bool,
        with_data: bool,
    ) -> Result<CreateTablePlan, PlanError> {
        check_clauses(create)?;
        let name = Name::new(&create.name)?;
        let schema = names::creation_schema(self.catalog, self.search_path, &name)?;
        let append_only = append_only | self.table_options(&create.table_options)?;
        let plan = CreateTablePlan {
            schema,
            name: name.name.clone(),
            columns: vec![],
            constraints: vec![],
            append_only,
            if_not_exists: create.if_not_exists,
            source: None,
        };
        if let Some(query) = &create.query {
            let with_data = with_data && create.with_data.as_ref().is_none_or(|w| w.data);
            return self.create_table_as(create, query, with_data, plan);
        }
        let mut columns = Vec::new();
        let mut likes = likes.iter().peekable();
        for (i, column) in create.columns.iter().enumerate() {
            while let Some(like) = likes.next_if(|like| like.before <= i) {
                add_columns(&mut columns, self.columns_like(like)?, like.table.position)?;
            }
            let added = self.table_column(column)?;
            add_columns(&mut columns, vec![added], names::at(&column.name))?;
        }
        for like in likes {
            add_columns(&mut columns, self.columns_like(like)?, like.table.position)?;
        }
        let constraints = self.constraints(schema, &plan.name, &mut columns, create)?;
        Ok(CreateTablePlan {
            columns,
            constraints,
            ..plan
        })
    }

    fn constraints(
        &mut self,
        schema: GlobalId,
        table: &str,
        columns: &mut [TableColumn],
        create: &CreateTable,
    ) -> Result<Vec<everview_catalog::object::Constraint>, PlanError> {
        let mut constraints = Constraints::new(schema, table.to_string());
        for column in &create.columns {
            for ColumnOptionDef { name, option } in &column.options {
                constraints.column(self, columns, &fold(&column.name), name.as_ref(), option)?;
            }
        }
        for constraint in &create.constraints {
            constraints.table(self, columns, constraint)?;
        }
        Ok(constraints.finish())
    }

    /// A column's type, NOT NULL and DEFAULT.
    pub(super) fn table_column(&mut self, column: &ColumnDef) -> Result<TableColumn, PlanError> {
        let ColumnDef {
            name,
            data_type,
            options,
        } = column;
        let position = names::at(name);
        let (scalar, typmod) = types::resolve(data_type).at(types::position(data_type))?;
        let name = fold(name);
        if matches!(
            scalar,
            ScalarType::Record(_) | ScalarType::Void | ScalarType::Unknown
        ) {
            let message = format!("column \"{name}\" has pseudo-type {}", scalar.sql_name());
            return Err(PlanError::new(SqlState::INVALID_TABLE_DEFINITION, message).at(position));
        }
        let mut ty = ColumnType {
            scalar,
            typmod,
            nullable: true,
        };
        let mut default = None;
        let mut said_null = false;
        for ColumnOptionDef { name: _, option } in options {
            match option {
                ColumnOption::NotNull => ty.nullable = false,
                ColumnOption::Null => said_null = true,
                ColumnOption::Default(expr) => {
                    if default.is_some() {
                        let message =
                            format!("multiple default values specified for column \"{name}\"");
                        return Err(PlanError::syntax(message).at(position));
                    }
                    default = Some(self.default_text(expr, &name, &ty)?);
                }
                _ => {}
            }
        }
        if said_null && !ty.nullable {
            let message = format!("conflicting NULL/NOT NULL declarations for column \"{name}\"");
            return Err(PlanError::syntax(message).at(position));
        }
        Ok(TableColumn {
            name,
            ty,
            default,
            comment: None,
            missing: None,
        })
    }

    /// Checks a DEFAULT against its column: its text.
    pub(super) fn default_text(
        &mut self,
        expr: &Expr,
        column: &str,
        ty: &ColumnType,
    ) -> Result<String, PlanError> {
        let scope = Scope::default();
        let env = Env::EMPTY.with(Frame::Row(&scope));
        let cx = ExprContext::plain(&env, "DEFAULT expressions");
        let value = self.expr(expr, &cx).map_err(|e| {
            if e.code == SqlState::UNDEFINED_COLUMN {
                let message = "cannot use column reference in DEFAULT expression";
                PlanError::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(e.position)
            } else {
                e
            }
        })?;
        let position = value.position;
        let actual = value.scalar().sql_name();
        let value = self.assign(value, column, ty).map_err(|e| {
            if e.code == SqlState::DATATYPE_MISMATCH {
                let message = format!(
                    "column \"{column}\" is of type {} but default expression is of type {actual}",
                    ty.scalar.sql_name()
                );
                PlanError { message, ..e }
            } else {
                e
            }
        })?;
        if to_plain_scalar(&value.expr).is_none() {
            let message = "cannot use subquery in DEFAULT expression";
            return Err(PlanError::new(SqlState::FEATURE_NOT_SUPPORTED, message).at(position));
        }
        Ok(expr.to_string())
    }

    fn columns_like(&self, like: &Like) -> Result<Vec<TableColumn>, PlanError> {
        let name = &like.table;
        let object = names::resolve(self.catalog, self.search_path, name)?;
        if let ObjectKind::Table(table) = &object.kind {
            let copy = |c: &TableColumn| TableColumn {
                default: c.default.clone().filter(|_| like.defaults),
                comment: c.comment.clone().filter(|_| like.comments),
                missing: None,
                ..c.clone()
            };
            return Ok(table.columns.iter().map(copy).collect());
        }
        let Some(desc) = object.desc() else {
            return Err(
                crate::statement::wrong_kind(&object.name, "table or view").at(name.position)
            );
        };
        Ok(desc
            .columns
            .into_iter()
            .map(|c| table_column(c.name, c.ty.with_nullable(true)))
            .collect())
    }

    fn create_table_as(
        &mut self,
        create: &CreateTable,
        query: &sqlparser::ast::Query,
        with_data: bool,
        plan: CreateTablePlan,
    ) -> Result<CreateTablePlan, PlanError> {
        let (rel, mut desc) = self.subquery(query, &Env::EMPTY)?;
        let names = as_columns(create)?;
        if names.len() > desc.arity() {
            return Err(PlanError::syntax("too many column names were specified"));
        }
        for (column, name) in desc.columns.iter_mut().zip(names) {
            column.name = fold(name);
        }
        super::view::check_columns(&desc)?;
        let columns = desc
            .columns
            .into_iter()
            .map(|c| table_column(c.name, c.ty.with_nullable(true)))
            .collect();
        let source = if with_data {
            Some((lower(rel), self.depends_on.clone()))
        } else {
            let _: HirRel = rel;
            None
        };
        Ok(CreateTablePlan {
            columns,
            source,
            ..plan
        })
    }

    /// `WITH (append_only = true)`.
    fn table_options(&mut self, options: &CreateTableOptions) -> Result<bool, PlanError> {
        let options = match options {
            CreateTableOptions::None => return Ok(false),
            CreateTableOptions::With(options) => options,
            CreateTableOptions::Options(_)
            | CreateTableOptions::Plain(_)
            | CreateTableOptions::TableProperties(_) => {
                return Err(PlanError::unsupported("these options of CREATE TABLE"));
            }
        };
        let mut append_only = false;
        for option in options {
            let (key, value) = match option {
                SqlOption::KeyValue { key, value } => (Name::new(key)?.to_string(), Some(value)),
                other => (other.to_string().to_lowercase(), None),
            };
            if is_about_pages(&key) {
                continue;
            }
            if key != "append_only" {
                return Err(PlanError::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    format!("the table option \"{key}\" is not supported"),
                ));
            }
            append_only = match value {
                None => true,
                Some(value) => boolean_option(value)?,
            };
        }
        Ok(append_only)
    }
}

/// Storage parameters about pages and their upkeep: there are no pages, and nothing that they would change.
fn is_about_pages(key: &str) -> bool {
    ["fillfactor", "parallel_workers", "toast_tuple_target"].contains(&key)
        || key.starts_with("autovacuum_")
}

/// A column without default.
fn table_column(name: String, ty: ColumnType) -> TableColumn {
    TableColumn {
        name,
        ty,
        default: None,
        comment: None,
        missing: None,
    }
}

/// The column names of CREATE TABLE AS, which have no types.
fn as_columns(create: &CreateTable) -> Result<Vec<&Ident>, PlanError> {
    let name = |c: &ColumnDef| matches!(c.data_type, sqlparser::ast::DataType::Unspecified);
    match create.columns.iter().find(|c| !name(c)) {
        None => Ok(create.columns.iter().map(|c| &c.name).collect()),
        Some(c) => Err(
            PlanError::syntax("CREATE TABLE AS takes column names without types")
                .at(names::at(&c.name)),
        ),
    }
}

fn boolean_option(value: &Expr) -> Result<bool, PlanError> {
    let text = match value {
        Expr::Value(v) => match &v.value {
            Value::Boolean(b) => return Ok(*b),
            Value::Number(n, _) => n.clone(),
            other => literal::string(other).unwrap_or_default().to_lowercase(),
        },
        Expr::Identifier(ident) => fold(ident),
        _ => String::new(),
    };
    match text.as_str() {
        "true" | "on" | "1" | "yes" => Ok(true),
        "false" | "off" | "0" | "no" => Ok(false),
        _ => Err(PlanError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("invalid value for boolean option \"append_only\": {text}"),
        )),
    }
}

fn add_columns(
    columns: &mut Vec<TableColumn>,
    added: Vec<TableColumn>,
    position: Option<usize>,
) -> Result<(), PlanError> {
    for column in added {
        if columns.iter().any(|c| c.name == column.name) {
            let message = format!("column \"{}\" specified more than once", column.name);
            return Err(PlanError::new(SqlState::DUPLICATE_COLUMN, message).at(position));
        }
        columns.push(column);
    }
    Ok(())
}

/// Refuses what sqlparser reads and Postgres has not, or Everview has not.
fn check_clauses(create: &CreateTable) -> Result<(), PlanError> {
    let CreateTable {
        or_replace,
        temporary,
        unlogged,
        external,
        dynamic,
        global,
        if_not_exists: _,
        transient,
        volatile,
        iceberg,
        snapshot,
        name: _,
        columns: _,
        constraints: _,
        hive_distribution,
        hive_formats,
        table_options: _,
        file_format,
        location,
        query: _,
        sqlite_table_options,
        like,
        clone,
        version,
        comment,
        on_commit,
        on_cluster,
        primary_key,
        order_by,
        partition_by,
        cluster_by,
        clustered_by,
        inherits,
        partition_of,
        for_values,
        copy_grants,
        enable_schema_evolution,
        change_tracking,
        data_retention_time_in_days,
        max_data_extension_time_in_days,
        default_ddl_collation,
        with_aggregation_policy,
        with_row_access_policy,
        with_storage_lifecycle_policy,
        with_tags,
        external_volume,
        with_connection,
        base_location,
        catalog,
        catalog_sync,
        storage_serialization_policy,
        target_lag,
        warehouse,
        refresh_mode,
        initialize,
        require_user,
        diststyle,
        distkey,
        sortkey,
        backup,
        multiset,
        fallback,
        with_data: _,
    } = create;
    let named = [
        (*temporary || global.is_some(), "a temporary table"),
        (*unlogged, "an UNLOGGED table"),
        (partition_by.is_some(), "PARTITION BY"),
        (
            partition_of.is_some() || for_values.is_some(),
            "PARTITION OF",
        ),
        (inherits.is_some(), "INHERITS"),
        (on_commit.is_some(), "ON COMMIT"),
    ];
    if let Some((_, what)) = named.iter().find(|(set, _)| *set) {
        return Err(PlanError::unsupported(what));
    }
    let foreign = *or_replace
        || *external
        || *dynamic
        || *transient
        || *volatile
        || like.is_some()
        || *iceberg
        || *snapshot
        || *hive_distribution != HiveDistributionStyle::NONE
        || hive_formats.as_ref().is_some_and(|h| {
            h.row_format.is_some()
                || h.serde_properties.is_some()
                || h.storage.is_some()
                || h.location.is_some()
        })
        || file_format.is_some()
        || location.is_some()
        || !sqlite_table_options.options.is_empty()
        || clone.is_some()
        || version.is_some()
        || comment.is_some()
        || on_cluster.is_some()
        || primary_key.is_some()
        || order_by.is_some()
        || cluster_by.is_some()
        || clustered_by.is_some()
        || *copy_grants
        || enable_schema_evolution.is_some()
        || change_tracking.is_some()
        || data_retention_time_in_days.is_some()
        || max_data_extension_time_in_days.is_some()
        || default_ddl_collation.is_some()
        || with_aggregation_policy.is_some()
        || with_row_access_policy.is_some()
        || with_storage_lifecycle_policy.is_some()
        || with_tags.is_some()
        || external_volume.is_some()
        || with_connection.is_some()
        || base_location.is_some()
        || catalog.is_some()
        || catalog_sync.is_some()
        || storage_serialization_policy.is_some()
        || target_lag.is_some()
        || warehouse.is_some()
        || refresh_mode.is_some()
        || initialize.is_some()
        || *require_user
        || diststyle.is_some()
        || distkey.is_some()
        || sortkey.is_some()
        || backup.is_some()
        || multiset.is_some()
        || fallback.is_some();
    if foreign {
        return Err(PlanError::syntax("syntax error in CREATE TABLE"));
    }
    Ok(())
}

/// The description of a table's columns before it exists.
pub(super) fn described(columns: &[TableColumn]) -> RelationDesc {
    RelationDesc::new(columns.iter().map(|c| (c.name.clone(), c.ty.clone())))
}
