//! Real processes.

mod containers;
mod ends;
mod notebooks;
mod surroundings;
