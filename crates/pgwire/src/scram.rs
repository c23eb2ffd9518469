//! Authentication by SCRAM-SHA-256 (RFC 5802, 7677), in PostgreSQL's SASL messages.
//!
//! The client says who it is with a nonce of its own; the server adds one, salt and iterations; the client proves
//! that it knows the password, and the server that it knows the verifier. Without encryption there is no channel to
//! bind: clients that insist on binding are refused.
//!
//! **Invariant.** A client is known only after [`Verifier::check`]. A role that does not exist is asked as the others
//! are: only the proof's failure is told, and it is the same.

use crate::frame::Input;
use crate::message::malformed;
use crate::output::Output;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use everview_coord::Error;
use everview_coord::passwords::{KEY, Verifier};
use everview_repr::SqlState;
use tokio::io::{AsyncRead, AsyncWrite};

/// The mechanism's name.
const MECHANISM: &str = "SCRAM-SHA-256";

/// The longest message of a client, as in Postgres.
const LONGEST: usize = 1024;

/// Steps of authentication.
const SASL: u32 = 10;
const CONTINUE: u32 = 11;
const FINAL: u32 = 12;

/// Whether the client proves that it knows a role's password; false if it goes away.
///
/// Errors: 28P01 for a wrong password, 08P01 for what is not of the protocol, 0A000 for what is not supported.
pub(crate) async fn authenticate<R, W>(
    input: &mut Input<R>,
    output: &mut Output<W>,
    role: &str,
    verifier: &Verifier,
) -> Result<bool, Error>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    output.authentication_sasl(SASL, format!("{MECHANISM}\0\0").as_bytes());
    let Some(response) = ask(input, output).await? else {
        return Ok(false);
    };
    let nonce = nonce()?;
    let (exchange, challenge) = Exchange::begin(initial(&response)?, &nonce, verifier)?;
    output.authentication_sasl(CONTINUE, challenge.as_bytes());
    let Some(response) = ask(input, output).await? else {
        return Ok(false);
    };
    let Some(signature) = exchange.finish(text(&response)?, verifier)? else {
        let message = format!("password authentication failed for user \"{role}\"");
        return Err(Error::new(SqlState::INVALID_PASSWORD, message).fatal());
    };
    output.authentication_sasl(FINAL, signature.as_bytes());
    Ok(true)
}

/// Sends what was gathered, and gives the client's answer; none if it goes away.
async fn ask<R, W>(input: &mut Input<R>, output: &mut Output<W>) -> Result<Option<Bytes>, Error>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    if output.flush().await.is_err() {
        return Ok(None);
    }
    loop {
        let taken = input.take().map_err(|e| malformed(e.to_string()).fatal())?;
        match taken {
            Some(frame) if frame.tag == b'p' && frame.body.len() <= LONGEST => {
                return Ok(Some(frame.body));
            }
            Some(frame) if frame.tag == b'p' => return Err(invalid("It is too long.")),
            Some(frame) => {
                let message = format!("expected SASL response, got message type {}", frame.tag);
                return Err(malformed(message).fatal());
            }
            None => match input.fill().await {
                Ok(true) => {}
                Ok(false) | Err(_) => return Ok(None),
            },
        }
    }
}

/// The server's part of the nonce: 18 random bytes.
fn nonce() -> Result<String, Error> {
    let mut bytes = [0; 18];
    getrandom::fill(&mut bytes)
        .map_err(|e| Error::internal(format!("the system gives no random bytes: {e}")).fatal())?;
    Ok(BASE64.encode(bytes))
}

/// The client's first message, in a SASLInitialResponse: mechanism, length, message.
fn initial(body: &[u8]) -> Result<&str, Error> {
    let end = body.iter().position(|b| *b == 0);
    let (mechanism, rest) = body.split_at(end.ok_or_else(|| invalid("No mechanism is named."))?);
    if mechanism != MECHANISM.as_bytes() {
        let message = "client selected an invalid SASL authentication mechanism";
        return Err(malformed(message).fatal());
    }
    match rest[1..].split_first_chunk::<4>() {
        Some((length, message)) if u32::from_be_bytes(*length) as usize == message.len() => {
            text(message)
        }
        _ => Err(invalid("Its length is not what it says.")),
    }
}

