//! CREATE SECRET, CREATE CONNECTION and CREATE SINK to plans.

use super::view::check_columns;
use crate::error::{At, PlanError};
use crate::names::{self, Name, fold};
use crate::parse::ObjectType;
use crate::parse::outside::{CreateConnection, CreateSecret, CreateSink, Password, missing};
use crate::plan::{CreateOutsidePlan, NewPassword, Outside, Plan};
use crate::planner::Planner;
use everview_catalog::ObjectKind;
use everview_catalog::outside::{Connection, Sink};
use everview_repr::{GlobalId, RelationDesc, ScalarType, SqlState};
use sqlparser::ast::Ident;

/// PostgreSQL's own.
const PORT: u16 = 5432;

impl Planner<'_> {
    pub(crate) fn create_secret(&mut self, create: &CreateSecret) -> Result<Plan, PlanError> {
        let what = Outside::Secret(create.text.clone());
        self.outside(&create.name, create.if_not_exists, what)
    }

    pub(crate) fn create_connection(
        &mut self,
        create: &CreateConnection,
    ) -> Result<Plan, PlanError> {
        let given = |value: &Option<String>, option| {
            let value = value.clone().filter(|v| !v.is_empty());
            value.ok_or_else(|| missing("CREATE CONNECTION", option).at(create.position))
        };
        let port = create.port.unwrap_or(i64::from(PORT));
        let port = u16::try_from(port).ok().filter(|port| *port > 0);
        let port = port.ok_or_else(|| {
            let message = "PORT is a number from 1 to 65535";
            PlanError::new(SqlState::INVALID_PARAMETER_VALUE, message).at(create.position)
        })?;
        let password = match &create.password {
            None => None,
            Some(Password::Text(text)) => Some(NewPassword::Text(text.clone())),
            Some(Password::Secret(name)) => {
                let secret = self.find_existing(ObjectType::Secret, name);
                Some(NewPassword::Secret(secret.at(name.position)?.id))
            }
        };
        let connection = Connection {
            host: given(&create.host, "HOST")?,
            port,
            database: given(&create.database, "DATABASE")?,
            user: given(&create.user, "USER")?,
            password: None,
        };
        let what = Outside::Connection(connection, password);
        self.outside(&create.name, create.if_not_exists, what)
    }

    pub(crate) fn create_sink(&mut self, create: &CreateSink) -> Result<Plan, PlanError> {
        let from = names::resolve(self.catalog, self.search_path, &create.from)?.clone();
        // As for any view, what it reads has to be maintainable.
        self.maintained = Some("a sink");
        let (_, mut columns) = self.get(&from).at(create.from.position)?;
        check_columns(&columns)?;
        check_types(&columns)?;
        columns.keys.clear();
        columns.columns.iter_mut().for_each(|c| c.origin = None);
        let connection = self.find_existing(ObjectType::Connection, &create.connection);
        let connection = connection.at(create.connection.position)?.id;
        let key = create.key.as_deref();
        let key = key.map(|key| key_of(key, &columns)).transpose()?;
        let sink = Sink {
            from: from.id,
            connection,
            schema: create.table.schema.clone(),
            table: create.table.name.clone(),
            columns,
            key,
        };
        let enforced = create.enforced;
        let what = Outside::Sink { sink, enforced };
        self.outside(&create.name, create.if_not_exists, what)
    }

    fn outside(&self, name: &Name, if_not_exists: bool, what: Outside) -> Result<Plan, PlanError> {
        let schema = names::creation_schema(self.catalog, self.search_path, name)?;
        Ok(Plan::CreateOutside(CreateOutsidePlan {
            schema,
            name: name.name.clone(),
            if_not_exists,
            what,
        }))
    }

    /// A sink has written what a view was: it may not become another by OR REPLACE.
    pub(super) fn refuse_under_sinks(&self, view: GlobalId) -> Result<(), PlanError> {
        let order = self.catalog.drop_order(view);
        let mut objects = order.iter().filter_map(|id| self.catalog.get(*id));
        match objects.find(|o| matches!(o.kind, ObjectKind::Sink(_))) {
            None => Ok(()),
            Some(sink) => Err(PlanError::new(
                SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                format!("cannot replace a view that sink {} reads", sink.name),
            )
            .with_hint("Drop the sink first, and create it again.")),
        }
    }
}

/// The positions of a key's columns.
fn key_of(key: &[Ident], columns: &RelationDesc) -> Result<Vec<usize>, PlanError> {
    let mut positions = Vec::new();
    for ident in key {
        let name = fold(ident);
        let error = |code, message: String| PlanError::new(code, message).at(names::at(ident));
        let position = columns.position(&name).ok_or_else(|| {
            let message = format!("column \"{name}\" does not exist");
            error(SqlState::UNDEFINED_COLUMN, message)
        })?;
        if positions.contains(&position) {
            let message = format!("column \"{name}\" appears twice in the key");
            return Err(error(SqlState::DUPLICATE_COLUMN, message));
        }
        positions.push(position);
    }
    Ok(positions)
}

/// Refuses types whose text means something only to the server that wrote it.
fn check_types(columns: &RelationDesc) -> Result<(), PlanError> {
    for column in &columns.columns {
        let element = match &column.ty.scalar {
            ScalarType::Array(element) => element,
            other => other,
        };
        if matches!(
            element,
            ScalarType::RegClass
                | ScalarType::RegType
                | ScalarType::RegProc
                | ScalarType::RegNamespace
        ) {
            let (name, ty) = (&column.name, column.ty.scalar.sql_name());
            let what = format!("column \"{name}\" of type {ty} in a sink");
            return Err(PlanError::unsupported(what).with_hint("Cast it to text."));
        }
    }
    Ok(())
}
