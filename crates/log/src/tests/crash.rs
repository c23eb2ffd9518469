//! The crash matrix: every operation of a workload fails, tears, meets a full disk, or is the last one before a kill or
//! a power failure. Nothing acknowledged is lost, nothing half there, nothing doubled.

use super::*;
use crate::record::ChunkRef;
use crate::vfs::{Fault, Loss};

/// What a run of the workload was told: acknowledged commits, and those whose fate it does not know.
#[derive(Default)]
struct Told {
    acknowledged: Vec<Seen>,
    unknown: Vec<Seen>,
    lease: u64,
}

/// Groups of commits of growing size, a chunked transaction, a rolled-back one and leases, over several segments.
fn workload(fs: &FaultFs, told: &mut Told) -> Result<(), LogError> {
    let opened = open(fs)?;
    let log = &opened.log;
    let floor = opened.recovery.last_timestamp.max(opened.recovery.lease);
    for step in 1..=12u64 {
        let timestamp = floor + step * 10;
        let mut group: Vec<Commit> = (0..=step % 3)
            .map(|member| commit(timestamp + member, &"r".repeat((step * 17) as usize)))
            .collect();
        if step % 4 == 0 {
            for part in 0..4u64 {
                let position = log.append_chunk(timestamp, part, &[part as u8; 250])?;
                group[0].chunks.push(ChunkRef {
                    collection: part,
                    position,
                });
            }
            log.append_chunk(9_999, 1, b"never committed")?;
            log.abandon(9_999);
        }
        let seen: Vec<Seen> = group.iter().map(expected).collect();
        told.unknown = seen;
        // A full disk is retried once, as a server would.
        if let Err(LogError::DiskFull { .. }) = log.append_commits(&group) {
            log.append_commits(&group)?;
        } else if let Some(cause) = log.poisoned() {
            return Err(LogError::Poisoned { cause });
        }
        told.acknowledged.append(&mut told.unknown);
        if step % 5 == 0 {
            log.append_lease(timestamp + 5)?;
            told.lease = timestamp + 5;
        }
    }
    Ok(())
}

/// What a commit of the workload shows, chunks first.
fn expected(commit: &Commit) -> Seen {
    let chunks = commit
        .chunks
        .iter()
        .map(|chunk| (chunk.collection, vec![chunk.collection as u8; 250]));
    let own = commit
        .payloads
        .iter()
        .map(|payload| (payload.collection, payload.bytes.to_vec()));
    (commit.timestamp, chunks.chain(own).collect())
}

/// After any crash: all that was acknowledged, then whole commits of the group in doubt, and nothing else.
fn check(fs: &FaultFs, told: &Told, what: &str) {
    let opened = open(fs).unwrap_or_else(|error| panic!("{what}: {error}"));
    let known = told.acknowledged.len();
    assert!(
        opened.commits.len() >= known,
        "{what}: acknowledged commits are lost"
    );
    assert_eq!(opened.commits[..known], told.acknowledged[..], "{what}");
    let more = &opened.commits[known..];
    assert_eq!(more, &told.unknown[..more.len()], "{what}");
    assert!(
        opened.recovery.lease >= told.lease,
        "{what}: a lease is lost"
    );
    // And it goes on working.
    let next = opened.recovery.last_timestamp.max(opened.recovery.lease) + 1;
    opened
        .log
        .append_commits(&[commit(next, "after")])
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    let count = opened.commits.len();
    drop(opened);
    fs.power_off(Loss::All);
    let again = open(fs).unwrap_or_else(|error| panic!("{what}, second start: {error}"));
    assert_eq!(again.commits.len(), count + 1, "{what}, second start");
    assert_eq!(again.recovery.set_aside, None, "{what}, second start");
}

fn operations() -> u64 {
    let fs = FaultFs::new(1);
    workload(&fs, &mut Told::default()).unwrap();
    assert!(fs.paths().len() > 3, "the workload crosses segments");
    fs.operations()
}

fn matrix(faults: &[Fault], end: &[Option<Loss>]) {
    let mut runs = 0;
    for at in 0..operations() {
        for &fault in faults {
            for (seed, loss) in end.iter().enumerate() {
                let fs = FaultFs::new(at * 31 + seed as u64);
                fs.inject(at, fault);
                let mut told = Told::default();
                // Its error is not the matter: what it was told before is.
                let _ = workload(&fs, &mut told);
                fs.clear_faults();
                match loss {
                    Some(loss) => fs.power_off(*loss),
                    None => fs.restart(),
                }
                check(
                    &fs,
                    &told,
                    &format!("{fault:?} at operation {at}, then {loss:?}"),
                );
                runs += 1;
            }
        }
    }
    println!("{runs} crashes, each followed by two starts");
}

const ENDS: [Option<Loss>; 6] = [
    None,
    Some(Loss::All),
    Some(Loss::None),
    Some(Loss::Some),
    Some(Loss::Some),
    Some(Loss::Some),
];

#[test]
fn a_kill_or_power_failure_at_any_operation_loses_and_halves_nothing() {
    matrix(&[Fault::KillBefore, Fault::KillAfter], &ENDS);
}

#[test]
fn an_error_at_any_operation_loses_and_halves_nothing() {
    matrix(&[Fault::Error, Fault::Torn], &ENDS);
}

#[test]
fn a_full_disk_at_any_operation_loses_and_halves_nothing() {
    matrix(&[Fault::DiskFull], &ENDS);
}

#[test]
fn a_crash_at_any_operation_of_a_recovery_loses_and_halves_nothing() {
    // A log whose tail is torn, opened with a crash at each operation of the opening.
    for at in 0.. {
        let fs = FaultFs::new(at);
        let mut told = Told::default();
        workload(&fs, &mut told).unwrap();
        let path = last_segment(&fs);
        let mut bytes = fs.contents(&path).unwrap();
        let used = bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1;
        // Beyond the zeroes that the last frame may end with.
        let start = (used + 16).next_multiple_of(8);
        bytes.resize(bytes.len().max(start + 50), 0);
        bytes[start..start + 50].fill(0xab);
        fs.plant(&path, &bytes);
        fs.restart();
        let before = fs.operations();
        fs.inject(before + at, Fault::KillAfter);
        let finished = open(&fs).is_ok();
        fs.clear_faults();
        fs.power_off(Loss::Some);
        told.unknown.clear();
        check(
            &fs,
            &told,
            &format!("kill after operation {at} of the recovery"),
        );
        if finished {
            return;
        }
    }
}
