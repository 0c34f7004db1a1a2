//! What all calls have in common: their form, the token, the fields of their messages.

use axum::body::Body;
use axum::http::{Method, Response};
use serde_json::{Map, Value as Json};

use super::{Asked, World, artifacts, empty, twirp_error};

const PREFIX: &str = "/twirp/github.actions.results.api.v1.";

/// A message.
pub type Message = Map<String, Json>;
/// A field of a message: its name, whether it is needed, its form.
pub type Field = (&'static str, bool, Form);
/// The fields of a message.
pub type Fields = &'static [Field];
/// What a service does with a call, by the method's name.
type Answer = fn(&mut World, &str, &Message) -> Response<Body>;

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Text,
    /// Of 32 bits: those of 64 are texts.
    Number,
    Texts,
}

impl Form {
    fn fits(self, value: &Json) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::Number => value.is_u64(),
            Self::Texts => value.as_array().is_some_and(|texts| texts.iter().all(Json::is_string)),
        }
    }
}

pub fn answer(world: &mut World, asked: &Asked) -> Response<Body> {
    let Some((service, method)) = asked.uri.path().strip_prefix(PREFIX).and_then(|path| path.split_once('/')) else {
        world.complain(format!("no such path: {}", asked.uri));
        return empty(404);
    };
    let complain = |world: &mut World, what: String| {
        world.complain(format!("{method}: {what}"));
        twirp_error(400, "malformed", &what)
    };
    if asked.method != Method::POST || asked.uri.query().is_some() {
        return complain(world, format!("{} {}", asked.method, asked.uri));
    }
    if asked.header("authorization") != Some(&format!("Bearer {}", world.token)) {
        world.complain(format!("{method}: the token is missing or another"));
        return twirp_error(401, "unauthenticated", "bad token");
    }
    if asked.header("content-type") != Some("application/json") || asked.header("user-agent").is_none() {
        return complain(world, format!("headers: {:?}", asked.headers));
    }
    let Ok(Json::Object(message)) = serde_json::from_slice(&asked.body) else {
        return complain(world, "the message is no JSON object".to_owned());
    };
    let known: Option<(Fields, Answer)> = match service {
        "ArtifactService" => artifacts::fields(method).map(|fields| (fields, artifacts::answer as Answer)),
        // As act, which has no other service.
        _ => None,
    };
    let Some((fields, answer)) = known else { return empty(404) };
    match check(&message, fields) {
        Ok(()) => answer(world, method, &message),
        Err(what) => complain(world, what),
    }
}

/// That a message has what it needs, and nothing that is unknown.
fn check(message: &Message, fields: Fields) -> Result<(), String> {
    for (name, value) in message {
        match fields.iter().find(|(known, ..)| known == name) {
            None => return Err(format!("the field `{name}` is unknown")),
            Some((_, _, form)) if !form.fits(value) => return Err(format!("the field `{name}` is {value}")),
            Some(_) => {}
        }
    }
    let is_missing = |name: &str| message.get(name).is_none_or(|value| value == "");
    let missing = fields.iter().find(|(name, needed, _)| *needed && is_missing(name));
    missing.map_or(Ok(()), |(name, ..)| Err(format!("the field `{name}` is missing")))
}

/// The same with all names in camel case, and without what has its default, as Go writes it.
pub fn in_camel_case(answer: Json) -> Json {
    match answer {
        Json::Object(fields) => {
            let camel = |name: String| {
                let mut parts = name.split('_');
                let first = parts.next().unwrap().to_owned();
                parts.fold(first, |name, part| format!("{name}{}{}", part[..1].to_uppercase(), &part[1..]))
            };
            let said = |value: &Json| !matches!(value, Json::Null | Json::Bool(false)) && value != "" && value != "0";
            let fields = fields.into_iter().filter(|(_, value)| said(value));
            Json::Object(fields.map(|(name, value)| (camel(name), in_camel_case(value))).collect())
        }
        Json::Array(items) => Json::Array(items.into_iter().map(in_camel_case).collect()),
        other => other,
    }
}
