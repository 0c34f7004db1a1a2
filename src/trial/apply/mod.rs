//! Applying.

#[cfg(test)]
pub(crate) mod tests;
