//! Measures arrangements and operators: `cargo run --release -p everview-dataflow --example layout`.
//!
//! One worker, packed rows. Each line says what was measured and, in parentheses, what the prototype
//! reached on the machine it was measured on; ratios carry over, absolute figures do not.
#![allow(clippy::print_stdout)]

use std::time::{Duration, Instant};

use differential_dataflow::trace::TraceReader;
use everview_dataflow::arrange::group::{Direction, Group, Horizon};
use everview_dataflow::arrange::pack::pack;
use everview_dataflow::arrange::publish::{Published, SharedReader};
use everview_dataflow::arrange::{Trace, allow_compaction, arrange};
use everview_dataflow::layout::{Diff, Packed};
use everview_dataflow::operators::{
    Accumulate, Comparison, Head, Seek, extrema_append_only, half_join, join, reduce_total,
};
use smallvec::SmallVec;
use timely::container::{CapacityContainerBuilder, PushInto};
use timely::dataflow::operators::probe::Handle;
use timely::dataflow::operators::vec::Input;
use timely::dataflow::operators::{Concat, Probe};
use timely::dataflow::{InputHandle, Stream};
use timely::worker::Worker;

/// A packed row: eight bytes of symbol, four of quantity, four of price.
type Row = SmallVec<[u8; 24]>;
type Rows = Vec<(Row, u64, i64)>;
type RowsBuilder = CapacityContainerBuilder<Rows>;

const TICKS: u64 = 5_000_000;
const SYMBOLS: u64 = 2_000;
const STEP: u64 = 100_000;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

fn tick(random: &mut Random) -> Row {
    let choice = random.next();
    let mut row = Row::new();
    row.extend_from_slice(format!("SYM{:05}", choice % SYMBOLS).as_bytes());
    row.extend_from_slice(&((choice >> 20) as u32 % 1000).to_be_bytes());
    row.extend_from_slice(&((choice >> 40) as u32 % 1_000_000).to_be_bytes());
    row
}

fn number(bytes: &[u8]) -> i64 {
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | i64::from(*byte))
}

fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .unwrap_or_default();
    line.replace("VmRSS:", "").trim().to_owned()
}

fn main() {
    let only = std::env::args().nth(1).unwrap_or_default();
    let ticks: Vec<Row> = {
        let mut random = Random(1);
        (0..TICKS).map(|_| tick(&mut random)).collect()
    };
    let sections: [(&str, &dyn Fn(&[Row])); 6] = [
        ("sums", &sums),
        ("extrema", &extrema),
        ("append", &append_only),
        ("one-group", &one_group),
        ("join", &equijoin),
        ("look-ups", &look_ups),
    ];
    for (name, section) in sections {
        if only.is_empty() || only == name {
            section(&ticks);
        }
    }
}

/// A dataflow fed with rows, one time a step.
struct Feed {
    input: InputHandle<u64, CapacityContainerBuilder<Rows>>,
    probe: Handle<u64>,
    time: u64,
}

impl Feed {
    fn step(&mut self, worker: &mut Worker, rows: impl Iterator<Item = (Row, i64)>) -> Duration {
        let mut batch: Rows = rows.map(|(row, diff)| (row, self.time, diff)).collect();
        let start = Instant::now();
        self.input.send_batch(&mut batch);
        self.time += 1;
        self.input.advance_to(self.time);
        worker.step_while(|| self.probe.less_than(&self.time));
        start.elapsed()
    }

    fn load(&mut self, worker: &mut Worker, rows: &[Row]) -> Took {
        let mut took = Took::default();
        for chunk in rows.chunks(STEP as usize) {
            let rows: Vec<_> = chunk.iter().map(|row| (row.clone(), 1)).collect();
            took += timed(|| self.step(worker, rows.into_iter())).1;
        }
        took
    }

    fn steps(
        &mut self,
        worker: &mut Worker,
        count: usize,
        rows: usize,
        mut row: impl FnMut() -> (Row, i64),
    ) -> String {
        let mut took: Vec<Duration> = (0..count)
            .map(|_| {
                self.step(
                    worker,
                    (0..rows).map(|_| row()).collect::<Vec<_>>().into_iter(),
                )
            })
            .collect();
        took.sort();
        format!(
            "median {:?}, p99 {:?}",
            took[count / 2],
            took[count * 99 / 100]
        )
    }
}

fn feed<R: 'static>(
    worker: &mut Worker,
    build: impl for<'s> FnOnce(Stream<'s, u64, Rows>, &mut Handle<u64>) -> R,
) -> (Feed, R) {
    worker.dataflow::<u64, _, _>(|scope| {
        let (input, rows) = scope.new_input();
        let mut probe = Handle::new();
        let built = build(rows, &mut probe);
        (
            Feed {
                input,
                probe,
                time: 0,
            },
            built,
        )
    })
}

