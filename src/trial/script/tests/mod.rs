//! Real processes.

mod containers;
mod ends;
mod surroundings;
