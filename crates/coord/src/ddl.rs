//! Statements that change the catalog: each adds changes to its transaction, and dataflows to start at COMMIT.

use crate::coordinator::{CatalogState, Shared};
use crate::error::Error;
use crate::planning::QueryContext;
use everview_catalog::catalog::Change;
use everview_catalog::object::{Index, IndexKey, Table, View};
use everview_catalog::{Catalog, Object, ObjectKind};
use everview_dataflow::{DataflowDesc, Export, Tally};
use everview_expr::{Id, RelExpr, RelationType, ScalarExpr};
use everview_optimize::physical::Arrangement;
use everview_repr::{GlobalId, RelationDesc, Timestamp};
use everview_sql::plan::{CreateIndexPlan, CreateTablePlan, CreateViewPlan};
use std::sync::Arc;

/// A new object.
pub(crate) fn object(
    id: GlobalId,
    schema: Option<GlobalId>,
    name: String,
    kind: ObjectKind,
) -> Object {
    Object {
        id,
        schema,
        name,
        created: Timestamp::MIN,
        comment: None,
        kind,
    }
}

pub(crate) fn created(object: Object) -> Vec<Change> {
    vec![Change {
        old: None,
        new: Some(Arc::new(object)),
    }]
}

/// CREATE SCHEMA.
pub(crate) fn create_schema(catalog: &Catalog, name: String) -> Vec<Change> {
    created(object(catalog.next_id(), None, name, ObjectKind::Schema))
}

/// CREATE TABLE: its id, then those of its constraints.
pub(crate) fn create_table(catalog: &Catalog, plan: CreateTablePlan) -> (GlobalId, Vec<Change>) {
    let id = catalog.next_id();
    let mut constraints = plan.constraints;
    for (i, constraint) in constraints.iter_mut().enumerate() {
        constraint.id = GlobalId(id.0 + 1 + i as u32);
    }
    let table = Table {
        columns: plan.columns,
        constraints,
        append_only: plan.append_only,
    };
    (
        id,
        created(object(
            id,
            Some(plan.schema),
            plan.name,
            ObjectKind::Table(table),
        )),
    )
}

/// CREATE [MATERIALIZED] VIEW, or the replacement of a view.
pub(crate) fn create_view(catalog: &Catalog, plan: CreateViewPlan) -> (GlobalId, Vec<Change>) {
    let kind = |view| {
        if plan.materialized {
            ObjectKind::MaterializedView(view)
        } else {
            ObjectKind::View(view)
        }
    };
    match plan.replace.and_then(|id| catalog.get(id)) {
        Some(old) => {
            let comments = view_of(old).map(|view| view.comments.clone());
            let view = View {
                comments: comments.unwrap_or_default(),
                ..plan.view
            };
            let new = Object {
                kind: kind(view),
                ..(**old).clone()
            };
            (
                old.id,
                vec![Change {
                    old: Some(old.clone()),
                    new: Some(Arc::new(new)),
                }],
            )
        }
        None => {
            let id = catalog.next_id();
            (
                id,
                created(object(id, Some(plan.schema), plan.name, kind(plan.view))),
            )
        }
    }
}

/// CREATE INDEX.
pub(crate) fn create_index(catalog: &Catalog, plan: CreateIndexPlan) -> (GlobalId, Vec<Change>) {
    let id = catalog.next_id();
    let index = Index {
        on: plan.on,
        keys: plan.keys,
        unique: plan.unique,
    };
    let mut changes = created(object(
        id,
        Some(plan.schema),
        plan.name,
        ObjectKind::Index(index),
    ));
    if plan.unique {
        changes.extend(touched(catalog, plan.on));
    }
    (id, changes)
}

/// A change of a table that leaves it as it is: whoever has compiled it does so again, for its unique indexes.
fn touched(catalog: &Catalog, table: GlobalId) -> Option<Change> {
    let old = catalog.get(table)?;
    Some(Change {
        old: Some(old.clone()),
        new: Some(Arc::new((**old).clone())),
    })
}

/// DROP of objects.
pub(crate) fn drop_objects(catalog: &Catalog, ids: &[GlobalId]) -> Vec<Change> {
    let old = ids.iter().filter_map(|id| catalog.get(*id));
    let tables: std::collections::BTreeSet<GlobalId> = old
        .clone()
        .filter_map(|o| match &o.kind {
            ObjectKind::Index(index) if index.unique => Some(index.on),
            _ => None,
        })
        .collect();
    let left = tables.into_iter().filter(|table| !ids.contains(table));
    let touched: Vec<_> = left.filter_map(|table| touched(catalog, table)).collect();
    let dropped = old.map(|o| Change {
        old: Some(o.clone()),
        new: None,
    });
    dropped.chain(touched).collect()
}

