#![allow(clippy::disallowed_methods, reason = "a test starts its own threads")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use timely::dataflow::operators::{Input as _, Probe};

use super::group::Direction;
use super::publish::{Published, ReadError, SharedReader, prefix_end};
use super::{Trace, allow_compaction, arrange, hash};
use crate::layout::Packed;

const KEYS: u64 = 50;

fn key(key: u64) -> Vec<u8> {
    key.to_be_bytes()[6..].to_vec()
}

/// The value of a key as of a time: one that changes now and then, at times of the key's own.
fn value(key: u64, time: u64) -> Vec<u8> {
    ((time + key) / 3).to_be_bytes().to_vec()
}

/// The updates of a time: each key's old value goes, its new one comes, where they differ.
fn updates(time: u64) -> Packed<u64, i64> {
    let mut packed = Packed::default();
    for k in 0..KEYS {
        let new = value(k, time);
        if time == 0 {
            packed.push(&key(k), &new, time, 1);
        } else if value(k, time - 1) != new {
            packed.push(&key(k), &value(k, time - 1), time, -1);
            packed.push(&key(k), &new, time, 1);
        }
    }
    packed
}

/// Workers that maintain and publish the index of [`updates`] for `times` times, keeping `history`
/// times readable.
fn maintain(
    workers: usize,
    times: u64,
    history: u64,
    published: Vec<Arc<Published<i64>>>,
    after: impl Fn() + Send + Sync + 'static,
) {
    timely::execute(timely::Config::process(workers), move |worker| {
        let (mut input, probe, mut trace) = worker.dataflow::<u64, _, _>(|scope| {
            let (input, stream) = scope.new_input();
            let index = arrange(stream, "index");
            (input, index.stream.probe().0, index.trace)
        });
        for time in 0..times {
            if worker.index() == 0 {
                input.send_batch(&mut updates(time));
            }
            input.advance_to(time + 1);
            worker.step_or_park_while(None, || probe.less_than(&(time + 1)));
            let since = (time + 1).saturating_sub(history);
            allow_compaction(&mut trace, since);
            published[worker.index()].publish(&mut trace);
        }
        after();
    })
    .expect("workers start");
}

/// Reads at the oldest and at the newest readable time while batches merge underneath.
#[test]
fn readers_see_every_time_right_while_batches_merge() {
    for workers in [1, 3] {
        let published: Vec<_> = (0..workers).map(|_| Published::new()).collect();
        let reader = SharedReader::new(published.clone());
        let done = Arc::new(AtomicBool::new(false));
        let reads = Arc::new(AtomicU64::new(0));
        let threads: Vec<_> = (0..3u64)
            .map(|thread| {
                let (reader, done, reads) = (reader.clone(), done.clone(), reads.clone());
                std::thread::Builder::new()
                    .spawn(move || {
                        let mut k = thread;
                        while !done.load(Ordering::Relaxed) {
                            k = (k + 7) % KEYS;
                            let upper = reader.upper().unwrap_or(0);
                            let as_of = match k % 2 {
                                0 => reader.since(),
                                _ => upper.saturating_sub(1),
                            };
                            match reader.lookup(&key(k), as_of, Some(Duration::from_secs(20))) {
                                Ok(rows) => {
                                    assert_eq!(
                                        rows,
                                        vec![(value(k, as_of), 1)],
                                        "{k} as of {as_of}"
                                    );
                                    reads.fetch_add(1, Ordering::Relaxed);
                                }
                                // The oldest time may have been passed in between.
                                Err(ReadError::Compacted { .. }) => {}
                                Err(other) => panic!("{other}"),
                            }
                        }
                    })
                    .expect("a thread starts")
            })
            .collect();
        let after = {
            let done = done.clone();
            move || done.store(true, Ordering::Relaxed)
        };
        maintain(workers, 500, 10, published, after);
        for thread in threads {
            thread.join().expect("no reader saw anything wrong");
        }
        assert!(reads.load(Ordering::Relaxed) > 100);
        let last = reader.upper().expect("a reached time") - 1;
        let size = reader.size();
        assert!(size.updates < 1_000, "history is compacted: {size:?}");
        assert_eq!(
            reader.scan(last, None).expect("readable").len(),
            KEYS as usize
        );
    }
}