fn pack_rows<'s, R: Diff>(
    rows: Stream<'s, u64, Rows>,
    logic: impl Fn(&Row, i64, &mut dyn FnMut(&[u8], &[u8], R)) + 'static,
) -> Stream<'s, u64, Packed<u64, R>> {
    let (packed, _errors) =
        pack::<_, u64, R, (), _>(rows, "pack", move |row, time, diff, packer| {
            logic(&row, diff, &mut |key, val, diff| {
                packer.push(key, val, time, diff)
            })
        });
    packed
}

fn rate(rows: usize, took: Took) -> String {
    let rate = |took: Duration| rows as f64 / took.as_secs_f64() / 1e6;
    format!(
        "{:.2} M rows/s, {:.2} by processor time",
        rate(took.wall),
        rate(took.busy)
    )
}

/// How long something took, on the clock and on the processor.
#[derive(Clone, Copy, Default)]
struct Took {
    wall: Duration,
    busy: Duration,
}

impl std::ops::AddAssign for Took {
    fn add_assign(&mut self, other: Took) {
        self.wall += other.wall;
        self.busy += other.busy;
    }
}

/// Times a closure on this thread. Other work on the machine does not count as busy.
fn timed<R>(work: impl FnOnce() -> R) -> (R, Took) {
    let busy = || {
        let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        let nanos = stat.split(' ').next().and_then(|nanos| nanos.parse().ok());
        Duration::from_nanos(nanos.unwrap_or(0))
    };
    let (start, start_busy) = (Instant::now(), busy());
    let result = work();
    (
        result,
        Took {
            wall: start.elapsed(),
            busy: busy() - start_busy,
        },
    )
}

fn sums(ticks: &[Row]) {
    let ticks = ticks.to_vec();
    timely::execute_directly(move |worker| {
        let (mut feed, ()) = feed(worker, |rows, probe| {
            let packed = pack_rows(rows, |row, diff, push| {
                let (qty, price) = (number(&row[8..12]), number(&row[12..16]));
                let amount = i128::from(price * qty * diff);
                push(&row[..8], &[], (diff, qty * diff, amount))
            });
            let emit = |key: &[u8], sums: &(i64, i64, i128), output: &mut Vec<(Row, i64)>| {
                let mut row = Row::from_slice(key);
                row.extend_from_slice(&sums.0.to_be_bytes());
                row.extend_from_slice(&sums.1.to_be_bytes());
                row.extend_from_slice(&sums.2.to_be_bytes());
                output.push((row, 1));
            };
            reduce_total(arrange(packed, "ticks"), "sums", Accumulate::new(emit)).probe_with(probe);
        });
        let took = feed.load(worker, &ticks);
        println!(
            "count, sum, sum by symbol, load: {} (5.8)",
            rate(ticks.len(), took)
        );
        let mut random = Random(2);
        let steps = feed.steps(worker, 50, 1000, || (tick(&mut random), 1));
        println!("  step of 1,000 rows: {steps} (0.87 ms)");
        let steps = feed.steps(worker, 500, 1, || (tick(&mut random), 1));
        println!("  step of 1 row: {steps} (116 µs)");
    });
}

/// Symbol, price.
fn by_price(row: &Row, diff: i64, push: &mut dyn FnMut(&[u8], &[u8], i64)) {
    push(&row[..8], &row[12..16], diff)
}

fn emit_head(key: &[u8], head: &Head, output: &mut Vec<(Row, i64)>) {
    for (val, count) in &head.rows {
        let mut row = Row::from_slice(key);
        row.extend_from_slice(val);
        output.push((row, *count));
    }
}

fn min_max<'s>(rows: Stream<'s, u64, Rows>, probe: &mut Handle<u64>) {
    let prices = arrange(pack_rows(rows, by_price), "prices");
    let min = Seek::new(Direction::Forward, 0, Some(1), emit_head);
    let max = Seek::new(Direction::Backward, 0, Some(1), emit_head);
    let min = reduce_total(prices.clone(), "min", min);
    reduce_total(prices, "max", max)
        .concat(min)
        .probe_with(probe);
}

