//! `ArtifactService`.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::Response;
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::twirp::{self, Field, Fields, Form};
use super::{Mode, World, blobs, twirp_answer, twirp_error};

/// The artifacts of a run.
#[derive(Default)]
pub struct Artifacts {
    pub all: Vec<Artifact>,
    last_id: u64,
}

#[derive(Clone, Debug)]
pub struct Artifact {
    pub run: String,
    pub job: String,
    pub name: String,
    pub expires_at: Option<Timestamp>,
    /// The blob with its zip.
    pub blob: String,
    /// Its id and digest, once it is finished.
    pub finished: Option<(u64, String)>,
}

impl Artifacts {
    /// The artifact of this name that is finished.
    pub fn named(&self, name: &str) -> Option<&Artifact> {
        self.all.iter().rfind(|artifact| artifact.name == name && artifact.finished.is_some())
    }
}

pub fn fields(method: &str) -> Option<Fields> {
    use Form::{Number, Text};
    const RUN: Field = ("workflow_run_backend_id", true, Text);
    const JOB: Field = ("workflow_job_run_backend_id", true, Text);
    const NAME: Field = ("name", true, Text);
    const VERSION: Field = ("version", true, Number);
    let fields: Fields = match method {
        "CreateArtifact" => &[RUN, JOB, NAME, VERSION, ("expires_at", false, Text), ("mime_type", false, Text)],
        "FinalizeArtifact" => &[RUN, JOB, NAME, ("size", true, Text), ("hash", true, Text)],
        "ListArtifacts" => &[RUN, JOB, ("name_filter", false, Text), ("id_filter", false, Text)],
        "GetSignedArtifactURL" | "DeleteArtifact" => &[RUN, JOB, NAME],
        _ => return None,
    };
    Some(fields)
}

/// A message, its values as text.
type Message = BTreeMap<String, String>;

pub fn answer(world: &mut World, method: &str, message: &twirp::Message) -> Response<Body> {
    let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let message = &message.iter().map(|(name, value)| (name.clone(), text(value))).collect::<Message>();
    let ids = (message["workflow_run_backend_id"].as_str(), message["workflow_job_run_backend_id"].as_str());
    let own = ids == (&world.run, &world.job);
    if !own && !matches!(method, "GetSignedArtifactURL" | "DeleteArtifact") {
        world.complain(format!("{method}: the ids are not those of the token: {ids:?}"));
        return twirp_error(403, "permission_denied", "not your run");
    }
    match method {
        "CreateArtifact" => create(world, message),
        "FinalizeArtifact" => finalize(world, message),
        "ListArtifacts" => list(world, message),
        "GetSignedArtifactURL" => sign(world, message),
        _ => delete(world, message),
    }
}

fn create(world: &mut World, message: &Message) -> Response<Body> {
    let name = &message["name"];
    let bad = name.contains(['"', ':', '<', '>', '|', '*', '?', '\r', '\n', '\\', '/']);
    // A version that is newer than 4 has a type, which act does not know.
    let known = match message["version"].as_str() {
        "4" => !message.contains_key("mime_type"),
        "7" => world.mode == Mode::GitHub && message.contains_key("mime_type"),
        _ => false,
    };
    // The form that all readers take: no fraction, or one of three, six or nine digits.
    let fits = |time: &str| matches!(time.strip_suffix('Z').map(str::len), Some(19 | 23 | 26 | 29));
    let expires_at = message.get("expires_at").map(|time| {
        time.parse::<Timestamp>().map_err(drop).and_then(|parsed| if fits(time) { Ok(parsed) } else { Err(()) })
    });
    let past = expires_at.as_ref().is_some_and(|time| time.as_ref().is_ok_and(|time| *time <= Timestamp::now()));
    let Ok(expires_at) = expires_at.transpose() else {
        world.complain("CreateArtifact: expires_at is no time");
        return twirp_error(400, "malformed", "expires_at");
    };
    if bad || !known || past {
        world.complain(format!("CreateArtifact: {message:?}"));
        return twirp_error(400, "invalid_argument", "bad artifact");
    }
    if world.artifacts.all.iter().any(|artifact| artifact.name == *name) {
        if world.mode == Mode::GitHub {
            let text = "an artifact with this name already exists on the workflow run";
            return twirp_error(409, "already_exists", text);
        }
        world.artifacts.all.retain(|artifact| artifact.name != *name);
    }
    let (blob, url) = world.blobs.begin(&world.url, &format!("{name}.zip"), blobs::Kind::Blocks);
    let (run, job) = (world.run.clone(), world.job.clone());
    world.artifacts.all.push(Artifact { run, job, name: name.clone(), expires_at, blob, finished: None });
    twirp_answer(world.mode, json!({"ok": true, "signed_upload_url": url}))
}

