//! The artifact: the output folder of a run.

use super::{Finished, Told};
use crate::github::artifact::{self, ArtifactError, Contents, NewArtifact};
use crate::github::collect::{DEFAULT_NAME, artifact_name, namesake};
use crate::github::results::{Absent, Results};
use crate::report::comment::Artifact;
use crate::settings::{RunContext, Settings};

/// What ends the name of the artifact of a merged report.
const MERGED: &str = "-merged";
/// How many jobs of one run may have asked for the same name.
const MOST_NAMESAKES: usize = 256;

/// Uploads the output folder.
pub(super) async fn upload(finished: &Finished<'_>, told: &mut Told) -> Option<Artifact> {
    let Finished { settings, context, .. } = finished;
    let base = settings.github.artifact_name.as_deref().unwrap_or(DEFAULT_NAME);
    let name =
        if finished.is_merged { format!("{base}{MERGED}") } else { artifact_name(base, settings.selection.shard) };
    let sent = match Results::new(&context.services, &context.server_url) {
        // A program that a workflow starts by itself, not as an action, is not told of any.
        Err(absent @ Absent::Outside) => {
            tracing::debug!("no artifact: {absent}");
            return None;
        }
        Err(absent) => Err(absent.to_string()),
        Ok(results) => match Contents::of_output(&settings.output) {
            Ok(contents) => send(&results, settings, context, &name, &contents).await,
            Err(error) => Err(format!("{} can't be read: {error}", settings.output.display())),
        },
    };
    match sent {
        Ok((name, uploaded)) => {
            let url = page(context, uploaded.id);
            told.outputs.extend([("artifact-id", uploaded.id.to_string()), ("artifact-url", url.clone())]);
            Some(Artifact { name, url: Some(url) })
        }
        Err(why) => {
            let folder = settings.output.display();
            told.remarks.push(format!("no artifact was uploaded: {why}; the results are in {folder}"));
            Some(Artifact { name, url: None })
        }
    }
}

/// Uploads under this name, or the first one after it that is not taken: of a matrix each job wants the same one, and none knows of the
/// others.
async fn send(
    results: &Results,
    settings: &Settings,
    context: &RunContext,
    name: &str,
    contents: &Contents,
) -> Result<(String, artifact::Uploaded), String> {
    for number in 1..=MOST_NAMESAKES {
        let name = namesake(name, number);
        let new = NewArtifact {
            name: &name,
            retention_days: settings.github.retention_days,
            longest_days: context.retention_days,
            overwrite: false,
        };
        match artifact::upload(results, &new, contents.clone()).await {
            Ok(uploaded) => return Ok((name, uploaded)),
            Err(ArtifactError::Taken(_)) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    Err(format!("there are {MOST_NAMESAKES} artifacts called `{name}` already: give this job an `artifact-name`"))
}

fn page(context: &RunContext, id: u64) -> String {
    let repository = context.repository.as_deref().unwrap_or_default();
    artifact::page(&context.server_url, repository, context.run_id.as_deref().unwrap_or_default(), id)
}
