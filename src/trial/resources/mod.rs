//! What the pods of examples use while they run.
