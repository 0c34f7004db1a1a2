//! Where the history is kept: a file, or a branch of the repository.
