//! The listener: one task a connection, bounds on their number, and an orderly stop.
//!
//! Invariant: whatever happens to one connection, the others and the listener go on.

use crate::connection::{Connection, Failure};
use crate::frame::Input;
use crate::output::Output;
use crate::startup::{self, Start};
use everview_coord::{Coordinator, Error, Session};
use everview_repr::SqlState;
use futures::FutureExt;
use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Bounds on connections.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Sessions at once; further ones are refused with 53300.
    pub sessions: usize,
    /// How long a connection may take to say who it is.
    pub startup: Duration,
    /// How long sessions may take to end when the server stops.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            sessions: 1_000,
            startup: Duration::from_secs(60),
            drain: Duration::from_secs(10),
        }
    }
}

/// Connections that may be starting, beyond the sessions.
const STARTING: usize = 200;

/// A listener in front of a coordinator.
pub struct Server {
    coordinator: Coordinator,
    listener: TcpListener,
    limits: Limits,
}

impl Server {
    /// Listens on an address; port 0 takes a free one.
    pub async fn bind(coordinator: Coordinator, address: SocketAddr) -> io::Result<Server> {
        let listener = TcpListener::bind(address).await?;
        Ok(Server {
            coordinator,
            listener,
            limits: Limits::default(),
        })
    }

    /// With other bounds.
    pub fn with_limits(mut self, limits: Limits) -> Server {
        self.limits = limits;
        self
    }

    /// Where it listens.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown` completes, then ends every session, within [`Limits::drain`].
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let Server {
            coordinator,
            listener,
            limits,
        } = self;
        let sessions = Arc::new(Semaphore::new(limits.sessions));
        let sockets = Arc::new(Semaphore::new(limits.sessions + STARTING));
        let mut tasks = JoinSet::new();
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(_) = tasks.join_next() => continue,
                accepted = listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let Ok(socket) = sockets.clone().try_acquire_owned() else {
                tracing::warn!(%peer, "too many connections: one was dropped");
                continue;
            };
            let (coordinator, sessions) = (coordinator.clone(), sessions.clone());
            tasks.spawn(async move {
                converse(coordinator, stream, peer, limits, &sessions).await;
                drop(socket);
            });
        }
        drop(listener);
        coordinator.begin_shutdown();
        let drained = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(limits.drain, drained).await.is_err() {
            tracing::warn!(
                left = tasks.len(),
                "sessions did not end in time and were cut off"
            );
            tasks.shutdown().await;
        }
        Ok(())
    }
}

/// A connection from its first byte to its last.
async fn converse(
    coordinator: Coordinator,
    stream: TcpStream,
    peer: SocketAddr,
    limits: Limits,
    sessions: &Semaphore,
) {
    if let Err(error) = tune(&stream) {
        tracing::warn!(%error, %peer, "a connection's options could not be set");
    }
    let (read, write) = stream.into_split();
    let mut input = Input::new(read);
    let mut output = Output::new(write);
    let start = startup::negotiate(&mut input, &mut output, &coordinator, peer);
    let started = match tokio::time::timeout(limits.startup, start).await {
        Ok(Ok(Start::Session(options))) => options,
        Ok(Ok(Start::Done)) | Err(_) => return,
        Ok(Err(error)) => return last_words(&mut input, &mut output, &error).await,
    };
    let Ok(_permit) = sessions.try_acquire() else {
        let error = Error::new(
            SqlState::TOO_MANY_CONNECTIONS,
            "sorry, too many clients already",
        );
        return last_words(&mut input, &mut output, &error.fatal()).await;
    };
    let session = match Session::open(&coordinator, started) {
        Ok(session) => session,
        Err(error) => return last_words(&mut input, &mut output, &error.fatal()).await,
    };
    tracing::debug!(%peer, "a session has begun");
    let mut connection = Connection::new(session, input, output);
    let served = AssertUnwindSafe(connection.serve()).catch_unwind().await;
    let end = served.unwrap_or_else(|_| {
        connection.output.discard();
        Failure::Error(Error::internal("a statement panicked; its session ends").fatal())
    });
    let (mut input, mut output) = connection.into_parts();
    if let Failure::Error(error) = end {
        if error.code == SqlState::INTERNAL_ERROR {
            tracing::error!(%error, %peer, "a session failed");
        }
        last_words(&mut input, &mut output, &error).await;
    }
    tracing::debug!(%peer, "a session has ended");
}

/// Latency before throughput, and a peer that is gone without a word is found out within about two minutes.
fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(10))
        .with_retries(6);
    socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

/// Tells why the connection ends, and sees that it arrives.
async fn last_words(
    input: &mut Input<OwnedReadHalf>,
    output: &mut Output<OwnedWriteHalf>,
    error: &Error,
) {
    output.error(error);
    let send = async {
        output.flush().await?;
        output.shutdown().await
    };
    // A close with unread bytes would reset the connection and could take the message with it.
    if let Ok(Ok(())) = tokio::time::timeout(Duration::from_secs(2), send).await {
        let _ = tokio::time::timeout(Duration::from_millis(300), input.drain()).await;
    }
}
