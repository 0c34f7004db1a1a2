//! Charts as inline SVG: pure functions of figures. Whatever the figures say, what comes out is well-formed and bounded, and texts
//! in it are escaped.

pub(super) mod curve;
pub(super) mod gantt;
pub(super) mod phases;
pub(super) mod ring;
pub(super) mod spark;
mod svg;
#[cfg(test)]
mod tests;
