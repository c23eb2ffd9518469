//! Dataflow: physical plans kept up to date by worker threads, and read by any thread.
//!
//! * [`compute::Compute`]: the handle. It sends every worker the same ordered stream of [`command`]s.
//! * [`worker`]: one thread's dataflows; [`source`]: how tables flow in; [`render`]: plans to operators.
//! * [`export`]: how results leave: published indexes, subscriptions, one-off peeks, tallies.
//! * [`operators`], [`arrange`], [`layout`]: what plans are made of, down to bytes; [`ledger`]: how many.
//!
//! Invariant: what a dataflow shows at a time is a function of its plan and of the commits up to that time. It
//! knows no SQL, no catalog, no log and no store.

pub mod arrange;
pub mod command;
pub mod compute;
pub mod export;
pub mod health;
pub mod layout;
pub mod ledger;
pub mod operators;
pub mod render;
pub mod source;
pub mod worker;

pub use arrange::group::Direction;
pub use arrange::publish::{ReadError, Size, prefix_end};
pub use command::{
    ChangeChunks, Changes, DataflowDesc, DataflowId, Export, RowChunks, TableReader,
};
pub use compute::{Compute, FailureListener, Status};
pub use export::peek::{PeekRows, PeekSender};
pub use export::reader::{ArrangedSnapshot, IndexReader, IndexSnapshot};
pub use export::subscribe::{
    SubscribeBatch, SubscribeError, SubscribeReceiver, SubscribeSink, subscription,
};
pub use export::tally::{Contents, Tally};
