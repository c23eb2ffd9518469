//! The rules, without a log: groups of actions, some of which become durable.

use super::*;
use proptest::prelude::*;

const NAME: &str = "ingest";
const RETENTION: u64 = 1_000;

/// The sequencer's part: actions one after the other, durable at the end of a group.
#[derive(Default)]
struct Sequencer {
    durable: Producers,
    pending: Pending,
    rows: Vec<(Row, Diff)>,
    time: u64,
}

impl Sequencer {
    fn act(&mut self, action: &Action) -> Result<Option<Duplicate>, Error> {
        self.time += 1;
        if let Some(duplicate) = self.pending.judge(&self.durable, action)? {
            return Ok(Some(duplicate));
        }
        let at = Moment {
            timestamp: Timestamp(self.time),
            wall: self.time,
            retention: RETENTION,
        };
        self.rows
            .extend(self.pending.act(&self.durable, action, at));
        Ok(None)
    }

    fn end_group(&mut self, durable: bool) {
        let pending = std::mem::take(&mut self.pending);
        if durable {
            self.durable.apply(pending);
        }
    }

    fn open(&mut self, name: &str) -> i64 {
        self.act(&Action::Open(name.into())).expect("it opens");
        self.time as i64
    }

    fn commit(&mut self, stamp: Stamp) -> Result<Option<Duplicate>, Error> {
        self.act(&Action::Commit(stamp))
    }
}

fn stamp(epoch: i64, sequence: i64, contents: u8) -> Stamp {
    Stamp {
        producer: NAME.into(),
        epoch,
        batch: Some(Numbered {
            sequence,
            digest: Some([contents; 16]),
            strict: false,
            left_out: false,
        }),
    }
}

fn strictly(mut stamp: Stamp) -> Stamp {
    if let Some(batch) = &mut stamp.batch {
        batch.strict = true;
    }
    stamp
}

fn code(result: Result<Option<Duplicate>, Error>) -> String {
    result.expect_err("it is refused").code.to_string()
}

#[test]
fn a_repeated_batch_in_the_group_of_the_first_is_told() {
    let mut sequencer = Sequencer::default();
    let epoch = sequencer.open(NAME);
    assert_eq!(sequencer.commit(stamp(epoch, 1, 7)).expect("new"), None);
    let timestamp = Timestamp(sequencer.time);
    let repeated = sequencer.commit(stamp(epoch, 1, 7)).expect("repeated");
    let first = First::Committed;
    assert_eq!(repeated, Some(Duplicate { timestamp, first }));
}

#[test]
fn a_group_that_did_not_become_durable_leaves_nothing() {
    let mut sequencer = Sequencer::default();
    let epoch = sequencer.open(NAME);
    sequencer.end_group(true);
    sequencer.commit(stamp(epoch, 1, 7)).expect("new");
    sequencer.open(NAME);
    sequencer.end_group(false);
    assert_eq!(sequencer.commit(stamp(epoch, 1, 8)).expect("new"), None);
}

#[test]
fn an_old_epoch_is_fenced_with_and_without_a_number_and_an_invented_one_is_refused() {
    let mut sequencer = Sequencer::default();
    let old = sequencer.open(NAME);
    let new = sequencer.open(NAME);
    assert_eq!(code(sequencer.commit(stamp(old, 1, 7))), "VE001");
    let unnumbered = Stamp {
        batch: None,
        ..stamp(old, 1, 7)
    };
    assert_eq!(code(sequencer.commit(unnumbered)), "VE001");
    assert_eq!(code(sequencer.commit(stamp(new + 1, 1, 7))), "22023");
    assert_eq!(sequencer.commit(stamp(new, 1, 7)).expect("new"), None);
}

#[test]
fn a_name_that_was_dropped_and_came_back_fences_those_from_before() {
    let mut sequencer = Sequencer::default();
    let epoch = sequencer.open(NAME);
    let drop = Action::Drop {
        names: vec![NAME.into()],
        if_exists: false,
    };
    sequencer.act(&drop).expect("it is there");
    assert_eq!(code(sequencer.commit(stamp(epoch, 1, 7))), "42704");
    assert_eq!(code(sequencer.act(&drop)), "42704");
    sequencer.open(NAME);
    assert_eq!(code(sequencer.commit(stamp(epoch, 1, 7))), "VE001");
}

#[test]
fn other_contents_are_refused_for_the_newest_batches_and_older_ones_are_repeated() {
    let mut sequencer = Sequencer::default();
    let epoch = sequencer.open(NAME);
    let newest = KEPT as i64 + 3;
    for sequence in 1..=newest {
        sequencer.commit(stamp(epoch, sequence, 7)).expect("new");
    }
    assert_eq!(code(sequencer.commit(stamp(epoch, newest, 8))), "VE002");
    assert_eq!(code(sequencer.commit(stamp(epoch, 4, 8))), "VE002");
    let old = sequencer.commit(stamp(epoch, 3, 8)).expect("repeated");
    let (timestamp, first) = (Timestamp(5), First::Forgotten);
    assert_eq!(old, Some(Duplicate { timestamp, first }));
}