fn extrema(ticks: &[Row]) {
    let ticks = ticks.to_vec();
    timely::execute_directly(move |worker| {
        let (mut feed, ()) = feed(worker, min_max);
        let took = feed.load(worker, &ticks);
        println!(
            "min and max by symbol, load: {} (1.8), {}",
            rate(ticks.len(), took),
            resident()
        );
        let mut random = Random(2);
        let steps = feed.steps(worker, 50, 1000, || (tick(&mut random), 1));
        println!("  step of 1,000 rows: {steps} (1.7 / 2.7 ms)");
        let steps = feed.steps(worker, 500, 1, || (tick(&mut random), 1));
        println!("  step of 1 row: {steps} (11 / 29 µs)");
        let mut next = 0;
        let steps = feed.steps(worker, 500, 1, || {
            next += 1;
            (ticks[next].clone(), -1)
        });
        println!("  deleting 1 row: {steps}");
    });
}

fn append_only(ticks: &[Row]) {
    let ticks = ticks.to_vec();
    timely::execute_directly(move |worker| {
        let (mut feed, ()) = feed(worker, |rows, probe| {
            let packed = pack_rows(rows, by_price);
            extrema_append_only(packed, "min", Direction::Forward, 1, emit_head).probe_with(probe);
        });
        let took = feed.load(worker, &ticks);
        println!(
            "append-only min by symbol, load: {} (16)",
            rate(ticks.len(), took)
        );
        let mut random = Random(2);
        let steps = feed.steps(worker, 500, 1, || (tick(&mut random), 1));
        println!("  step of 1 row: {steps} (3 µs)");
    });
}

/// A million values in one group.
fn one_group(_ticks: &[Row]) {
    timely::execute_directly(move |worker| {
        let (mut feed, ()) = feed(worker, |rows, probe| {
            let whole = |row: &Row, diff: i64, push: &mut dyn FnMut(&[u8], &[u8], i64)| {
                push(b"one", row, diff)
            };
            let values = arrange(pack_rows(rows, whole), "values");
            let min = Seek::new(Direction::Forward, 0, Some(1), emit_head);
            reduce_total(values, "min", min).probe_with(probe);
        });
        let value = |i: u64| Row::from_slice(&i.to_be_bytes());
        let rows: Vec<Row> = (0..1_000_000).map(|i| value(i * 16)).collect();
        let took = feed.load(worker, &rows);
        println!("one group of 1,000,000, load: {}", rate(rows.len(), took));
        let mut random = Random(3);
        let steps = feed.steps(worker, 1000, 1, || (value(random.next() % 16_000_000), 1));
        println!("  insert: {steps} (10 / 29 µs)");
        let mut least = 0;
        let steps = feed.steps(worker, 2000, 1, || {
            least += 1;
            (value((least - 1) * 16), -1)
        });
        println!("  delete of the least: {steps} (10 / 21 µs)");
    });
}

/// A row of 27 bytes: eight of key, nineteen of value.
fn wide(key: u64) -> Row {
    let mut row = Row::from_slice(&key.to_be_bytes());
    row.extend_from_slice(&[7; 11]);
    row.extend_from_slice(&key.wrapping_mul(3).to_le_bytes());
    row
}

fn equijoin(_ticks: &[Row]) {
    const SIDE: usize = 1_000_000;
    for delta in [false, true] {
        timely::execute_directly(move |worker| {
            type Traces = [Trace<u64, i64>; 2];
            let (mut feed, mut traces): (Feed, Traces) = feed(worker, move |rows, probe| {
                // The first bit of the key says which side.
                let side = |left: bool| {
                    move |row: &Row, diff: i64, push: &mut dyn FnMut(&[u8], &[u8], i64)| {
                        if (row[0] >= 0x80) == left {
                            let mut key = [0; 8];
                            key.copy_from_slice(&row[..8]);
                            key[0] &= 0x7f;
                            push(&key, &row[8..], diff)
                        }
                    }
                };
                let left = pack_rows(rows.clone(), side(true));
                let right = pack_rows(rows, side(false));
                let (left_index, right_index) = (
                    arrange(left.clone(), "left"),
                    arrange(right.clone(), "right"),
                );
                let traces = [left_index.trace.clone(), right_index.trace.clone()];
                let output =
                    |key: &[u8], _: &[u8], val: &[u8], time, diff, to: &mut RowsBuilder| {
                        let mut row = Row::from_slice(key);
                        row.extend_from_slice(val);
                        to.push_into((row, time, diff));
                    };
                if delta {
                    let comparison = Comparison::Before;
                    half_join::<_, RowsBuilder, _>(left, right_index, "left", comparison, output)
                        .concat(half_join::<_, RowsBuilder, _>(
                            right,
                            left_index,
                            "right",
                            Comparison::UpTo,
                            output,
                        ))
                        .probe_with(probe);
                } else {
                    join::<_, _, RowsBuilder, _>(left_index, right_index, "join", output)
                        .probe_with(probe);
                }
                traces
            });
            let name = if delta { "delta" } else { "linear" };
            let mut random = Random(4);
            let rows: Vec<Row> = (0..2 * SIDE)
                .map(|i| wide((random.next() % SIDE as u64) | ((i as u64 & 1) << 63)))
                .collect();
            let before = resident();
            let took = feed.load(worker, &rows);
            println!(
                "{name} join of 1 M with 1 M, load: {} (1.35)",
                rate(rows.len(), took)
            );
            for trace in &mut traces {
                allow_compaction(trace, feed.time - 1);
            }
            let reader = published(&mut traces);
            let size = reader.size();
            println!(
                "  {:.1} bytes an arranged row (44), in {} batches; resident {before} -> {}",
                size.bytes as f64 / size.updates as f64,
                size.batches,
                resident()
            );
            let (mut took, mut count) = (Took::default(), 0);
            for _ in 0..20 {
                let rows: Vec<(Row, i64)> = (0..10_000)
                    .map(|i| (wide((random.next() % SIDE as u64) | ((i & 1) << 63)), 1))
                    .collect();
                count += rows.len();
                took += timed(|| feed.step(worker, rows.into_iter())).1;
                for trace in &mut traces {
                    allow_compaction(trace, feed.time - 1);
                }
            }
            println!("  steps of 10,000: {} (0.53)", rate(count, took));
        });
    }
}

