//! Updates on their way: a flat container of `(key, value, time, diff)` in any order.
//!
//! Keys and values lie end to end in one byte string. The container crosses dataflow edges, worker
//! threads and, by serde, processes; sorted, it is also the unit that the batcher merges.
//!
//! Invariant: the columns `ends`, `times` and `diffs` are equally long, and ends do not decrease.

use timely::Accountable;
use timely::ExchangeData;
use timely::container::{CapacityContainerBuilder, DrainContainer, PushInto, SizableContainer};
use timely::dataflow::channels::ContainerBytes;

/// Rows after which a container is sent on.
const ROWS: usize = 1024;
/// Bytes after which a container is sent on.
const BYTES: usize = 1 << 16;

/// A container of `(key bytes, value bytes, time, diff)`.
#[derive(Clone, Debug)]
pub struct Packed<T, R> {
    bytes: Vec<u8>,
    /// Where each key ends, and where the value behind it ends.
    ends: Vec<(u32, u32)>,
    pub(crate) times: Vec<T>,
    pub(crate) diffs: Vec<R>,
}

/// Builds [`Packed`] containers of bounded size from pushed updates.
pub type PackedBuilder<T, R> = CapacityContainerBuilder<Packed<T, R>>;

/// One update drained from a [`Packed`].
#[derive(Clone, Copy, Debug)]
pub struct PackedRef<'a, T, R> {
    /// Key bytes.
    pub key: &'a [u8],
    /// Value bytes.
    pub val: &'a [u8],
    /// Time of the update.
    pub time: T,
    /// What it adds.
    pub diff: R,
}

impl<T, R> Default for Packed<T, R> {
    fn default() -> Self {
        Packed {
            bytes: Vec::new(),
            ends: Vec::new(),
            times: Vec::new(),
            diffs: Vec::new(),
        }
    }
}

impl<T, R> Packed<T, R> {
    /// Appends an update.
    #[inline]
    pub fn push(&mut self, key: &[u8], val: &[u8], time: T, diff: R) {
        self.bytes.extend_from_slice(key);
        let key_end = position(self.bytes.len());
        self.bytes.extend_from_slice(val);
        self.ends.push((key_end, position(self.bytes.len())));
        self.times.push(time);
        self.diffs.push(diff);
    }

    /// Appends an update whose key and value bytes the closure writes, one after the other, into the
    /// container itself.
    ///
    /// The closure appends key bytes to the vector, returns nothing, and is called a second time for
    /// the value.
    #[inline]
    pub fn push_with(
        &mut self,
        key: impl FnOnce(&mut Vec<u8>),
        val: impl FnOnce(&mut Vec<u8>),
        time: T,
        diff: R,
    ) {
        key(&mut self.bytes);
        let key_end = position(self.bytes.len());
        val(&mut self.bytes);
        self.ends.push((key_end, position(self.bytes.len())));
        self.times.push(time);
        self.diffs.push(diff);
    }

    /// The number of updates.
    #[inline]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True if there are no updates.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all keys and values.
    #[inline]
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// The key of update `index`.
    #[inline]
    pub fn key(&self, index: usize) -> &[u8] {
        let start = self.start(index);
        &self.bytes[start..self.ends[index].0 as usize]
    }

    /// The value of update `index`.
    #[inline]
    pub fn val(&self, index: usize) -> &[u8] {
        let (start, end) = self.ends[index];
        &self.bytes[start as usize..end as usize]
    }

    /// The time of update `index`.
    #[inline]
    pub fn time(&self, index: usize) -> &T {
        &self.times[index]
    }

    /// The diff of update `index`.
    #[inline]
    pub fn diff(&self, index: usize) -> &R {
        &self.diffs[index]
    }

    #[inline]
    fn start(&self, index: usize) -> usize {
        if index == 0 {
            0
        } else {
            self.ends[index - 1].1 as usize
        }
    }

    /// Forgets all updates, and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.times.clear();
        self.diffs.clear();
    }

    /// Bytes on the heap, without what a diff points to.
    pub fn heap_bytes(&self) -> usize {
        self.bytes.capacity()
            + self.ends.capacity() * size_of::<(u32, u32)>()
            + self.times.capacity() * size_of::<T>()
            + self.diffs.capacity() * size_of::<R>()
    }

    /// Makes room for so many more updates and bytes.
    pub fn reserve(&mut self, rows: usize, bytes: usize) {
        self.bytes.reserve(bytes);
        self.ends.reserve(rows);
        self.times.reserve(rows);
        self.diffs.reserve(rows);
    }

    /// Appends all updates of `other`, and leaves it empty.
    pub fn append(&mut self, other: &mut Self) {
        if self.is_empty() && self.bytes.capacity() <= other.bytes.capacity() {
            std::mem::swap(self, other);
            other.clear();
            return;
        }
        let base = position(self.bytes.len());
        position(self.bytes.len() + other.bytes.len());
        self.bytes.extend_from_slice(&other.bytes);
        self.ends
            .extend(other.ends.iter().map(|(key, val)| (key + base, val + base)));
        self.times.append(&mut other.times);
        self.diffs.append(&mut other.diffs);
        other.clear();
    }
}

