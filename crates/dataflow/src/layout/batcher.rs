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

use super::{BatchBuilder, Diff, Packed, Time};

/// Batches updates that arrive in [`Packed`] containers.
pub type PackedBatcher<T, R> =
    MergeBatcher<PackedSorter<T, R>, PackedMerger<T, R>, BatchBuilder<T, R>>;

/// Like [`PackedBatcher`], but gives out the sorted chain of chunks itself.
pub type ChainBatcher<T, R> = MergeBatcher<PackedSorter<T, R>, PackedMerger<T, R>, Chain>;

/// Updates in a chunk before it is sorted: the indexes being sorted stay in the second-level cache.
const CHUNK_ROWS: usize = 1 << 14;
/// Bytes in a chunk before it is sorted.
const CHUNK_BYTES: usize = 1 << 20;

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

impl<T: Time, R: Diff> PackedSorter<T, R> {
    /// Sorts and consolidates what is pending, and keeps it pending.
    fn settle(&mut self) {
        let sorted = sort(&self.pending, &mut self.order);
        self.pending = sorted;
    }
}

impl<T: Time, R: Diff> PushInto<&mut Packed<T, R>> for PackedSorter<T, R> {
    fn push_into(&mut self, container: &mut Packed<T, R>) {
        self.pending.append(container);
        if self.pending.len() >= CHUNK_ROWS || self.pending.byte_len() >= CHUNK_BYTES {
            let (rows, bytes) = (self.pending.len(), self.pending.byte_len());
            self.settle();
            // What consolidated to little waits for more, so that few keys never become many chunks.
            if self.pending.len() > rows / 2 || self.pending.byte_len() > bytes / 2 {
                self.ready.push_back(std::mem::take(&mut self.pending));
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
            self.settle();
            let pending = std::mem::take(&mut self.pending);
            if !pending.is_empty() {
                self.ready.push_back(pending);
            }
        }
        self.extract()
    }
}

/// The length of the longest prefix that all keys share.
fn shared_prefix<T, R>(chunk: &Packed<T, R>) -> usize {
    let first = chunk.key(0);
    let mut shared = first.len();
    for index in 1..chunk.len() {
        let key = chunk.key(index);
        if key.len() < shared || key[..shared] != first[..shared] {
            shared = first
                .iter()
                .zip(key)
                .take(shared)
                .take_while(|(a, b)| a == b)
                .count();
        }
        if shared == 0 {
            break;
        }
    }
    shared
}

/// Up to eight bytes as a number that compares as they do, up to ties.
#[inline]
fn leading(bytes: &[u8]) -> u64 {
    match bytes.first_chunk::<8>() {
        Some(chunk) => u64::from_be_bytes(*chunk),
        None => {
            let mut padded = [0; 8];
            padded[..bytes.len()].copy_from_slice(bytes);
            u64::from_be_bytes(padded)
        }
    }
}

/// A sorted and consolidated copy of `chunk`. Eight bytes of each key, taken behind the prefix that
/// all keys share, decide most comparisons without touching the rows.
fn sort<T: Time, R: Diff>(chunk: &Packed<T, R>, order: &mut Vec<(u64, u32)>) -> Packed<T, R> {
    let mut sorted = Packed::default();
    if chunk.is_empty() {
        return sorted;
    }
    let shared = shared_prefix(chunk);
    order.clear();
    order.extend((0..chunk.len()).map(|i| (leading(&chunk.key(i)[shared..]), i as u32)));
    order.sort_unstable_by(|a, b| {
        a.0.cmp(&b.0)
            .then_with(|| compare(chunk, a.1 as usize, chunk, b.1 as usize))
    });
    let mut position = 0;
    while position < order.len() {
        let first = order[position].1 as usize;
        position += 1;
        let mut sum: Option<R> = None;
        while position < order.len() {
            let next = order[position].1 as usize;
            if order[position].0 != order[position - 1].0
                || compare(chunk, first, chunk, next) != Ordering::Equal
            {
                break;
            }
            sum.get_or_insert_with(|| chunk.diff(first).clone())
                .plus_equals(chunk.diff(next));
            position += 1;
        }
        match sum {
            Some(sum) if sum.is_zero() => {}
            Some(sum) => sorted.copy_with(chunk, first, sum),
            None if chunk.diff(first).is_zero() => {}
            None => sorted.copy(chunk, first),
        }
    }
    sorted
}

/// Orders two updates by key, value and time.
#[inline]
fn compare<T: Ord, R>(a: &Packed<T, R>, i: usize, b: &Packed<T, R>, j: usize) -> Ordering {
    a.key(i)
        .cmp(b.key(j))
        .then_with(|| a.val(i).cmp(b.val(j)))
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
}

impl<T: Time, R: Diff> Sink<'_, T, R> {
    #[inline]
    fn copy(&mut self, chunk: &Packed<T, R>, index: usize) {
        self.current.copy(chunk, index);
        self.cut();
    }

    #[inline]
    fn cut(&mut self) {
        if self.current.len() >= CHUNK_ROWS || self.current.byte_len() >= CHUNK_BYTES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if !self.current.is_empty() {
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
        let (mut left, mut right) = (Source::new(left), Source::new(right));
        let mut sink = Sink {
            current: Packed::default(),
            output,
        };
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
                            sink.current.copy_with(&left.chunk, left.position, sum);
                            sink.cut();
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
        let mut ready = Sink {
            current: Packed::default(),
            output: readied,
        };
        let mut keep = Sink {
            current: Packed::default(),
            output: kept,
        };
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
