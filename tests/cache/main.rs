//! The Actions cache against servers of both versions that are stricter than GitHub's.

#![allow(clippy::unwrap_used)]

mod protocol;
mod server;
mod store;
mod v1;
mod v2;

use example_validator::github::cache::packed::{Packed, Packer};
use example_validator::github::cache::{Cache, CacheError, Entry, FOLDER, unpack};
use example_validator::github::retry::Patience;
use example_validator::settings::{Secret, Services};
use server::Server;

/// The runner's token, with the scope that the results service needs.
fn token() -> String {
    use base64::Engine as _;
    let payload = r#"{"scp": "Actions.Results:run:job"}"#;
    format!("e30.{}.c2ln", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(payload))
}

fn services(v2: Option<&Server>, v1: Option<&Server>) -> Services {
    Services {
        token: Some(Secret::new(token())),
        results_url: v2.map(|server| format!("{}/", server.url)),
        cache_url: v1.map(v1::url),
        cache_mode: None,
    }
}

fn cache(v2: Option<&Server>, v1: Option<&Server>) -> Cache {
    Cache::find(&services(v2, v1), "https://github.com", Patience::without_pauses()).unwrap()
}

/// A server of each version with a cache that uses it alone.
async fn both() -> [(Server, Cache); 2] {
    let (old, new) = (v1::start().await, v2::start().await);
    let (of_old, of_new) = (cache(None, Some(&old)), cache(Some(&new), None));
    [(old, of_old), (new, of_new)]
}

fn bytes(length: usize) -> Vec<u8> {
    let some: Vec<u8> = (0..250_007_usize).map(|at| u8::try_from(at * 31 % 251).unwrap()).collect();
    some.into_iter().cycle().take(length).collect()
}

fn packed(content: &[u8]) -> Packed {
    let mut packer = Packer::new(FOLDER, 1_700_000_000).unwrap();
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, content).unwrap();
    packer.file("x", file, content.len() as u64).unwrap();
    packer.finish()
}

/// The content of the file `x` of an entry.
async fn read(cache: &Cache, entry: &Entry) -> Result<Vec<u8>, CacheError> {
    let reading = |incoming| {
        let mut found = Vec::new();
        unpack::files(incoming, FOLDER, 1 << 30, |name, _, content| {
            assert_eq!(name, "x");
            content.read_to_end(&mut found).map(drop)
        })?;
        Ok(found)
    };
    cache.read(entry, 1 << 30, reading).await
}
