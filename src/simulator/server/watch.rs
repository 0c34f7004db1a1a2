//! Watches: a stream of lines, each an event.

use std::collections::VecDeque;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Response, header};
use futures::stream;
use serde_json::{Value as Json, json};
use tokio::time::Instant;

use super::request::{Request, Target};
use super::select::Selector;
use super::{Server, answer};
use crate::simulator::faults::WatchFaults;
use crate::simulator::store::{self, Change, Event, Start, Status, Store};

/// How long a watch lasts if it does not say: as with a real API server, between 30 and 60 minutes.
const LONGEST: Duration = Duration::from_secs(30 * 60);

/// How often a watch that wants bookmarks gets one, if anything has happened meanwhile.
const BOOKMARKS: Duration = Duration::from_secs(5);

/// How many bytes of events are sent at once.
const BATCH: usize = 64 * 1024;

/// A watch that is being served.
struct Serving {
    watch: store::Watch,
    store: Store,
    target: Target,
    selector: Selector,
    /// When it ends.
    ends: Instant,
    bookmarks: Option<Bookmarks>,
    faults: WatchFaults,
    closing: tokio_util::sync::CancellationToken,
    is_over: bool,
}

struct Bookmarks {
    next: Instant,
    /// The version that the last one told.
    told: u64,
    /// Whether the next one ends the initial events.
    ends_initial: bool,
}

impl Server {
    /// Answers a GET with `watch`.
    ///
    /// # Errors
    /// 400 for a selector that can't be read, 500 for a version that is none. A version that is too old is an event.
    pub fn watch(&self, request: &Request, target: &Target) -> Result<Response<Body>, Status> {
        let selector = named(request.selector()?, target)?;
        let version = request.resource_version()?;
        let sends_initial = request.flag("sendInitialEvents");
        let start = match version {
            Some(version) if version > 0 && !sends_initial => Start::After(version),
            _ => Start::Existing,
        };
        let faults = self.faults.watch();
        let (group, plural) = (&target.kind.group, &target.kind.plural);
        let opened = match start {
            Start::After(version) if faults.gone => {
                Err(Status::expired(format!("too old resource version: {version} ({})", self.store.version())))
            }
            start => self.store.watch(group, plural, target.namespace.as_deref(), start),
        };
        let watch = match opened {
            Ok(watch) => watch,
            Err(status) => return Ok(streamed(Body::from(event_line("ERROR", &status.to_json())))),
        };
        let timeout = request.number("timeoutSeconds").and_then(|seconds| u64::try_from(seconds).ok());
        let now = Instant::now();
        let bookmarks = request.flag("allowWatchBookmarks").then(|| Bookmarks {
            next: if sends_initial { now } else { now + BOOKMARKS },
            told: watch.version,
            ends_initial: sends_initial,
        });
        let serving = Serving {
            watch,
            store: self.store.clone(),
            target: target.clone(),
            selector,
            ends: now + timeout.filter(|seconds| *seconds > 0).map_or(LONGEST, Duration::from_secs).min(LONGEST),
            bookmarks,
            faults,
            closing: self.closing.clone(),
            is_over: false,
        };
        let chunks = stream::unfold(serving, |mut serving| async move {
            let chunk = serving.next().await?;
            Some((Ok::<_, std::convert::Infallible>(chunk), serving))
        });
        Ok(streamed(Body::from_stream(chunks)))
    }
}

