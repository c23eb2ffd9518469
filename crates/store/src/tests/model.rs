//! The store against a model that keeps everything: any sequence of commits, flushes, reopenings, compactions and drops.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Commit(Vec<(u64, u8, u8, i64)>),
    Parts(Vec<Vec<(u64, u8, u8, i64)>>),
    Flush,
    Reopen,
    ReopenAmidParts(Vec<Vec<(u64, u8, u8, i64)>>),
    Since(u64),
    Drop(u64),
}

fn changes() -> impl Strategy<Value = Vec<(u64, u8, u8, i64)>> {
    proptest::collection::vec(
        (
            1u64..4,
            0u8..16,
            0u8..3,
            prop_oneof![Just(1i64), Just(-1), Just(2)],
        ),
        0..12,
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => changes().prop_map(Step::Commit),
        2 => proptest::collection::vec(changes(), 1..6).prop_map(Step::Parts),
        2 => Just(Step::Flush),
        1 => Just(Step::Reopen),
        1 => proptest::collection::vec(changes(), 3..8).prop_map(Step::ReopenAmidParts),
        2 => (0u64..6).prop_map(Step::Since),
        1 => (1u64..4).prop_map(Step::Drop),
    ]
}

/// Everything that ever happened.
#[derive(Default)]
struct Model {
    time: u64,
    since: u64,
    /// Parts of each commit; none for a drop.
    commits: BTreeMap<u64, Commit>,
    /// A dropped id is never used again: each collection's newest id.
    ids: BTreeMap<u64, u64>,
}

enum Commit {
    Parts(Vec<Vec<(u64, u8, u8, i64)>>),
    Drop(u64),
}

impl Model {
    fn id(&self, collection: u64) -> u64 {
        self.ids.get(&collection).copied().unwrap_or(collection)
    }

    fn at(&self, collection: u64, as_of: u64) -> Vec<Row> {
        let mut sums: BTreeMap<(Vec<u8>, Vec<u8>), i64> = BTreeMap::new();
        for commit in self.commits.range(..=as_of).map(|(_, commit)| commit) {
            let Commit::Parts(parts) = commit else {
                continue;
            };
            for &(id, key, value, diff) in parts.iter().flatten() {
                if id == collection {
                    *sums.entry((vec![key], vec![value])).or_default() += diff;
                }
            }
        }
        sums.into_iter()
            .filter(|&(_, diff)| diff != 0)
            .map(|((key, value), diff)| (key, value, diff))
            .collect()
    }

    fn changes(&self, collection: u64, from: u64, to: u64) -> Vec<(u64, Vec<u8>, Vec<u8>, i64)> {
        let mut sums: BTreeMap<(u64, Vec<u8>, Vec<u8>), i64> = BTreeMap::new();
        for (&time, commit) in self.commits.range(..=to).filter(|entry| *entry.0 > from) {
            let Commit::Parts(parts) = commit else {
                continue;
            };
            for &(id, key, value, diff) in parts.iter().flatten() {
                if id == collection {
                    *sums.entry((time, vec![key], vec![value])).or_default() += diff;
                }
            }
        }
        sums.into_iter()
            .filter(|&(_, diff)| diff != 0)
            .map(|((t, k, v), diff)| (t, k, v, diff))
            .collect()
    }
}

fn apply_parts(store: &Store, time: u64, parts: &[Vec<(u64, u8, u8, i64)>]) {
    for part in parts {
        let bytes: Vec<(u64, [u8; 1], [u8; 1], i64)> = part
            .iter()
            .map(|&(id, key, value, diff)| (id, [key], [value], diff))
            .collect();
        let changes: Vec<Change<'_>> = bytes
            .iter()
            .map(|(collection, key, value, diff)| Change {
                collection: *collection,
                key,
                value,
                diff: *diff,
            })
            .collect();
        store.apply_part(Timestamp(time), &changes).unwrap();
    }
}

fn replay(store: &Store, model: &Model, after: u64) {
    for (&time, commit) in model.commits.range(after + 1..) {
        match commit {
            Commit::Parts(parts) => apply_parts(store, time, parts),
            Commit::Drop(id) => store.drop_collection(*id).unwrap(),
        }
        store.advance(Timestamp(time), b"");
    }
}

