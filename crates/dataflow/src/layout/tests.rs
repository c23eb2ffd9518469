use std::collections::BTreeMap;

use differential_dataflow::batcher::{Batcher, Extract};
use differential_dataflow::trace::implementations::spine_fueled::Merger;
use differential_dataflow::trace::{Cursor, Navigable};
use proptest::prelude::*;
use timely::container::DrainContainer;
use timely::dataflow::channels::ContainerBytes;
use timely::progress::Antichain;

use super::merger::BatchMerger;
use super::*;

type Update = (Vec<u8>, Vec<u8>, u64, i64);
type Model = BTreeMap<(Vec<u8>, Vec<u8>, u64), i64>;

fn bytes(length: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..length),
        prop::collection::vec(0u8..2, 0..length),
        prop::collection::vec(0u8..3, 3),
    ]
}

fn updates(max: usize) -> impl Strategy<Value = Vec<Update>> {
    prop::collection::vec((bytes(20), bytes(4), 0u64..4, -2i64..3), 0..max)
}

fn model(updates: &[Update], since: u64) -> Model {
    let mut model = Model::new();
    for (key, val, time, diff) in updates {
        *model
            .entry((key.clone(), val.clone(), (*time).max(since)))
            .or_default() += diff;
    }
    model.retain(|_, diff| *diff != 0);
    model
}

fn packed(updates: &[Update]) -> Packed<u64, i64> {
    let mut packed = Packed::default();
    for (key, val, time, diff) in updates {
        packed.push(key, val, *time, *diff);
    }
    packed
}

/// All updates below `upper`, batched; and the lower bound of those that stay.
fn batch(updates: &[Update], upper: &[u64]) -> (Option<Batch<u64, i64>>, Vec<u64>) {
    let mut batcher: PackedBatcher<u64, i64> = PackedBatcher::new(None, 0);
    for chunk in updates.chunks(7) {
        batcher.insert(&mut packed(chunk));
    }
    let upper: Antichain<u64> = upper.iter().copied().collect();
    let (batch, retained) = batcher.extract(upper.borrow());
    let retained = retained.to_vec();
    (batch, retained)
}

fn contents(batch: Option<&Batch<u64, i64>>) -> Model {
    let mut model = Model::new();
    let Some(batch) = batch else { return model };
    let mut count = 0;
    for key in 0..batch.keys().len() {
        let (low, high) = batch.val_range(key);
        assert!(low < high, "a key has values");
        for val in low..high {
            for (time, diff) in batch.updates(val) {
                let place = (
                    batch.keys().get(key).to_vec(),
                    batch.vals().get(val).to_vec(),
                    *time,
                );
                assert!(
                    model.insert(place, *diff).is_none(),
                    "an update is written once"
                );
                count += 1;
            }
        }
    }
    assert_eq!(count, batch.len());
    model
}

#[test]
fn ends_of_equal_sizes_take_no_memory() {
    let mut offsets = Offsets::default();
    (1..=1000).for_each(|i| offsets.push(i * 27));
    (0..1000).for_each(|_| offsets.push(27_000));
    assert_eq!(offsets.heap_bytes(), 0);
    assert_eq!(offsets.bounds(999), (26_973, 27_000));
    assert_eq!(offsets.bounds(1500), (27_000, 27_000));
}

#[test]
fn ends_beyond_four_bytes_are_kept() {
    let ends = [3, 9, 1 << 31, (1 << 32) + 5, (1 << 32) + 5, 1 << 40];
    let mut offsets = Offsets::default();
    ends.iter().for_each(|end| offsets.push(*end));
    assert_eq!(
        ends.to_vec(),
        (0..ends.len()).map(|i| offsets.end(i)).collect::<Vec<_>>()
    );
}

#[test]
fn a_loaded_row_of_fixed_size_costs_its_bytes() {
    let rows: Vec<Update> = (0..10_000u64)
        .map(|i| (i.to_be_bytes().to_vec(), vec![7; 19], 5, 1))
        .collect();
    let (batch, _) = batch(&rows, &[]);
    let batch = batch.expect("rows");
    assert!(
        batch.heap_bytes() <= 27 * 10_000 + 1024,
        "{}",
        batch.heap_bytes()
    );
}

#[test]
fn fuel_bounds_the_merge_of_one_key() {
    let rows = |start: u64| -> Vec<Update> {
        (0..10_000)
            .map(|i| (vec![1], (start + 2 * i).to_be_bytes().to_vec(), 0, 1))
            .collect()
    };
    let (left, right) = (batch(&rows(0), &[]).0, batch(&rows(1), &[]).0);
    let (left, right) = (left.expect("rows"), right.expect("rows"));
    let mut merger = BatchMerger::new(&left, &right, Antichain::from_elem(0).borrow());
    let mut rounds = 0;
    loop {
        let mut fuel = 100;
        merger.work(&left, &right, &mut fuel);
        assert!(
            fuel >= -1,
            "one value's updates at most are merged beyond the fuel"
        );
        rounds += 1;
        if fuel > 0 {
            break;
        }
    }
    assert!(rounds >= 200);
    assert_eq!(merger.done().expect("rows").len(), 20_000);
}

