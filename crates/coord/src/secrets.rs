//! Text that must be had back, and must not be read from the log: passwords for other servers.
//!
//! It is encrypted with XChaCha20-Poly1305 (RFC 8439, with the longer nonce that may be drawn at random) under a key
//! that is in neither log nor store: the file `secret.key` of the data folder, which its owner alone can read, or what
//! the environment gives. Whoever copies the log without the key has no secret, and whoever restores a log needs it.
//!
//! **Invariant.** The key is made before the first text is encrypted with it, and never replaced.

use crate::error::Error;
use crate::passwords::random;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use everview_catalog::outside::Sealed;
use everview_repr::SqlState;
use everview_sql::plan::Secret;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

#[cfg(test)]
mod tests;

const KEY: usize = 32;
const NONCE: usize = 24;

/// The file in the data folder.
const FILE: &str = "secret.key";

/// What the key of this purpose is derived for.
const CONTEXT: &str = "everview 2026-11-24 connection secrets";

/// Encrypts and decrypts.
pub(crate) struct Secrets {
    folder: PathBuf,
    /// In place of the file.
    given: Option<Secret>,
}

impl Secrets {
    /// With the key that is given, or the one in a folder.
    pub fn new(folder: &Path, given: Option<Secret>) -> Secrets {
        Secrets {
            folder: folder.to_path_buf(),
            given,
        }
    }

    /// Encrypts; makes the key if there is none yet.
    ///
    /// Errors: 58030 if the key's file can be neither read nor written.
    pub fn seal(&self, text: &Secret) -> Result<Sealed, Error> {
        let cipher = XChaCha20Poly1305::new(&self.key(true)?);
        let nonce: [u8; NONCE] = random()?;
        let encrypted = cipher
            .encrypt(&XNonce::from(nonce), text.reveal().as_bytes())
            .map_err(|_| Error::internal("a secret cannot be encrypted"))?;
        let mut bytes = nonce.to_vec();
        bytes.extend(encrypted);
        Ok(Sealed(BASE64.encode(bytes)))
    }

    /// Decrypts.
    ///
    /// Errors: 55000 if it was encrypted under another key, or there is none.
    pub fn open(&self, sealed: &Sealed) -> Result<Secret, Error> {
        let bytes = BASE64.decode(&sealed.0).unwrap_or_default();
        let text = match bytes.split_first_chunk::<NONCE>() {
            None => None,
            Some((nonce, encrypted)) => XChaCha20Poly1305::new(&self.key(false)?)
                .decrypt(&XNonce::from(*nonce), encrypted)
                .ok()
                .and_then(|text| String::from_utf8(text).ok()),
        };
        text.map(Secret::new).ok_or_else(|| {
            unreadable("it was encrypted under another key than the one that is there")
        })
    }

    fn key(&self, make: bool) -> Result<Key, Error> {
        let secret = match &self.given {
            Some(given) => given.reveal().as_bytes().to_vec(),
            None => self.file(make)?,
        };
        Ok(blake3::derive_key(CONTEXT, &secret).into())
    }

    fn file(&self, make: bool) -> Result<Vec<u8>, Error> {
        let path = self.folder.join(FILE);
        let mut bytes = Vec::new();
        match File::open(&path).and_then(|mut file| file.read_to_end(&mut bytes)) {
            Ok(KEY) => Ok(bytes),
            Ok(_) => Err(unreadable(&format!("{} is no key", path.display()))),
            Err(error) if error.kind() == ErrorKind::NotFound && make => {
                self.make(&path).map_err(|e| failed(&path, &e))?;
                self.file(false)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(unreadable(&format!("{} is missing", path.display())))
            }
            Err(error) => Err(failed(&path, &error)),
        }
    }

    /// Writes a new key, whole or not at all; one that has come to be there meanwhile stays.
    fn make(&self, path: &Path) -> std::io::Result<()> {
        let key: [u8; KEY] = random().map_err(|e| std::io::Error::other(e.message))?;
        let fresh = self.folder.join(format!("{FILE}.{}", std::process::id()));
        let written = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&fresh)
            .and_then(|mut file| file.write_all(&key).and_then(|()| file.sync_all()));
        let linked = written.and_then(|()| std::fs::hard_link(&fresh, path));
        std::fs::remove_file(&fresh)?;
        match linked {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => File::open(&self.folder)?.sync_all(),
        }
    }
}

fn unreadable(why: &str) -> Error {
    let message = format!("a secret cannot be read: {why}");
    Error::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message).with_hint(
        "Put the key back (secret.key of the data folder, or EVERVIEW_SECRET_KEY), or create the secret again.",
    )
}

fn failed(path: &Path, error: &std::io::Error) -> Error {
    let message = format!("cannot read or write {}: {error}", path.display());
    Error::new(SqlState::IO_ERROR, message)
}
