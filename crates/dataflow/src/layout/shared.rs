//! A batch that threads share.
//!
//! differential-dataflow counts references to batches within one thread. Readers of ours sit on other
//! threads, so the spine holds batches through `Arc`: the newtype adds nothing but the traits.

use std::ops::Deref;
use std::sync::Arc;

use differential_dataflow::trace::implementations::spine_fueled::{Merger, SpineBatch};
use timely::progress::frontier::AntichainRef;

use super::merger::BatchMerger;
use super::{Batch, Diff, Time};

/// A [`Batch`] that any thread can hold and read.
#[derive(Debug)]
pub struct SharedBatch<T, R>(Arc<Batch<T, R>>);

impl<T, R> SharedBatch<T, R> {
    /// How many traces, merges, lists and readers hold the batch.
    pub fn holders(&self) -> usize {
        Arc::strong_count(&self.0)
    }
}

impl<T, R> Clone for SharedBatch<T, R> {
    fn clone(&self) -> Self {
        SharedBatch(Arc::clone(&self.0))
    }
}

impl<T, R> Deref for SharedBatch<T, R> {
    type Target = Batch<T, R>;

    #[inline]
    fn deref(&self) -> &Batch<T, R> {
        &self.0
    }
}

impl<T, R> From<Batch<T, R>> for SharedBatch<T, R> {
    fn from(batch: Batch<T, R>) -> Self {
        SharedBatch(Arc::new(batch))
    }
}

impl<T: Time, R: Diff> SpineBatch for SharedBatch<T, R> {
    type Time = T;
    type Merger = SharedMerger<T, R>;

    fn len(&self) -> usize {
        Batch::len(self)
    }
}

/// A merge of two shared batches.
pub struct SharedMerger<T: Time, R: Diff>(BatchMerger<T, R>);

impl<T: Time, R: Diff> Merger<SharedBatch<T, R>> for SharedMerger<T, R> {
    fn new(left: &SharedBatch<T, R>, right: &SharedBatch<T, R>, since: AntichainRef<T>) -> Self {
        SharedMerger(BatchMerger::new(left, right, since))
    }
    fn work(&mut self, left: &SharedBatch<T, R>, right: &SharedBatch<T, R>, fuel: &mut isize) {
        self.0.work(left, right, fuel)
    }
    fn done(self) -> Option<SharedBatch<T, R>> {
        self.0.done().map(SharedBatch::from)
    }
}
