//! What becomes of pulling an image, read off its name. The texts are those of containerd 2 (recordings of kind).

use crate::image_reference::ImageReference;

/// Why an image can't be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no such image.
    NotFound,
    /// The registry wants credentials.
    NoCredentials,
    /// The registry answers with this status.
    Status(&'static str),
    /// The registry's name is not known.
    NoSuchHost,
    /// Nobody listens.
    Refused,
    /// It does not speak TLS.
    NoTls,
}

/// What becomes of an image when a container wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Image {
    /// It is there.
    Present,
    /// It is pulled.
    Pulled,
    /// It cannot be had, for this reason.
    Failed(String),
    /// It may not be pulled, and is not there.
    NeverPull,
    /// Its name is none; the reason.
    Invalid(String),
}

/// How the registry of the recordings answered, by the first part of the path, and what else names say.
const FAULTS: &[(&str, Fault)] = &[
    ("absent/", Fault::NotFound),
    ("auth/", Fault::NoCredentials),
    ("denied/", Fault::Status("403 Forbidden")),
    ("limited/", Fault::Status("429 Too Many Requests")),
    ("down/", Fault::Status("503 Service Unavailable")),
];

/// What becomes of `image`. Images whose name is in `present`, or begins with a name there that ends in `*`, are on the
/// node already.
#[must_use]
pub fn outcome(image: &str, policy: &str, present: &[String], told: Option<Fault>) -> Image {
    if let Some(why) = invalid(image) {
        return Image::Invalid(why);
    }
    let is_there = present.iter().any(|known| match known.strip_suffix('*') {
        Some(start) => image.starts_with(start),
        None => known == image,
    });
    match (policy, told.or_else(|| fault(image)).filter(|_| !is_there)) {
        ("Never", None) if !is_there && is_local(image) => Image::NeverPull,
        ("Never", Some(_)) => Image::NeverPull,
        (_, Some(fault)) => Image::Failed(text(image, fault)),
        _ if policy == "Never" || (is_there && policy != "Always") => Image::Present,
        _ => Image::Pulled,
    }
}

/// What a policy left out means.
#[must_use]
pub fn default_policy(image: &str) -> &'static str {
    match ImageReference::parse(image) {
        Ok(reference) if reference.is_latest() => "Always",
        _ => "IfNotPresent",
    }
}

fn is_local(image: &str) -> bool {
    image.split(['/', ':']).any(|part| part == "local" || part == "none")
}

fn invalid(image: &str) -> Option<String> {
    let path = image.split_once('@').map_or(image, |(name, _)| name);
    let why = match path.split_once('/') {
        Some((_, rest)) if rest.chars().any(char::is_uppercase) && ImageReference::parse(image).is_err() => {
            let name = rest.split(':').next().unwrap_or(rest);
            format!("invalid reference format: repository name ({name}) must be lowercase")
        }
        _ => {
            ImageReference::parse(image).err()?;
            "invalid reference format".to_owned()
        }
    };
    Some(format!("Failed to apply default image tag \"{image}\": couldn't parse image name \"{image}\": {why}"))
}

/// The host and the path of a name.
fn split(image: &str) -> (&str, &str) {
    match image.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (host, path),
        _ => ("registry-1.docker.io", image),
    }
}

fn fault(image: &str) -> Option<Fault> {
    let (host, path) = split(image);
    let (name, port) = host.rsplit_once(':').unwrap_or((host, ""));
    if name == "invalid" || name.ends_with(".invalid") {
        return Some(Fault::NoSuchHost);
    }
    let is_loopback = name == "localhost" || name.starts_with("127.");
    match port {
        "5055" if is_loopback => FAULTS.iter().find(|(start, _)| path.starts_with(start)).map(|(_, fault)| *fault),
        "5055" => Some(Fault::NoTls),
        _ if is_loopback => Some(Fault::Refused),
        _ => None,
    }
}

/// What containerd says.
fn text(image: &str, fault: Fault) -> String {
    let (host, path) = split(image);
    let (repository, tag) = path.rsplit_once(':').unwrap_or((path, "latest"));
    let scheme = if host.starts_with("127.") || host.starts_with("localhost") { "http" } else { "https" };
    let url = format!("{scheme}://{host}/v2/{repository}/manifests/{tag}");
    let resolve = format!("failed to pull and unpack image \"{image}\": failed to resolve reference \"{image}\": ");
    let request = format!("failed to do request: Head \"{url}\": ");
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    match fault {
        Fault::NotFound => format!("rpc error: code = NotFound desc = {resolve}{image}: not found"),
        Fault::NoCredentials => format!(
            "{resolve}pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials"
        ),
        Fault::Status(status) => format!("{resolve}unexpected status from HEAD request to {url}: {status}"),
        Fault::NoSuchHost => format!("{resolve}{request}dial tcp: lookup {name} on 10.96.0.10:53: no such host"),
        Fault::Refused => format!("{resolve}{request}dial tcp {host}: connect: connection refused"),
        Fault::NoTls => format!("{resolve}{request}tls: first record does not look like a TLS handshake"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pull(image: &str, policy: &str) -> Image {
        outcome(image, policy, &[], None)
    }

    #[test]
    fn what_is_wrong_with_an_image_is_read_off_its_name() {
        for (image, text) in [
            ("registry.invalid/none/such:1", "no such host"),
            ("127.0.0.1:5055/absent/x:1", "127.0.0.1:5055/absent/x:1: not found"),
            ("127.0.0.1:5055/auth/x:1", "pull access denied"),
            ("127.0.0.1:5055/limited/x:1", "http://127.0.0.1:5055/v2/limited/x/manifests/1: 429 Too Many Requests"),
            ("127.0.0.1:5999/x/x:1", "dial tcp 127.0.0.1:5999: connect: connection refused"),
            ("172.19.0.1:5055/x/x:1", "tls: first record does not look like a TLS handshake"),
        ] {
            let Image::Failed(found) = pull(image, "IfNotPresent") else { panic!("{image} was pulled") };
            assert!(found.contains(text), "{found}");
        }
        assert!(
            matches!(pull("UPPER/Case:::x", "IfNotPresent"), Image::Invalid(why) if why.contains("(Case) must be lowercase"))
        );
        assert_eq!(pull("local/none:1", "Never"), Image::NeverPull);
        assert_eq!(pull("docker.io/library/busybox:1", "IfNotPresent"), Image::Pulled);
    }

    #[test]
    fn an_image_that_is_present_is_not_pulled() {
        let present = ["local/*".to_owned(), "busybox:1".to_owned()];
        assert_eq!(outcome("local/jobimg:1", "IfNotPresent", &present, None), Image::Present);
        assert_eq!(outcome("busybox:1", "Never", &present, None), Image::Present);
        assert_eq!(outcome("busybox:2", "Never", &present, None), Image::Present);
    }
}
