//! Whether a run may run the code that it was given.
