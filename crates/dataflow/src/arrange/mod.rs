//! Arrangements: ordered indexes that workers maintain and operators and sessions share.
//!
//! An arrangement maps (key bytes, value bytes) to times and diffs. [`pack`] turns a stream of records
//! into key and value bytes, [`presum`] sums what needs no values on the way, [`arrange`] distributes them by key and keeps them in a spine of shared
//! batches, [`import`] brings an arrangement into another dataflow, [`publish`] shows it to other
//! threads, and [`group`] reads one key's values in order, forwards and backwards, as of any time.
//!
//! Invariant: a key lives on worker `hash::of(key) % workers`, for writers and readers alike.
//! Nothing here knows what the bytes mean.

pub mod group;
pub mod hash;
pub mod pack;
pub mod presum;
pub mod publish;

#[cfg(test)]
mod tests;

use differential_dataflow::operators::arrange::arrangement::arrange_core;
use differential_dataflow::operators::arrange::{Arranged, ShutdownButton, TraceAgent};
use differential_dataflow::trace::TraceReader;
use differential_dataflow::trace::wrappers::frontier::{BatchFrontier, TraceFrontier};
use differential_dataflow::trace::{Span, implementations::spine_fueled};
use timely::dataflow::channels::pact::ExchangeCore;
use timely::dataflow::operators::CapabilitySet;
use timely::dataflow::operators::vec::Map;
use timely::dataflow::{Scope, Stream};
use timely::progress::Antichain;
use timely::progress::frontier::AntichainRef;

use crate::layout::{Diff, Packed, PackedBatcher, PackedBuilder, PackedRef, SharedBatch, Time};

/// The spine of shared batches.
pub type Spine<T, R> = spine_fueled::Spine<SharedBatch<T, R>>;
/// A handle to a trace of this worker; holding it holds compaction back.
pub type Trace<T, R> = TraceAgent<Spine<T, R>>;
/// An arrangement within the dataflow that maintains it.
pub type Local<'scope, T, R> = Arranged<'scope, Trace<T, R>>;
/// A trace whose times are advanced to a `since` and cut off at an `until`.
pub type ImportedTrace<T, R> = TraceFrontier<Trace<T, R>>;
/// An arrangement read as of some time: the one type that plans are rendered against, imported or
/// not (see [`import`] and [`localize`]).
pub type Imported<'scope, T, R> = Arranged<'scope, ImportedTrace<T, R>>;
/// Ends an import when pressed.
pub type ImportButton<T> = ShutdownButton<CapabilitySet<T>>;

/// The contract that sends each update to the worker that owns its key.
pub fn by_key<T: Time, R: Diff>()
-> ExchangeCore<PackedBuilder<T, R>, impl for<'a> FnMut(&PackedRef<'a, T, R>) -> u64 + 'static> {
    ExchangeCore::new_core(|update: &PackedRef<'_, T, R>| hash::of(update.key))
}

/// Arranges packed updates by key, on the workers that own the keys.
pub fn arrange<'scope, T: Time, R: Diff>(
    updates: Stream<'scope, T, Packed<T, R>>,
    name: &str,
) -> Local<'scope, T, R> {
    arrange_core::<_, _, PackedBatcher<T, R>, Spine<T, R>>(
        updates,
        by_key(),
        name,
        PackedBatcher::new,
    )
}

/// Arranges packed updates by key where they are. Right only if every key's updates already are on
/// the worker that [`by_key`] would choose.
pub fn arrange_in_place<'scope, T: Time, R: Diff>(
    updates: Stream<'scope, T, Packed<T, R>>,
    name: &str,
) -> Local<'scope, T, R> {
    use timely::dataflow::channels::pact::Pipeline;
    arrange_core::<_, _, PackedBatcher<T, R>, Spine<T, R>>(
        updates,
        Pipeline,
        name,
        PackedBatcher::new,
    )
}

/// Brings an arrangement into another dataflow, as of `since` and up to `until`, if given.
///
/// All that happened before `since` appears at `since`. The trace's own handle must not have allowed
/// compaction beyond `since`; the new handle holds compaction at what the given handle holds.
pub fn import<'scope, R: Diff>(
    trace: &mut Trace<u64, R>,
    scope: Scope<'scope, u64>,
    name: &str,
    since: u64,
    until: Option<u64>,
) -> (Imported<'scope, u64, R>, ImportButton<u64>) {
    debug_assert!(
        trace.get_logical_compaction().less_equal(&since),
        "{name}: imported as of {since}, which is compacted away"
    );
    let until = until.map_or_else(Antichain::new, Antichain::from_elem);
    trace.import_frontier_core(scope, name, Antichain::from_elem(since), until)
}

/// Lets a trace compact history before `since`, and merge what is complete.
///
/// The owner of an index calls this as history passes. The handle keeps batches apart from the
/// trace's upper end on, so that joins of later dataflows can still take up there.
pub fn allow_compaction<R: Diff>(trace: &mut Trace<u64, R>, since: u64) {
    let mut upper = Antichain::new();
    trace.read_upper(&mut upper);
    trace.set_logical_compaction(AntichainRef::new(&[since]));
    trace.set_physical_compaction(upper.borrow());
}

/// Presents an arrangement of this dataflow in the type of an imported one.
pub fn localize<'scope, T: Time, R: Diff>(local: Local<'scope, T, R>) -> Imported<'scope, T, R> {
    let since = Antichain::from_elem(T::minimum());
    let until = Antichain::new();
    let trace = TraceFrontier::make_from(local.trace, since.borrow(), until.borrow());
    let stream = local.stream.map(move |span| {
        Span::new(
            span.desc,
            span.inner
                .map(|batch| BatchFrontier::make_from(batch, since.borrow(), until.borrow())),
        )
    });
    Arranged { stream, trace }
}
