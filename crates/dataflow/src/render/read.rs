//! From an arrangement back to rows.

use std::collections::VecDeque;

use everview_optimize::physical::Arrangement;
use everview_repr::{Row, RowRef};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;

use super::scratch::{Scratch, arranged_row};
use super::streams::{Index, Rows, Update};
use crate::arrange::group::View;
use crate::operators::fuel::Fuel;

/// Reads all rows of an arrangement.
pub fn read_index<'s>(index: Index<'s>, arrangement: &Arrangement, name: &str) -> Rows<'s> {
    let arrangement = arrangement.clone();
    let mut scratch = Scratch::default();
    read(index, name, move |key, value| {
        arranged_row(&mut scratch, &arrangement, key, value)
    })
}

/// Reads an index of errors, whose keys are packed rows.
pub fn read_errors<'s>(index: Index<'s>, name: &str) -> Rows<'s> {
    read(index, name, |key, _| RowRef::from_packed(key).to_row())
}

/// Makes a row of each key and value, batch by batch as they come, in bounded pieces.
fn read<'s>(
    index: Index<'s>,
    name: &str,
    mut make: impl FnMut(&[u8], &[u8]) -> Row + 'static,
) -> Rows<'s> {
    let scope = index.stream.scope();
    index
        .stream
        .unary::<CapacityContainerBuilder<Vec<Update>>, _, _, _>(
            Pipeline,
            name,
            move |_capability, info| {
                let activator = scope.activator_for(info.address);
                // Batches not yet read to the end, with the next value of the first one.
                let mut queue = VecDeque::new();
                let (mut key, mut value) = (0, 0);
                move |input, output| {
                    input.for_each(|capability, spans| {
                        for span in spans.drain(..) {
                            if let (Some(batch), Some(held)) =
                                (span.inner, capability.retain_least(0))
                            {
                                queue.push_back((held, batch));
                            }
                        }
                    });
                    let mut fuel = Fuel::full();
                    while let Some((capability, view)) = queue.front() {
                        let mut session = output.session_with_builder(capability);
                        let batch = view.batch();
                        while key < batch.keys().len() && !fuel.is_empty() {
                            let (start, end) = batch.val_range(key);
                            value = value.max(start);
                            while value < end && !fuel.is_empty() {
                                let mut row = None;
                                for (time, diff) in batch.updates(value) {
                                    let mut time = *time;
                                    if view.present(&mut time) {
                                        let row = row.get_or_insert_with(|| {
                                            make(batch.keys().get(key), batch.vals().get(value))
                                        });
                                        session.give((row.clone(), time, *diff));
                                    }
                                }
                                fuel.burn(1);
                                value += 1;
                            }
                            if value == end {
                                key += 1;
                            }
                        }
                        if key < batch.keys().len() {
                            activator.activate();
                            return;
                        }
                        drop(session);
                        queue.pop_front();
                        (key, value) = (0, 0);
                    }
                }
            },
        )
}
