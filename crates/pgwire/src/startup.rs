//! From a fresh connection to a session.
//!
//! There is no encryption. A role with a password needs it wherever it comes from; one without is let in from the
//! loopback interface only.

use crate::frame::Input;
use crate::message::{malformed, utf8};
use crate::output::Output;
use crate::scram;
use bytes::{Buf, Bytes};
use everview_coord::{Coordinator, Error, Session, SessionOptions};
use everview_repr::SqlState;
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncWrite};

/// The longest startup packet, as in Postgres.
const LONGEST: usize = 10_000;

const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
const CANCEL_REQUEST: u32 = 80_877_102;

/// How a connection starts.
pub(crate) enum Start {
    /// With a session to be opened.
    Session(SessionOptions),
    /// It was a cancel request, or went away.
    Done,
}

/// Answers until it is known what the client wants.
pub(crate) async fn negotiate<R, W>(
    input: &mut Input<R>,
    output: &mut Output<W>,
    coordinator: &Coordinator,
    peer: SocketAddr,
) -> Result<Start, Error>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    // One request for each kind of encryption may come before the startup packet.
    for _ in 0..3 {
        let packet = match input.startup_packet(LONGEST).await {
            Ok(Some(packet)) => packet,
            Ok(None) => return Ok(Start::Done),
            Err(e) if e.kind() == io::ErrorKind::InvalidData => {
                return Err(malformed(e.to_string()).fatal());
            }
            Err(_) => return Ok(Start::Done),
        };
        let (code, rest) = split(packet);
        match code {
            SSL_REQUEST | GSS_REQUEST => {
                if !input.is_empty() {
                    let message = "received unencrypted data after an encryption request";
                    return Err(malformed(message).fatal());
                }
                output.byte(b'N');
                if output.flush().await.is_err() {
                    return Ok(Start::Done);
                }
            }
            CANCEL_REQUEST => {
                if rest.len() >= 8 {
                    let mut rest = rest;
                    coordinator.cancel(rest.get_i32(), rest.get_i32());
                }
                return Ok(Start::Done);
            }
            version => {
                let options = parameters(version, &rest, output, peer)?;
                let known = identify(input, output, coordinator, &options.user, peer).await;
                let known = known.inspect_err(|error| {
                    tracing::warn!(%error, %peer, "a client was not let in");
                })?;
                return Ok(match known {
                    true => Start::Session(options),
                    false => Start::Done,
                });
            }
        }
    }
    Err(malformed("too many encryption requests").fatal())
}

/// Whether the client is who it says; false if it goes away.
async fn identify<R, W>(
    input: &mut Input<R>,
    output: &mut Output<W>,
    coordinator: &Coordinator,
    role: &str,
    peer: SocketAddr,
) -> Result<bool, Error>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let loopback = peer.ip().to_canonical().is_loopback();
    let challenge = coordinator.challenge(role, loopback);
    match challenge.map_err(Error::fatal)? {
        Some(verifier) => scram::authenticate(input, output, role, &verifier).await,
        None => Ok(true),
    }
}

fn split(mut packet: Bytes) -> (u32, Bytes) {
    let code = packet.get_u32();
    (code, packet)
}

/// The parameters of a startup packet.
fn parameters<W: AsyncWrite + Unpin>(
    version: u32,
    packet: &[u8],
    output: &mut Output<W>,
    peer: SocketAddr,
) -> Result<SessionOptions, Error> {
    let (major, minor) = (version >> 16, version & 0xffff);
    if major != 3 {
        let message =
            format!("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.0");
        return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, message).fatal());
    }
    let mut options = SessionOptions {
        peer: peer.to_string(),
        ..Default::default()
    };
    let mut unknown = Vec::new();
    for (name, value) in pairs(packet)? {
        match name.as_str() {
            "user" => options.user = value,
            "database" => options.database = value,
            "options" => options.settings.extend(switches(&value)?),
            "replication" if ["false", "off", "no", "0"].contains(&value.as_str()) => {}
            "replication" => return Err(Error::unsupported("the replication protocol").fatal()),
            name if name.starts_with("_pq_.") => unknown.push(name.to_string()),
            _ => options.settings.push((name, value)),
        }
    }
    if options.user.is_empty() {
        let message = "no PostgreSQL user name specified in startup packet";
        return Err(Error::new(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, message).fatal());
    }
    if minor > 0 || !unknown.is_empty() {
        output.negotiate_version(&unknown);
    }
    Ok(options)
}

/// Names and values, each ended by a NUL, the list by another.
fn pairs(packet: &[u8]) -> Result<Vec<(String, String)>, Error> {
    let invalid =
        || malformed("invalid startup packet layout: expected terminator as last byte").fatal();
    let body = packet.strip_suffix(&[0]).ok_or_else(invalid)?;
    if body.is_empty() {
        return Ok(Vec::new());
    }
    let body = body.strip_suffix(&[0]).ok_or_else(invalid)?;
    let parts = body
        .split(|b| *b == 0)
        .map(|part| utf8(part).map(str::to_string));
    let parts = parts.collect::<Result<Vec<_>, _>>().map_err(Error::fatal)?;
    if parts.len() % 2 != 0 {
        return Err(invalid());
    }
    Ok(parts
        .chunks_exact(2)
        .map(|pair| (pair[0].clone(), pair[1].clone()))
        .collect())
}

/// Settings of `-c name=value` and `--name=value`; a backslash keeps a blank.
fn switches(options: &str) -> Result<Vec<(String, String)>, Error> {
    let mut words = vec![String::new()];
    let mut chars = options.chars();
    while let Some(c) = chars.next() {
        let blank = c.is_whitespace();
        match (c, words.last_mut()) {
            ('\\', Some(word)) => word.extend(chars.next()),
            (_, Some(word)) if !blank => word.push(c),
            _ => words.push(String::new()),
        }
    }
    let mut words = words.into_iter().filter(|w| !w.is_empty());
    let mut settings = Vec::new();
    while let Some(word) = words.next() {
        let setting = match word.as_str() {
            "-c" => words.next(),
            word => word
                .strip_prefix("--")
                .or(word.strip_prefix("-c"))
                .map(str::to_string),
        };
        let pair = setting.as_deref().and_then(|s| s.split_once('='));
        let Some((name, value)) = pair else {
            let message = format!("invalid command-line argument for server process: {word}");
            return Err(Error::new(SqlState::SYNTAX_ERROR, message).fatal());
        };
        settings.push((name.replace('-', "_"), value.to_string()));
    }
    Ok(settings)
}

/// Tells the client that its session is open.
pub(crate) fn greet<W: AsyncWrite + Unpin>(session: &mut Session, output: &mut Output<W>) {
    output.authentication_ok();
    for (name, value) in session.reported_settings() {
        output.parameter_status(&name, &value);
    }
    session.take_setting_changes();
    let (pid, secret) = session.backend_key();
    output.backend_key(pid, secret);
    output.ready(session.status());
}

#[cfg(test)]
#[path = "tests/startup.rs"]
mod tests;