#[test]
fn a_snapshot_stays_valid_while_it_is_held() {
    let published = vec![Published::new()];
    let reader = SharedReader::new(published.clone());
    let early = {
        maintain(1, 20, 10, published.clone(), || {});
        reader.snapshot(15, None).expect("readable")
    };
    published[0].retire();
    assert_eq!(reader.lookup(&key(1), 15, None), Err(ReadError::Dropped));
    let mut rows = Vec::new();
    early.for_key(&key(1), |val, diff| rows.push((val.to_vec(), diff)));
    assert_eq!(rows, vec![(value(1, 15), 1)]);
}

#[test]
fn readers_wait_time_out_and_are_told_what_is_gone() {
    let published = vec![Published::new()];
    let reader = SharedReader::new(published.clone());
    let waiting = {
        let reader = reader.clone();
        std::thread::Builder::new()
            .spawn(move || reader.lookup(&key(3), 40, Some(Duration::from_secs(60))))
            .expect("a thread starts")
    };
    let timed_out = reader.lookup(&key(3), 40, Some(Duration::from_millis(5)));
    assert_eq!(
        timed_out,
        Err(ReadError::TimedOut {
            as_of: 40,
            upper: 0
        })
    );
    maintain(1, 50, 20, published, || {});
    assert_eq!(
        waiting.join().expect("no panic"),
        Ok(vec![(value(3, 40), 1)])
    );
    let gone = reader.lookup(&key(3), 29, None);
    assert_eq!(
        gone,
        Err(ReadError::Compacted {
            as_of: 29,
            since: 30
        })
    );
}

#[test]
fn tasks_are_woken_when_their_time_is_reached() {
    use std::future::Future;
    use std::task::{Context, Poll, Wake, Waker};
    struct Flag(AtomicBool);
    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let published = vec![Published::new(), Published::new()];
    let reader = SharedReader::new(published.clone());
    let flag = Arc::new(Flag(AtomicBool::new(false)));
    let waker = Waker::from(flag.clone());
    let mut context = Context::from_waker(&waker);
    let mut future = std::pin::pin!(reader.snapshot_async(30));
    assert!(matches!(future.as_mut().poll(&mut context), Poll::Pending));
    maintain(2, 31, 5, published, || {});
    assert!(flag.0.load(Ordering::SeqCst));
    // The first wake may come when one worker is there and the other is not.
    let Poll::Ready(snapshot) = future.as_mut().poll(&mut context) else {
        panic!("all workers have passed the time");
    };
    assert_eq!(
        snapshot
            .expect("readable")
            .range(None, None, Direction::Forward, None)
            .len(),
        50
    );
}

#[test]
fn dropping_a_dataflow_gives_its_memory_back() {
    timely::execute_directly(|worker| {
        let published = Published::<i64>::new();
        let dataflow = worker.next_dataflow_index();
        let (mut input, probe, mut trace) = worker.dataflow::<u64, _, _>(|scope| {
            let (input, stream) = scope.new_input();
            let index = arrange(stream, "index");
            (input, index.stream.probe().0, index.trace)
        });
        input.send_batch(&mut updates(0));
        input.advance_to(1);
        worker.step_or_park_while(None, || probe.less_than(&1));
        published.publish(&mut trace);
        assert!(published.size().bytes > 0);
        let batch = published.latest().batches()[0].clone();
        assert!(batch.holders() > 2);
        worker.drop_dataflow(dataflow);
        drop((input, probe, trace));
        published.retire();
        assert_eq!(batch.holders(), 1, "only this test still holds the batch");
        assert_eq!(published.size(), Default::default());
    });
}

