//! The lines of which a digest is the SHA-256. Pure; the folder's page documents them.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

use super::FORMAT;
use crate::config::ImageBuild;
use crate::hex::hex;

/// A SHA-256.
pub(super) type Hash = [u8; 32];

/// Something that goes into a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its path, with `/`.
    pub(super) path: OsString,
    pub(super) kind: Kind,
    /// The bytes of a file.
    pub(super) size: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File { is_executable: bool, hash: Hash },
    Link { target: OsString },
    Folder,
}

/// All that a digest depends on.
pub(super) struct Form<'a> {
    pub(super) build: &'a ImageBuild,
    pub(super) platform: &'a str,
    pub(super) bases: Vec<String>,
    pub(super) dockerfile: Hash,
    /// In the order of their paths.
    pub(super) entries: &'a [Entry],
}

impl Form<'_> {
    /// The lines.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128 * (self.entries.len() + 8));
        line(&mut out, FORMAT, &[]);
        line(&mut out, "name", &[self.build.name.as_bytes()]);
        line(&mut out, "platform", &[self.platform.as_bytes()]);
        if let Some(target) = &self.build.target {
            line(&mut out, "target", &[target.as_bytes()]);
        }
        if !self.build.inputs.is_empty() {
            let context = crate::plan::paths::normal(&self.build.context.to_string_lossy());
            line(&mut out, "context", &[context.as_bytes()]);
        }
        for (name, value) in &self.build.args {
            line(&mut out, "arg", &[name.as_bytes(), value.as_bytes()]);
        }
        for base in &self.bases {
            line(&mut out, "base", &[base.as_bytes()]);
        }
        line(&mut out, &format!("dockerfile {}", hex(&self.dockerfile)), &[]);
        for entry in self.entries {
            let path = entry.path.as_bytes();
            match &entry.kind {
                Kind::File { is_executable, hash } => {
                    let mode = if *is_executable { 'x' } else { '-' };
                    line(&mut out, &format!("file {mode} {}", hex(hash)), &[path]);
                }
                Kind::Link { target } => line(&mut out, "link", &[path, target.as_bytes()]),
                Kind::Folder => line(&mut out, "dir", &[path]),
            }
        }
        out
    }
}

fn line(out: &mut Vec<u8>, words: &str, texts: &[&[u8]]) {
    out.extend_from_slice(words.as_bytes());
    for text in texts {
        out.extend_from_slice(format!(" {}:", text.len()).as_bytes());
        out.extend_from_slice(text);
    }
    out.push(b'\n');
}
