//! FROM items: relations, WITH queries, subqueries, table functions.

use crate::error::{At, PlanError};
use crate::functions;
use crate::hir::{ColumnRef, HirRel, HirScalar};
use crate::names::{self, Name};
use crate::planner::{ExprContext, Mention, Planner};
use crate::query::build::{map, project, rename_columns, unit};
use crate::scope::{Env, Frame, Scope};
use everview_catalog::{Object, ObjectKind};
use everview_expr::{Id, RelationType};
use everview_repr::{ColumnDesc, RelationDesc, ScalarType, SqlState, Typmod};
use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, ObjectName, TableAlias, TableFactor, TableFunctionArgs,
    TableInheritance,
};

/// A FROM item: its rows and their names.
pub(crate) type Item = (HirRel, Scope);

impl Planner<'_> {
    /// Plans one FROM item. `env` are the rows around it, the left sides of joins among them.
    pub(super) fn table_factor(
        &mut self,
        factor: &TableFactor,
        env: &Env<'_>,
    ) -> Result<Item, PlanError> {
        match factor {
            TableFactor::Table {
                name,
                alias,
                args,
                with_hints,
                version,
                with_ordinality,
                partitions,
                json_path,
                sample,
                index_directives,
                inheritance,
            } => {
                if sample.is_some() {
                    return Err(PlanError::unsupported("TABLESAMPLE"));
                }
                let clean = with_hints.is_empty()
                    && version.is_none()
                    && partitions.is_empty()
                    && json_path.is_none()
                    && index_directives.is_empty();
                if !clean {
                    return Err(PlanError::syntax("syntax error in FROM"));
                }
                match inheritance {
                    None
                    | Some(TableInheritance::Only { .. } | TableInheritance::IncludeDescendants) => {
                    }
                }
                match args {
                    None if !with_ordinality => self.relation(name, alias.as_ref()),
                    None => Err(PlanError::syntax("WITH ORDINALITY is for functions")),
                    Some(TableFunctionArgs {
                        args,
                        settings: None,
                    }) => self.function_item(name, args, *with_ordinality, alias.as_ref(), env),
                    Some(_) => Err(PlanError::syntax("syntax error in FROM")),
                }
            }
            TableFactor::Derived {
                lateral,
                subquery,
                alias,
                sample: None,
            } => {
                let lateral_env = env.with(Frame::Reveal);
                let env = if *lateral { &lateral_env } else { env };
                let (rel, desc) = self.subquery(subquery, env)?;
                derived(rel, desc, alias.as_ref())
            }
            TableFactor::Function {
                lateral: _,
                name,
                args,
                with_ordinality,
                alias,
            } => self.function_item(name, args, *with_ordinality, alias.as_ref(), env),
            TableFactor::UNNEST {
                alias,
                array_exprs,
                with_offset: false,
                with_offset_alias: None,
                with_ordinality,
            } => self.unnest(array_exprs, *with_ordinality, alias.as_ref(), env),
            TableFactor::NestedJoin {
                table_with_joins,
                alias,
            } => {
                let (rel, scope) = self.table_with_joins(table_with_joins, env)?;
                match alias {
                    None => Ok((rel, scope)),
                    Some(alias) => aliased_join(rel, scope, alias),
                }
            }
            other => Err(PlanError::unsupported(format!(
                "the FROM item {}",
                crate::scalar::short(&other.to_string())
            ))),
        }
    }

    /// A relation or WITH query by name.
    fn relation(
        &mut self,
        name: &ObjectName,
        alias: Option<&TableAlias>,
    ) -> Result<Item, PlanError> {
        let full = Name::new(name)?;
        if full.schema.is_none()
            && let Some(cte) = self.ctes.iter().rev().find(|c| c.name == full.name)
        {
            let rel = HirRel::Get {
                id: Id::Local(cte.id),
                ty: cte.ty.clone(),
            };
            let (desc, name) = (cte.desc.clone(), cte.name.clone());
            return named(rel, desc, alias, name, None, None);
        }
        let object = names::resolve(self.catalog, self.search_path, &full)?.clone();
        let (mut rel, mut desc) = self.get(&object).at(full.position)?;
        if full.stored_id().is_some()
            && let Some(known) = alias.map(|a| a.columns.len()).filter(|n| *n < desc.arity())
        {
            // A stored query names all columns that the relation had then: later ones are not its own.
            let arity = desc.arity();
            rel = project(rel, (0..known).collect(), arity);
            desc.columns.truncate(known);
            desc.keys.retain(|key| key.iter().all(|c| *c < known));
        }
        self.mention_relation(&full, alias, &object, &desc);
        let schema = object
            .schema
            .and_then(|s| self.catalog.get(s))
            .map(|s| s.name.clone());
        named(
            rel,
            desc,
            alias,
            object.name.clone(),
            schema,
            Some(object.id),
        )
    }

    /// Reads a relation.
    pub(crate) fn get(&mut self, object: &Object) -> Result<(HirRel, RelationDesc), PlanError> {
        let Some(desc) = object.desc() else {
            let message = match object.kind {
                ObjectKind::Index(_) => format!("\"{}\" is an index", object.name),
                _ => format!("\"{}\" is not a table or view", object.name),
            };
            return Err(PlanError::new(SqlState::WRONG_OBJECT_TYPE, message));
        };
        if let Some(place) = self.maintained {
            match &object.kind {
                ObjectKind::SystemTable(_) => {
                    let what = format!("the system table \"{}\" in {place}", object.name);
                    return Err(PlanError::unsupported(what));
                }
                // What a view is made of has to hold up too.
                ObjectKind::View(view) => {
                    crate::stored::view_hir(self.catalog, view, None, Some(place)).map_err(
                        |mut e| {
                            e.position = None;
                            e
                        },
                    )?;
                }
                _ => {}
            }
        }
        self.depends_on.insert(object.id);
        let append_only = matches!(&object.kind, ObjectKind::Table(t) if t.append_only);
        let ty = RelationType {
            columns: desc.types(),
            keys: desc.keys.clone(),
            append_only,
        };
        Ok((
            HirRel::Get {
                id: Id::Global(object.id),
                ty,
            },
            desc,
        ))
    }

    /// Notes where a relation is named, and the names that its columns have there.
    fn mention_relation(
        &mut self,
        name: &Name,
        alias: Option<&TableAlias>,
        object: &Object,
        desc: &RelationDesc,
    ) {
        let (Some(start), Some(end)) = (name.position, name.end) else {
            return;
        };
        self.mentions.push(Mention::Relation {
            start,
            end,
            id: object.id,
        });
        let columns: Vec<String> = desc.columns.iter().map(|c| names::quote(&c.name)).collect();
        let insert = match alias {
            None => Some((
                end,
                format!(" AS {}({})", names::quote(&object.name), columns.join(", ")),
            )),
            Some(alias) => match alias.columns.last() {
                None => Some((
                    alias.name.span.end.column as usize,
                    format!("({})", columns.join(", ")),
                )),
                Some(last) => {
                    let rest = columns.get(alias.columns.len()..).unwrap_or_default();
                    let rest = rest.iter().map(|c| format!(", {c}")).collect::<String>();
                    Some((last.name.span.end.column as usize, rest))
                }
            },
        };
        if let Some((at, text)) = insert
            && !text.is_empty()
            && !columns.is_empty()
        {
            self.mentions.push(Mention::Insert { at, text });
        }
    }

    /// A function in FROM: its arguments see the rows to the left, with or without LATERAL.
    fn function_item(
        &mut self,
        name: &ObjectName,
        args: &[FunctionArg],
        ordinality: bool,
        alias: Option<&TableAlias>,
        env: &Env<'_>,
    ) -> Result<Item, PlanError> {
        let full = Name::new(name)?;
        if let Some(error) = crate::producers::misplaced(&full) {
            return Err(error);
        }
        if crate::travel::is_changes(&full) {
            if ordinality {
                return Err(PlanError::unsupported(
                    "WITH ORDINALITY of everview.changes",
                ));
            }
            return self.changes_item(&full, args, alias);
        }
        let mut exprs = Vec::new();
        for arg in args {
            match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => exprs.push(e),
                _ => {
                    return Err(
                        PlanError::unsupported("named arguments of a function in FROM")
                            .at(full.position),
                    );
                }
            }
        }
        if full.name == "unnest" && exprs.len() > 1 {
            return Err(PlanError::unsupported("unnest of several arrays").at(full.position));
        }
        let lateral = env.with(Frame::Reveal);
        let row = Scope::default();
        let inner = lateral.with(Frame::Row(&row));
        let cx = ExprContext::plain(&inner, "functions in FROM");
        let args = exprs
            .into_iter()
            .map(|e| self.expr(e, &cx))
            .collect::<Result<Vec<_>, _>>()?;
        let Some(resolved) =
            functions::resolve_table_function(&full.name, &functions::scalar_types(&args))
        else {
            return self.scalar_item(&full, args, ordinality, alias);
        };
        let (func, types, columns) = resolved.at(full.position)?;
        let args = self.coerce_all(args, &types)?;
        let types = self.call_types(
            functions::scalar_types(&args),
            ScalarType::Void,
            Typmod::NONE,
        );
        let mut desc = RelationDesc::new(columns.clone());
        if ordinality {
            let ty = ScalarType::Int64.not_null();
            desc.columns.push(ColumnDesc {
                name: "ordinality".into(),
                ty,
                origin: None,
            });
        }
        let rel = HirRel::TableFunction {
            func,
            args: args.into_iter().map(|a| a.expr).collect(),
            types,
            columns: columns.iter().map(|(_, ty)| ty.clone()).collect(),
            ordinality,
        };
        function_names(rel, desc, columns.len() == 1, alias, &full.name)
    }

    /// A scalar function in FROM: one row.
    fn scalar_item(
        &mut self,
        name: &Name,
        args: Vec<crate::typed::Typed>,
        ordinality: bool,
        alias: Option<&TableAlias>,
    ) -> Result<Item, PlanError> {
        let value = self.call_function(&name.name, args, name.position)?;
        let mut scalars = vec![value.expr];
        let mut desc = RelationDesc::new([(name.name.clone(), value.ty)]);
        if ordinality {
            let one = crate::typed::Typed::literal(
                everview_repr::Datum::Int64(1),
                ScalarType::Int64,
                None,
            );
            scalars.push(one.expr);
            desc.columns.push(ColumnDesc {
                name: "ordinality".into(),
                ty: one.ty,
                origin: None,
            });
        }
        desc.keys.push(vec![]);
        function_names(map(unit(), scalars), desc, true, alias, &name.name)
    }

    fn unnest(
        &mut self,
        arrays: &[Expr],
        ordinality: bool,
        alias: Option<&TableAlias>,
        env: &Env<'_>,
    ) -> Result<Item, PlanError> {
        let name = ObjectName::from(vec![sqlparser::ast::Ident::new("unnest")]);
        let args: Vec<_> = arrays
            .iter()
            .map(|e| FunctionArg::Unnamed(FunctionArgExpr::Expr(e.clone())))
            .collect();
        self.function_item(&name, &args, ordinality, alias, env)
    }
}

