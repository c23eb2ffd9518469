//! FROM items.

use super::{Printer, Unknown};
use crate::names::{self, quote};
use everview_repr::GlobalId;
use sqlparser::ast::*;

impl Printer<'_> {
    /// The first `joins` joins of a FROM item, the last outermost.
    pub(super) fn joined(&mut self, item: &TableWithJoins, joins: usize) -> Result<(), Unknown> {
        let Some(join) = joins.checked_sub(1).and_then(|i| item.joins.get(i)) else {
            return self.factor(&item.relation);
        };
        if !self.pretty {
            self.push("(");
        }
        self.joined(item, joins - 1)?;
        let (words, constraint) = match &join.join_operator {
            JoinOperator::Join(c) | JoinOperator::Inner(c) => (" JOIN ", c),
            JoinOperator::Left(c) | JoinOperator::LeftOuter(c) => (" LEFT JOIN ", c),
            JoinOperator::Right(c) | JoinOperator::RightOuter(c) => (" RIGHT JOIN ", c),
            JoinOperator::FullOuter(c) => (" FULL JOIN ", c),
            JoinOperator::CrossJoin(c) => (" CROSS JOIN ", c),
            _ => return Err(Unknown),
        };
        let words = match constraint {
            JoinConstraint::Natural => format!(" NATURAL{words}"),
            _ => words.to_string(),
        };
        self.line(self.level.saturating_sub(4), &words);
        self.factor(&join.relation)?;
        match constraint {
            JoinConstraint::On(expr) => {
                self.push(" ON ");
                if !self.pretty {
                    self.push("(");
                }
                self.expr(expr, false)?;
                if !self.pretty {
                    self.push(")");
                }
            }
            JoinConstraint::Using(columns) => {
                let columns: Vec<String> = columns
                    .iter()
                    .filter_map(|c| names::Name::new(c).ok().map(|n| quote(&n.name)))
                    .collect();
                self.push(&format!(" USING ({})", columns.join(", ")));
            }
            JoinConstraint::Natural | JoinConstraint::None => {}
            JoinConstraint::UsingAlias(..) => return Err(Unknown),
        }
        if !self.pretty {
            self.push(")");
        }
        Ok(())
    }

    fn factor(&mut self, factor: &TableFactor) -> Result<(), Unknown> {
        match factor {
            TableFactor::Table {
                name,
                alias,
                args: None,
                ..
            } => self.relation(name, alias.as_ref()),
            TableFactor::Derived {
                lateral,
                subquery,
                alias,
                ..
            } => {
                self.push(if *lateral { "LATERAL (" } else { "(" });
                self.query(subquery, None)?;
                self.push(")");
                if let Some(alias) = alias {
                    self.push(&format!(" {}", quote(&names::fold(&alias.name))));
                    self.alias_columns(&alias.columns);
                }
                Ok(())
            }
            TableFactor::NestedJoin {
                table_with_joins,
                alias: None,
            } => {
                if self.pretty {
                    self.push("(");
                }
                self.joined(table_with_joins, table_with_joins.joins.len())?;
                if self.pretty {
                    self.push(")");
                }
                Ok(())
            }
            _ => Err(Unknown),
        }
    }

    /// A relation by its current name; its alias and columns only where they say something.
    fn relation(&mut self, name: &ObjectName, alias: Option<&TableAlias>) -> Result<(), Unknown> {
        let name = names::Name::new(name).map_err(|_| Unknown)?;
        let object = name
            .stored_id()
            .and_then(|id: GlobalId| self.catalog.get(id));
        let Some(object) = object.cloned() else {
            // A WITH query.
            self.push(&quote(&name.name));
            if let Some(alias) = alias {
                self.push(&format!(" {}", quote(&names::fold(&alias.name))));
                self.alias_columns(&alias.columns);
            }
            return Ok(());
        };
        let shown = names::display_name(self.catalog, self.search_path, &object);
        self.push(&shown);
        let Some(alias) = alias else { return Ok(()) };
        let given: Vec<String> = alias.columns.iter().map(|c| names::fold(&c.name)).collect();
        let desc = object.desc();
        let own = desc.iter().flat_map(|d| d.names());
        let same = own.zip(&given).all(|(a, b)| a == b);
        let name = names::fold(&alias.name);
        if name != object.name || !same {
            self.push(&format!(" {}", quote(&name)));
        }
        if !same {
            self.alias_columns(&alias.columns);
        }
        Ok(())
    }

    pub(super) fn alias_columns(&mut self, columns: &[TableAliasColumnDef]) {
        if !columns.is_empty() {
            let columns: Vec<String> = columns
                .iter()
                .map(|c| quote(&names::fold(&c.name)))
                .collect();
            self.push(&format!("({})", columns.join(", ")));
        }
    }
}