fn check(store: &Store, model: &Model) {
    assert_eq!(store.complete_upto().0, model.time);
    let since = store.since().0;
    assert!(since <= model.since);
    for collection in 1..4 {
        let id = model.id(collection);
        for as_of in [model.since, (model.since + model.time) / 2, model.time] {
            let expected = model.at(id, as_of);
            assert_eq!(
                rows(store, id, as_of).unwrap(),
                expected,
                "collection {id} at {as_of}"
            );
            for key in 0..16u8 {
                let found = store.get(id, &[key], Timestamp(as_of)).unwrap();
                let of_key: Vec<(Vec<u8>, i64)> = expected
                    .iter()
                    .filter(|row| row.0 == [key])
                    .map(|row| (row.1.clone(), row.2))
                    .collect();
                assert_eq!(found, of_key);
            }
            let mut sharded = Vec::new();
            for shard in 0..3 {
                for chunk in store.scan(id, ALL, Timestamp(as_of), shard, 3).unwrap() {
                    sharded.extend(
                        chunk
                            .unwrap()
                            .iter()
                            .map(|(k, v, d)| (k.to_vec(), v.to_vec(), d)),
                    );
                }
            }
            sharded.sort();
            assert_eq!(sharded, expected);
        }
        let (from, to) = (Timestamp(model.since), Timestamp(model.time));
        let changes = model.changes(id, model.since, model.time);
        assert_eq!(history(store, id, from, to, false), changes);
        let snapshot = rows(store, id, model.since).unwrap();
        let mut both: Vec<_> = snapshot
            .into_iter()
            .map(|(key, value, diff)| (from.0, key, value, diff))
            .collect();
        both.extend(changes);
        assert_eq!(history(store, id, from, to, true), both);
    }
    if since > 0 {
        assert!(matches!(
            store.get(1, b"x", Timestamp(since - 1)),
            Err(StoreError::Compacted { .. })
        ));
    }
}

/// Changes by time, key and value, summed up.
fn history(
    store: &Store,
    id: u64,
    from: Timestamp,
    to: Timestamp,
    snapshot: bool,
) -> Vec<(u64, Vec<u8>, Vec<u8>, i64)> {
    let mut sums = BTreeMap::new();
    for shard in 0..2 {
        let scan = store.history(id, (from, to), snapshot, (shard, 2)).unwrap();
        for chunk in scan {
            for (key, value, time, diff) in chunk.unwrap().changes() {
                *sums
                    .entry((time.0, key.to_vec(), value.to_vec()))
                    .or_insert(0) += diff;
            }
        }
    }
    let left = sums.into_iter().filter(|(_, diff)| *diff != 0);
    left.map(|((time, key, value), diff)| (time, key, value, diff))
        .collect()
}

fn run(steps: &[Step]) {
    let folder = tempfile::tempdir().unwrap();
    let mut model = Model::default();
    let (mut store, complete) = open(folder.path(), tiny());
    assert_eq!(complete, Timestamp(0));
    for step in steps {
        let named = |model: &Model, part: &Vec<(u64, u8, u8, i64)>| {
            part.iter()
                .map(|&(c, key, value, diff)| (model.id(c), key, value, diff))
                .collect::<Vec<_>>()
        };
        match step {
            Step::Commit(part) => {
                model.time += 1;
                let parts = vec![named(&model, part)];
                apply_parts(&store, model.time, &parts);
                store.advance(Timestamp(model.time), b"");
                model.commits.insert(model.time, Commit::Parts(parts));
            }
            Step::Parts(parts) => {
                model.time += 2;
                let parts: Vec<_> = parts.iter().map(|part| named(&model, part)).collect();
                apply_parts(&store, model.time, &parts);
                store.advance(Timestamp(model.time), b"");
                model.commits.insert(model.time, Commit::Parts(parts));
            }
            Step::Flush => {
                store.flush().unwrap();
                assert_eq!(store.durable_upto().0, model.time);
            }
            Step::Reopen | Step::ReopenAmidParts(_) => {
                if let Step::ReopenAmidParts(parts) = step {
                    let parts: Vec<_> = parts.iter().map(|part| named(&model, part)).collect();
                    apply_parts(&store, model.time + 5, &parts);
                    if parts.len() % 2 == 0 {
                        store.flush().unwrap();
                    }
                }
                drop(store);
                let complete;
                (store, complete) = open(folder.path(), tiny());
                assert!(complete.0 <= model.time);
                replay(&store, &model, complete.0);
            }
            Step::Since(back) => {
                model.since = model.since.max(model.time.saturating_sub(*back));
                store.set_since(Timestamp(model.since));
            }
            Step::Drop(collection) => {
                model.time += 1;
                let id = model.id(*collection);
                store.drop_collection(id).unwrap();
                store.advance(Timestamp(model.time), b"");
                model.commits.insert(model.time, Commit::Drop(id));
                model.ids.insert(*collection, id + 10);
                assert_eq!(rows(&store, id, model.time).unwrap(), vec![]);
            }
        }
        check(&store, &model);
    }
    store.flush().unwrap();
    drop(store);
    let (store, complete) = open(folder.path(), tiny());
    assert_eq!(complete.0, model.time);
    check(&store, &model);
    for dropped in (1..4).flat_map(|c| {
        (0..)
            .map(move |n| c + 10 * n)
            .take_while(move |&id| id < 100)
    }) {
        if (1..4).all(|c| model.id(c) != dropped) && dropped < model.id(dropped % 10) {
            assert_eq!(
                rows(&store, dropped, model.time).unwrap(),
                vec![],
                "dropped {dropped} came back"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn the_store_equals_a_model_that_keeps_everything(steps in proptest::collection::vec(step(), 1..40)) {
        run(&steps);
    }
}
