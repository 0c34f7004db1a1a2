//! Reads an entry of the cache as it comes: ours, and what `actions/cache` made of the same folder. Nothing in it is believed: only
//! plain files of the folder are looked at, all of bounded size, and where they go decides who asked.

use std::io::{self, Read};
use std::path::Component;

use tar::{Archive, EntryType, PaxExtensions};

/// Most bytes that unpacking may need to remember, as a power of two: 8 MiB, what zstd writes up to its highest usual level.
const WINDOW: u32 = 23;
/// Longest name that is read.
const MAX_NAME: u64 = 64 * 1024;

/// Hands out each plain file of the folder `folder`: its name in it (with `/` where it is deeper), its size, its content. What is
/// not read of a content is skipped. `most` is how many bytes may be unpacked in all.
///
/// # Errors
/// It is no such entry, or broken off, or larger; and what `each` says.
pub fn files(
    source: impl Read,
    folder: &str,
    most: u64,
    mut each: impl FnMut(&str, u64, &mut dyn Read) -> io::Result<()>,
) -> io::Result<()> {
    let mut decoder = zstd::Decoder::new(source)?;
    decoder.window_log_max(WINDOW)?;
    let mut archive = Archive::new(Bounded { inner: decoder, left: most });
    // What stands for a long name in the next entry.
    let mut next_name: Option<Vec<u8>> = None;
    for entry in archive.entries()?.raw(true) {
        let mut entry = entry?;
        let size = entry.size();
        match entry.header().entry_type() {
            EntryType::GNULongName => {
                let mut name = small(&mut entry, size)?;
                while name.last() == Some(&0) {
                    name.pop();
                }
                next_name = Some(name);
            }
            EntryType::XHeader => {
                let content = small(&mut entry, size)?;
                for extension in PaxExtensions::new(&content) {
                    let extension = extension?;
                    if extension.key_bytes() == b"path" {
                        next_name = Some(extension.value_bytes().to_owned());
                    }
                }
            }
            EntryType::Regular | EntryType::Continuous => {
                let name = next_name.take().unwrap_or_else(|| entry.path_bytes().into_owned());
                if let Some(name) = within(&name, folder) {
                    each(&name, size, &mut entry)?;
                }
            }
            EntryType::GNULongLink | EntryType::XGlobalHeader => {}
            _ => next_name = None,
        }
    }
    Ok(())
}

/// The name of a file in the folder; nothing of what is outside or goes out.
fn within(name: &[u8], folder: &str) -> Option<String> {
    let path = std::path::Path::new(std::str::from_utf8(name).ok()?);
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    let (first, rest) = parts.split_first()?;
    (*first == folder && !rest.is_empty()).then(|| rest.join("/"))
}

fn small(entry: &mut impl Read, size: u64) -> io::Result<Vec<u8>> {
    if size > MAX_NAME {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a name of {size} bytes")));
    }
    let mut content = Vec::new();
    entry.take(MAX_NAME).read_to_end(&mut content)?;
    Ok(content)
}

/// A reader that refuses to give more than it may.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(read as u64)
            .ok_or_else(|| io::Error::new(io::ErrorKind::FileTooLarge, "it holds more than is ever unpacked"))?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    type Files = Vec<(String, Vec<u8>)>;

    fn read(packed: &[u8], most: u64) -> io::Result<Files> {
        let mut found = Vec::new();
        files(packed, ".kept", most, |name, size, content| {
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes)?;
            assert_eq!(size, bytes.len() as u64);
            found.push((name.to_owned(), bytes));
            Ok(())
        })?;
        Ok(found)
    }

    fn tar(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_size(content.len() as u64);
            // What no well-behaved program writes.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            builder.append(&header, *content).unwrap();
        }
        zstd::encode_all(&builder.into_inner().unwrap()[..], 1).unwrap()
    }

    #[test]
    fn what_tar_writes_as_actions_cache_starts_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let long = format!("{}.tar.zst", "k".repeat(180));
        std::fs::create_dir_all(folder.path().join(".kept/layers")).unwrap();
        std::fs::write(folder.path().join(".kept").join(&long), "an archive").unwrap();
        std::fs::write(folder.path().join(".kept/layers/index.json"), "{}").unwrap();
        let mut tar = Command::new("tar");
        tar.args(["--posix", "-cf", "x.tar", "-P", "--sort=name", ".kept"]).current_dir(folder.path());
        assert!(tar.status().unwrap().success());
        let packed = zstd::encode_all(&std::fs::read(folder.path().join("x.tar")).unwrap()[..], 3).unwrap();
        let expected = [(long, b"an archive".to_vec()), ("layers/index.json".to_owned(), b"{}".to_vec())];
        assert_eq!(read(&packed, 1 << 20).unwrap(), expected);
    }

    #[test]
    fn only_plain_files_of_the_folder_are_looked_at() {
        let packed = tar(&[
            ("./.kept/a", EntryType::Regular, b"1"),
            (".kept/../../b", EntryType::Regular, b"2"),
            ("/etc/passwd", EntryType::Regular, b"3"),
            ("/.kept/c", EntryType::Regular, b"4"),
            ("other/d", EntryType::Regular, b"5"),
            (".kept", EntryType::Regular, b"6"),
            (".kept/link", EntryType::Symlink, b""),
            (".kept/hard", EntryType::Link, b""),
            (".kept/pipe", EntryType::Fifo, b""),
            (".kept/e/f", EntryType::Regular, b"7"),
        ]);
        let expected = [("a".to_owned(), b"1".to_vec()), ("e/f".to_owned(), b"7".to_vec())];
        assert_eq!(read(&packed, 1 << 20).unwrap(), expected);
    }

    #[test]
    fn what_is_larger_than_allowed_is_refused() {
        let packed = tar(&[(".kept/bomb", EntryType::Regular, &vec![0; 10 << 20])]);
        assert!(packed.len() < 10_000);
        assert_eq!(read(&packed, 1 << 20).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        let packed = tar(&[("././@LongLink", EntryType::GNULongName, &vec![b'x'; 1 << 20])]);
        assert!(read(&packed, 1 << 30).unwrap_err().to_string().contains("a name of 1048576 bytes"));
    }

    #[test]
    fn what_was_broken_off_is_an_error() {
        let packed = tar(&[(".kept/a", EntryType::Regular, &vec![b'x'; 100_000])]);
        for bytes in [&packed[..packed.len() / 2], b"no entry"] {
            assert!(read(bytes, 1 << 20).is_err());
        }
    }

    proptest! {
        #[test]
        fn no_name_leads_out_of_the_folder(name in "[./a]{0,12}") {
            if let Some(inside) = within(name.as_bytes(), "a") {
                prop_assert!(!inside.is_empty() && !inside.starts_with('/') && inside.split('/').all(|part| part != ".."));
            }
        }
    }
}
