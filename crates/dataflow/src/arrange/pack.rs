//! From records to key and value bytes.
//!
//! The closure sees each record once and writes bytes straight into the container that travels, so
//! that neither key nor value is ever an allocation of its own. A record whose key fails to evaluate
//! goes to a second output instead.

use timely::container::{CapacityContainerBuilder, ContainerBuilder, PushInto};
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use crate::layout::{Diff, Packed, PackedBuilder, Time};

/// Where [`pack`]'s closure puts what it makes of a record.
pub struct Packer<'a, T, R, E> {
    updates: &'a mut PackedBuilder<T, R>,
    errors: &'a mut CapacityContainerBuilder<Vec<(E, T, i64)>>,
}

impl<T, R, E> Packer<'_, T, R, E> {
    /// Adds an update.
    #[inline]
    pub fn push(&mut self, key: &[u8], val: &[u8], time: T, diff: R) {
        self.updates.push_into((key, val, time, diff));
    }

    /// Adds to the error output.
    pub fn error(&mut self, error: E, time: T, diff: i64) {
        self.errors.push_into((error, time, diff));
    }
}

/// Packs each record into any number of updates and errors.
///
/// Times pushed must not lie before the record's own.
pub fn pack<'scope, D, T, R, E, L>(
    records: Stream<'scope, T, Vec<(D, T, i64)>>,
    name: &str,
    mut logic: L,
) -> (
    Stream<'scope, T, Packed<T, R>>,
    Stream<'scope, T, Vec<(E, T, i64)>>,
)
where
    D: 'static,
    E: 'static,
    T: Time,
    R: Diff,
    L: FnMut(D, T, i64, &mut Packer<'_, T, R, E>) + 'static,
{
    let mut operator = OperatorBuilder::new(name.to_owned(), records.scope());
    let mut input = operator.new_input(records, Pipeline);
    let (updates, updates_stream) = operator.new_output();
    let (errors, errors_stream) = operator.new_output();
    let mut updates = OutputBuilder::<T, PackedBuilder<T, R>>::from(updates);
    let mut errors = OutputBuilder::<T, CapacityContainerBuilder<Vec<(E, T, i64)>>>::from(errors);

    operator.build(move |_capabilities| {
        let mut failed: CapacityContainerBuilder<Vec<(E, T, i64)>> = Default::default();
        move |_frontiers| {
            let mut updates = updates.activate();
            let mut errors = errors.activate();
            input.for_each_stamp(|capability, data| {
                let packed = capability.retain_stamp(0);
                let mut session = updates.session_with_builder(&packed);
                for records in data {
                    for (record, time, diff) in records.drain(..) {
                        let mut packer = Packer {
                            updates: session.builder(),
                            errors: &mut failed,
                        };
                        logic(record, time, diff, &mut packer);
                        session.extract_and_send();
                    }
                }
                drop(session);
                while let Some(container) = failed.finish() {
                    let failing = capability.retain_stamp(1);
                    errors
                        .session_with_builder(&failing)
                        .give_container(container);
                }
            });
        }
    });
    (updates_stream, errors_stream)
}
