//! Getting a container's image.

use std::time::Duration;

use super::super::action::PodCue;
use super::super::image::{self, Image, default_policy};
use super::super::object::text;
use super::super::pace::{Delay, Step};
use super::super::script::Act;
use super::super::world::World;
use super::draft::{Draft, Stage};
use super::{find_container, is_init, next};

/// The reference of a container's image, and what becomes of it.
fn outcome(draft: &Draft<'_>, world: World<'_>, name: &str) -> (String, Image) {
    let Some(container) = find_container(draft.pod, name) else { return (String::new(), Image::Present) };
    let reference = text(container, "/image");
    let policy = match text(container, "/imagePullPolicy") {
        "" => default_policy(reference),
        policy => policy,
    };
    let told = match world.script(draft.pod, name) {
        Some(Act::Image(fault)) if !is_init(draft.pod, name) => Some(fault),
        _ => None,
    };
    (reference.to_owned(), image::outcome(reference, policy, &world.options.present_images, told))
}

/// Looks at a container's image, for the n-th time.
pub(super) fn look(draft: &mut Draft<'_>, world: World<'_>, name: &str, turn: u32) {
    let (image, outcome) = outcome(draft, world, name);
    let (reason, event, why) = match outcome {
        Image::Present => {
            let message =
                format!("Container image \"{image}\" already present on machine and can be accessed by the pod");
            draft.tell(false, "Pulled", message, Some(name));
            draft.later(Delay::Step(Step::See), PodCue::Create(name.to_owned(), 0));
            return;
        }
        Image::Pulled | Image::Failed(_) => {
            draft.tell(false, "Pulling", format!("Pulling image \"{image}\""), Some(name));
            draft.later(Delay::Step(Step::Pull), PodCue::Pulled(name.to_owned(), turn));
            return;
        }
        Image::NeverPull => {
            let why = format!("Container image \"{image}\" is not present with pull policy of Never");
            ("ErrImageNeverPull", "ErrImageNeverPull", why)
        }
        Image::Invalid(why) => ("InvalidImageName", "InspectFailed", why),
    };
    draft.tell(true, event, why.clone(), Some(name));
    draft.tell(true, "Failed", format!("Error: {reason}"), Some(name));
    if turn == 0 {
        draft.wait(name, reason, &why);
        draft.commit(Stage::Alive);
        go_on(draft, world, name);
    }
    draft.later(Delay::Again(Duration::from_secs(12), turn), PodCue::Pull(name.to_owned(), turn + 1));
}

/// Pulls once more.
pub(super) fn pull(draft: &mut Draft<'_>, world: World<'_>, name: &str, turn: u32) {
    look(draft, world, name, turn);
}

/// A pull has ended.
pub(super) fn pulled(draft: &mut Draft<'_>, world: World<'_>, name: &str, turn: u32) {
    let (image, outcome) = outcome(draft, world, name);
    let Image::Failed(why) = outcome else {
        let message = format!(
            "Successfully pulled image \"{image}\" in 200ms (200ms including waiting). Image size: 10485760 bytes."
        );
        draft.tell(false, "Pulled", message, Some(name));
        draft.later(Delay::Step(Step::See), PodCue::Create(name.to_owned(), 0));
        return;
    };
    draft.tell(true, "Failed", format!("Failed to pull image \"{image}\": {why}"), Some(name));
    draft.tell(true, "Failed", "Error: ErrImagePull", Some(name));
    draft.wait(name, "ErrImagePull", &why);
    draft.commit(Stage::Alive);
    draft.later(Delay::Step(Step::Relist), PodCue::PullBackOff(name.to_owned(), turn));
    if turn == 0 {
        go_on(draft, world, name);
    }
}

/// A failed pull is held back for a while.
pub(super) fn hold_back(draft: &mut Draft<'_>, world: World<'_>, name: &str, turn: u32) {
    let (image, Image::Failed(why)) = outcome(draft, world, name) else { return };
    draft.tell(false, "BackOff", format!("Back-off pulling image \"{image}\""), Some(name));
    draft.tell(true, "Failed", "Error: ImagePullBackOff", Some(name));
    draft.wait(name, "ImagePullBackOff", &format!("Back-off pulling image \"{image}\": ErrImagePull: {why}"));
    draft.commit(Stage::Alive);
    let wait = Duration::from_secs(10 << turn.min(5)).min(Duration::from_secs(300));
    draft.later(Delay::Again(wait, turn), PodCue::Pull(name.to_owned(), turn + 1));
}

/// What fails to start does not keep the containers beside it from starting.
fn go_on(draft: &mut Draft<'_>, world: World<'_>, name: &str) {
    if !is_init(draft.pod, name) {
        next(draft, world);
    }
}
