//! Kustomize folders: what they list, and what `kubectl kustomize` makes of them.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::yaml::{self, Node, Value};

/// The names that kustomize looks for in a folder, in its order.
pub const FILE_NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// How long a render may take; remote bases are fetched from the network.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Most bytes that are kept of what it prints.
const MAX_OUTPUT: u64 = 64 * 1024 * 1024;

/// The environment that kubectl gets, besides `XDG_*`: enough to find itself, its home and a proxy, and no secret.
const ENVIRONMENT: [&str; 9] =
    ["PATH", "HOME", "TMPDIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"];

/// Why a folder could not be rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// There is no kubectl to do it.
    #[error("kubectl is not on the PATH: it renders kustomize folders")]
    Missing,
    /// kubectl could not be run at all.
    #[error("kubectl could not be run: {0}")]
    Start(String),
    /// It took too long.
    #[error("`kubectl kustomize` took longer than {} s", TIMEOUT.as_secs())]
    Timeout,
    /// kustomize refused the folder; its own words.
    #[error("`kubectl kustomize` failed: {0}")]
    Failed(String),
}

/// The kubectl that renders; without one of its own a run takes the one of the PATH.
static KUBECTL: OnceLock<PathBuf> = OnceLock::new();

/// Renders with this kubectl from now on, since the PATH has none that can be used. Only the first one counts.
pub fn render_with(kubectl: PathBuf) {
    let _ = KUBECTL.set(kubectl);
}

/// Whether a file name makes its folder a kustomize folder.
#[must_use]
pub fn is_kustomization(name: &str) -> bool {
    FILE_NAMES.contains(&name)
}

/// Every string of a kustomization that may be a path: resources, bases, components, patches, files of generators
/// (`key=path` too). Which of them are paths, only the folder's content tells.
#[must_use]
pub fn mentioned(text: &str) -> Vec<String> {
    fn walk(node: &Node, found: &mut Vec<String>) {
        match &node.value {
            Value::String(text) if !text.contains('\n') => {
                found.push(text.to_string());
                found.extend(text.split_once('=').map(|(_, path)| path.to_owned()));
            }
            Value::Seq(items) => items.iter().for_each(|item| walk(item, found)),
            Value::Map(mapping) => mapping.iter().for_each(|entry| walk(&entry.value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    for document in yaml::parse(text).documents {
        walk(&document.root, &mut found);
    }
    found
}

/// Whether a kustomization is a `Component`: a part of others, never rendered by itself.
#[must_use]
pub fn is_component(text: &str) -> bool {
    let parsed = yaml::parse(text);
    parsed.documents.iter().any(|document| document.root.get("kind").and_then(Node::as_str) == Some("Component"))
}

/// What `kubectl kustomize FOLDER` prints.
///
/// # Errors
/// kubectl is missing, fails, or takes longer than a minute.
pub fn render(folder: &Path) -> Result<String, RenderError> {
    let environment = std::env::vars_os()
        .filter(|(name, _)| name.to_str().is_some_and(|name| ENVIRONMENT.contains(&name) || name.starts_with("XDG_")));
    let mut child = Command::new(KUBECTL.get().map_or(Path::new("kubectl"), PathBuf::as_path))
        .arg("kustomize")
        .arg(folder)
        .env_clear()
        .envs(environment)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => RenderError::Missing,
            _ => RenderError::Start(error.to_string()),
        })?;
    let (out, err) = (drain(child.stdout.take()), drain(child.stderr.take()));
    let succeeded = wait(&mut child)?;
    let text = |reader: std::thread::JoinHandle<Vec<u8>>| {
        String::from_utf8_lossy(&reader.join().unwrap_or_default()).into_owned()
    };
    let (out, err) = (text(out), text(err));
    if succeeded { Ok(out) } else { Err(RenderError::Failed(reason(&err))) }
}

/// Whether the child succeeded; it is killed when its time is up.
fn wait(child: &mut Child) -> Result<bool, RenderError> {
    let start = |error: std::io::Error| RenderError::Start(error.to_string());
    let deadline = Instant::now() + TIMEOUT;
    loop {
        if let Some(status) = child.try_wait().map_err(start)? {
            return Ok(status.success());
        }
        if Instant::now() > deadline {
            child.kill().map_err(start)?;
            child.wait().map_err(start)?;
            return Err(RenderError::Timeout);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Reads a pipe to its end on a thread of its own, so that a full pipe never stops the child.
fn drain<R: Read + Send + 'static>(pipe: Option<R>) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What came before a read error is still worth showing; the rest of an endless output is thrown away.
            let _ = pipe.by_ref().take(MAX_OUTPUT).read_to_end(&mut bytes);
            let _ = std::io::copy(&mut pipe, &mut std::io::sink());
        }
        bytes
    })
}

/// The error in one line: kustomize puts its cause last on a line that starts with `error:`; newer ones in a line of a log, as
/// `... "command failed" err="..."`, or between `err=<` and `>` if it has several lines.
fn reason(stderr: &str) -> String {
    if let Some((_, logged)) = stderr.split_once("\"command failed\" err=") {
        let logged = logged.trim();
        if let Some(block) = logged.strip_prefix('<') {
            let lines = block.trim_end_matches('>').lines().map(str::trim).filter(|line| !line.is_empty());
            return lines.collect::<Vec<_>>().join("; ");
        }
        // Go quotes as JSON does, but for characters that no JSON has; then the quotes stay.
        let first = logged.lines().next().unwrap_or_default();
        return serde_json::from_str(first).unwrap_or_else(|_| first.to_owned());
    }
    let lines = || stderr.lines().map(str::trim).filter(|line| !line.is_empty());
    let chosen = lines().find(|line| line.starts_with("error:")).or_else(|| lines().next_back());
    chosen.map_or_else(|| "it gave no reason".to_owned(), |line| line.trim_start_matches("error:").trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_may_be_a_path_is_found() {
        let text = "resources: [a.yaml, ../base]\npatches:\n- path: patch.yaml\n- patch: |\n    a: 1\n    b: 2\n\
                    configMapGenerator:\n- {name: c, files: [app.cfg, key=values/x.json]}\n";
        let found = mentioned(text);
        for path in ["a.yaml", "../base", "patch.yaml", "app.cfg", "values/x.json"] {
            assert!(found.iter().any(|text| text == path), "{path}");
        }
        assert!(!found.iter().any(|text| text.contains('\n')));
        assert!(is_component("kind: Component\n"));
        assert!(!is_component("resources: []\n"));
    }

    #[test]
    fn the_reason_is_the_line_that_says_error() {
        assert_eq!(reason("# Warning: deprecated\nerror: no such file\n\n"), "no such file");
        assert_eq!(reason("something\n"), "something");
        let logged = "E1123 21:50:34.325970    3249 run.go:72] \"command failed\" err=";
        assert_eq!(reason(&format!("{logged}\"no \\\"a\\\"\"\n")), "no \"a\"");
        assert_eq!(
            reason(&format!("# Warning: x\n{logged}<\n\tfound several files\n\tunder a\n >\n")),
            "found several files; under a"
        );
        assert_eq!(reason(""), "it gave no reason");
    }
}
