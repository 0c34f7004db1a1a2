//! The argument list of `docker run`. Pure.

use std::ffi::{OsStr, OsString};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Where the repository's root is inside a container.
pub(super) const WORKSPACE: &str = "/workspace";
/// Where the folder for evidence is.
pub(super) const EVIDENCE: &str = "/evidence";
/// Where the kubeconfig is.
pub(super) const KUBECONFIG: &str = "/var/run/example-validator/kubeconfig";
/// Where the folder of an example is that stands outside the root.
pub(super) const OUTSIDE: &str = "/example";

/// A container to run.
pub(super) struct Container<'a> {
    pub(super) name: &'a str,
    pub(super) image: &'a str,
    /// The Docker network; `None` is Docker's default.
    pub(super) network: Option<&'a str>,
    /// User and group id; `None` is the image's own.
    pub(super) user: Option<(u32, u32)>,
    pub(super) labels: &'a [(String, String)],
    pub(super) mounts: Vec<Mount>,
    pub(super) variables: Vec<(&'static str, OsString)>,
    /// Variables whose values the Docker CLI takes from its own environment.
    pub(super) passed: Vec<&'static str>,
    /// What the image's entry point gets.
    pub(super) argv: Vec<OsString>,
}

/// A file or folder of the host inside a container.
pub(super) struct Mount {
    /// Its absolute path, as the engine sees it.
    pub(super) source: PathBuf,
    pub(super) target: &'static str,
    pub(super) read_only: bool,
}

/// The arguments of `docker`. The image is there already: its name never begins with `-`, by its grammar.
pub(super) fn arguments(container: &Container<'_>) -> Vec<OsString> {
    let mut words: Vec<OsString> =
        ["run", "--rm", "--pull", "never", "--name", container.name].map(Into::into).to_vec();
    let mut option = |name: &str, value: &OsStr| words.extend([name.into(), value.to_owned()]);
    for (name, value) in container.labels {
        option("--label", format!("{name}={value}").as_ref());
    }
    if let Some(network) = container.network {
        option("--network", network.as_ref());
    }
    if let Some((user, group)) = container.user {
        option("--user", format!("{user}:{group}").as_ref());
    }
    option("--workdir", WORKSPACE.as_ref());
    for mount in &container.mounts {
        option("--mount", &mount.to_option());
    }
    for (name, value) in &container.variables {
        let mut variable = OsString::from(format!("{name}="));
        variable.push(value);
        option("--env", &variable);
    }
    for name in &container.passed {
        option("--env", name.as_ref());
    }
    words.push(container.image.into());
    words.extend(container.argv.iter().cloned());
    words
}

impl Mount {
    /// The value of `--mount`: a line of CSV, so a path may hold commas and quotes. Unlike `--volume` it takes colons, and refuses
    /// what does not exist instead of creating it.
    fn to_option(&self) -> OsString {
        let mut source = OsString::from("source=");
        source.push(&self.source);
        let quoted = source.to_str().filter(|text| text.contains([',', '"', '\n', '\r']));
        let source = quoted.map_or(source.clone(), |text| format!("\"{}\"", text.replace('"', "\"\"")).into());
        let mut option = OsString::from("type=bind,");
        option.push(source);
        option.push(format!(",target={}", self.target));
        if self.read_only {
            option.push(",readonly");
        }
        option
    }
}

/// The network on which a container reaches the API server at `server`. A server on loopback is reached from the host's network
/// alone, unless the network is one that the container shares with another (`container:ID`).
pub(super) fn network<'a>(server: &str, given: Option<&'a str>) -> Option<&'a str> {
    let is_shared = given.is_some_and(|network| network.starts_with("container:"));
    if is_loopback(server) && !is_shared { Some("host") } else { given }
}

/// Whether a URL's host is this machine: as a client, also by the address that stands for all of a server's.
pub(crate) fn is_loopback(server: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(server) else { return false };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_local = |host: &str| host == "localhost" || host.ends_with(".localhost");
    host.parse::<IpAddr>().map_or_else(|_| is_local(host), |address| address.is_loopback() || address.is_unspecified())
}

