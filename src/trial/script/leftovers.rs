//! Containers of scripts that a killed run left.

use std::time::Duration;

use crate::child::Tool;
use crate::trial::isolate::RUN;

/// How long Docker may take.
const ANSWER: Duration = Duration::from_secs(30);

/// Removes every container that a run of this program, or this very one, started for a script; their names.
///
/// # Errors
/// Docker does not do it; why, in one line.
pub(crate) async fn remove(docker: &Tool, run: Option<&str>) -> Result<Vec<String>, String> {
    let filter = run.map_or_else(|| format!("label={RUN}"), |run| format!("label={RUN}={run}"));
    let listed = told(docker, &["ps", "-a", "--filter", &filter, "--format", "{{.Names}}"]).await?;
    let names: Vec<_> = listed.lines().map(str::to_owned).collect();
    if !names.is_empty() {
        let remove: Vec<_> =
            ["rm", "--force", "--volumes"].into_iter().chain(names.iter().map(String::as_str)).collect();
        told(docker, &remove).await?;
    }
    Ok(names)
}

async fn told(docker: &Tool, arguments: &[&str]) -> Result<String, String> {
    let answer = docker.ask(arguments, ANSWER).await.map_err(|error| error.to_string())?;
    if answer.succeeded { Ok(answer.out) } else { Err(answer.last_line().to_owned()) }
}