fn finalize(world: &mut World, message: &Message) -> Response<Body> {
    let World { artifacts, blobs, complaints, mode, .. } = world;
    let Some(artifact) = artifacts.all.iter_mut().find(|artifact| artifact.name == message["name"]) else {
        complaints.push(format!("FinalizeArtifact: there is no {}", message["name"]));
        return twirp_error(404, "not_found", "no such artifact");
    };
    if artifact.finished.is_some() {
        return twirp_error(409, "already_exists", "the artifact is finished already");
    }
    let found = blobs.committed(&artifact.blob).map(|bytes| (bytes.len().to_string(), blobs::digest(bytes)));
    let said = (message["size"].clone(), message["hash"].clone());
    if found.as_ref() != Some(&said) {
        complaints.push(format!("FinalizeArtifact: {said:?}, but there is {found:?}"));
        return twirp_error(400, "invalid_argument", "size or hash");
    }
    artifacts.last_id += 1001;
    artifact.finished = Some((artifacts.last_id, said.1));
    twirp_answer(*mode, json!({"ok": true, "artifact_id": artifacts.last_id.to_string()}))
}

fn list(world: &World, message: &Message) -> Response<Body> {
    if world.mode == Mode::Act && world.artifacts.all.is_empty() {
        // There is no folder yet, which its server does not survive.
        return super::cut(super::response(200, Body::from("{}")), 0);
    }
    let finished = world.artifacts.all.iter().filter_map(|artifact| {
        let (id, digest) = artifact.finished.clone()?;
        let wanted = message.get("name_filter").is_none_or(|name| *name == artifact.name)
            && message.get("id_filter").is_none_or(|wanted| *wanted == id.to_string());
        let size = world.blobs.committed(&artifact.blob)?.len();
        let digest = if world.mode == Mode::Act { json!(null) } else { json!(digest) };
        wanted.then(|| {
            json!({"workflow_run_backend_id": artifact.run, "workflow_job_run_backend_id": artifact.job, "name": artifact.name,
                   "database_id": id.to_string(), "size": size.to_string(), "created_at": "2026-07-01T10:00:00.500Z",
                   "digest": digest})
        })
    });
    twirp_answer(world.mode, json!({"artifacts": finished.collect::<Vec<_>>()}))
}

fn position(world: &World, message: &Message) -> Option<usize> {
    world.artifacts.all.iter().rposition(|artifact| {
        let ids = (&artifact.run, &artifact.job, &artifact.name);
        ids == (&message["workflow_run_backend_id"], &message["workflow_job_run_backend_id"], &message["name"])
    })
}

fn sign(world: &mut World, message: &Message) -> Response<Body> {
    let finished = position(world, message).map(|at| world.artifacts.all[at].clone());
    let Some(artifact) = finished.filter(|artifact| artifact.finished.is_some()) else {
        return twirp_error(404, "not_found", "no such artifact");
    };
    let url = world.blobs.to_read(&world.url, &artifact.blob);
    twirp_answer(world.mode, json!({"signed_url": url}))
}

fn delete(world: &mut World, message: &Message) -> Response<Body> {
    let Some(at) = position(world, message) else {
        return match world.mode {
            Mode::Act => twirp_answer(world.mode, json!({"ok": true, "artifact_id": "1"})),
            Mode::GitHub => twirp_error(404, "not_found", "no such artifact"),
        };
    };
    let artifact = world.artifacts.all.remove(at);
    let id = artifact.finished.map_or(0, |(id, _)| id);
    twirp_answer(world.mode, json!({"ok": true, "artifact_id": id.to_string()}))
}
