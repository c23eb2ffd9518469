//! Table functions: each input row with each row of a function over it.

use std::sync::Arc;

use everview_expr::{CallTypes, MapFilterProject, ScalarExpr, TableFunc, table_func};
use everview_repr::{Datum, Row};

use super::scratch::Scratch;
use super::streams::{Collection, transform};
use crate::health::Health;

/// A call of a table function.
pub struct Call {
    /// The function.
    pub func: TableFunc,
    /// Its arguments over the input row.
    pub args: Vec<ScalarExpr>,
    /// What it was resolved to.
    pub types: Arc<CallTypes>,
    /// A last column that counts.
    pub ordinality: bool,
    /// Applied to the input row and the function's columns.
    pub mfp: MapFilterProject,
}

/// Renders a call for each row.
pub fn render<'s>(
    input: Collection<'s>,
    call: Call,
    name: &str,
    health: &Arc<Health>,
) -> Collection<'s> {
    let (mut outer, mut inner) = (Scratch::default(), Scratch::default());
    let output = transform(
        input.oks,
        name,
        health,
        move |row: Row, time, diff, sink| {
            let context = (&call, &row);
            let result = outer.run(&context, |(call, row), datums, arena, _| {
                datums.extend(row.iter());
                let args: Vec<_> = call
                    .args
                    .iter()
                    .map(|arg| arg.eval(datums, arena))
                    .collect();
                let mut ordinal = 0;
                table_func::call(call.func, &call.types, &args, &mut |found: Row| {
                    ordinal += 1;
                    let context = (call, row, &found);
                    let made = inner.run(&context, |(call, row, found), datums, arena, packer| {
                        datums.extend(row.iter());
                        datums.extend(found.iter());
                        if call.ordinality {
                            datums.push(Datum::Int64(ordinal));
                        }
                        call.mfp.evaluate(datums, arena, packer)
                    });
                    match made {
                        Ok(Some(row)) => sink.ok(row, time, diff),
                        Ok(None) => {}
                        Err(error) => sink.err(&error, time, diff),
                    }
                    true
                })
            });
            if let Err(error) = result {
                sink.err(&error, time, diff);
            }
        },
    );
    output.with_errors(input.errs)
}
