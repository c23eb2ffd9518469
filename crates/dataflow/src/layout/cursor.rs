//! A cursor over one batch, for differential-dataflow's own operators.
//!
//! Joins, and whatever runs inside recursion, read through it. Operators of ours that must walk
//! backwards or seek within several batches at once read [`Batch`](super::Batch) directly.

use differential_dataflow::trace::{Cursor, Navigable};

use super::order::less;
use super::{Diff, SharedBatch, Slab, Time};

/// A position in a [`SharedBatch`].
#[derive(Debug)]
pub struct BatchCursor<T, R> {
    key: usize,
    val: usize,
    /// The end of the current key's values.
    end: usize,
    marker: std::marker::PhantomData<(T, R)>,
}

impl<T: Time, R: Diff> BatchCursor<T, R> {
    fn load(&mut self, storage: &SharedBatch<T, R>) {
        if self.key < storage.keys().len() {
            (self.val, self.end) = storage.val_range(self.key);
        } else {
            (self.val, self.end) = (0, 0);
        }
    }
}

impl<T: Time, R: Diff> Navigable for SharedBatch<T, R> {
    type Cursor = BatchCursor<T, R>;

    fn cursor(&self) -> BatchCursor<T, R> {
        let mut cursor = BatchCursor {
            key: 0,
            val: 0,
            end: 0,
            marker: std::marker::PhantomData,
        };
        cursor.load(self);
        cursor
    }
}

impl<T: Time, R: Diff> Cursor for BatchCursor<T, R> {
    type Storage = SharedBatch<T, R>;
    type Key<'a> = &'a [u8];
    type ValOwn = Vec<u8>;
    type Val<'a> = &'a [u8];
    type Time = T;
    type TimeGat<'a> = &'a T;
    type Diff = R;
    type DiffGat<'a> = &'a R;
    type KeyContainer = Slab;
    type ValContainer = Slab;
    type TimeContainer = Vec<T>;
    type DiffContainer = Vec<R>;

    #[inline]
    fn key_valid(&self, storage: &Self::Storage) -> bool {
        self.key < storage.keys().len()
    }
    #[inline]
    fn val_valid(&self, _storage: &Self::Storage) -> bool {
        self.val < self.end
    }
    #[inline]
    fn key<'a>(&self, storage: &'a Self::Storage) -> &'a [u8] {
        storage.keys().get(self.key)
    }
    #[inline]
    fn val<'a>(&self, storage: &'a Self::Storage) -> &'a [u8] {
        storage.vals().get(self.val)
    }
    #[inline]
    fn get_key<'a>(&self, storage: &'a Self::Storage) -> Option<&'a [u8]> {
        self.key_valid(storage).then(|| self.key(storage))
    }
    #[inline]
    fn get_val<'a>(&self, storage: &'a Self::Storage) -> Option<&'a [u8]> {
        self.val_valid(storage).then(|| self.val(storage))
    }
    #[inline]
    fn map_times<L: FnMut(&T, &R)>(&mut self, storage: &Self::Storage, mut logic: L) {
        for (time, diff) in storage.updates(self.val) {
            logic(time, diff);
        }
    }
    #[inline]
    fn step_key(&mut self, storage: &Self::Storage) {
        self.key = (self.key + 1).min(storage.keys().len());
        self.load(storage);
    }
    #[inline]
    fn seek_key(&mut self, storage: &Self::Storage, key: &[u8]) {
        let keys = storage.keys();
        self.key = keys.gallop(self.key, keys.len(), |other| less(other, key));
        self.load(storage);
    }
    #[inline]
    fn step_val(&mut self, _storage: &Self::Storage) {
        self.val = (self.val + 1).min(self.end);
    }
    #[inline]
    fn seek_val(&mut self, storage: &Self::Storage, val: &[u8]) {
        self.val = storage
            .vals()
            .gallop(self.val, self.end, |other| less(other, val));
    }
    #[inline]
    fn rewind_keys(&mut self, storage: &Self::Storage) {
        self.key = 0;
        self.load(storage);
    }
    #[inline]
    fn rewind_vals(&mut self, storage: &Self::Storage) {
        self.load(storage);
    }
}
