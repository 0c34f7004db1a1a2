//! What nodes have to offer.