/// ALTER TABLE: ids for the constraints that are new.
pub(crate) fn alter_table(
    catalog: &Catalog,
    id: GlobalId,
    mut table: Table,
) -> Result<Vec<Change>, Error> {
    let mut next = catalog.next_id();
    for constraint in table.constraints.iter_mut().filter(|c| c.id.0 == 0) {
        constraint.id = next;
        next = GlobalId(next.0 + 1);
    }
    let mut changes = alter(catalog, id, |object| object.kind = ObjectKind::Table(table))?;
    changes.extend(loosened_views(catalog, &changes)?);
    Ok(changes)
}

/// What the columns of views were known to fulfil may have followed from a constraint that is gone: nothing is known of
/// them any more.
fn loosened_views(catalog: &Catalog, changes: &[Change]) -> Result<Vec<Change>, Error> {
    let mut out = Vec::new();
    for change in changes {
        let (Some(old), Some(new)) = (&change.old, &change.new) else {
            continue;
        };
        if !loosens(old, new) {
            continue;
        }
        for id in catalog.drop_order(new.id) {
            let is_view = catalog.get(id).is_some_and(|o| view_of(o).is_some());
            if is_view {
                out.extend(alter(catalog, id, |object| {
                    if let ObjectKind::View(view) | ObjectKind::MaterializedView(view) =
                        &mut object.kind
                    {
                        view.desc.keys.clear();
                        view.desc
                            .columns
                            .iter_mut()
                            .for_each(|c| c.ty.nullable = true);
                    }
                })?);
            }
        }
    }
    Ok(out)
}

/// Whether less is known of a table's rows than before.
fn loosens(old: &Object, new: &Object) -> bool {
    let (Some(old), Some(new)) = (old.desc(), new.desc()) else {
        return false;
    };
    let mut columns = old.columns.iter().zip(&new.columns);
    columns.any(|(old, new)| new.ty.nullable && !old.ty.nullable)
        || old.keys.iter().any(|key| !new.keys.contains(key))
}

/// The maintained objects that have to be built anew after these changes: what reads a replaced view or a table whose
/// rows have got columns or lost constraints.
pub(crate) fn rebuilt(
    catalog: &Catalog,
    changes: &[Change],
) -> std::collections::BTreeSet<GlobalId> {
    let mut ids = std::collections::BTreeSet::new();
    for change in changes {
        let Some(new) = &change.new else {
            // Whatever else reads the relation may have read it through this index.
            if let Some(ObjectKind::Index(index)) = change.old.as_ref().map(|o| &o.kind)
                && catalog.get(index.on).is_some()
            {
                ids.extend(catalog.drop_order(index.on));
            }
            continue;
        };
        match (&change.old, &new.kind) {
            (None, ObjectKind::MaterializedView(_) | ObjectKind::Index(_)) => {
                ids.insert(new.id);
            }
            (Some(old), ObjectKind::View(view)) if !is_same(old, view) => {
                ids.extend(catalog.drop_order(new.id));
            }
            (Some(old), ObjectKind::Table(_)) => {
                let arity = |o: &Object| o.desc().map_or(0, |d| d.arity());
                if loosens(old, new) || arity(old) != arity(new) {
                    ids.extend(catalog.drop_order(new.id));
                }
            }
            _ => {}
        }
    }
    ids.retain(|id| catalog.get(*id).is_some());
    ids
}

/// Whether a view is what it was, but for comments.
fn is_same(old: &Object, view: &View) -> bool {
    view_of(old).is_some_and(|old| {
        let old = View {
            comments: view.comments.clone(),
            ..old.clone()
        };
        old == *view
    })
}

/// A change of one object by a function of its definition.
pub(crate) fn alter(
    catalog: &Catalog,
    id: GlobalId,
    change: impl FnOnce(&mut Object),
) -> Result<Vec<Change>, Error> {
    let old = catalog
        .get(id)
        .ok_or_else(|| Error::internal(format!("no object {id}")))?;
    let mut new = (**old).clone();
    change(&mut new);
    Ok(vec![Change {
        old: Some(old.clone()),
        new: Some(Arc::new(new)),
    }])
}

