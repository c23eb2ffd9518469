//! A coordinator whose log is on a file system that fails on request, driven by SQL.
//!
//! Its store is a library's files in a real folder: a copy of them stands for what a kill leaves, and their loss for a
//! power failure. It knows neither points nor what is expected.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use everview_coord::{Coordinator, Error, Options, Outcome, Session, SessionOptions};
use everview_log::vfs::FaultFs;
use everview_repr::Row;
use everview_repr::digest::{Digest, DigestKey};

use super::workload::{OBJECTS, Step};

/// The longest a statement may take: one that waits for ever is a fault.
const LIMIT: Duration = Duration::from_secs(60);

/// What every object holds, in the order of [`OBJECTS`]; none if there is no such object.
pub type Contents = Vec<Option<Digest>>;

/// A running server.
pub struct Server {
    runtime: tokio::runtime::Runtime,
    coordinator: Coordinator,
}

impl Server {
    /// Starts it on the log of `fs` and the store of `folder`.
    ///
    /// # Errors
    /// What recovery refuses.
    pub fn start(folder: &Path, fs: &FaultFs) -> Result<Server, Error> {
        let options = Options {
            data_dir: folder.to_path_buf(),
            log: everview_log::Options {
                segment_size: 24 << 10,
                chunk_sync: 1 << 20,
                zero_ahead: 2 << 10,
            },
            store: everview_store::Options {
                memtable_bytes: 8 << 10,
                ..everview_store::Options::default()
            },
            ..Options::default()
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::internal(error.to_string()))?;
        let coordinator = Coordinator::start_on(options, Arc::new(fs.clone()))?;
        Ok(Server {
            runtime,
            coordinator,
        })
    }

    /// Does a step on a session of its own.
    ///
    /// # Errors
    /// The first statement's that fails; what came before it in a transaction is rolled back.
    pub fn run(&self, step: &Step) -> Result<(), Error> {
        self.rows(&step.sql, &step.data).map(drop)
    }

    fn rows(&self, sql: &str, data: &[u8]) -> Result<Vec<Row>, Error> {
        let options = SessionOptions {
            user: "everview".to_string(),
            database: "everview".to_string(),
            ..SessionOptions::default()
        };
        let mut session = Session::open(&self.coordinator, options)?;
        let mut last = Vec::new();
        for statement in session.parse(sql)? {
            match self.wait(session.execute(&statement, None))? {
                Outcome::Rows { rows, .. } => last = rows,
                Outcome::CopyIn(mut copy) => {
                    for piece in data.chunks(50_000) {
                        if let Err(error) = session.feed_copy(&mut copy, piece) {
                            session.abandon_copy(copy);
                            return Err(error);
                        }
                    }
                    self.wait(session.finish_copy(copy))?;
                }
                _ => {}
            }
        }
        Ok(last)
    }

    fn wait<T>(&self, run: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        self.runtime
            .block_on(async { tokio::time::timeout(LIMIT, run).await })
            .map_err(|_| Error::internal("the statement does not end"))?
    }

    fn digest(&self, sql: &str) -> Result<Digest, Error> {
        let key = DigestKey::default();
        let mut digest = Digest::EMPTY;
        for row in self.rows(sql, &[])? {
            digest.update(&key, row.as_ref(), 1);
        }
        Ok(digest)
    }

    /// Digests of all objects.
    ///
    /// # Errors
    /// When one that is there cannot be read, or a view is not what its query gives.
    pub fn contents(&self) -> Result<Contents, String> {
        OBJECTS
            .iter()
            .map(|(name, query)| self.content(name, *query))
            .collect()
    }

    fn content(&self, name: &str, query: Option<&str>) -> Result<Option<Digest>, String> {
        let shown = match self.digest(&format!("SELECT * FROM {name}")) {
            Ok(digest) => digest,
            Err(error) if error.code.to_string() == "42P01" => return Ok(None),
            Err(error) => return Err(format!("{name} cannot be read: {}", error.message)),
        };
        if let Some(query) = query {
            match self.digest(query) {
                Ok(computed) if computed == shown => {}
                Ok(_) => return Err(format!("{name} is not what its query gives")),
                Err(error) => return Err(format!("{name}'s query fails: {}", error.message)),
            }
        }
        Ok(Some(shown))
    }
}

/// The store's files and the marks beside them, away from the server that has them.
pub struct Image {
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Image {
    /// The files below `folder`. A store that merges meanwhile removes some: then once more.
    ///
    /// # Errors
    /// The operating system's.
    pub fn take(folder: &Path) -> std::io::Result<Image> {
        let mut tries = 0;
        loop {
            match Image::walk(folder) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && tries < 20 => {
                    tries += 1;
                    std::thread::sleep(Duration::from_millis(10));
                }
                image => return image,
            }
        }
    }

    fn walk(folder: &Path) -> std::io::Result<Image> {
        let mut files = Vec::new();
        let mut folders = vec![folder.to_path_buf()];
        while let Some(below) = folders.pop() {
            for entry in std::fs::read_dir(&below)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let bytes = std::fs::read(&path)?;
                    let name = path.strip_prefix(folder).map_err(std::io::Error::other)?;
                    files.push((name.to_path_buf(), bytes));
                }
            }
        }
        Ok(Image { files })
    }

    /// Puts the files in place of what `folder` has.
    ///
    /// # Errors
    /// The operating system's.
    pub fn restore(&self, folder: &Path) -> std::io::Result<()> {
        clear(folder)?;
        for (name, bytes) in &self.files {
            let path = folder.join(name);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(path, bytes)?;
        }
        Ok(())
    }
}

/// Leaves an empty folder.
///
/// # Errors
/// The operating system's.
pub fn clear(folder: &Path) -> std::io::Result<()> {
    std::fs::remove_dir_all(folder)?;
    std::fs::create_dir(folder)
}
