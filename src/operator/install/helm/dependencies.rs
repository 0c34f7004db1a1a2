//! The charts that a chart needs: fetched into its `charts` folder if they are not there.

use std::ffi::OsString;
use std::path::Path;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::super::failed;
use super::homes::{Dependency, dependencies};
use super::{SHORT, arguments, command, missing};
use crate::child::Tool;
use crate::model::Cause;

/// Several clusters may want the same chart at once: one of them fetches, the others find it done.
static FETCHING: Mutex<()> = Mutex::const_new(());

/// Fetches what a chart lacks.
pub(super) async fn complete(tool: &Tool, chart: &Path, shown: &str, deadline: Instant) -> Result<(), Box<Cause>> {
    let _turn = FETCHING.lock().await;
    let needed = dependencies(chart);
    if !needed.iter().any(|dependency| is_missing(chart, dependency)) {
        return Ok(());
    }
    let addresses = needed.iter().map(|dependency| &dependency.repository);
    let mut addresses: Vec<_> = addresses.filter(|address| address.starts_with("http")).cloned().collect();
    addresses.sort();
    addresses.dedup();
    for (number, address) in addresses.iter().enumerate() {
        // Helm builds only from repositories that it has a name for.
        let name = format!("example-validator-{number}");
        run(tool, &arguments(&["repo", "add", &name, address, "--force-update"]), shown, deadline).await?;
    }
    let build = [OsString::from("dependency"), "build".into(), chart.as_os_str().to_owned()];
    run(tool, &build, shown, deadline).await
}

/// Whether a chart is neither in the `charts` folder as a folder nor as an archive, of whatever version.
fn is_missing(chart: &Path, dependency: &Dependency) -> bool {
    let charts = chart.join("charts");
    let archive = |name: &str| {
        let rest = name.strip_prefix(&dependency.name).and_then(|rest| rest.strip_prefix('-')?.strip_suffix(".tgz"));
        rest.is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
    };
    let mut entries = std::fs::read_dir(&charts).into_iter().flatten().flatten();
    !charts.join(&dependency.name).is_dir() && !entries.any(|entry| entry.file_name().to_str().is_some_and(archive))
}

async fn run(tool: &Tool, arguments: &[OsString], shown: &str, deadline: Instant) -> Result<(), Box<Cause>> {
    let left = deadline.saturating_duration_since(Instant::now()).max(SHORT);
    let answer = tool.ask_os(arguments, left).await.map_err(|error| missing(&error, shown))?;
    if answer.succeeded {
        return Ok(());
    }
    let message = format!("the charts that {shown} needs can't be had: {}", command::reason(&answer.err));
    Err(failed("HelmDependencies", message, command::hint(&answer.err), format!("{shown}/Chart.yaml"), 0).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_is_there_as_a_folder_or_as_an_archive() {
        let chart = tempfile::tempdir().unwrap();
        let charts = chart.path().join("charts");
        std::fs::create_dir_all(charts.join("folder")).unwrap();
        std::fs::write(charts.join("archive-1.2.3.tgz"), "").unwrap();
        std::fs::write(charts.join("other-thing-1.0.0.tgz"), "").unwrap();
        let missing =
            |name: &str| is_missing(chart.path(), &Dependency { name: name.to_owned(), repository: String::new() });
        assert!(!missing("folder") && !missing("archive"));
        assert!(missing("other") && missing("nowhere"));
    }
}
