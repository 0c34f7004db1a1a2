//! What makes a build the same build: the digest of all that goes into it, and the names that come of it.
//!
//! The digest is the SHA-256 of these lines, each ended by a line feed; a text of the user's is written with its length in bytes,
//! `<length>:<text>`, so that no two builds have the same lines:
//!
//! ```text
//! ev-image-v2
//! name <text>
//! platform <text>
//! target <text>                           when there is one
//! context <text>                          its path relative to the root, when there are inputs: they don't tell it
//! arg <text> <text>                       name and value, each argument in the order of the names
//! base <text>                             each `FROM` that names a digest, its arguments filled in, in the order of the file
//! dockerfile <SHA-256 of its content>
//! file <x or -> <SHA-256> <text>          executable or not, content, path
//! link <text> <text>                      path, and where it points to
//! dir <text>                              path
//! ```
//!
//! The last three are in the order of their paths' bytes. They are what `inputs` matches, with paths relative to the root; or,
//! where the config gives none, the whole context as Docker would send it (`ignore`), with paths relative to the context, the
//! Dockerfile and the `.dockerignore` always among them. Times and owners are no part of it: a fresh clone has other ones.
//!
//! Of what is downloaded while it builds, and of bases that are named by a tag, nothing is known before: the same digest may
//! have been built at another time. That is what a cache is for; who minds pins the base by its digest.

mod dockerfile;
mod form;
mod ignore;
mod walk;

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

pub use dockerfile::{Dockerfile, Needs};

use crate::config::ImageBuild;
use crate::hex::hex;
use crate::model::{Cause, CauseClass};

/// The format, in front of the lines and of the cache key. Whatever changes what is hashed, changes it.
const FORMAT: &str = "ev-image-v2";
/// Most letters of an image's name in its key: GitHub's cache allows 512 in all.
const MAX_SLUG: usize = 200;

/// What a build is called, by what goes into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `sha256:<hex>`, for the report.
    pub digest: String,
    /// The key of its archive: `ev-image-v2-<name as letters>-<platform>-<hex>`, without commas, at most 512 letters.
    pub key: String,
    /// Its reference in this run: `<name>:ev-<first 16 of hex>`.
    pub tag: String,
    /// What was hashed, and how much of it.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Why a build has no digest: all are mistakes of the project's own.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// The build context is no folder.
    #[error("the context `{path}` of the image `{name}` (`images` in the config) is not there, or is no folder")]
    NoContext {
        /// The image's name.
        name: String,
        /// The folder.
        path: String,
    },
    /// The Dockerfile is not there.
    #[error("the Dockerfile `{path}` of the image `{name}` (`images` in the config) is not there")]
    NoDockerfile {
        /// The image's name.
        name: String,
        /// The file.
        path: String,
    },
    /// Something of it can't be read.
    #[error("`{path}`, which goes into the image `{name}`, can't be read: {source}")]
    Unreadable {
        /// The image's name.
        name: String,
        /// The file or folder.
        path: String,
        /// What the system answered.
        source: std::io::Error,
    },
}

impl ContextError {
    /// The cause of the cells that need the image.
    #[must_use]
    pub fn cause(&self) -> Cause {
        let (reason, hint) = match self {
            Self::NoContext { .. } => ("ContextNotFound", "correct `context`, which is relative to the root"),
            Self::NoDockerfile { .. } => ("DockerfileNotFound", "correct `dockerfile`, which is relative to `context`"),
            Self::Unreadable { .. } => {
                ("ContextUnreadable", "make it readable, or leave it out with a .dockerignore or `inputs`")
            }
        };
        Cause { hint: hint.to_owned(), ..Cause::new(CauseClass::Image, reason, self.to_string()) }
    }
}

/// Where the parts of a build are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) context: PathBuf,
    pub(super) dockerfile: PathBuf,
}

impl Places {
    /// Finds them; `root` is absolute.
    pub(super) fn of(build: &ImageBuild, root: &Path) -> Result<Self, ContextError> {
        let shown = |path: &Path| path.display().to_string();
        let context = root.join(&build.context);
        if !context.is_dir() {
            return Err(ContextError::NoContext { name: build.name.clone(), path: shown(&build.context) });
        }
        let dockerfile = context.join(&build.dockerfile);
        if !dockerfile.is_file() {
            let path = shown(&build.context.join(&build.dockerfile));
            return Err(ContextError::NoDockerfile { name: build.name.clone(), path });
        }
        Ok(Self { context, dockerfile })
    }
}

