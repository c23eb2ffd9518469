//! Joins and reductions inside iteration: differential-dataflow's own operators on these layouts.
//!
//! Both work over any lattice of times, which the operators beside them do not. The join yields between
//! keys, the reduction not at all.

use differential_dataflow::operators::arrange::Arranged;
use differential_dataflow::operators::join::join_traces;
use differential_dataflow::trace::{BatchCursor, Cursor, Navigable, TraceReader};
use timely::ContainerBuilder;
use timely::dataflow::Stream;

use crate::arrange::{Local, Spine};
use crate::layout::{BatchBuilder, Packed, Slab, Time};

/// Joins two arrangements by key, over any times.
///
/// For each match, `logic` gets the key, both values, the time of the match and the product of the
/// diffs, and pushes into the output's builder at that time or later. Output is not consolidated.
pub fn join_iterative<'scope, Tr1, Tr2, CB, L>(
    left: Arranged<'scope, Tr1>,
    right: Arranged<'scope, Tr2>,
    name: &str,
    mut logic: L,
) -> Stream<'scope, Tr1::Time, CB::Container>
where
    Tr1: TraceReader<Batch: Navigable> + 'static,
    Tr2: TraceReader<Batch: Navigable, Time = Tr1::Time> + 'static,
    for<'a> BatchCursor<Tr1>: Cursor<
            Time = Tr1::Time,
            KeyContainer = Slab,
            Key<'a> = &'a [u8],
            Val<'a> = &'a [u8],
            Diff = i64,
        >,
    for<'a> BatchCursor<Tr2>:
        Cursor<Time = Tr1::Time, Key<'a> = &'a [u8], Val<'a> = &'a [u8], Diff = i64>,
    CB: ContainerBuilder,
    L: FnMut(&[u8], &[u8], &[u8], Tr1::Time, i64, &mut CB) + 'static,
{
    join_traces::<Tr1, Tr2, Slab, _, CB>(
        left,
        right,
        name,
        move |key, val1, val2, time, diff1: &i64, diff2: &i64, builder: &mut CB| {
            logic(key, val1, val2, time, diff1.saturating_mul(*diff2), builder)
        },
    )
}

/// Maintains a function of each key's values, over any times, in an arrangement of its own.
///
/// `logic` gets a key and its values, in order and with their multiplicities, none of them zero, and
/// pushes result values with theirs; it is not called for a key without values.
pub fn reduce_iterative<'scope, Tr, L>(
    input: Arranged<'scope, Tr>,
    name: &str,
    mut logic: L,
) -> Local<'scope, Tr::Time, i64>
where
    Tr: TraceReader<Time: Time, Batch: Navigable> + 'static,
    for<'a> BatchCursor<Tr>: Cursor<
            Time = Tr::Time,
            KeyContainer = Slab,
            Key<'a> = &'a [u8],
            Val<'a> = &'a [u8],
            Diff = i64,
        >,
    L: FnMut(&[u8], &[(&[u8], i64)], &mut Vec<(Vec<u8>, i64)>) + 'static,
{
    input.reduce_abelian::<_, BatchBuilder<Tr::Time, i64>, Spine<Tr::Time, i64>, Slab, _>(
        name,
        move |key, values, output| logic(key, values, output),
        |packed: &mut Packed<Tr::Time, i64>, key, updates| {
            packed.clear();
            for (val, time, diff) in updates.drain(..) {
                packed.push(key, &val, time, diff);
            }
        },
    )
}
