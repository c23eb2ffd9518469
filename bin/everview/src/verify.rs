//! `everview verify`: a stopped server's folder, checked from its log alone.

use crate::cli::{Server, Verify};
use crate::serve;
use everview_coord::{Outcome, Session, SessionOptions};
use everview_repr::Datum;
use indicatif::ProgressBar;
use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

/// Opens the folder as a server would, and holds everything in it to the log. False if something differs.
pub fn run(mut options: Server, arguments: &Verify) -> Result<bool, Box<dyn Error>> {
    let data_dir = options
        .data_dir
        .clone()
        .unwrap_or_else(|| PathBuf::from("everview-data"));
    if !data_dir.join("log").is_dir() {
        return Err(format!("there is no log in {}", data_dir.display()).into());
    }
    if options.log_level == "info" {
        options.log_level = "warn".to_string();
    }
    serve::start_logs(&options)?;
    serve::runtime()?.block_on(async {
        let bar = ProgressBar::new_spinner();
        bar.enable_steady_tick(Duration::from_millis(100));
        bar.set_message("opening the folder");
        let coordinator = serve::open(&options, &data_dir)?;
        let mut right = true;
        if let Some(head) = &arguments.head {
            bar.set_message("looking for the head in the log");
            let contains = coordinator.log_contains(head)?;
            right &= contains;
            bar.suspend(|| {
                serve::say(match contains {
                    true => "log: nothing up to the given head has changed",
                    false => {
                        "log: it never had the given head: it was changed, or it is another log"
                    }
                });
            });
        }
        let session = SessionOptions {
            user: "everview".to_string(),
            ..SessionOptions::default()
        };
        let mut session = Session::open(&coordinator, session)?;
        bar.set_message("deriving every view again from the log");
        let statements = session.parse("VERIFY ALL")?;
        let outcome = session.execute(&statements[0], None).await;
        bar.finish_and_clear();
        match outcome {
            Ok(Outcome::Rows { rows, .. }) => {
                for row in &rows {
                    if let [
                        Datum::Text(name),
                        Datum::Text(kind),
                        _,
                        count,
                        digest,
                        checkpoints,
                        Datum::Text(result),
                    ] = row.unpack().as_slice()
                    {
                        serve::say(&line(name, kind, count, digest, checkpoints, result));
                    }
                }
                serve::say(&format!("{} objects verified", rows.len()));
            }
            Ok(_) => return Err("VERIFY gave no rows".into()),
            Err(error) => {
                right = false;
                serve::say(&error.message);
                serve::say(error.detail.as_deref().unwrap_or_default());
                serve::say(error.hint.as_deref().unwrap_or_default());
            }
        }
        Ok(right)
    })
}

fn line(
    name: &str,
    kind: &str,
    count: &Datum<'_>,
    digest: &Datum<'_>,
    checkpoints: &Datum<'_>,
    result: &str,
) -> String {
    let mut line = format!("{kind} {name}: {result}");
    if let (Datum::Int64(count), Datum::Text(digest)) = (count, digest) {
        line += &format!(", {count} rows, digest {digest}");
    }
    if let Datum::Int64(checkpoints) = checkpoints {
        line += &format!(", {checkpoints} checkpoints");
    }
    line
}