/// The identity of a build for a platform (`linux/amd64`). Reads all that goes into it, on all cores; `root` is absolute.
///
/// # Errors
/// The context or the Dockerfile is not there, or something can't be read.
pub fn identify(build: &ImageBuild, root: &Path, platform: &str) -> Result<Identity, ContextError> {
    let places = Places::of(build, root)?;
    let unreadable = |(path, source): (PathBuf, std::io::Error)| ContextError::Unreadable {
        name: build.name.clone(),
        path: path.strip_prefix(root).unwrap_or(&path).display().to_string(),
        source,
    };
    let text = std::fs::read(&places.dockerfile).map_err(|error| unreadable((places.dockerfile.clone(), error)))?;
    let found = if build.inputs.is_empty() { walk::context(&places) } else { walk::inputs(root, &build.inputs) };
    let entries = walk::hashed(found.map_err(unreadable)?).map_err(unreadable)?;
    let dockerfile = Dockerfile::parse(&String::from_utf8_lossy(&text));
    let form = form::Form {
        build,
        platform,
        bases: dockerfile.pinned_bases(&build.args),
        dockerfile: Sha256::digest(&text).into(),
        entries: &entries,
    };
    let digits = hex(&Sha256::digest(form.bytes()));
    Ok(Identity {
        key: key(&build.name, platform, &digits),
        tag: format!("{}:ev-{}", build.name, &digits[..16]),
        digest: format!("sha256:{digits}"),
        files: entries.len(),
        bytes: entries.iter().map(|entry| entry.size).sum(),
    })
}

