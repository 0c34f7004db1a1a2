//! All sources of a run's artifacts as one: a later one is asked for what the ones before it do not have, or do not give.
//!
//! After "re-run failed jobs" the results service may answer that it knows nothing of what the attempt before left, of which the REST API
//! has everything.

use std::collections::BTreeSet;

use tokio::sync::OnceCell;

use super::source::{Entry, Source, Unusable};
use super::unpack::Unpacked;

/// An artifact, and by which of the sources it is listed.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub entry: Entry,
    source: usize,
}

/// The artifacts of a source, and whether these are all that there are; or why they can't be listed.
type Listing = Result<(Vec<Entry>, bool), String>;

/// The sources. Each is asked for its list once, and only when it is needed.
pub(super) struct Store<'a> {
    sources: &'a [Source],
    listings: Vec<OnceCell<Listing>>,
}

/// What was found in a store.
pub(super) struct Contents {
    pub all: Vec<Found>,
    /// Whether these are all that there are.
    pub complete: bool,
    /// Why some sources could not be asked, if what was looked for is not there.
    pub failed: Vec<String>,
}

impl<'a> Store<'a> {
    pub(super) fn new(sources: &'a [Source]) -> Self {
        Self { sources, listings: sources.iter().map(|_| OnceCell::new()).collect() }
    }

    async fn listing(&self, source: usize) -> &Listing {
        self.listings[source].get_or_init(|| self.sources[source].list()).await
    }

    /// The artifacts of the sources, of as many as it takes to find one that `is_wanted`.
    ///
    /// # Errors
    /// No source can list them; why each can't, in one line.
    pub(super) async fn contents(&self, is_wanted: impl Fn(&Entry) -> bool) -> Result<Contents, String> {
        let mut contents = Contents { all: Vec::new(), complete: true, failed: Vec::new() };
        let mut known = BTreeSet::new();
        for source in 0..self.sources.len() {
            match self.listing(source).await {
                Ok((entries, complete)) => {
                    contents.complete &= complete;
                    let new = entries.iter().filter(|entry| known.insert(entry.listed.id)).cloned();
                    contents.all.extend(new.map(|entry| Found { entry, source }));
                }
                Err(why) => contents.failed.push(why.clone()),
            }
            if contents.all.iter().any(|found| is_wanted(&found.entry)) {
                break;
            }
        }
        if contents.failed.len() == self.sources.len() { Err(contents.failed.join("; ")) } else { Ok(contents) }
    }

    /// What is wanted of an artifact's archive, from the source that lists it, or else from those after it.
    pub(super) async fn fetch(&self, found: &Found) -> Result<Unpacked, Unusable> {
        let mut why = match self.sources[found.source].fetch(&found.entry).await {
            Err(Unusable::Unreachable(why)) => why,
            answer => return answer,
        };
        for source in found.source + 1..self.sources.len() {
            let more = match self.listing(source).await {
                Err(why) => why.clone(),
                Ok((entries, _)) => {
                    // A source that does not have it either has nothing to say.
                    let Some(entry) = entries.iter().find(|entry| entry.listed.id == found.entry.listed.id) else {
                        continue;
                    };
                    match self.sources[source].fetch(entry).await {
                        Err(Unusable::Unreachable(why)) => why,
                        answer => return answer,
                    }
                }
            };
            why = format!("{why}; {more}");
        }
        Err(Unusable::Unreachable(why))
    }
}
