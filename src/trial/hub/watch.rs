//! One watch, kept going.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use kube::Client;
use kube::api::{Api, DynamicObject};
use kube::core::ApiResource;
use kube::runtime::watcher::{self, watcher};
use kube::runtime::{WatchStreamExt, utils::Backoff};
use serde_json::Value as Json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::rooms::{Listing, Rooms};
use super::{Kind, WatchError, locked};
use crate::error::chain;

/// After this long the API server ends a watch by itself, and it is resumed: seconds.
const SERVER_ENDS: u32 = 240;
/// A watch that tells nothing for this long may be stalled: it is started again, with a listing.
const SILENCE: Duration = Duration::from_secs(30);
/// The first and the longest pause after an error.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// A watch that runs.
#[derive(Clone)]
pub struct Watch {
    kind: String,
    listed: tokio::sync::watch::Receiver<State>,
    trouble: Arc<Mutex<Option<(Instant, WatchError)>>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Starting,
    Listed,
    Refused(WatchError),
}

impl Watch {
    /// Starts to watch a kind in all namespaces.
    pub fn start(client: Client, kind: ApiResource, rooms: Arc<Rooms>, stop: CancellationToken) -> Self {
        let (sender, listed) = tokio::sync::watch::channel(State::Starting);
        let trouble = Arc::default();
        let watch = Self { kind: kind.kind.clone(), listed, trouble: Arc::clone(&trouble) };
        let task = Task { kind, rooms, state: sender, trouble };
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = task.run(client) => {}
            }
        });
        watch
    }

    /// Waits until the kind has been listed once.
    pub async fn listed(mut self, patience: Duration) -> Result<(), WatchError> {
        let waiting = self.listed.wait_for(|state| *state != State::Starting);
        let state = tokio::time::timeout(patience, waiting).await.ok().and_then(|state| Some(state.ok()?.clone()));
        match state {
            Some(State::Refused(error)) => Err(error),
            Some(_) => Ok(()),
            // Time is up, or the hub was stopped.
            None => Err(self.trouble().map_or_else(|| self.unanswered(), |(_, error)| error)),
        }
    }

    fn unanswered(&self) -> WatchError {
        WatchError { kind: self.kind.clone(), message: "the API server does not answer".to_owned(), refused: false }
    }

    /// Whether the API server does not let us see this kind, or does not serve it: that says nothing of its health.
    pub fn is_refused(&self) -> bool {
        matches!(*self.listed.borrow(), State::Refused(_))
    }

    /// For how long it has had nothing but errors, and the last one.
    pub fn trouble(&self) -> Option<(Duration, WatchError)> {
        locked(&self.trouble).as_ref().map(|(since, error)| (since.elapsed(), error.clone()))
    }
}

struct Task {
    kind: ApiResource,
    rooms: Arc<Rooms>,
    state: tokio::sync::watch::Sender<State>,
    trouble: Arc<Mutex<Option<(Instant, WatchError)>>>,
}

/// Twice as long after each error, up to a bound.
struct Doubling(Duration);

impl Iterator for Doubling {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = self.0;
        self.0 = (pause * 2).min(PAUSES.1);
        Some(pause)
    }
}

impl Backoff for Doubling {
    fn reset(&mut self) {
        self.0 = PAUSES.0;
    }
}

impl Task {
    async fn run(&self, client: Client) {
        loop {
            let api: Api<DynamicObject> = Api::all_with(client.clone(), &self.kind);
            let config = watcher::Config::default().timeout(SERVER_ENDS);
            let mut stream = std::pin::pin!(watcher(api, config).backoff(Doubling(PAUSES.0)));
            let mut listing = Listing::default();
            let (began, mut answered) = (Instant::now(), false);
            while let Ok(Some(event)) = tokio::time::timeout(SILENCE, stream.next()).await {
                answered |= !matches!(event, Ok(watcher::Event::Init));
                self.take(event, &mut listing);
            }
            if !answered {
                self.unanswered(began);
            }
        }
    }

    /// A listing was asked for, and not a word came.
    fn unanswered(&self, began: Instant) {
        let message = "the API server does not answer".to_owned();
        let error = WatchError { kind: self.kind.kind.clone(), message, refused: false };
        locked(&self.trouble).get_or_insert((began, error));
    }

    fn take(&self, event: Result<watcher::Event<DynamicObject>, watcher::Error>, listing: &mut Listing) {
        let event = match event {
            Ok(event) => event,
            Err(error) => return self.failed(&error),
        };
        if matches!(event, watcher::Event::Init) {
            // Nothing has been answered yet.
            *listing = Listing::default();
            return;
        }
        *locked(&self.trouble) = None;
        match event {
            watcher::Event::Init => {}
            watcher::Event::InitApply(object) => self.seen(object, Some(listing)),
            watcher::Event::Apply(object) => self.seen(object, None),
            watcher::Event::InitDone => {
                self.rooms.listed(&self.key(), listing);
                self.state.send_replace(State::Listed);
            }
            watcher::Event::Delete(object) => {
                if self.rooms.wants(object.metadata.namespace.as_deref())
                    && let Some(object) = self.whole(object)
                {
                    self.rooms.gone(&self.key(), object);
                }
            }
        }
    }

    fn seen(&self, object: DynamicObject, listing: Option<&mut Listing>) {
        if self.rooms.wants(object.metadata.namespace.as_deref())
            && let Some(object) = self.whole(object)
        {
            self.rooms.seen(&self.key(), object, listing);
        }
    }

    /// The object as JSON. The items of a list don't name their kind, and who manages which field is of no interest.
    fn whole(&self, mut object: DynamicObject) -> Option<Json> {
        object.metadata.managed_fields = None;
        object.types =
            Some(kube::core::TypeMeta { api_version: self.kind.api_version.clone(), kind: self.kind.kind.clone() });
        serde_json::to_value(object).ok()
    }

    fn failed(&self, error: &watcher::Error) {
        let error = self.explained(error);
        tracing::debug!("{error}");
        let refused = error.refused && *self.state.borrow() == State::Starting;
        if refused {
            self.state.send_replace(State::Refused(error.clone()));
        }
        let mut trouble = locked(&self.trouble);
        let since = trouble.as_ref().map_or_else(Instant::now, |(since, _)| *since);
        *trouble = Some((since, error));
    }

    fn explained(&self, error: &watcher::Error) -> WatchError {
        let (message, code) = match error {
            watcher::Error::InitialListFailed(kube::Error::Api(status))
            | watcher::Error::WatchStartFailed(kube::Error::Api(status))
            | watcher::Error::WatchFailed(kube::Error::Api(status))
            | watcher::Error::WatchError(status) => (status.message.clone(), status.code),
            other => (chain(other), 0),
        };
        WatchError { kind: self.kind.kind.clone(), message, refused: matches!(code, 401 | 403 | 404 | 405) }
    }

    fn key(&self) -> Kind {
        (self.kind.group.clone(), self.kind.version.clone(), self.kind.kind.clone())
    }
}
