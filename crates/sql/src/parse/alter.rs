//! ALTER TABLE's actions on columns and constraints, several of them separated by commas.

use super::input::Input;
use super::statement::*;
use crate::error::PlanError;
use sqlparser::tokenizer::Token;

impl Input<'_> {
    /// Whether an action follows; what else ALTER TABLE can do in PostgreSQL is refused by the caller, by name.
    pub(super) fn begins_table_action(&self) -> bool {
        ["add", "drop", "alter"].iter().any(|word| self.is(0, word))
    }

    pub(super) fn table_action(&mut self) -> Result<TableAction, PlanError> {
        if self.take(&["add"]) {
            return self.add();
        }
        if self.take(&["drop"]) {
            return self.drop_from_table();
        }
        if self.take(&["alter"]) {
            return self.alter_column();
        }
        Err(self.unexpected())
    }

    fn add(&mut self) -> Result<TableAction, PlanError> {
        const CONSTRAINTS: [&str; 6] = [
            "constraint",
            "primary",
            "unique",
            "check",
            "foreign",
            "exclude",
        ];
        if CONSTRAINTS.iter().any(|word| self.is(0, word)) {
            let parsed = self.parser.parse_optional_table_constraint();
            let constraint = parsed.map_err(|e| self.error(e))?;
            let constraint = constraint.ok_or_else(|| self.unexpected())?;
            if self.is(0, "not") && self.is(1, "valid") {
                return Err(
                    PlanError::unsupported("ADD CONSTRAINT ... NOT VALID").at(self.position())
                );
            }
            return Ok(TableAction::AddConstraint(Box::new(constraint)));
        }
        self.take(&["column"]);
        let if_not_exists = self.take(&["if", "not", "exists"]);
        let column = self.parser.parse_column_def();
        Ok(TableAction::AddColumn {
            column: Box::new(column.map_err(|e| self.error(e))?),
            if_not_exists,
        })
    }

    fn drop_from_table(&mut self) -> Result<TableAction, PlanError> {
        let position = self.position();
        if !self.take(&["constraint"]) {
            return Err(PlanError::unsupported("ALTER TABLE ... DROP COLUMN")
                .with_hint(
                    "Create a view without the column, or the table anew with CREATE TABLE AS.",
                )
                .at(position));
        }
        let if_exists = self.take(&["if", "exists"]);
        let name = self.ident()?;
        // Nothing depends on a constraint here, so that CASCADE and RESTRICT come to the same.
        self.take_one(&["cascade", "restrict"]);
        Ok(TableAction::DropConstraint { name, if_exists })
    }

    fn alter_column(&mut self) -> Result<TableAction, PlanError> {
        if self.is(0, "constraint") && !self.is(1, "set") && !self.is(1, "drop") {
            return Err(
                PlanError::unsupported("ALTER TABLE ... ALTER CONSTRAINT").at(self.position())
            );
        }
        self.take(&["column"]);
        let column = self.ident()?;
        let position = self.position();
        if self.take(&["set", "default"]) {
            let value = Some(Box::new(self.expr()?));
            return Ok(TableAction::Default { column, value });
        }
        if self.take(&["drop", "default"]) {
            return Ok(TableAction::Default {
                column,
                value: None,
            });
        }
        if self.take(&["set", "not", "null"]) {
            return Ok(TableAction::NotNull { column, set: true });
        }
        if self.take(&["drop", "not", "null"]) {
            return Ok(TableAction::NotNull { column, set: false });
        }
        if self.is(0, "type") || (self.is(0, "set") && self.is(1, "data")) {
            return Err(
                PlanError::unsupported("ALTER TABLE ... ALTER COLUMN ... TYPE").at(position),
            );
        }
        match self.peek(0) {
            Token::Word(word) if word.quote_style.is_none() && self.is_known_verb() => {
                let what = format!(
                    "ALTER TABLE ... ALTER COLUMN ... {}",
                    word.value.to_uppercase()
                );
                Err(PlanError::unsupported(what).at(position))
            }
            _ => Err(self.unexpected()),
        }
    }

    fn is_known_verb(&self) -> bool {
        ["set", "drop", "add", "reset", "restart"]
            .iter()
            .any(|word| self.is(0, word))
    }
}