#[test]
fn a_number_that_was_passed_over_is_told_from_a_repeated_one() {
    let mut sequencer = Sequencer::default();
    let epoch = sequencer.open(NAME);
    let mut first = |sequence| {
        let judged = sequencer.commit(stamp(epoch, sequence, 7));
        judged.expect("it is judged").map(|d| d.first)
    };
    assert_eq!(first(5), None);
    assert_eq!(first(3), Some(First::Never));
    assert_eq!(first(9), None);
    assert_eq!(first(7), Some(First::Never));
    for sequence in 10..=16 {
        assert_eq!(first(sequence), None);
    }
    assert_eq!(first(8), Some(First::Forgotten));
    assert_eq!(first(9), Some(First::Committed));
}

#[test]
fn a_strict_batch_follows_the_last_one() {
    let mut sequencer = Sequencer::default();
    let epoch = sequencer.open(NAME);
    assert_eq!(
        code(sequencer.commit(strictly(stamp(epoch, 2, 7)))),
        "VE003"
    );
    sequencer
        .commit(strictly(stamp(epoch, 1, 7)))
        .expect("first");
    sequencer
        .commit(strictly(stamp(epoch, 2, 7)))
        .expect("next");
    sequencer.commit(stamp(epoch, 9, 7)).expect("gaps are free");
    assert_eq!(
        code(sequencer.commit(strictly(stamp(epoch, i64::MAX, 7)))),
        "VE003"
    );
}

#[test]
fn opening_removes_what_was_not_used_for_longer_than_the_retention() {
    let mut sequencer = Sequencer::default();
    sequencer.open("idle");
    let epoch = sequencer.open(NAME);
    sequencer.end_group(true);
    sequencer.time = RETENTION;
    sequencer.commit(stamp(epoch, 1, 7)).expect("new");
    sequencer.end_group(true);
    sequencer.time += 10;
    sequencer.open("other");
    sequencer.end_group(true);
    let left: Vec<_> = sequencer.durable.all().map(|p| &*p.name).collect();
    assert_eq!(left, [NAME, "other"]);
}

#[test]
fn commits_without_a_number_keep_a_producer_in_use_and_seldom_say_so() {
    let mut sequencer = Sequencer::default();
    let epoch = sequencer.open(NAME);
    let unnumbered = Stamp {
        batch: None,
        ..stamp(epoch, 1, 7)
    };
    sequencer.rows.clear();
    for _ in 0..3 * RETENTION {
        sequencer.commit(unnumbered.clone()).expect("it is open");
        sequencer.end_group(true);
    }
    let noted = sequencer.rows.len() as u64 / 2;
    assert!((40..60).contains(&noted), "noted {noted} times");
    sequencer.open("other");
    sequencer.end_group(true);
    assert!(sequencer.durable.get(NAME).is_some());
}

#[test]
fn a_producer_s_row_is_small_and_their_number_is_bounded() {
    let mut sequencer = Sequencer::default();
    let epoch = sequencer.open(NAME);
    for sequence in 1..100 {
        sequencer
            .commit(stamp(epoch, i64::MAX - 100 + sequence, 7))
            .expect("new");
    }
    let last = sequencer.rows.last().expect("rows");
    assert!(last.0.bytes().len() < 400, "{} bytes", last.0.bytes().len());
    sequencer.end_group(true);
    for n in 1..MOST {
        let name: Arc<str> = format!("p{n}").into();
        sequencer.time = 0;
        sequencer.act(&Action::Open(name)).expect("there is room");
    }
    sequencer.end_group(true);
    assert_eq!(code(sequencer.act(&Action::Open("more".into()))), "53400");
    sequencer
        .act(&Action::Open("p1".into()))
        .expect("it is there");
}

proptest! {
    /// However often each batch is sent, by whichever holder, and whichever groups are lost: each takes effect once,
    /// and the changes written, of groups that were kept, add up to the state.
    #[test]
    fn every_batch_takes_effect_once(
        steps in prop::collection::vec((0u8..10, 0i64..3, any::<bool>()), 1..200)
    ) {
        let mut sequencer = Sequencer::default();
        let mut effects: BTreeMap<i64, u32> = BTreeMap::new();
        let mut written: BTreeMap<Row, Diff> = BTreeMap::new();
        let mut epoch = 0;
        let mut last = 0;
        let mut in_group: Vec<i64> = Vec::new();
        for (step, back, kept) in steps {
            match step {
                0 => epoch = sequencer.open(NAME),
                1 | 2 => {
                    sequencer.end_group(kept);
                    let rows = std::mem::take(&mut sequencer.rows);
                    let new = std::mem::take(&mut in_group);
                    if kept {
                        new.into_iter().for_each(|n| *effects.entry(n).or_default() += 1);
                        rows.into_iter().for_each(|(r, d)| *written.entry(r).or_default() += d);
                    }
                    let durable = sequencer.durable.get(NAME);
                    epoch = durable.map_or(0, |p| p.epoch);
                    last = durable.map_or(0, |p| p.last_sequence());
                }
                _ if epoch == 0 => {}
                _ => {
                    let sequence = (last + 1 - back).max(1);
                    let outcome = sequencer.commit(stamp(epoch, sequence, sequence as u8));
                    if outcome.expect("it is judged").is_none() {
                        in_group.push(sequence);
                        last = sequence;
                    }
                }
            }
        }
        written.retain(|_, diff| *diff != 0);
        let rows: Vec<Row> = written.into_keys().collect();
        let loaded = Producers::load(&rows).expect("rows come back");
        prop_assert!(loaded.all().eq(sequencer.durable.all()));
        let last = sequencer.durable.get(NAME).map_or(0, |p| p.last_sequence());
        prop_assert!(effects.into_iter().eq((1..=last).map(|n| (n, 1))));
    }
}