fn text(bytes: &[u8]) -> Result<&str, Error> {
    let text = std::str::from_utf8(bytes).map_err(|_| invalid("It is not text."))?;
    match text.contains('\0') {
        true => Err(invalid("It has a NUL in it.")),
        false => Ok(text),
    }
}

fn invalid(detail: &str) -> Error {
    malformed("malformed SCRAM message")
        .with_detail(detail)
        .fatal()
}

fn unsupported(what: &str) -> Error {
    Error::unsupported(format!("SCRAM with {what}")).fatal()
}

/// What was said before the client's proof.
#[derive(Debug)]
struct Exchange {
    /// The header about channel binding, in base64, as the client repeats it.
    binding: String,
    /// Of client and server.
    nonce: String,
    /// The client's first message without that header.
    client_first: String,
    server_first: String,
}

impl Exchange {
    /// Takes the client's first message; gives the server's.
    fn begin(
        message: &str,
        server_nonce: &str,
        verifier: &Verifier,
    ) -> Result<(Exchange, String), Error> {
        let (flag, rest) = message
            .split_once(',')
            .ok_or_else(|| invalid("There is no header."))?;
        match flag {
            // "y": the client would bind, and believes that the server cannot, which is right.
            "n" | "y" => {}
            bound if bound.starts_with("p=") => {
                return Err(unsupported("channel binding"));
            }
            _ => return Err(invalid("The flag of channel binding is unknown.")),
        }
        let (identity, client_first) = rest
            .split_once(',')
            .ok_or_else(|| invalid("The header has no end."))?;
        if identity.starts_with("a=") {
            return Err(unsupported("an authorization identity"));
        }
        if !identity.is_empty() {
            return Err(invalid("The header is unknown."));
        }
        if client_first.starts_with("m=") {
            return Err(unsupported("a mandatory extension"));
        }
        let mut attributes = client_first.split(',');
        // The name is empty or repeats the startup packet's, which counts.
        attribute(attributes.next(), "n=")?;
        let nonce = attribute(attributes.next(), "r=")?;
        if nonce.is_empty() || !nonce.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(invalid("The nonce is not printable."));
        }
        let nonce = format!("{nonce}{server_nonce}");
        let Verifier {
            iterations, salt, ..
        } = verifier;
        let server_first = format!("r={nonce},s={},i={iterations}", BASE64.encode(salt));
        let exchange = Exchange {
            binding: BASE64.encode(format!("{flag},,")),
            nonce,
            client_first: client_first.to_string(),
            server_first: server_first.clone(),
        };
        Ok((exchange, server_first))
    }

    /// Takes the client's last message; gives the server's, if the proof in it is right.
    fn finish(&self, message: &str, verifier: &Verifier) -> Result<Option<String>, Error> {
        let (before, proof) = message
            .rsplit_once(',')
            .ok_or_else(|| invalid("There is no proof."))?;
        let proof = BASE64.decode(attribute(Some(proof), "p=")?);
        let proof = proof.ok().and_then(|p| <[u8; KEY]>::try_from(p).ok());
        let proof = proof.ok_or_else(|| invalid("The proof is not one."))?;
        let mut attributes = before.split(',');
        if attribute(attributes.next(), "c=")? != self.binding {
            return Err(invalid("The channel binding is another than at first."));
        }
        if attribute(attributes.next(), "r=")? != self.nonce {
            return Err(invalid("The nonce is another than at first."));
        }
        let Exchange {
            client_first,
            server_first,
            ..
        } = self;
        let all = format!("{client_first},{server_first},{before}");
        let signature = verifier.check(all.as_bytes(), &proof);
        Ok(signature.map(|s| format!("v={}", BASE64.encode(s))))
    }
}

/// The value of an attribute that must come next.
fn attribute<'m>(part: Option<&'m str>, name: &str) -> Result<&'m str, Error> {
    part.and_then(|part| part.strip_prefix(name))
        .ok_or_else(|| invalid(&format!("{name} is missing.")))
}

#[cfg(test)]
#[path = "tests/scram.rs"]
mod tests;