fn published(traces: &mut [Trace<u64, i64>]) -> SharedReader<i64> {
    let lists = traces.iter_mut().map(|trace| {
        let published = Published::new();
        published.publish(trace);
        published
    });
    SharedReader::new(lists.collect())
}

fn look_ups(_ticks: &[Row]) {
    const ROWS: u64 = 1_000_000;
    timely::execute_directly(move |worker| {
        let (mut feed, mut trace) = feed(worker, |rows, probe| {
            let split = |row: &Row, diff: i64, push: &mut dyn FnMut(&[u8], &[u8], i64)| {
                push(&row[..8], &row[8..], diff)
            };
            let index = arrange(pack_rows(rows, split), "index");
            index.stream.probe_with(probe);
            index.trace
        });
        let rows: Vec<Row> = (0..ROWS)
            .map(|i| wide(i.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
            .collect();
        let took = feed.load(worker, &rows);
        println!("index of 1 M random keys, load: {}", rate(rows.len(), took));
        allow_compaction(&mut trace, feed.time - 1);
        let as_of = feed.time - 1;
        let mut random = Random(5);
        let keys: Vec<&[u8]> = (0..200_000)
            .map(|_| &rows[(random.next() % ROWS) as usize][..8])
            .collect();

        let published = Published::new();
        published.publish(&mut trace);
        let reader = SharedReader::new(vec![published.clone()]);
        let (found, took) = timed(|| {
            let found = |key: &&&[u8]| reader.lookup(key, as_of, None).is_ok_and(|v| v.len() == 1);
            keys.iter().filter(found).count()
        });
        assert_eq!(found, keys.len());
        println!(
            "  look-up by a session: {:?} in {} batches (1.8 to 3.5 µs)",
            took.busy / keys.len() as u32,
            reader.size().batches
        );

        let mut sorted = keys.clone();
        sorted.sort_unstable();
        let batches = trace.batches_through(timely::progress::Antichain::new().borrow());
        let batches = batches.expect("all batches");
        let (found, took) = timed(|| {
            let mut positions = vec![0; batches.len()];
            let found = sorted.iter().filter(|key| {
                let group = Group::find(&batches, &mut positions, key);
                group.walk(Direction::Forward, Horizon::At(as_of)).count() == 1
            });
            found.count()
        });
        assert_eq!(found, keys.len());
        println!(
            "  sorted look-ups: {:?} (83 ns)",
            took.busy / keys.len() as u32
        );

        let (scanned, took) = timed(|| {
            let mut rows = 0;
            if let Ok(snapshot) = reader.snapshot(as_of, None) {
                snapshot.for_range(None, None, Direction::Forward, |_, _, _| {
                    rows += 1;
                    true
                });
            }
            rows
        });
        println!("  scan: {}", rate(scanned, took));
        let mut next = ROWS;
        let mut took: Vec<Duration> = Vec::new();
        for _ in 0..1000 {
            next += 1;
            let start = Instant::now();
            feed.step(worker, std::iter::once((wide(next), 1)));
            allow_compaction(&mut trace, feed.time - 1);
            published.publish(&mut trace);
            took.push(start.elapsed());
        }
        took.sort();
        println!(
            "  write to visible: {:?}, p99 {:?} (30 / 61 µs)",
            took[500], took[990]
        );
    });
}
