//! COPY: the client's stream into a statement, and lines out of one.

use crate::connection::{Attempt, Connection, Failure, watched};
use crate::message::{Message, malformed};
use everview_coord::copy::{header_line, write_line};
use everview_coord::outcome::CopyOutput;
use everview_coord::{CopyIn, Error};

impl Connection {
    /// Takes the client's stream to its end; gives the tag.
    pub async fn copy_in(&mut self, mut copy: Box<CopyIn>) -> Attempt<String> {
        self.output.copy_response(b'G', copy.columns());
        match self.feed(&mut copy).await {
            Ok(()) => Ok(watched(&mut self.input, self.session.finish_copy(copy)).await??),
            Err(failure) => {
                self.session.abandon_copy(copy);
                Err(failure)
            }
        }
    }

    async fn feed(&mut self, copy: &mut CopyIn) -> Attempt<()> {
        self.flush().await?;
        loop {
            let (tag, message) = self.next_of_copy().await?;
            match message? {
                Message::CopyData(bytes) => self.session.feed_copy(copy, &bytes)?,
                Message::CopyDone => return Ok(()),
                Message::CopyFail(why) => return Err(copy.given_up(&why).into()),
                // A client may have sent its Sync together with Execute.
                Message::Flush | Message::Sync => {}
                Message::Terminate => return Err(Failure::Gone),
                _ => {
                    let message =
                        format!("unexpected message type 0x{tag:02X} during COPY from stdin");
                    return Err(malformed(message).fatal().into());
                }
            }
        }
    }

    /// The next message, unless the statement is cancelled while it is waited for.
    async fn next_of_copy(&mut self) -> Attempt<(u8, Result<Message, Error>)> {
        loop {
            let taken = self
                .input
                .take()
                .map_err(|e| malformed(e.to_string()).fatal())?;
            if let Some(frame) = taken {
                return Ok((frame.tag, Message::decode(frame.tag, frame.body)));
            }
            if !self.session.guarded(self.input.fill()).await?? {
                return Err(Failure::Gone);
            }
        }
    }

    /// Sends lines, or changes as they happen; gives the tag.
    pub async fn copy_out(
        &mut self,
        columns: usize,
        output: CopyOutput,
        tag: String,
    ) -> Attempt<String> {
        self.output.copy_response(b'H', columns);
        let mut line = Vec::new();
        let tag = match output {
            CopyOutput::Rows(rows, desc, options) => {
                if let Some(header) = header_line(&desc, &options)? {
                    self.output.copy_data(&header);
                }
                for row in rows {
                    write_line(&mut line, &desc, &row, &options, &self.formatting)?;
                    self.output.copy_data(&line);
                    self.flush_if_large().await?;
                }
                tag
            }
            CopyOutput::Stream(mut rows, desc, options) => {
                if let Some(header) = header_line(&desc, &options)? {
                    self.output.copy_data(&header);
                }
                let mut sent = 0u64;
                while let Some(piece) = self.session.guarded(rows.next()).await?? {
                    for row in &piece {
                        write_line(&mut line, &desc, row, &options, &self.formatting)?;
                        self.output.copy_data(&line);
                        self.flush_if_large().await?;
                    }
                    sent += piece.len() as u64;
                }
                format!("{tag} {sent}")
            }
            CopyOutput::Changes(mut subscription, options) => {
                let desc = subscription.desc().clone();
                if let Some(header) = header_line(&desc, &options)? {
                    self.output.copy_data(&header);
                }
                self.flush().await?;
                let mut sent = 0u64;
                while let Some(rows) = self.changes(&mut subscription).await? {
                    for row in &rows {
                        write_line(&mut line, &desc, row, &options, &self.formatting)?;
                        self.output.copy_data(&line);
                        self.flush_if_large().await?;
                    }
                    sent += rows.len() as u64;
                    self.flush().await?;
                }
                format!("COPY {sent}")
            }
        };
        self.output.bare(b'c');
        Ok(tag)
    }
}