/// The key of an archive.
fn key(name: &str, platform: &str, hex: &str) -> String {
    let slug = |text: &str| -> String {
        let letters =
            text.chars().map(|letter| if letter.is_ascii_alphanumeric() || letter == '.' { letter } else { '-' });
        letters.take(MAX_SLUG).collect()
    };
    format!("{FORMAT}-{}-{}-{hex}", slug(name), slug(platform))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn build() -> ImageBuild {
        ImageBuild {
            name: "example/mnist".to_owned(),
            context: "ctx".into(),
            dockerfile: "Dockerfile".into(),
            args: BTreeMap::new(),
            target: None,
            inputs: Vec::new(),
            replaces: Vec::new(),
        }
    }

    fn write(root: &Path, file: &str, text: &str) {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn project() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (file, text) in [
            ("ctx/Dockerfile", "FROM scratch\nCOPY . /\n"),
            ("ctx/train.py", "print(1)\n"),
            ("ctx/deep/er/data.txt", "1\n"),
            ("shared/lib.py", "x = 1\n"),
        ] {
            write(root.path(), file, text);
        }
        root
    }

    fn digest(build: &ImageBuild, root: &Path) -> String {
        identify(build, root, "linux/amd64").unwrap().digest
    }

    #[test]
    fn the_same_content_has_the_same_digest_wherever_and_whenever_it_was_written() {
        let (one, other) = (project(), project());
        let old = fs::File::options().write(true).open(other.path().join("ctx/train.py")).unwrap();
        old.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(
            identify(&build(), one.path(), "linux/amd64").unwrap(),
            identify(&build(), other.path(), "linux/amd64").unwrap()
        );
    }

    #[test]
    fn the_digest_is_that_of_the_documented_lines() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "ctx/Dockerfile", "FROM scratch\n");
        let content = hex(&Sha256::digest(b"FROM scratch\n"));
        let mut build = build();
        build.args.insert("A".to_owned(), "1 2".to_owned());
        let lines = format!(
            "ev-image-v2\nname 13:example/mnist\nplatform 11:linux/amd64\narg 1:A 3:1 2\ndockerfile {content}\nfile - {content} 10:Dockerfile\n"
        );
        assert_eq!(digest(&build, root.path()), format!("sha256:{}", hex(&Sha256::digest(lines.as_bytes()))));
    }

    #[test]
    fn everything_that_goes_into_a_build_changes_its_digest() {
        let root = project();
        let path = root.path();
        let mut seen = vec![digest(&build(), path)];
        let mut differs = |what: &str, build: &ImageBuild, platform: &str| {
            let digest = identify(build, path, platform).unwrap().digest;
            assert!(!seen.contains(&digest), "{what}");
            seen.push(digest);
        };
        differs("platform", &build(), "linux/arm64");
        differs("name", &ImageBuild { name: "example/other".to_owned(), ..build() }, "linux/amd64");
        differs("target", &ImageBuild { target: Some("x".to_owned()), ..build() }, "linux/amd64");
        let args = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        differs("args", &ImageBuild { args: args(&[("A", "1"), ("B", "2")]), ..build() }, "linux/amd64");
        differs("other args", &ImageBuild { args: args(&[("A", "1 1:B 1:2")]), ..build() }, "linux/amd64");
        write(path, "ctx/train.py", "print(2)\n");
        differs("content", &build(), "linux/amd64");
        fs::rename(path.join("ctx/train.py"), path.join("ctx/main.py")).unwrap();
        differs("name of a file", &build(), "linux/amd64");
        fs::set_permissions(path.join("ctx/main.py"), fs::Permissions::from_mode(0o755)).unwrap();
        differs("executable", &build(), "linux/amd64");
        symlink("main.py", path.join("ctx/link")).unwrap();
        differs("link", &build(), "linux/amd64");
        fs::remove_file(path.join("ctx/link")).unwrap();
        symlink("nowhere", path.join("ctx/link")).unwrap();
        differs("target of a link", &build(), "linux/amd64");
        fs::create_dir(path.join("ctx/empty")).unwrap();
        differs("empty folder", &build(), "linux/amd64");
        write(path, "ctx/Dockerfile", "FROM scratch\n");
        differs("Dockerfile", &build(), "linux/amd64");
    }

    #[test]
    fn an_edit_of_what_is_left_out_changes_nothing() {
        let root = project();
        let path = root.path();
        write(path, "ctx/.dockerignore", "deep\n!deep/er/kept.txt\n*.md\nDockerfile\n");
        write(path, "ctx/deep/er/kept.txt", "1");
        let before = digest(&build(), path);
        write(path, "ctx/deep/er/data.txt", "2");
        write(path, "ctx/README.md", "2");
        write(path, "shared/lib.py", "2");
        assert_eq!(digest(&build(), path), before);
        write(path, "ctx/deep/er/kept.txt", "2");
        assert_ne!(digest(&build(), path), before);
    }

    #[test]
    fn the_ignore_file_of_a_dockerfile_goes_before_that_of_the_context() {
        let root = project();
        let path = root.path();
        write(path, "ctx/.dockerignore", "**\n");
        write(path, "ctx/Dockerfile.dockerignore", "deep\n");
        let before = digest(&build(), path);
        write(path, "ctx/deep/er/data.txt", "2");
        assert_eq!(digest(&build(), path), before);
        write(path, "ctx/train.py", "2");
        assert_ne!(digest(&build(), path), before);
    }

    #[test]
    fn an_edit_outside_the_inputs_changes_nothing() {
        let root = project();
        let path = root.path();
        let build = ImageBuild { inputs: vec!["ctx/**/*.py".to_owned(), "shared".to_owned()], ..build() };
        let first = identify(&build, path, "linux/amd64").unwrap();
        assert_eq!(first.files, 2);
        write(path, "ctx/deep/er/data.txt", "2");
        write(path, "ctx/.dockerignore", "x");
        write(path, "other/x.py", "2");
        assert_eq!(digest(&build, path), first.digest);
        for file in ["ctx/deep/new.py", "shared/lib.py", "ctx/Dockerfile"] {
            let before = digest(&build, path);
            write(path, file, "FROM scratch\n# 2");
            assert_ne!(digest(&build, path), before, "{file}");
        }
    }

    #[test]
    fn with_inputs_the_context_is_part_of_the_digest_and_what_no_input_can_match_is_not_looked_at() {
        let root = project();
        let path = root.path();
        write(path, "other/Dockerfile", "FROM scratch\nCOPY . /\n");
        let inputs = vec!["shared/*.py".to_owned()];
        let one = ImageBuild { inputs: inputs.clone(), ..build() };
        let other = ImageBuild { context: "other".into(), inputs: inputs.clone(), ..build() };
        assert_ne!(digest(&one, path), digest(&other, path));
        let same = ImageBuild { context: "./other/".into(), inputs, ..build() };
        assert_eq!(digest(&same, path), digest(&other, path));
        fs::create_dir(path.join("shared/closed")).unwrap();
        fs::set_permissions(path.join("shared/closed"), fs::Permissions::from_mode(0o000)).unwrap();
        assert_eq!(digest(&same, path), digest(&other, path));
        fs::set_permissions(path.join("shared/closed"), fs::Permissions::from_mode(0o700)).unwrap();
    }

    #[test]
    fn what_is_not_there_is_named() {
        let root = project();
        let refusal = |build: &ImageBuild| identify(build, root.path(), "linux/amd64").unwrap_err().cause();
        let cause = refusal(&ImageBuild { context: "nowhere".into(), ..build() });
        assert_eq!(
            cause.message,
            "the context `nowhere` of the image `example/mnist` (`images` in the config) is not there, or is no folder"
        );
        let cause = refusal(&ImageBuild { dockerfile: "../x/Dockerfile".into(), ..build() });
        assert_eq!((cause.class, cause.reason.as_str()), (CauseClass::Image, "DockerfileNotFound"));
        assert!(cause.message.contains("`ctx/../x/Dockerfile`"), "{}", cause.message);
    }

    #[test]
    fn a_key_fits_githubs_cache_and_a_tag_fits_a_registry() {
        let name = format!("ghcr.io/{}", "a/".repeat(120) + "b");
        let key = key(&name, "linux/amd64", &"0".repeat(64));
        assert!(key.len() <= 512 && !key.contains([',', '/']), "{key}");
        let identity = identify(&build(), project().path(), "linux/amd64").unwrap();
        assert!(identity.key.starts_with("ev-image-v2-example-mnist-linux-amd64-"));
        assert_eq!(identity.tag.len(), "example/mnist:ev-".len() + 16);
    }
}
