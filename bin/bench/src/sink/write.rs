//! Random changes, for as long as they are wanted, to a server that comes and goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::session::Session;

/// Writes until told to stop; gives how many commits were acknowledged.
pub async fn run(url: String, seed: u64, stop: Arc<AtomicBool>) -> u64 {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut session = None;
    let mut written = 0;
    while !stop.load(Ordering::Relaxed) {
        let Some(open) = &session else {
            session = Session::connect("Everview", &url).await.ok();
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        match Session::run(open, &change(&mut random)).await {
            Ok(_) => written += 1,
            // What was in doubt is in the log or not: the views say which.
            Err(_) => session = None,
        }
    }
    written
}

/// One transaction.
fn change(random: &mut ChaCha8Rng) -> String {
    let id = random.random_range(1..6000);
    let region = match random.random_range(0..8) {
        0 => "NULL".to_string(),
        r => format!("'r{r}'"),
    };
    let cents = random.random_range(0..1_000_000);
    match random.random_range(0..10) {
        0 => format!("DELETE FROM account WHERE id = {id}"),
        1 => format!("UPDATE account SET region = {region} WHERE id BETWEEN {id} AND {id} + 200"),
        2 => format!(
            "DELETE FROM account WHERE region IS NOT DISTINCT FROM {region} AND id % 10 = {id} % 10"
        ),
        3 => format!(
            "BEGIN; DELETE FROM account WHERE id = {id}; INSERT INTO account VALUES ({id}, {region}, {cents} / 100.0); \
             UPDATE account SET balance = balance + 1 WHERE id = {id}; COMMIT"
        ),
        4 => format!("UPDATE types SET i8 = {cents}, k = CASE WHEN k = 1 THEN 1.000 ELSE 2 END"),
        _ => format!(
            "INSERT INTO account VALUES ({id}, {region}, {cents} / 100.0) \
             ON CONFLICT (id) DO UPDATE SET region = EXCLUDED.region, balance = EXCLUDED.balance"
        ),
    }
}