/// Where a path of ours is for the engine; `None` if the engine does not see it. The longest folder counts.
pub(crate) fn host_path(path: &Path, folders: &[(PathBuf, PathBuf)]) -> Option<PathBuf> {
    if folders.is_empty() {
        return Some(path.to_owned());
    }
    let inside = folders.iter().filter_map(|(ours, theirs)| Some((ours, theirs, path.strip_prefix(ours).ok()?)));
    let (_, theirs, rest) = inside.max_by_key(|(ours, ..)| ours.components().count())?;
    Some(if rest.as_os_str().is_empty() { theirs.clone() } else { theirs.join(rest) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container() -> Container<'static> {
        Container {
            name: "ev-mnist-1a2b",
            image: "example/papermill:ci",
            network: Some("kind"),
            user: Some((1001, 127)),
            labels: &[],
            mounts: vec![Mount { source: "/home/me/repo".into(), target: WORKSPACE, read_only: false }],
            variables: vec![("NAMESPACE", "ev-mnist".into())],
            passed: vec!["HTTPS_PROXY"],
            argv: vec!["papermill".into(), "/workspace/-rf $(id).ipynb".into()],
        }
    }

    fn text(words: &[OsString]) -> Vec<&str> {
        words.iter().map(|word| word.to_str().unwrap()).collect()
    }

    #[test]
    fn a_container_gets_its_name_network_user_mounts_and_variables() {
        let labels = [("example-validator/run".to_owned(), "1".to_owned())];
        let words = arguments(&Container { labels: &labels, ..container() });
        assert_eq!(
            text(&words),
            [
                "run",
                "--rm",
                "--pull",
                "never",
                "--name",
                "ev-mnist-1a2b",
                "--label",
                "example-validator/run=1",
                "--network",
                "kind",
                "--user",
                "1001:127",
                "--workdir",
                "/workspace",
                "--mount",
                "type=bind,source=/home/me/repo,target=/workspace",
                "--env",
                "NAMESPACE=ev-mnist",
                "--env",
                "HTTPS_PROXY",
                "example/papermill:ci",
                "papermill",
                "/workspace/-rf $(id).ipynb",
            ]
        );
    }

    #[test]
    fn network_and_user_are_left_to_docker_where_nothing_is_known() {
        let words = arguments(&Container { network: None, user: None, ..container() });
        assert!(!text(&words).iter().any(|word| ["--network", "--user"].contains(word)));
    }

    #[test]
    fn a_path_with_signs_of_csv_stays_one_field() {
        for (path, expected) in [
            ("/a:b c", "type=bind,source=/a:b c,target=/evidence,readonly"),
            ("/a,target=/etc", "type=bind,\"source=/a,target=/etc\",target=/evidence,readonly"),
            ("/a\"b\n", "type=bind,\"source=/a\"\"b\n\",target=/evidence,readonly"),
        ] {
            let mount = Mount { source: path.into(), target: EVIDENCE, read_only: true };
            assert_eq!(mount.to_option(), expected, "{path}");
        }
    }

    #[test]
    fn a_server_on_loopback_is_reached_through_the_hosts_network() {
        for server in [
            "https://127.0.0.1:6443",
            "https://127.1.2.3",
            "https://0.0.0.0:6550",
            "https://localhost:1",
            "http://[::1]:80/x",
        ] {
            assert_eq!(network(server, Some("kind")), Some("host"), "{server}");
            assert_eq!(network(server, Some("container:abc")), Some("container:abc"), "{server}");
        }
        for server in ["https://ev-control-plane:6443", "https://10.0.0.1", "", "https://localhost.example"] {
            assert_eq!((network(server, Some("kind")), network(server, None)), (Some("kind"), None), "{server}");
        }
    }

    #[test]
    fn paths_are_told_as_the_engine_sees_them() {
        let folders = [("/github", "/home/runner"), ("/github/workspace", "/home/runner/work/r/r")]
            .map(|(ours, theirs)| (PathBuf::from(ours), PathBuf::from(theirs)));
        for (path, expected) in [
            ("/github/workspace", Some("/home/runner/work/r/r")),
            ("/github/workspace/a/b", Some("/home/runner/work/r/r/a/b")),
            ("/github/runner_temp/x", Some("/home/runner/runner_temp/x")),
            ("/githubx", None),
            ("/tmp/x", None),
        ] {
            assert_eq!(host_path(Path::new(path), &folders).as_deref(), expected.map(Path::new), "{path}");
        }
        assert_eq!(host_path(Path::new("/tmp/x"), &[]).unwrap(), Path::new("/tmp/x"));
    }
}
