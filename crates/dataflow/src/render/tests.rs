//! Rendered dataflows against answers from scratch.