/// A relation under its alias or own name.
fn named(
    rel: HirRel,
    mut desc: RelationDesc,
    alias: Option<&TableAlias>,
    name: String,
    schema: Option<String>,
    id: Option<everview_repr::GlobalId>,
) -> Result<Item, PlanError> {
    let (name, schema) = match alias {
        None => (name, schema),
        Some(alias) => {
            check_alias(alias)?;
            rename_columns(&mut desc, alias, "table")?;
            (names::fold(&alias.name), None)
        }
    };
    Ok((
        rel,
        Scope::table(Some(name), schema, id, scope_columns(&desc)),
    ))
}

fn check_alias(alias: &TableAlias) -> Result<(), PlanError> {
    match &alias.at {
        None => Ok(()),
        Some(at) => Err(PlanError::syntax("syntax error at or near \"at\"").at(names::at(at))),
    }
}

fn scope_columns(desc: &RelationDesc) -> Vec<crate::scope::NamedColumn> {
    desc.columns
        .iter()
        .map(|c| (c.name.clone(), c.ty.clone(), c.origin))
        .collect()
}

fn derived(
    rel: HirRel,
    mut desc: RelationDesc,
    alias: Option<&TableAlias>,
) -> Result<Item, PlanError> {
    let Some(alias) = alias else {
        return Err(PlanError::syntax("subquery in FROM must have an alias")
            .with_hint("For example, FROM (SELECT ...) [AS] foo."));
    };
    check_alias(alias)?;
    rename_columns(&mut desc, alias, "table")?;
    Ok((
        rel,
        Scope::table(
            Some(names::fold(&alias.name)),
            None,
            None,
            scope_columns(&desc),
        ),
    ))
}