#[test]
fn the_hash_never_changes() {
    assert_eq!(hash::of(b""), 0x2d06_8005_38d3_94c2);
    let elsewhere = Vec::from(*b"everview");
    assert_eq!(hash::of(b"everview"), hash::of(&elsewhere));
}

#[test]
fn prefixes_end_at_their_successor() {
    assert_eq!(prefix_end(&[1, 2]), Some(vec![1, 3]));
    assert_eq!(prefix_end(&[1, 255]), Some(vec![2]));
    assert_eq!(prefix_end(&[255, 255]), None);
}

fn trace_of(rows: &[(Vec<u8>, Vec<u8>, u64, i64)], workers: usize) -> SharedReader<i64> {
    let published: Vec<_> = (0..workers).map(|_| Published::new()).collect();
    let (shown, rows) = (published.clone(), rows.to_vec());
    timely::execute(timely::Config::process(workers), move |worker| {
        let (mut input, probe, mut trace): (_, _, Trace<u64, i64>) =
            worker.dataflow::<u64, _, _>(|scope| {
                let (input, stream) = scope.new_input();
                let index = arrange(stream, "index");
                (input, index.stream.probe().0, index.trace)
            });
        for time in 0..4u64 {
            let mut packed = Packed::default();
            let own = rows.iter().skip(worker.index()).step_by(worker.peers());
            own.filter(|row| row.2 == time)
                .for_each(|(k, v, t, d)| packed.push(k, v, *t, *d));
            input.send_batch(&mut packed);
            input.advance_to(time + 1);
            worker.step_or_park_while(None, || probe.less_than(&(time + 1)));
        }
        shown[worker.index()].publish(&mut trace);
    })
    .expect("workers start");
    SharedReader::new(published)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn ranges_read_both_ways_across_workers(
        rows in prop::collection::vec((prop::collection::vec(0u8..3, 0..3), prop::collection::vec(0u8..3, 0..2), 0u64..4, -1i64..3), 0..60),
        low in prop::option::of(prop::collection::vec(0u8..3, 0..3)),
        high in prop::option::of(prop::collection::vec(0u8..3, 0..3)),
        as_of in 0u64..4,
        limit in prop::option::of(0usize..10),
        workers in 1usize..4,
    ) {
        let reader = trace_of(&rows, workers);
        let mut model = BTreeMap::new();
        for (key, val, _, diff) in rows.iter().filter(|row| row.2 <= as_of) {
            *model.entry((key.clone(), val.clone())).or_insert(0) += diff;
        }
        let all: Vec<_> = model
            .into_iter()
            .filter(|(_, diff)| *diff != 0)
            .map(|((key, val), diff)| (key, val, diff))
            .collect();
        let mut forward: Vec<_> = all
            .iter()
            .filter(|row| low.as_ref().is_none_or(|low| row.0 >= *low))
            .filter(|row| high.as_ref().is_none_or(|high| row.0 < *high))
            .cloned()
            .collect();
        let mut backward: Vec<_> = forward.iter().rev().cloned().collect();
        forward.truncate(limit.unwrap_or(usize::MAX));
        backward.truncate(limit.unwrap_or(usize::MAX));
        let read = |direction| reader.range(low.as_deref(), high.as_deref(), direction, as_of, limit, None);
        prop_assert_eq!(read(Direction::Forward).unwrap(), forward);
        prop_assert_eq!(read(Direction::Backward).unwrap(), backward);
        let prefix = low.unwrap_or_default();
        let expected: Vec<_> = all.iter().filter(|row| row.0.starts_with(&prefix)).cloned().collect();
        let snapshot = reader.snapshot(as_of, None).unwrap();
        prop_assert_eq!(snapshot.prefix(&prefix, Direction::Forward, None), expected);
        prop_assert_eq!(reader.scan(as_of, None).unwrap(), all);
    }
}
