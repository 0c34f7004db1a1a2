//! Layers of an image as an entry of the Actions cache: the folder that buildx keeps them in, which is an OCI image layout.
//!
//! An archive is exact or of no use. Layers of another build of the same image are of use: they are looked for by the key of this
//! build, then by the beginning that all builds of the image have in common, of which the newest is taken.
//!
//! Layout: <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::github::cache::packed::{Packed, Packer};
use crate::github::cache::unpack;
use crate::github::cache::{FOLDER, Incoming};
use crate::image::archive;

/// Where layers are, within a store's folder.
pub(super) const LAYERS: &str = "layers";
const INDEX: &str = "index.json";
const BLOBS: &str = "blobs/sha256";
/// Most blobs, each of which is an open file while it is saved: an image has at most 127 layers, and a build a few stages.
const MAX_BLOBS: usize = 500;
const MAX_INDEX: u64 = 4 << 20;

/// The keys of an image's layers, by the key of its archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Keys {
    /// Of this build.
    pub(super) key: String,
    /// What all builds of the image on this platform begin with.
    pub(super) restore: String,
}

impl Keys {
    /// `None` for what is no key of an archive.
    pub(super) fn new(key: &str) -> Option<Self> {
        let rest = key.strip_prefix("ev-image-")?;
        let (common, _) = rest.rsplit_once('-')?;
        Some(Self { key: format!("ev-layers-{rest}"), restore: format!("ev-layers-{common}-") })
    }
}

/// An entry with the layers of a folder; `None` if there are none.
pub(super) fn packed(folder: &Path, time: u64) -> io::Result<Option<Packed>> {
    let index = match std::fs::read(folder.join(INDEX)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        index => index?,
    };
    let name = name_of(folder);
    let mut packer = Packer::new(FOLDER, time)?;
    let mut blobs: Vec<_> = std::fs::read_dir(folder.join(BLOBS))?.collect::<Result<_, _>>()?;
    if blobs.len() > MAX_BLOBS {
        return Err(too_many());
    }
    blobs.sort_by_key(std::fs::DirEntry::file_name);
    for blob in blobs {
        let digest = blob.file_name().to_string_lossy().into_owned();
        if is_digest(&digest) {
            let file = File::open(blob.path())?;
            let length = file.metadata()?.len();
            packer.file(&format!("{LAYERS}/{name}/{BLOBS}/{digest}"), file, length)?;
        }
    }
    // Last, as in a folder: what has an index is whole.
    packer.bytes(&format!("{LAYERS}/{name}/{INDEX}"), &index)?;
    Ok(Some(packer.finish()))
}

/// Takes the layers out of an entry, each if it is what its name says, and puts them where `folder` says.
pub(super) fn received(incoming: Incoming, folder: &Path, most: u64) -> io::Result<()> {
    let parent = folder.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent)?;
    let place = tempfile::Builder::new().prefix(".layers-").tempdir_in(parent)?;
    let blobs = place.path().join(BLOBS);
    std::fs::create_dir_all(&blobs)?;
    let begin = format!("{LAYERS}/{}/", name_of(folder));
    let (mut index, mut count) = (None, 0);
    unpack::files(incoming, FOLDER, most, |found, size, content| {
        let Some(found) = found.strip_prefix(&begin) else { return Ok(()) };
        if found == INDEX && size <= MAX_INDEX {
            let mut text = Vec::new();
            content.read_to_end(&mut text)?;
            index = Some(text);
        } else if let Some(digest) = found.strip_prefix(BLOBS).and_then(|name| name.strip_prefix('/'))
            && is_digest(digest)
        {
            count += 1;
            if count > MAX_BLOBS {
                return Err(too_many());
            }
            keep(content, digest, &blobs)?;
        }
        Ok(())
    })?;
    let index = index.ok_or_else(|| bad(format!("it does not hold {FOLDER}/{begin}{INDEX}")))?;
    std::fs::write(place.path().join(INDEX), index)?;
    std::fs::rename(place.keep(), folder)
}

fn keep(content: &mut dyn Read, digest: &str, blobs: &Path) -> io::Result<()> {
    let (file, found) = archive::received(content, blobs)?;
    if found != digest {
        return Err(bad(format!("the blob {digest} is another, {found}")));
    }
    file.persist(blobs.join(digest)).map(drop).map_err(|error| error.error)
}

/// The image's name as its folder has it.
fn name_of(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn is_digest(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn too_many() -> io::Error {
    bad(format!("there are more than {MAX_BLOBS} layers"))
}

fn bad(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The folder of an image's layers within that of all.
pub(super) fn place(folder: &Path, image: &str) -> PathBuf {
    // A folder for each: one image's layers would replace the other's.
    folder.join(LAYERS).join(image.replace('/', "-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_looked_for_by_the_build_and_then_by_the_image() {
        let keys = Keys::new("ev-image-v2-ghcr.io-a-b-linux-amd64-0123abcd").unwrap();
        let expected = Keys {
            key: "ev-layers-v2-ghcr.io-a-b-linux-amd64-0123abcd".to_owned(),
            restore: "ev-layers-v2-ghcr.io-a-b-linux-amd64-".to_owned(),
        };
        assert_eq!(keys, expected);
        assert_eq!(Keys::new("something"), None);
    }

    #[test]
    fn only_digests_are_names_of_blobs() {
        assert!(is_digest(&"0a".repeat(32)));
        for bad in ["", "..", &"0A".repeat(32), &"0a".repeat(33), &format!("../{}", "0".repeat(61))] {
            assert!(!is_digest(bad), "{bad}");
        }
    }
}
