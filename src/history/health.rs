//! How an example has been doing: a score from its history and this run, with its parts. Pure.
