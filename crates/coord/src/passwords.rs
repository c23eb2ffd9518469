//! Roles' passwords: what is kept of them, and what proves that a client knows one.
//!
//! A password is kept as a SCRAM-SHA-256 verifier (RFC 5802, 7677) in PostgreSQL's form,
//! `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`: who reads it can neither log in with it nor turn it back into
//! the password.
//!
//! **Invariant.** Verifiers are a function of the log: each is one row of a system collection, changed by the commit
//! of an ALTER ROLE. A password in clear is in nothing that is written.
//!
//! This module knows no messages and no sessions.

use crate::coordinator::Coordinator;
use crate::error::Error;
use crate::session::USERS;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use everview_repr::{Datum, Diff, GlobalId, Row, SqlState};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use subtle::ConstantTimeEq;

#[cfg(test)]
mod tests;

/// The system collection of passwords: role (text), verifier (text). The row of no role is [`Passwords::secret`].
pub(crate) const PASSWORDS: GlobalId = GlobalId(4);

/// Bytes of SHA-256, and of every key made with it.
pub const KEY: usize = 32;

/// As PostgreSQL has it.
const SALT: usize = 16;
const ITERATIONS: u32 = 4096;

/// More would keep a thread busy for seconds.
const MOST_ITERATIONS: u32 = 1_000_000;

const MECHANISM: &str = "SCRAM-SHA-256";

/// The row whose name no role has.
const NO_ROLE: &str = "";

/// A verifier: StoredKey and ServerKey of RFC 5802, and what they were made with.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    /// How often the password was hashed.
    pub iterations: u32,
    /// What it was hashed with.
    pub salt: Vec<u8>,
    stored_key: [u8; KEY],
    server_key: [u8; KEY],
}

impl Verifier {
    /// The one of a password.
    pub fn of(password: &str, salt: &[u8], iterations: u32) -> Verifier {
        let salted = salted(password, salt, iterations);
        Verifier {
            iterations,
            salt: salt.to_vec(),
            stored_key: Sha256::digest(hmac(&salted, b"Client Key")).into(),
            server_key: hmac(&salted, b"Server Key"),
        }
    }

    /// What a role that there is not, or that has none, is asked for: always the same, and fulfilled by no password.
    fn mock(secret: &[u8], role: &str) -> Verifier {
        let derived = |what: &str| hmac(secret, format!("{what}\0{role}").as_bytes());
        Verifier {
            iterations: ITERATIONS,
            salt: derived("salt")[..SALT].to_vec(),
            stored_key: derived("stored"),
            server_key: derived("server"),
        }
    }

    /// From PostgreSQL's form; none if the text is not of it.
    pub fn parse(text: &str) -> Option<Verifier> {
        let rest = text.strip_prefix(MECHANISM)?.strip_prefix('$')?;
        let (made_with, keys) = rest.split_once('$')?;
        let (iterations, salt) = made_with.split_once(':')?;
        let (stored, server) = keys.split_once(':')?;
        let bytes = |text: &str| BASE64.decode(text).ok();
        let key = |text: &str| <[u8; KEY]>::try_from(bytes(text)?).ok();
        Some(Verifier {
            iterations: iterations.parse().ok().filter(|n| *n > 0)?,
            salt: bytes(salt).filter(|salt| !salt.is_empty())?,
            stored_key: key(stored)?,
            server_key: key(server)?,
        })
    }

    /// The server's signature of an exchange, if the client's proof shows that it knows the password.
    pub fn check(&self, exchange: &[u8], proof: &[u8; KEY]) -> Option<[u8; KEY]> {
        let mut client_key = hmac(&self.stored_key, exchange);
        client_key.iter_mut().zip(proof).for_each(|(k, p)| *k ^= p);
        let stored: [u8; KEY] = Sha256::digest(client_key).into();
        let proven = bool::from(stored.ct_eq(&self.stored_key));
        proven.then(|| hmac(&self.server_key, exchange))
    }

    fn accepts(&self, password: &str) -> bool {
        *self == Verifier::of(password, &self.salt, self.iterations)
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verifier { iterations, .. } = self;
        let [salt, stored, server] =
            [&self.salt[..], &self.stored_key, &self.server_key].map(|b| BASE64.encode(b));
        write!(f, "{MECHANISM}${iterations}:{salt}${stored}:{server}")
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}

/// SaltedPassword of RFC 5802. A password that SASLprep prohibits is taken as its bytes are, as PostgreSQL does.
fn salted(password: &str, salt: &[u8], iterations: u32) -> [u8; KEY] {
    let prepared = stringprep::saslprep(password).ok();
    let prepared = prepared.filter(|prepared| !prepared.is_empty());
    let password = prepared.as_deref().unwrap_or(password);
    pbkdf2::pbkdf2_hmac_array::<Sha256, KEY>(password.as_bytes(), salt, iterations)
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; KEY] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// Bytes that nobody can guess.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|e| Error::internal(format!("the system gives no random bytes: {e}")))?;
    Ok(bytes)
}

