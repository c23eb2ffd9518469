//! The demonstration of the three counters, as its command shows it.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn at_least_once_delivery_and_a_crash_take_effect_once() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_everview"))
        .args(["demo", "effect-once"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while command.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < Duration::from_secs(90), "it does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = command.wait_with_output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    println!("{shown}");
    assert!(output.status.success(), "{shown}");
    for line in [
        "was killed with -9",
        "Effects, a producer numbers them: 1,1,1,1,1",
        "Effects, DEDUPLICATE BY (order_id): 1,1,1,1,1",
        "Effects, neither: 1,1,2,1,1",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
}
