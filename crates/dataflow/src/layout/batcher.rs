//! From updates in any order to batches: sorting, merging, carving out by time.
//!
//! differential-dataflow's merge batcher does the bookkeeping; this module gives it the three parts
//! that know the layout. [`PackedSorter`] turns arriving containers into sorted, consolidated chunks;
//! [`PackedMerger`] merges chains of chunks, freeing its inputs chunk by chunk, and splits them by
//! time; [`BatchBuilder`] seals a chain into a batch.
//!
//! Invariant: chunks and chains ascend strictly by (key, value, time), and no diff in them is zero.

use std::cmp::Ordering;
use std::collections::VecDeque;

use differential_dataflow::batcher::merge::{Extractor, MergeBatcher, Merger, Sealer};
use timely::container::{ContainerBuilder, PushInto};
use timely::progress::frontier::{Antichain, AntichainRef};

use super::{BatchBuilder, Diff, Packed, Time, order};

/// Batches updates that arrive in [`Packed`] containers.
pub type PackedBatcher<T, R> =
    MergeBatcher<PackedSorter<T, R>, PackedMerger<T, R>, BatchBuilder<T, R>>;

/// Like [`PackedBatcher`], but gives out the sorted chain of chunks itself.
pub type ChainBatcher<T, R> = MergeBatcher<PackedSorter<T, R>, PackedMerger<T, R>, Chain>;

/// Updates in a chunk before it is sorted: the indexes being sorted stay in the second-level cache.
const CHUNK_ROWS: usize = 1 << 14;
/// Bytes in a chunk before it is sorted.
const CHUNK_BYTES: usize = 1 << 20;

/// The buffer that a sorter keeps between steps.
const KEPT_BYTES: usize = 1 << 14;

/// Sorts arriving updates into chunks.
pub struct PackedSorter<T, R> {
    pending: Packed<T, R>,
    ready: VecDeque<Packed<T, R>>,
    /// The chunk handed out last.
    given: Packed<T, R>,
    order: Vec<(u64, u32)>,
}

impl<T, R> Default for PackedSorter<T, R> {
    fn default() -> Self {
        PackedSorter {
            pending: Packed::default(),
            ready: VecDeque::new(),
            given: Packed::default(),
            order: Vec::new(),
        }
    }
}

impl<T: Time, R: Diff> PushInto<&mut Packed<T, R>> for PackedSorter<T, R> {
    fn push_into(&mut self, container: &mut Packed<T, R>) {
        self.pending.append(container);
        if self.pending.len() >= CHUNK_ROWS || self.pending.byte_len() >= CHUNK_BYTES {
            let mut sorted = sort(&self.pending, &mut self.order);
            // What consolidates to little waits for more: few keys never become many chunks.
            let much = sorted.len() > self.pending.len() / 2
                || sorted.byte_len() > self.pending.byte_len() / 2;
            self.pending.clear();
            if much {
                self.ready.push_back(sorted);
            } else {
                self.pending.append(&mut sorted);
            }
        }
    }
}

impl<T: Time, R: Diff> ContainerBuilder for PackedSorter<T, R> {
    type Container = Packed<T, R>;

    fn extract(&mut self) -> Option<&mut Packed<T, R>> {
        self.given = self.ready.pop_front()?;
        Some(&mut self.given)
    }

    fn finish(&mut self) -> Option<&mut Packed<T, R>> {
        if !self.pending.is_empty() {
            let sorted = sort(&self.pending, &mut self.order);
            if !sorted.is_empty() {
                self.ready.push_back(sorted);
            }
            // Large buffers go with the large step that needed them.
            self.pending.clear();
            if self.pending.heap_bytes() > KEPT_BYTES {
                self.pending = Packed::default();
                self.order = Vec::new();
            }
        }
        self.extract()
    }
}

/// What decides the order of a chunk's updates.
struct Columns {
    /// The length of the longest prefix that all keys share.
    shared: usize,
    /// The eight bytes behind it tell all keys apart.
    keys_decided: bool,
    /// All values are empty.
    no_vals: bool,
    /// All times are the same.
    one_time: bool,
}

impl Columns {
    fn of<T: Ord, R>(chunk: &Packed<T, R>) -> Self {
        let first = chunk.key(0);
        let mut columns = Columns {
            shared: first.len(),
            keys_decided: true,
            no_vals: true,
            one_time: true,
        };
        for index in 0..chunk.len() {
            let key = chunk.key(index);
            let shared = columns.shared;
            if key.len() < shared || key[..shared] != first[..shared] {
                let equal = first
                    .iter()
                    .zip(key)
                    .take(shared)
                    .take_while(|(a, b)| a == b);
                columns.shared = equal.count();
            }
            columns.keys_decided &= key.len() == first.len();
            columns.no_vals &= chunk.val(index).is_empty();
            columns.one_time &= chunk.time(index) == chunk.time(0);
        }
        columns.keys_decided &= first.len() <= columns.shared + 8;
        columns
    }

