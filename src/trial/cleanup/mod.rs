//! Taking away what an attempt made.