#[test]
fn many_updates_of_few_keys_stay_few() {
    let mut batcher: PackedBatcher<u64, i64> = PackedBatcher::new(None, 0);
    for round in 0..200u64 {
        let rows: Vec<Update> = (0..1000u64)
            .map(|i| (vec![(i % 10) as u8], vec![], round % 2, 1))
            .collect();
        batcher.insert(&mut packed(&rows));
    }
    let (batch, retained) = batcher.extract(Antichain::from_elem(1).borrow());
    assert_eq!(retained.to_vec(), vec![1]);
    let batch = batch.expect("rows");
    assert_eq!((batch.keys().len(), batch.len()), (10, 10));
    assert_eq!(batch.updates(3).collect::<Vec<_>>(), vec![(&0, &10_000)]);
}

proptest! {
    #[test]
    fn comparison_is_that_of_slices(shared in bytes(40), a in bytes(12), b in bytes(12)) {
        let (a, b) = ([&shared[..], &a].concat(), [&shared[..], &b].concat());
        prop_assert_eq!(order::compare(&a, &b), a.cmp(&b));
    }

    #[test]
    fn ends_read_back(steps in prop::collection::vec(prop_oneof![0usize..2, 0usize..50, Just(1usize << 31)], 0..60)) {
        let mut offsets = Offsets::default();
        let mut end = 0;
        let ends: Vec<usize> = steps.iter().map(|step| { end += step; end }).collect();
        ends.iter().for_each(|end| offsets.push(*end));
        prop_assert_eq!(offsets.len(), ends.len());
        for (index, end) in ends.iter().enumerate() {
            let start = if index == 0 { 0 } else { ends[index - 1] };
            prop_assert_eq!(offsets.bounds(index), (start, *end));
        }
    }

    #[test]
    fn searches_find_the_first_not_before(mut items in prop::collection::vec(bytes(5), 0..40), bound in bytes(5), start in 0usize..40) {
        items.sort();
        let mut slab = Slab::default();
        items.iter().for_each(|item| slab.push(item));
        let start = start.min(items.len());
        let expected = start + items[start..].iter().take_while(|item| **item < bound).count();
        prop_assert_eq!(slab.gallop(start, items.len(), |item| item < &bound[..]), expected);
        prop_assert_eq!(slab.bisect(start, items.len(), |item| item < &bound[..]), expected);
    }

    #[test]
    fn batches_hold_the_consolidated_updates_below_the_upper(updates in updates(200), upper in 0u64..5) {
        let (batch, retained) = batch(&updates, &[upper]);
        let (early, late): (Vec<_>, Vec<_>) = updates.into_iter().partition(|u| u.2 < upper);
        prop_assert_eq!(contents(batch.as_ref()), model(&early, 0));
        let late = model(&late, 0);
        prop_assert_eq!(retained, late.keys().map(|k| k.2).min().into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn a_merge_holds_both_batches_compacted(left in updates(80), right in updates(80), since in 0u64..5, fuel in 1isize..50) {
        let all: Vec<_> = left.iter().chain(&right).cloned().collect();
        let (left, right) = (batch(&left, &[]).0, batch(&right, &[]).0);
        if let (Some(left), Some(right)) = (left, right) {
            let mut merger = BatchMerger::new(&left, &right, Antichain::from_elem(since).borrow());
            loop {
                let mut left_fuel = fuel;
                merger.work(&left, &right, &mut left_fuel);
                if left_fuel > 0 { break; }
            }
            prop_assert_eq!(contents(merger.done().as_ref()), model(&all, since));
        }
    }

    #[test]
    fn a_cursor_visits_what_the_batch_holds(updates in updates(100), seek in bytes(20)) {
        if let Some(batch) = batch(&updates, &[]).0 {
            let expected = contents(Some(&batch));
            let batch = SharedBatch::from(batch);
            let mut cursor = batch.cursor();
            let read: Model = cursor
                .to_vec(&batch, |key| key.to_vec(), |val| val.to_vec())
                .into_iter()
                .flat_map(|((key, val), updates)| {
                    updates.into_iter().map(move |(time, diff)| ((key.clone(), val.clone(), time), diff))
                })
                .collect();
            prop_assert_eq!(&read, &expected);
            cursor.rewind_keys(&batch);
            cursor.seek_key(&batch, &seek);
            let found = cursor.get_key(&batch).map(|key| key.to_vec());
            prop_assert_eq!(found, expected.keys().map(|k| k.0.clone()).find(|key| *key >= seek));
        }
    }

    #[test]
    fn containers_survive_drains_appends_and_processes(updates in updates(60), cut in 0usize..60) {
        let cut = cut.min(updates.len());
        let mut left = packed(&updates[..cut]);
        left.append(&mut packed(&updates[cut..]));
        let mut bytes = Vec::new();
        left.into_bytes(&mut bytes);
        prop_assert_eq!(bytes.len(), left.length_in_bytes());
        let mut shared = timely::bytes::arc::BytesMut::from(bytes);
        let length = shared.len();
        let mut read: Packed<u64, i64> = Packed::from_bytes(shared.extract_to(length));
        let drained: Vec<Update> = read
            .drain()
            .map(|u| (u.key.to_vec(), u.val.to_vec(), u.time, u.diff))
            .collect();
        prop_assert_eq!(drained, updates);
    }
}
