//! Calls, and what else brackets its parts.

use super::shape::Parent;
use super::{Printer, Unknown};
use crate::names::{self, quote};
use sqlparser::ast::*;

impl Printer<'_> {
    pub(super) fn call(&mut self, name: &str, args: &[Box<Expr>]) -> Result<(), Unknown> {
        self.push(&format!("{name}("));
        for (i, arg) in args.iter().enumerate() {
            if i > 0 {
                self.push(", ");
            }
            self.part(arg, Parent::Bracket, true)?;
        }
        self.push(")");
        Ok(())
    }

    pub(super) fn substring(
        &mut self,
        expr: &Expr,
        from: Option<&Expr>,
        length: Option<&Expr>,
        plain: bool,
    ) -> Result<(), Unknown> {
        self.push(if plain { "substring(" } else { "SUBSTRING(" });
        self.part(expr, Parent::Test, true)?;
        let words = if plain {
            [", ", ", "]
        } else {
            [" FROM ", " FOR "]
        };
        for (word, part) in words.into_iter().zip([from, length]) {
            if let Some(part) = part {
                self.push(word);
                self.part(part, Parent::Test, true)?;
            }
        }
        self.push(")");
        Ok(())
    }

    pub(super) fn case(
        &mut self,
        operand: Option<&Expr>,
        conditions: &[CaseWhen],
        els: Option<&Expr>,
    ) -> Result<(), Unknown> {
        let base = self.level;
        self.line(base, "CASE");
        self.level = base + 4;
        if let Some(operand) = operand {
            self.push(" ");
            self.expr(operand, true)?;
        }
        for CaseWhen { condition, result } in conditions {
            self.line(base + 4, "WHEN ");
            self.expr(condition, operand.is_some())?;
            self.push(" THEN ");
            self.expr(result, true)?;
        }
        self.line(base + 4, "ELSE ");
        match els {
            Some(els) => self.expr(els, true)?,
            None => self.push("NULL"),
        }
        self.level = base;
        self.line(base, "END");
        Ok(())
    }

    pub(super) fn function(&mut self, function: &Function) -> Result<(), Unknown> {
        let name = names::Name::new(&function.name).map_err(|_| Unknown)?.name;
        if !function.within_group.is_empty() {
            return Err(Unknown);
        }
        let standard = ["coalesce", "nullif", "greatest", "least"].contains(&name.as_str());
        self.push(&match standard {
            true => name.to_uppercase(),
            false => quote(&name),
        });
        let list = match &function.args {
            // CURRENT_DATE and the like.
            FunctionArguments::None => {
                self.out.truncate(self.out.len() - name.len());
                self.push(&name.to_uppercase());
                return Ok(());
            }
            FunctionArguments::Subquery(_) => return Err(Unknown),
            FunctionArguments::List(list) => list,
        };
        self.push("(");
        if matches!(list.duplicate_treatment, Some(DuplicateTreatment::Distinct)) {
            self.push("DISTINCT ");
        }
        for (i, arg) in list.args.iter().enumerate() {
            if i > 0 {
                self.push(", ");
            }
            match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => {
                    self.part(e, Parent::Bracket, true)?;
                }
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => self.push("*"),
                _ => return Err(Unknown),
            }
        }
        for clause in &list.clauses {
            let FunctionArgumentClause::OrderBy(items) = clause else {
                return Err(Unknown);
            };
            self.push(" ORDER BY ");
            self.order_items(items, &[], false)?;
        }
        self.push(")");
        if let Some(filter) = &function.filter {
            self.push(" FILTER (WHERE ");
            self.expr(filter, false)?;
            self.push(")");
        }
        match &function.over {
            None => Ok(()),
            Some(WindowType::WindowSpec(spec)) => self.window(spec),
            Some(WindowType::NamedWindow(_)) => Err(Unknown),
        }
    }

    fn window(&mut self, spec: &WindowSpec) -> Result<(), Unknown> {
        if spec.window_name.is_some() {
            return Err(Unknown);
        }
        self.push(" OVER (");
        let mut space = "";
        if !spec.partition_by.is_empty() {
            self.push("PARTITION BY ");
            for (i, expr) in spec.partition_by.iter().enumerate() {
                if i > 0 {
                    self.push(", ");
                }
                self.by(expr)?;
            }
            space = " ";
        }
        if !spec.order_by.is_empty() {
            self.push(&format!("{space}ORDER BY "));
            self.order_items(&spec.order_by, &[], false)?;
            space = " ";
        }
        if let Some(frame) = &spec.window_frame {
            let units = frame.units.to_string();
            let start = frame.start_bound.to_string();
            self.push(&match &frame.end_bound {
                Some(end) => format!("{space}{units} BETWEEN {start} AND {end}"),
                None => format!("{space}{units} {start}"),
            });
        }
        self.push(")");
        Ok(())
    }
}
