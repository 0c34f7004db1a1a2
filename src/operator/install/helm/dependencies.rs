//! The charts that a chart needs: fetched if they are not there, into a copy of the chart. The user's folder stays as it is.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::super::failed;
use super::homes::{Dependency, dependencies};
use super::{SHORT, arguments, command, missing};
use crate::child::Tool;
use crate::model::Cause;

/// Several clusters may want the same chart at once: one of them fetches, the others find it done.
static FETCHING: Mutex<()> = Mutex::const_new(());

/// Fetches what a chart lacks: the copy that has it all then, or `None` if it lacks nothing.
pub(super) async fn complete(
    tool: &Tool,
    chart: &Path,
    scratch: &Path,
    shown: &str,
    deadline: Instant,
) -> Result<Option<PathBuf>, Box<Cause>> {
    let _turn = FETCHING.lock().await;
    let needed = dependencies(chart);
    if !needed.iter().any(|dependency| is_missing(chart, dependency)) {
        return Ok(None);
    }
    let copied = {
        let (chart, mirror, needed) = (chart.to_owned(), scratch.join("mirror"), needed.clone());
        tokio::task::spawn_blocking(move || mirrored(&chart, &mirror, &needed)).await
    };
    let copy = copied.map_err(std::io::Error::other).flatten().map_err(|error| {
        let message = format!("the chart {shown} can't be copied: {error}");
        failed("HelmDependencies", message, "", shown.to_owned(), 0)
    })?;
    let addresses = needed.iter().map(|dependency| &dependency.repository);
    let mut addresses: Vec<_> = addresses.filter(|address| address.starts_with("http")).cloned().collect();
    addresses.sort();
    addresses.dedup();
    for (number, address) in addresses.iter().enumerate() {
        // Helm builds only from repositories that it has a name for.
        let name = format!("example-validator-{number}");
        run(tool, &arguments(&["repo", "add", &name, address, "--force-update"]), shown, deadline).await?;
    }
    let build = [OsString::from("dependency"), "build".into(), copy.as_os_str().to_owned()];
    run(tool, &build, shown, deadline).await?;
    Ok(Some(copy))
}

/// Copies a chart to its path below `mirror`. The charts beside it that it names by paths (`file://../lib`) are linked there.
fn mirrored(chart: &Path, mirror: &Path, needed: &[Dependency]) -> std::io::Result<PathBuf> {
    let chart = lexical(&std::path::absolute(chart)?);
    let mirror = std::path::absolute(mirror)?;
    let below = |path: &Path| mirror.join(path.strip_prefix("/").unwrap_or(path));
    if mirror.is_dir() {
        std::fs::remove_dir_all(&mirror)?;
    }
    copy(&chart, &chart, &below(&chart), &mirror)?;
    for path in needed.iter().filter_map(|dependency| dependency.repository.strip_prefix("file://")) {
        let beside = lexical(&chart.join(path));
        let link = below(&beside);
        // One by an absolute path is found there; one in the chart is copied with it.
        if path.starts_with('/') || beside.starts_with(&chart) || link.symlink_metadata().is_ok() {
            continue;
        }
        if let Some(folder) = link.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::os::unix::fs::symlink(&beside, &link)?;
    }
    Ok(below(&chart))
}

/// Copies a folder of a chart. Symbolic links are kept; those that lead out of the chart lead to the same place.
fn copy(chart: &Path, from: &Path, to: &Path, mirror: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        let target = to.join(entry.file_name());
        if kind.is_symlink() {
            let leads = std::fs::read_link(&path)?;
            let place = lexical(&from.join(&leads));
            std::os::unix::fs::symlink(if place.starts_with(chart) { leads } else { place }, target)?;
        } else if kind.is_dir() {
            // The copy itself may be in there.
            if entry.file_name() != ".git" && !mirror.starts_with(&path) {
                copy(chart, &path, &target, mirror)?;
            }
        } else if kind.is_file() {
            std::fs::copy(&path, &target)?;
        }
    }
    Ok(())
}

/// A path without `.` and `..`, as Helm has it.
fn lexical(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(clean.pop()),
            other => clean.push(other),
        }
    }
    clean
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
