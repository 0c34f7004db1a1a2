//! What child processes get of this program's environment: an allow-list, so that no token of a workflow reaches them.

use std::ffi::{OsStr, OsString};

/// A variable and its value.
pub(crate) type Variable = (OsString, OsString);

/// What programs need to be found, to find their files and libraries, and to speak the user's language.
const COMMON: [&str; 17] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LANGUAGE",
    "TZ",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "JAVA_HOME",
    "GOROOT",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
];

/// Families of names, by how they begin.
const FAMILIES: [&str; 2] = ["LC_", "XDG_"];

/// The way to the network, in both spellings that programs read.
const PROXIES: [&str; 8] =
    ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy"];

/// How the Docker CLI, and kind which drives it, find the engine, credentials, builders and the network; a script gets none of them.
const DOCKER: [&str; 10] = [
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_CONFIG",
    "DOCKER_CERT_PATH",
    "DOCKER_TLS_VERIFY",
    "DOCKER_API_VERSION",
    "BUILDX_BUILDER",
    "BUILDX_CONFIG",
    "KIND_EXPERIMENTAL_DOCKER_NETWORK",
    "KIND_EXPERIMENTAL_CONTAINERD_SNAPSHOTTER",
];

/// Where Helm's repositories, credentials and plugins are, and the Docker CLI's credentials, which Helm uses for registries.
const HELM: [&str; 8] = [
    "HELM_CACHE_HOME",
    "HELM_CONFIG_HOME",
    "HELM_DATA_HOME",
    "HELM_PLUGINS",
    "HELM_REGISTRY_CONFIG",
    "HELM_REPOSITORY_CACHE",
    "HELM_REPOSITORY_CONFIG",
    "DOCKER_CONFIG",
];

/// What a script may see of `whole`.
pub(crate) fn for_script(whole: &[Variable]) -> Vec<Variable> {
    chosen(whole, |name| is_common(name) || PROXIES.contains(&name))
}

/// What the Docker CLI may see of `whole`.
pub(crate) fn for_docker(whole: &[Variable]) -> Vec<Variable> {
    chosen(whole, |name| is_common(name) || PROXIES.contains(&name) || DOCKER.contains(&name))
}

/// What Helm may see of `whole`.
pub(crate) fn for_helm(whole: &[Variable]) -> Vec<Variable> {
    chosen(whole, |name| is_common(name) || PROXIES.contains(&name) || HELM.contains(&name))
}

/// The names of the proxies that are set: a container takes their values from the Docker CLI's own environment.
pub(crate) fn proxies(whole: &[Variable]) -> Vec<&'static str> {
    PROXIES.into_iter().filter(|proxy| whole.iter().any(|(name, _)| name == OsStr::new(proxy))).collect()
}

fn is_common(name: &str) -> bool {
    COMMON.contains(&name) || FAMILIES.iter().any(|family| name.starts_with(family))
}

fn chosen(whole: &[Variable], is_allowed: impl Fn(&str) -> bool) -> Vec<Variable> {
    whole.iter().filter(|(name, _)| name.to_str().is_some_and(&is_allowed)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(names: &[&str]) -> Vec<Variable> {
        names.iter().map(|name| (name.into(), "x".into())).collect()
    }

    fn names(variables: &[Variable]) -> Vec<&str> {
        variables.iter().map(|(name, _)| name.to_str().unwrap()).collect()
    }

    #[test]
    fn no_token_and_no_input_is_passed_on() {
        let whole = variables(&[
            "PATH",
            "INPUT_GITHUB-TOKEN",
            "INPUT_PATH",
            "GITHUB_TOKEN",
            "GH_TOKEN",
            "ACTIONS_RUNTIME_TOKEN",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
            "GITHUB_ENV",
            "AWS_SECRET_ACCESS_KEY",
            "STATE_x",
            "LC_ALL",
            "XDG_CACHE_HOME",
            "https_proxy",
            "DOCKER_HOST",
            "KUBECONFIG",
            "HELM_KUBETOKEN",
            "HELM_CONFIG_HOME",
        ]);
        assert_eq!(names(&for_script(&whole)), ["PATH", "LC_ALL", "XDG_CACHE_HOME", "https_proxy"]);
        assert_eq!(names(&for_docker(&whole)), ["PATH", "LC_ALL", "XDG_CACHE_HOME", "https_proxy", "DOCKER_HOST"]);
        assert_eq!(names(&for_helm(&whole)), ["PATH", "LC_ALL", "XDG_CACHE_HOME", "https_proxy", "HELM_CONFIG_HOME"]);
        assert_eq!(proxies(&whole), ["https_proxy"]);
    }
}