/// A function's rows under its alias: one column takes the alias's name.
pub(crate) fn function_names(
    rel: HirRel,
    mut desc: RelationDesc,
    single: bool,
    alias: Option<&TableAlias>,
    function: &str,
) -> Result<Item, PlanError> {
    let name = match alias {
        Some(alias) => {
            check_alias(alias)?;
            if single {
                desc.columns[0].name = names::fold(&alias.name);
            }
            rename_columns(&mut desc, alias, "table")?;
            names::fold(&alias.name)
        }
        None => {
            if single {
                desc.columns[0].name = function.to_string();
            }
            function.to_string()
        }
    };
    let mut scope = Scope::table(Some(name), None, None, scope_columns(&desc));
    scope.tables[0].scalar = single && desc.arity() == 1;
    Ok((rel, scope))
}

/// `(a JOIN b ...) AS x (names)`: the alias hides the names inside.
fn aliased_join(rel: HirRel, scope: Scope, alias: &TableAlias) -> Result<Item, PlanError> {
    check_alias(alias)?;
    let columns = scope
        .visible
        .iter()
        .map(|c| ColumnDesc {
            name: c.name.clone(),
            ty: c.ty.clone(),
            origin: c.origin,
        })
        .collect();
    let mut desc = RelationDesc {
        columns,
        keys: vec![],
    };
    rename_columns(&mut desc, alias, "table")?;
    let outputs: Vec<usize> = scope.visible.iter().map(|c| c.index).collect();
    let rel = project(rel, outputs, scope.arity);
    Ok((
        rel,
        Scope::table(
            Some(names::fold(&alias.name)),
            None,
            None,
            scope_columns(&desc),
        ),
    ))
}

/// A column of the row at hand.
pub(super) fn column(index: usize) -> HirScalar {
    HirScalar::Column(ColumnRef {
        level: 0,
        column: index,
    })
}
