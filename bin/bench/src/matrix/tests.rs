//! A slice of the matrix, whose whole is `bench matrix`; and that it notices what it is there to notice.

use everview_log::vfs::{Fault, FaultFs};

use super::point::{Progress, recover};
use super::server::{Image, Server};
use super::{Arguments, run, undisturbed};

#[test]
fn a_fault_at_any_operation_loses_doubles_and_halves_nothing() {
    let arguments = Arguments {
        stride: 97,
        seed: 7,
        state: None,
    };
    let mut out = Vec::new();
    let whole = run(&arguments, &mut out).expect("the workload runs");
    let out = String::from_utf8_lossy(&out);
    println!("{out}");
    assert!(whole, "{out}");
}

#[test]
fn a_step_that_is_lost_or_doubled_is_noticed() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut plan = undisturbed(dir.path(), |_| false).expect("the workload runs");
    plan.steps.truncate(12);
    let fs = FaultFs::new(1);
    super::server::clear(dir.path()).expect("an empty folder");
    let server = Server::start(dir.path(), &fs).expect("it starts");
    for number in 0..=12 {
        plan.contents
            .insert(number, server.contents().expect("contents"));
        if let Some(step) = plan.steps.get(number).filter(|_| number < 11) {
            server.run(step).expect("a step");
        }
        if number == 11 {
            // What the log has, twice.
            server
                .run(&plan.steps[9])
                .expect("the step of before, again");
        }
    }
    let store = Image::take(dir.path()).expect("the store");
    drop(server);
    let judge = |done: usize, doubt: bool| {
        store.restore(dir.path()).expect("the store");
        let progress = Progress {
            done,
            doubt,
            stopped: false,
        };
        recover(
            &plan,
            &progress,
            &fs.fork(),
            None,
            (0, Fault::Error),
            dir.path(),
        )
    };
    assert_eq!(judge(12, false), Ok(()));
    for done in [10, 11] {
        let noticed = judge(done, false).expect_err("a step too many");
        assert!(noticed.contains("what came back differs"), "{noticed}");
    }
    let lost = judge(8, true).expect_err("more than the step in flight");
    assert!(lost.contains("ticks"), "{lost}");
}
