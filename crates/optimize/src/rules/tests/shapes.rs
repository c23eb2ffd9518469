//! Shapes that rules must give.
