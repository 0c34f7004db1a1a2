//! Chunks of any length become blocks of one length.

use std::io;

use bytes::{Bytes, BytesMut};
use futures::stream::{self, Stream, StreamExt as _};

/// The bytes of the source in blocks of `size`, which is at least 1; only the last may be shorter, and none is empty. A chunk that
/// fills a block is not copied.
pub(super) fn blocks(
    source: impl Stream<Item = io::Result<Bytes>> + Send,
    size: usize,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    // A source is not asked again once it has ended.
    stream::unfold((Box::pin(source.fuse()), Bytes::new()), move |(mut source, mut rest)| async move {
        let mut block = BytesMut::new();
        loop {
            if block.is_empty() && rest.len() >= size {
                return Some((Ok(rest.split_to(size)), (source, rest)));
            }
            let taken = rest.split_to(rest.len().min(size - block.len()));
            block.extend_from_slice(&taken);
            if block.len() == size {
                return Some((Ok(block.freeze()), (source, rest)));
            }
            match source.next().await {
                Some(Ok(chunk)) => rest = chunk,
                Some(Err(error)) => return Some((Err(error), (source, rest))),
                None if block.is_empty() => return None,
                None => return Some((Ok(block.freeze()), (source, rest))),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    proptest! {
        #[test]
        fn blocks_are_the_same_bytes_in_equal_parts(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..12),
            size in 1_usize..24,
        ) {
            // A source that does not bear to be asked again after its end.
            let source = stream::unfold(chunks.clone().into_iter(), |mut chunks| async move {
                chunks.next().map(|chunk| (Ok(Bytes::from(chunk)), chunks))
            });
            let found: Vec<Bytes> =
                block_on(blocks(source, size).map(Result::unwrap).collect());
            prop_assert_eq!(found.concat(), chunks.concat());
            prop_assert!(found.iter().rev().skip(1).all(|block| block.len() == size));
            prop_assert!(found.last().is_none_or(|block| !block.is_empty() && block.len() <= size));
        }
    }

    #[test]
    fn an_error_of_the_source_comes_through() {
        let source = stream::iter([Ok(Bytes::from_static(b"ab")), Err(io::Error::other("gone"))]);
        let found: Vec<_> = block_on(blocks(source, 8).take(1).collect());
        assert_eq!(found[0].as_ref().unwrap_err().to_string(), "gone");
    }
}
