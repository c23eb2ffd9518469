//! The one place where this crate starts threads.

use std::thread::{Builder, JoinHandle};

/// Starts a named thread.
#[allow(clippy::disallowed_methods)]
pub(crate) fn start(
    name: &str,
    body: impl FnOnce() + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    Builder::new().name(name.to_owned()).spawn(body)
}
