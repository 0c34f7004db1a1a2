//! Whether images exist in their registries, asked with anonymous tokens; one question for each distinct image.
//!
//! Protocol: <https://github.com/opencontainers/distribution-spec/blob/main/spec.md> (`GET /v2/<name>/manifests/<reference>`),
//! and <https://distribution.github.io/distribution/spec/auth/token/> for the tokens.

mod client;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::code;
use super::findings::Findings;
use super::images::{ImageUse, build_of, images_of};
use crate::catalog::{Example, Object};
use crate::config::ImageBuild;
use crate::image_reference::ImageReference;
use client::Client;

/// Questions under way at once.
const PARALLEL: usize = 8;

/// What a registry said of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It has the image.
    Present,
    /// It does not; the registry's own words.
    Absent(String),
    /// It does not give it to somebody without credentials: it is private, or not there.
    Denied(String),
    /// It could not be asked, or had no time: unreachable, rate-limited, out of order.
    Unknown(String),
}

/// What the registries said, by image.
pub type Answers = BTreeMap<ImageReference, Answer>;

/// The distinct images that these examples use and the config does not build. Malformed references are left out.
#[must_use]
pub fn images_to_ask<'a>(
    examples: impl IntoIterator<Item = &'a Example>,
    builds: &[ImageBuild],
) -> BTreeSet<ImageReference> {
    images_of_objects(examples.into_iter().flat_map(|example| &example.objects), builds)
}

/// The same of any objects.
#[must_use]
pub fn images_of_objects<'a>(
    objects: impl IntoIterator<Item = &'a Object>,
    builds: &[ImageBuild],
) -> BTreeSet<ImageReference> {
    objects
        .into_iter()
        .flat_map(images_of)
        .filter_map(|image| ImageReference::parse(image.text).ok())
        .filter(|reference| build_of(reference, builds).is_none())
        .collect()
}

/// Asks the registry of each image whether it has it, a few at a time. `mirrors` are the config's: registry host to the URL
/// that is asked in its place, `https://`, or `http://` on this machine.
pub async fn look_up(images: BTreeSet<ImageReference>, mirrors: &BTreeMap<String, String>) -> Answers {
    let client = match Client::new(mirrors.clone()) {
        Ok(client) => Arc::new(client),
        Err(reason) => return images.into_iter().map(|image| (image, Answer::Unknown(reason.clone()))).collect(),
    };
    let room = Arc::new(Semaphore::new(PARALLEL));
    let mut questions = JoinSet::new();
    for image in images {
        let (client, room) = (Arc::clone(&client), Arc::clone(&room));
        questions.spawn(async move {
            // The semaphore is never closed, so a permit always comes.
            let _permit = room.acquire_owned().await;
            let answer = client.ask(&image).await;
            (image, answer)
        });
    }
    questions.join_all().await.into_iter().collect()
}

/// Tells what the registries said of the images of an object: `EV304`, `EV305`, each image once. `has_pull_secrets` says
/// whether the config has credentials; then a registry that wants some may well have the image.
pub fn check(object: &Object, answers: &Answers, has_pull_secrets: bool, findings: &mut Findings<'_>) {
    let mut told = HashSet::new();
    for image in images_of(object) {
        let Ok(reference) = ImageReference::parse(image.text) else { continue };
        let Some(answer) = answers.get(&reference).filter(|_| told.insert(image.text)) else { continue };
        tell(&image, &reference, answer, has_pull_secrets || image.has_pull_secrets, findings);
    }
}

fn tell(
    image: &ImageUse<'_>,
    reference: &ImageReference,
    answer: &Answer,
    has_credentials: bool,
    findings: &mut Findings<'_>,
) {
    let (text, registry) = (image.text, &reference.registry);
    match answer {
        Answer::Present => {}
        Answer::Absent(reason) => {
            findings.error(code::IMAGE_ABSENT, image.node, format!("{registry} has no `{text}`: {reason}")).help =
                Some("name an image and a tag that were published; no pod can start with this one".to_owned());
        }
        Answer::Denied(reason) if has_credentials => {
            findings.note(
                code::IMAGE_UNKNOWN,
                image.node,
                format!(
                    "{registry} does not show `{text}` without credentials ({reason}); it was not looked up with them"
                ),
            );
        }
        Answer::Denied(reason) => {
            findings
                .error(code::IMAGE_ABSENT, image.node, format!("{registry} does not give `{text}`: {reason}"))
                .help = Some(
                "it does not exist or is private: publish it, or add its credentials to `pull-secrets`".to_owned(),
            );
        }
        Answer::Unknown(reason) => {
            findings.note(
                code::IMAGE_UNKNOWN,
                image.node,
                format!("{registry} could not say whether it has `{text}`: {reason}"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::fixture;

    fn told(answer: Answer, has_pull_secrets: bool, more: &str) -> Vec<String> {
        let text = format!(
            "apiVersion: v1\nkind: Pod\nspec: {{containers: [{{image: 'ghcr.io/a/b:1'}}, {{image: 'ghcr.io/a/b:1'}}]{more}}}\n"
        );
        let answers = Answers::from([(ImageReference::parse("ghcr.io/a/b:1").unwrap(), answer)]);
        fixture::lines(&fixture::example("a.yaml", &text), |object, findings| {
            check(object, &answers, has_pull_secrets, findings);
        })
    }

    #[test]
    fn an_absent_image_is_an_error_once() {
        assert_eq!(
            told(Answer::Absent("manifest unknown".to_owned()), false, ""),
            ["EV304 error 3 spec.containers[0].image: ghcr.io has no `ghcr.io/a/b:1`: manifest unknown"]
        );
        assert!(told(Answer::Present, false, "").is_empty());
    }

    #[test]
    fn a_denied_image_is_an_error_unless_there_are_credentials() {
        let denied = || Answer::Denied("denied".to_owned());
        assert!(told(denied(), false, "")[0].starts_with("EV304 error"));
        assert!(told(denied(), true, "")[0].starts_with("EV305 note"));
        assert!(told(denied(), false, ", imagePullSecrets: [{name: x}]")[0].starts_with("EV305 note"));
    }

    #[test]
    fn a_registry_that_does_not_answer_is_a_note() {
        assert!(told(Answer::Unknown("503".to_owned()), false, "")[0].starts_with("EV305 note"));
    }

    #[test]
    fn each_image_is_asked_once_and_built_ones_are_not() {
        let pod = |image: &str| format!("apiVersion: v1\nkind: Pod\nspec: {{containers: [{{image: '{image}'}}]}}\n");
        let catalog = fixture::catalog(vec![
            fixture::example("a.yaml", &pod("ubuntu:1")),
            fixture::example("b.yaml", &pod("docker.io/library/ubuntu:1")),
            fixture::example("c.yaml", &pod("Not An Image")),
            fixture::example("d.yaml", &pod("example/built:1")),
        ]);
        let build = ImageBuild {
            name: "example/built".to_owned(),
            context: ".".into(),
            dockerfile: "Dockerfile".into(),
            args: BTreeMap::new(),
            target: None,
            inputs: Vec::new(),
            replaces: Vec::new(),
        };
        let images: Vec<_> = images_to_ask(&catalog.examples, &[build]).iter().map(ToString::to_string).collect();
        assert_eq!(images, ["docker.io/library/ubuntu:1"]);
    }
}