    /// Orders two updates whose eight bytes are equal.
    #[inline]
    fn compare<T: Ord, R>(&self, chunk: &Packed<T, R>, i: u32, j: u32) -> Ordering {
        let (i, j) = (i as usize, j as usize);
        let mut order = Ordering::Equal;
        if !self.keys_decided {
            order = order::compare(&chunk.key(i)[self.shared..], &chunk.key(j)[self.shared..]);
        }
        if order.is_eq() && !self.no_vals {
            order = order::compare(chunk.val(i), chunk.val(j));
        }
        if order.is_eq() && !self.one_time {
            order = chunk.time(i).cmp(chunk.time(j));
        }
        order
    }
}

/// A sorted and consolidated copy of `chunk`. Eight bytes of each key, taken behind the prefix that
/// all keys share, decide most comparisons without touching the rows.
fn sort<T: Time, R: Diff>(chunk: &Packed<T, R>, order: &mut Vec<(u64, u32)>) -> Packed<T, R> {
    let mut sorted = Packed::default();
    if chunk.is_empty() {
        return sorted;
    }
    let columns = Columns::of(chunk);
    order.clear();
    let leading = |i: usize| order::leading(&chunk.key(i)[columns.shared..]);
    order.extend((0..chunk.len()).map(|i| (leading(i), i as u32)));
    if columns.keys_decided && columns.no_vals && columns.one_time {
        order.sort_unstable_by_key(|(leading, _)| *leading);
    } else {
        order.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| columns.compare(chunk, a.1, b.1)));
    }
    let same =
        |a: &(u64, u32), b: &(u64, u32)| a.0 == b.0 && columns.compare(chunk, a.1, b.1).is_eq();
    let distinct = order
        .windows(2)
        .filter(|pair| pair[0].0 != pair[1].0)
        .count()
        + 1;
    if distinct > chunk.len() / 2 {
        sorted.reserve(chunk.len(), chunk.byte_len());
    }
    for equal in order.chunk_by(same) {
        let first = equal[0].1 as usize;
        if let [_] = equal {
            if !chunk.diff(first).is_zero() {
                sorted.copy(chunk, first);
            }
            continue;
        }
        let mut sum = chunk.diff(first).clone();
        for (_, next) in &equal[1..] {
            sum.plus_equals(chunk.diff(*next as usize));
        }
        if !sum.is_zero() {
            sorted.copy_with(chunk, first, sum);
        }
    }
    sorted
}

/// Orders two updates by key, value and time.
#[inline]
fn compare<T: Ord, R>(a: &Packed<T, R>, i: usize, b: &Packed<T, R>, j: usize) -> Ordering {
    order::compare(a.key(i), b.key(j))
        .then_with(|| order::compare(a.val(i), b.val(j)))
        .then_with(|| a.time(i).cmp(b.time(j)))
}

/// Merges and splits chains of sorted chunks.
pub struct PackedMerger<T, R> {
    marker: std::marker::PhantomData<(T, R)>,
}

impl<T, R> Default for PackedMerger<T, R> {
    fn default() -> Self {
        PackedMerger {
            marker: std::marker::PhantomData,
        }
    }
}

/// One input of a merge: the chunk being read and those behind it.
struct Source<T, R> {
    chunk: Packed<T, R>,
    position: usize,
    rest: std::vec::IntoIter<Packed<T, R>>,
}

impl<T, R> Source<T, R> {
    fn new(chain: Vec<Packed<T, R>>) -> Self {
        let mut source = Source {
            chunk: Packed::default(),
            position: 0,
            rest: chain.into_iter(),
        };
        source.refill();
        source
    }

    /// Moves to the next chunk once the current one is read.
    #[inline]
    fn refill(&mut self) {
        while self.position >= self.chunk.len() {
            match self.rest.next() {
                Some(chunk) => (self.chunk, self.position) = (chunk, 0),
                None => return,
            }
        }
    }

    #[inline]
    fn is_done(&self) -> bool {
        self.position >= self.chunk.len()
    }
}

/// Collects merged updates into chunks.
struct Sink<'a, T, R> {
    current: Packed<T, R>,
    output: &'a mut Vec<Packed<T, R>>,
    /// Rows and bytes that may still come.
    expected: (usize, usize),
}