impl Serving {
    /// The next bytes; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.is_over {
                return None;
            }
            if let Some(chunk) = self.ready() {
                return Some(chunk);
            }
            if self.faults.stalled {
                // The connection stays open and says nothing more.
                tokio::select! {
                    () = self.closing.cancelled() => {}
                    () = tokio::time::sleep_until(self.ends) => {}
                }
                return None;
            }
            let bookmark = self.bookmarks.as_ref().map_or(self.ends, |bookmarks| bookmarks.next);
            let cut = self.faults.cut_at.unwrap_or(self.ends);
            tokio::select! {
                change = self.watch.next() => match change {
                    Some(change) => self.watch.backlog.push_front(change),
                    None => return None,
                },
                () = tokio::time::sleep_until(bookmark.min(cut).min(self.ends)) => {
                    if self.faults.cut_at.is_some_and(|cut| cut <= Instant::now()) {
                        return None;
                    }
                    self.is_over = self.ends <= Instant::now();
                    if let Some(bookmark) = self.bookmark() {
                        return Some(bookmark);
                    }
                }
                () = self.closing.cancelled() => return None,
            }
        }
    }

    /// What there is to tell now, as much as goes into one chunk.
    fn ready(&mut self) -> Option<Bytes> {
        let mut chunk = VecDeque::new();
        let mut size = 0;
        while size < BATCH && !self.is_over && !self.faults.stalled {
            let Some(change) = self.watch.try_next() else { break };
            if let Some(line) = self.line(&change) {
                size += line.len();
                chunk.push_back(line);
                self.is_over = self.faults.counts_down();
            }
        }
        match chunk.len() {
            0 | 1 => chunk.pop_front(),
            _ => Some(chunk.into_iter().flatten().collect()),
        }
    }

    /// The event of a change, if it concerns what is selected.
    fn line(&self, change: &Change) -> Option<Bytes> {
        let event = self.event(change)?;
        let object = if self.target.is_stored_version() {
            change.encoded()
        } else {
            answer::in_version(&change.object, &self.target).to_string().into()
        };
        let mut line = Vec::with_capacity(object.len() + 40);
        line.extend_from_slice(format!("{{\"type\":\"{}\",\"object\":", event.as_str()).as_bytes());
        line.extend_from_slice(&object);
        line.extend_from_slice(b"}\n");
        Some(line.into())
    }

    /// What the change is to one who sees only what is selected.
    fn event(&self, change: &Change) -> Option<Event> {
        if self.selector.is_empty() {
            return Some(change.event);
        }
        let is_in = self.selector.matches(&change.object);
        let was_in = change.previous.as_ref().is_some_and(|previous| self.selector.matches(previous));
        match (change.event, was_in, is_in) {
            (Event::Deleted, _, is_in) => (was_in || is_in).then_some(Event::Deleted),
            (_, true, true) => Some(Event::Modified),
            (_, false, true) => Some(Event::Added),
            (_, true, false) => Some(Event::Deleted),
            (_, false, false) => None,
        }
    }

    /// A bookmark, if one is due and says something new.
    fn bookmark(&mut self) -> Option<Bytes> {
        // Taken before the backlog is looked at: what comes later is not covered by it.
        let version = self.store.version();
        let waiting = self.watch.try_next();
        let bookmarks = self.bookmarks.as_mut()?;
        bookmarks.next = Instant::now() + BOOKMARKS;
        if let Some(change) = waiting {
            self.watch.backlog.push_front(change);
            if bookmarks.ends_initial {
                bookmarks.next = Instant::now();
            }
            return None;
        }
        if bookmarks.told == version && !bookmarks.ends_initial {
            return None;
        }
        bookmarks.told = version;
        let mut metadata = json!({"resourceVersion": version.to_string(), "creationTimestamp": null});
        if std::mem::take(&mut bookmarks.ends_initial) {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object =
            json!({"kind": self.target.kind.kind, "apiVersion": self.target.api_version(), "metadata": metadata});
        Some(event_line("BOOKMARK", &object))
    }
}

/// A watch on one object selects it by its name.
fn named(selector: Selector, target: &Target) -> Result<Selector, Status> {
    match &target.name {
        Some(name) => Selector::parse("", &format!("metadata.name={name}")),
        None => Ok(selector),
    }
}

fn event_line(event: &str, object: &Json) -> Bytes {
    format!("{}\n", json!({"type": event, "object": object})).into()
}

fn streamed(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