/// A constraint's or an index's name change: the table holds its constraints.
pub(crate) fn rename_column(object: &mut Object, column: usize, to: String) {
    match &mut object.kind {
        ObjectKind::Table(table) => table.columns[column].name = to,
        ObjectKind::View(view) | ObjectKind::MaterializedView(view) => {
            view.desc.columns[column].name = to;
        }
        _ => {}
    }
}

/// The dataflow of a materialized view or an index; `as_of` is the sequencer's to give.
pub(crate) fn dataflow(
    shared: &Shared,
    state: &CatalogState,
    catalog: &Catalog,
    id: GlobalId,
) -> Result<Option<DataflowDesc>, Error> {
    let Some(object) = catalog.get(id) else {
        return Ok(None);
    };
    let context = QueryContext {
        shared,
        state,
        catalog,
        transaction: None,
        environment: None,
        params: None,
    };
    let (expr, desc) = match &object.kind {
        ObjectKind::MaterializedView(view) => (
            (*shared.views.get(&state.catalog, catalog, id, view)?).clone(),
            view.desc.clone(),
        ),
        ObjectKind::Index(index) => {
            let on = catalog.get(index.on).and_then(|o| o.desc());
            let desc = on.ok_or_else(|| Error::internal("an index on nothing"))?;
            let mut ty = RelationType::new(desc.types());
            ty.keys = desc.keys.clone();
            (
                RelExpr::Get {
                    id: Id::Global(index.on),
                    ty,
                },
                desc,
            )
        }
        _ => return Ok(None),
    };
    let optimized = context.optimize(expr)?;
    let arrangement = match &object.kind {
        ObjectKind::Index(index) => index_arrangement(catalog, index, &desc)?,
        _ => view_arrangement(&optimized.expr, &desc),
    };
    let plan = context.physical(&optimized.expr, desc)?;
    Ok(Some(DataflowDesc {
        id: shared.next_dataflow(),
        name: catalog.full_name(id),
        plan,
        as_of: Timestamp::MIN,
        until: None,
        export: Export::Index {
            id,
            arrangements: vec![arrangement],
            tally: match &object.kind {
                ObjectKind::MaterializedView(_) => Some(Arc::new(Tally::new([]))),
                _ => None,
            },
        },
    }))
}

/// A materialized view is arranged by its shortest known key, else by the whole row.
fn view_arrangement(expr: &RelExpr, desc: &RelationDesc) -> Arrangement {
    let ty = expr.ty();
    let all: Vec<usize> = (0..desc.arity()).collect();
    let key = ty
        .keys
        .iter()
        .min_by_key(|k| k.len())
        .filter(|k| !k.is_empty())
        .unwrap_or(&all);
    Arrangement::new(
        key.iter().copied().map(ScalarExpr::Column).collect(),
        &ty.columns,
    )
}

fn index_arrangement(
    catalog: &Catalog,
    index: &Index,
    desc: &RelationDesc,
) -> Result<Arrangement, Error> {
    let mut key = Vec::with_capacity(index.keys.len());
    for part in &index.keys {
        key.push(match part {
            IndexKey::Column(column) => ScalarExpr::Column(*column),
            IndexKey::Expression(sql) => everview_sql::plan_scalar_text(catalog, desc, sql)?,
        });
    }
    Ok(Arrangement::new(key, &desc.types()))
}

/// Starts every view and index of the catalog, what is read before what reads it.
pub(crate) fn install_all(shared: &Arc<Shared>, as_of: Timestamp) {
    let catalog = shared.catalog().catalog.clone();
    let maintained = catalog.objects().filter(|o| {
        matches!(
            o.kind,
            ObjectKind::MaterializedView(_) | ObjectKind::Index(_)
        )
    });
    // Ids rise with time, and nothing reads what is younger than itself, unless a view was replaced: then the
    // replaced one inlines what it reads.
    for object in maintained {
        let state = shared.catalog();
        match dataflow(shared, &state, &catalog, object.id) {
            Ok(Some(desc)) => shared.install(DataflowDesc { as_of, ..desc }),
            Ok(None) => {}
            Err(error) => {
                tracing::error!(view = catalog.full_name(object.id), %error, "a view cannot be planned");
            }
        }
    }
}

/// The definition of a view as the catalog keeps it, for those who show it.
pub(crate) fn view_of(object: &Object) -> Option<&View> {
    match &object.kind {
        ObjectKind::View(view) | ObjectKind::MaterializedView(view) => Some(view),
        _ => None,
    }
}