impl<'a, T: Time, R: Diff> Sink<'a, T, R> {
    fn new<'b>(
        inputs: impl IntoIterator<Item = &'b Packed<T, R>>,
        output: &'a mut Vec<Packed<T, R>>,
    ) -> Self {
        let sizes = inputs
            .into_iter()
            .map(|chunk| (chunk.len(), chunk.byte_len()));
        let expected = sizes.fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1));
        Sink {
            current: Packed::default(),
            output,
            expected,
        }
    }

    #[inline]
    fn copy(&mut self, chunk: &Packed<T, R>, index: usize) {
        self.copy_with(chunk, index, chunk.diff(index).clone());
    }

    #[inline]
    fn copy_with(&mut self, chunk: &Packed<T, R>, index: usize, diff: R) {
        if self.current.is_empty() {
            let (rows, bytes) = self.expected;
            // As many bytes as a chunk of average rows takes, and an eighth more.
            let of_rows = bytes.div_ceil(rows.max(1)) * rows.min(CHUNK_ROWS);
            let bytes = (of_rows + of_rows / 8).min(bytes).min(CHUNK_BYTES);
            self.current.reserve(rows.min(CHUNK_ROWS), bytes);
        }
        self.current.copy_with(chunk, index, diff);
        if self.current.len() >= CHUNK_ROWS || self.current.byte_len() >= CHUNK_BYTES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if !self.current.is_empty() {
            let (rows, bytes) = &mut self.expected;
            *rows = rows.saturating_sub(self.current.len());
            *bytes = bytes.saturating_sub(self.current.byte_len());
            self.output.push(std::mem::take(&mut self.current));
        }
    }

    /// Takes the whole of a chunk that nobody has read from, if all of it precedes `bound`.
    fn take_whole(&mut self, source: &mut Source<T, R>, bound: &Source<T, R>) -> bool {
        let len = source.chunk.len();
        if source.position != 0
            || compare(&source.chunk, len - 1, &bound.chunk, bound.position) != Ordering::Less
        {
            return false;
        }
        self.flush();
        self.output.push(std::mem::take(&mut source.chunk));
        source.refill();
        true
    }

    /// Takes all that is left of a source.
    fn take_rest(&mut self, mut source: Source<T, R>) {
        if !source.is_done() {
            if source.position == 0 {
                self.flush();
                self.output.push(source.chunk);
            } else {
                for index in source.position..source.chunk.len() {
                    self.copy(&source.chunk, index);
                }
            }
        }
        self.flush();
        self.output.extend(&mut source.rest);
    }
}

impl<T: Time, R: Diff> Merger for PackedMerger<T, R> {
    type Chunk = Packed<T, R>;

    fn merge(
        &mut self,
        left: Vec<Packed<T, R>>,
        right: Vec<Packed<T, R>>,
        output: &mut Vec<Packed<T, R>>,
        _stash: &mut Vec<Packed<T, R>>,
    ) {
        let mut sink = Sink::new(left.iter().chain(&right), output);
        let (mut left, mut right) = (Source::new(left), Source::new(right));
        while !left.is_done() && !right.is_done() {
            if sink.take_whole(&mut left, &right) || sink.take_whole(&mut right, &left) {
                continue;
            }
            // Until either chunk is read, no whole chunk can be taken.
            while !left.is_done() && !right.is_done() {
                match compare(&left.chunk, left.position, &right.chunk, right.position) {
                    Ordering::Less => {
                        sink.copy(&left.chunk, left.position);
                        left.position += 1;
                    }
                    Ordering::Greater => {
                        sink.copy(&right.chunk, right.position);
                        right.position += 1;
                    }
                    Ordering::Equal => {
                        let mut sum = left.chunk.diff(left.position).clone();
                        sum.plus_equals(right.chunk.diff(right.position));
                        if !sum.is_zero() {
                            sink.copy_with(&left.chunk, left.position, sum);
                        }
                        left.position += 1;
                        right.position += 1;
                    }
                }
            }
            left.refill();
            right.refill();
        }
        let rest = if left.is_done() { right } else { left };
        sink.take_rest(rest);
    }

    fn len(chunk: &Packed<T, R>) -> usize {
        chunk.len()
    }

    fn allocation(chunk: &Packed<T, R>) -> (usize, usize, usize) {
        (chunk.byte_len(), chunk.heap_bytes(), 4)
    }
}

impl<T: Time, R: Diff> Extractor for PackedMerger<T, R> {
    type Time = T;

    fn extract(
        &mut self,
        merged: Vec<Packed<T, R>>,
        upper: AntichainRef<T>,
        frontier: &mut Antichain<T>,
        readied: &mut Vec<Packed<T, R>>,
        kept: &mut Vec<Packed<T, R>>,
        _stash: &mut Vec<Packed<T, R>>,
    ) {
        let mut ready = Sink::new(&merged, readied);
        let mut keep = Sink::new(&merged, kept);
        for chunk in merged {
            let late = chunk
                .times
                .iter()
                .filter(|time| upper.less_equal(time))
                .count();
            if late == 0 {
                ready.flush();
                ready.output.push(chunk);
                continue;
            }
            for index in 0..chunk.len() {
                let time = chunk.time(index);
                if upper.less_equal(time) {
                    frontier.insert_with(time, |time| time.clone());
                    keep.copy(&chunk, index);
                } else {
                    ready.copy(&chunk, index);
                }
            }
        }
        ready.flush();
        keep.flush();
    }
}

/// Seals nothing: the chain of chunks is the result.
pub struct Chain;

impl<T: Time, R: Diff> Sealer<Packed<T, R>> for Chain {
    type Output = Vec<Packed<T, R>>;

    fn seal(chain: &mut Vec<Packed<T, R>>) -> Option<Vec<Packed<T, R>>> {
        (!chain.is_empty()).then(|| std::mem::take(chain))
    }
}
