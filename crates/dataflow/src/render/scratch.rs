//! Memory for evaluating expressions over packed rows, used again for row after row.

use everview_expr::{MapFilterProject, ScalarExpr};
use everview_optimize::physical::{Arrangement, ColumnSource};
use everview_repr::{Datum, EvalError, Packer, Row, RowArena, RowRef, SqlState, key, row};

/// Datums, what they borrow, and the row being made.
#[derive(Default)]
pub struct Scratch {
    datums: Vec<Datum<'static>>,
    arena: RowArena,
    packer: Packer,
}

impl Scratch {
    /// Calls `logic` with no datums yet, an empty arena and an empty packer. What is borrowed from `context` may
    /// become a datum's.
    pub fn run<'e, C: ?Sized, R>(
        &'e mut self,
        context: &'e C,
        logic: impl FnOnce(&'e C, &mut Vec<Datum<'e>>, &'e RowArena, &mut Packer) -> R,
    ) -> R {
        let Scratch {
            datums,
            arena,
            packer,
        } = self;
        arena.clear();
        packer.clear();
        let mut used: Vec<Datum<'e>> = recycle(std::mem::take(datums));
        let result = logic(context, &mut used, arena, packer);
        *datums = recycle(used);
        result
    }

    /// A row through map, filter and project.
    pub fn apply(&mut self, mfp: &MapFilterProject, row: &Row) -> Result<Option<Row>, EvalError> {
        self.run(&(mfp, row), |(mfp, row), datums, arena, packer| {
            datums.extend(row.iter());
            mfp.evaluate(datums, arena, packer)
        })
    }
}

/// An empty vector in another's memory.
fn recycle<'a, 'b>(mut datums: Vec<Datum<'a>>) -> Vec<Datum<'b>> {
    datums.clear();
    datums.into_iter().map(|_| Datum::Null).collect()
}

/// An error as a row of an error collection.
pub fn error_row(error: &EvalError) -> Row {
    let arena = RowArena::new();
    Row::pack([arena.error(error)])
}

/// The error in a row of an error collection.
pub fn row_error(row: RowRef<'_>) -> EvalError {
    match row.iter().next() {
        Some(Datum::Error(error)) => error.to_error(),
        _ => EvalError::new(
            SqlState::INTERNAL_ERROR,
            "an error collection holds errors only",
        ),
    }
}

/// Writes the key of these expressions; the row of an error collection if one of them is an error.
pub fn encode_key<'a>(
    out: &mut Vec<u8>,
    exprs: &'a [ScalarExpr],
    datums: &[Datum<'a>],
    arena: &'a RowArena,
) -> Result<(), Row> {
    out.clear();
    for expr in exprs {
        match expr.eval(datums, arena) {
            error @ Datum::Error(_) => return Err(Row::pack([error])),
            datum => key::push(out, datum),
        }
    }
    Ok(())
}

/// Writes key and value of a row in an arrangement; gives the errors in the key, as rows of an error collection.
/// Errors have their place in the order of keys too. A datum behind the row's columns, which joins
/// leave there, stays behind the value's.
pub fn arrange_row(
    scratch: &mut Scratch,
    arrangement: &Arrangement,
    row: RowRef<'_>,
    key: &mut Vec<u8>,
    value: &mut Vec<u8>,
) -> Vec<Row> {
    let context = (arrangement, row);
    scratch.run(&context, |(arrangement, row), datums, arena, _| {
        datums.extend(row.iter());
        value.clear();
        for column in &arrangement.value {
            row::push_datum(value, datums[*column]);
        }
        if let Some(behind) = datums.get(arrangement.columns.len()) {
            row::push_datum(value, *behind);
        }
        encode_whole_key(key, &arrangement.key, datums, arena)
    })
}

/// Writes the key of these expressions, errors among them; gives those.
pub fn encode_whole_key<'a>(
    out: &mut Vec<u8>,
    exprs: &'a [ScalarExpr],
    datums: &[Datum<'a>],
    arena: &'a RowArena,
) -> Vec<Row> {
    out.clear();
    let mut errors = Vec::new();
    for expr in exprs {
        let datum = expr.eval(datums, arena);
        key::push(out, datum);
        if let Datum::Error(_) = datum {
            errors.push(Row::pack([datum]));
        }
    }
    errors
}

/// Appends the datums of an arranged row; gives the one behind them, if there is one.
pub fn read_back<'a>(
    arrangement: &Arrangement,
    mut key: &'a [u8],
    value: &'a [u8],
    datums: &mut Vec<Datum<'a>>,
    arena: &'a RowArena,
) -> Option<Datum<'a>> {
    let wanted = arrangement
        .columns
        .iter()
        .filter_map(|source| match source {
            ColumnSource::Key(at) => Some(at + 1),
            ColumnSource::Value(_) => None,
        });
    let wanted = wanted.max().unwrap_or(0);
    let decoded: smallvec::SmallVec<[Datum<'a>; 4]> = arrangement.key_types[..wanted]
        .iter()
        .map(|ty| {
            key::decode(&mut key, ty, arena).expect("a key of these types that keeps identity")
        })
        .collect();
    let values: smallvec::SmallVec<[Datum<'a>; 8]> = RowRef::from_packed(value).iter().collect();
    datums.extend(arrangement.columns.iter().map(|source| match source {
        ColumnSource::Key(at) => decoded[*at],
        ColumnSource::Value(at) => values[*at],
    }));
    values.get(arrangement.value.len()).copied()
}

/// The row that an arrangement holds under a key and a value.
pub fn arranged_row(
    scratch: &mut Scratch,
    arrangement: &Arrangement,
    key: &[u8],
    value: &[u8],
) -> Row {
    let context = (key, value);
    scratch.run(&context, |(key, value), datums, arena, packer| {
        read_back(arrangement, key, value, datums, arena);
        datums.iter().for_each(|datum| packer.push(*datum));
        packer.finish()
    })
}