/// What ALTER ROLE keeps of a password, which may be a verifier itself; none for an empty one. Takes milliseconds.
///
/// Errors: 0A000 for an MD5 hash, 22023 for a verifier that takes too long.
pub(crate) fn verifier(password: &str) -> Result<Option<Verifier>, Error> {
    let is_md5 = |hash: &str| hash.len() == 32 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    if password.strip_prefix("md5").is_some_and(is_md5) {
        return Err(
            Error::unsupported("a password as an MD5 hash").with_hint(format!(
                "Give the password itself, or its {MECHANISM} verifier."
            )),
        );
    }
    let verifier = match Verifier::parse(password) {
        Some(verifier) if verifier.iterations > MOST_ITERATIONS => {
            let message = format!("a verifier of {} iterations", verifier.iterations);
            return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, message)
                .with_hint(format!("There may be {MOST_ITERATIONS}.")));
        }
        Some(verifier) => verifier,
        None => Verifier::of(password, &random::<SALT>()?, ITERATIONS),
    };
    Ok(Some(verifier).filter(|verifier| !verifier.accepts("")))
}

/// What a transaction makes of roles' rows; none for those that go.
pub(crate) type Altered = BTreeMap<String, Option<String>>;

/// Notes that a role gets a password, or loses it.
pub(crate) fn alter(
    altered: &mut Altered,
    role: String,
    verifier: Option<&Verifier>,
) -> Result<(), Error> {
    altered.insert(role, verifier.map(Verifier::to_string));
    let secret = BASE64.encode(random::<KEY>()?);
    altered.insert(NO_ROLE.to_string(), Some(secret));
    Ok(())
}

/// What is kept for each role, and the server's secret.
#[derive(Clone, Default)]
pub(crate) struct Passwords(BTreeMap<String, String>);

impl Passwords {
    /// From the rows of [`PASSWORDS`].
    pub fn load(rows: &[Row]) -> Result<Passwords, Error> {
        let pair = |row: &Row| match row.unpack().as_slice() {
            [Datum::Text(role), Datum::Text(kept)] => Ok((role.to_string(), kept.to_string())),
            _ => Err(Error::internal("a password's row cannot be read")),
        };
        let kept = rows.iter().map(pair).collect::<Result<_, _>>()?;
        Ok(Passwords(kept))
    }

    /// Carries a transaction out: the changes of [`PASSWORDS`]. The secret stays what it is once there is one.
    pub fn apply(&mut self, altered: &Altered) -> Vec<(Row, Diff)> {
        let mut changes = Vec::new();
        let row = |role: &str, kept: &str| Row::pack([Datum::Text(role), Datum::Text(kept)]);
        for (role, after) in altered {
            if role == NO_ROLE && self.0.contains_key(NO_ROLE) {
                continue;
            }
            let before = match after {
                Some(after) => self.0.insert(role.clone(), after.clone()),
                None => self.0.remove(role),
            };
            changes.extend(before.map(|before| (row(role, &before), -1)));
            changes.extend(after.as_ref().map(|after| (row(role, after), 1)));
        }
        changes
    }

    /// Roles that have a password.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str).filter(|r| *r != NO_ROLE)
    }

    /// Kept so that a role that there is not is asked with the same salt for ever, as one that there is.
    fn secret(&self) -> &str {
        self.0.get(NO_ROLE).map_or("", String::as_str)
    }

    /// What a client has to prove who connects as a role; none if it need not.
    ///
    /// Errors: 28000 if the role has no password and the client is not on the loopback interface.
    fn challenge(&self, role: &str, loopback: bool) -> Result<Option<Verifier>, Error> {
        let exists = USERS.contains(&role);
        match self.0.get(role).filter(|_| exists) {
            Some(kept) => Verifier::parse(kept)
                .ok_or_else(|| Error::internal("a verifier cannot be read"))
                .map(Some),
            None if loopback && (exists || self.roles().next().is_none()) => Ok(None),
            None if exists => {
                let message =
                    format!("role \"{role}\" has no password and is let in from loopback only");
                let code = SqlState::INVALID_AUTHORIZATION_SPECIFICATION;
                Err(Error::new(code, message)
                    .with_hint(format!("ALTER ROLE {role} PASSWORD '...' sets one.")))
            }
            None => Ok(Some(Verifier::mock(self.secret().as_bytes(), role))),
        }
    }
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.roles()).finish()
    }
}

impl Coordinator {
    /// Whether any role has a password, so that the server may listen where strangers could connect.
    pub fn has_password(&self) -> bool {
        self.shared.passwords.load().roles().next().is_some()
    }

    /// What a client has to prove who connects as a role, from the loopback interface or from elsewhere; none if it
    /// need not. A role that there is not is asked as if it had a password, once any role has one.
    ///
    /// Errors: 28000 if the role has no password and the client is not on the loopback interface.
    pub fn challenge(&self, role: &str, loopback: bool) -> Result<Option<Verifier>, Error> {
        self.shared.passwords.load().challenge(role, loopback)
    }
}