impl<T: Clone, R: Clone> Packed<T, R> {
    /// Appends update `index` of `other`.
    #[inline]
    pub fn copy(&mut self, other: &Self, index: usize) {
        self.copy_with(other, index, other.diffs[index].clone());
    }

    /// Appends update `index` of `other`, with another diff.
    #[inline]
    pub fn copy_with(&mut self, other: &Self, index: usize, diff: R) {
        let start = other.start(index);
        let (key_end, val_end) = other.ends[index];
        let base = self.bytes.len();
        self.bytes
            .extend_from_slice(&other.bytes[start..val_end as usize]);
        self.ends.push((
            position(base + key_end as usize - start),
            position(base + val_end as usize - start),
        ));
        self.times.push(other.times[index].clone());
        self.diffs.push(diff);
    }
}

/// A position in a container, which holds at most one row beyond [`BYTES`].
#[inline]
fn position(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("a row is shorter than 4 GiB, the protocol's limit is 1 GiB")
}

impl<T, R> Accountable for Packed<T, R> {
    #[inline]
    fn record_count(&self) -> i64 {
        self.len() as i64
    }
    #[inline]
    fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

impl<T, R> SizableContainer for Packed<T, R> {
    #[inline]
    fn at_capacity(&self) -> bool {
        self.len() >= ROWS || self.bytes.len() >= BYTES
    }
    fn ensure_capacity(&mut self, stash: &mut Option<Self>) {
        if self.ends.capacity() == 0 {
            *self = stash.take().unwrap_or_default();
            self.clear();
            self.ends.reserve(ROWS);
            self.times.reserve(ROWS);
            self.diffs.reserve(ROWS);
        }
    }
}

impl<T, R> PushInto<(&[u8], &[u8], T, R)> for Packed<T, R> {
    #[inline]
    fn push_into(&mut self, (key, val, time, diff): (&[u8], &[u8], T, R)) {
        self.push(key, val, time, diff)
    }
}

impl<T, R> PushInto<PackedRef<'_, T, R>> for Packed<T, R> {
    #[inline]
    fn push_into(&mut self, item: PackedRef<'_, T, R>) {
        self.push(item.key, item.val, item.time, item.diff)
    }
}

/// Drains the updates of a [`Packed`], in order.
pub struct PackedDrain<'a, T, R> {
    bytes: &'a [u8],
    start: usize,
    ends: std::slice::Iter<'a, (u32, u32)>,
    times: std::vec::Drain<'a, T>,
    diffs: std::vec::Drain<'a, R>,
}

impl<'a, T, R> Iterator for PackedDrain<'a, T, R> {
    type Item = PackedRef<'a, T, R>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (key_end, val_end) = *self.ends.next()?;
        let (key_end, val_end) = (key_end as usize, val_end as usize);
        let (time, diff) = (self.times.next()?, self.diffs.next()?);
        let key = &self.bytes[self.start..key_end];
        let val = &self.bytes[key_end..val_end];
        self.start = val_end;
        Some(PackedRef {
            key,
            val,
            time,
            diff,
        })
    }
}

impl<T: 'static, R: 'static> DrainContainer for Packed<T, R> {
    type Item<'a> = PackedRef<'a, T, R>;
    type DrainIter<'a> = PackedDrain<'a, T, R>;

    fn drain(&mut self) -> PackedDrain<'_, T, R> {
        PackedDrain {
            bytes: &self.bytes,
            start: 0,
            ends: self.ends.iter(),
            times: self.times.drain(..),
            diffs: self.diffs.drain(..),
        }
    }
}

/// The columns of a container, as they travel between processes.
type Columns<T, R> = (Vec<u8>, Vec<(u32, u32)>, Vec<T>, Vec<R>);

impl<T: ExchangeData + Clone, R: ExchangeData + Clone> Packed<T, R> {
    fn columns(&self) -> Vec<Columns<T, R>> {
        vec![(
            self.bytes.clone(),
            self.ends.clone(),
            self.times.clone(),
            self.diffs.clone(),
        )]
    }
}

impl<T: ExchangeData + Clone, R: ExchangeData + Clone> ContainerBytes for Packed<T, R> {
    fn from_bytes(bytes: timely::bytes::arc::Bytes) -> Self {
        let mut columns: Vec<Columns<T, R>> = ContainerBytes::from_bytes(bytes);
        let (bytes, ends, times, diffs) = columns.pop().unwrap_or_default();
        Packed {
            bytes,
            ends,
            times,
            diffs,
        }
    }
    fn length_in_bytes(&self) -> usize {
        self.columns().length_in_bytes()
    }
    fn into_bytes<W: std::io::Write>(&self, writer: &mut W) {
        self.columns().into_bytes(writer)
    }
}
