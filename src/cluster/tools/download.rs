//! A release on its way into the tool cache: whole, checked and executable, or not at all.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use flate2::read::GzDecoder;
use reqwest::StatusCode;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use super::{Origin, ToolError, Wanted};
use crate::error::chain;
use crate::hex::hex;
use crate::http_client;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a server may be silent.
const SILENCE: Duration = Duration::from_secs(30);
/// Tries after the first, of what may pass.
const RETRIES: usize = 3;

/// A release that is wanted.
pub(super) struct Release<'a> {
    pub(super) wanted: Wanted,
    pub(super) url: String,
    /// The sum of the file that is downloaded.
    pub(super) sum: &'a str,
    /// Where it is kept.
    pub(super) folder: PathBuf,
}

/// Why one try came to nothing.
enum Failed {
    /// It may pass.
    Passing(String),
    /// It will not.
    Final(ToolError),
}

impl Release<'_> {
    /// The program, from the cache or from its URL.
    pub(super) async fn get(&self) -> Result<(PathBuf, Origin), ToolError> {
        let kept = self.kept();
        let is_kept = match File::open(&kept).map(sum_of) {
            Ok(Ok(sum)) => sum == self.sum,
            Ok(Err(_)) | Err(_) => false,
        };
        let origin = if is_kept {
            Origin::Cache
        } else {
            self.download(&kept).await?;
            Origin::Download
        };
        Ok((self.program(&kept)?, origin))
    }

    /// What is downloaded: the program itself, or Helm's archive, by which the program is checked.
    fn kept(&self) -> PathBuf {
        let suffix = if self.wanted == Wanted::Helm { ".tar.gz" } else { "" };
        self.folder.join(format!("{}{suffix}", self.wanted.name()))
    }

    /// The program of what was kept. One of an archive is unpacked each time: there is no sum to check it by.
    fn program(&self, kept: &Path) -> Result<PathBuf, ToolError> {
        if self.wanted != Wanted::Helm {
            return Ok(kept.to_owned());
        }
        let path = self.folder.join(self.wanted.name());
        let unpack = || {
            let mut archive = tar::Archive::new(GzDecoder::new(File::open(kept)?));
            for entry in archive.entries()? {
                let mut entry = entry?;
                // `linux-amd64/helm`
                if entry.path()?.file_name() == path.file_name() && entry.header().entry_type().is_file() {
                    let mut file = NamedTempFile::new_in(&self.folder)?;
                    io::copy(&mut entry, &mut file)?;
                    return keep(file, &path);
                }
            }
            Err(io::Error::other("the archive has no such program"))
        };
        unpack().map_err(|error| self.io(error))?;
        Ok(path)
    }

    async fn download(&self, target: &Path) -> Result<(), ToolError> {
        let http = http_client::builder()
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .build()
            .map_err(|error| self.failed(chain(&error)))?;
        std::fs::create_dir_all(&self.folder).map_err(|error| self.io(error))?;
        let pauses = ExponentialBuilder::default().with_min_delay(Duration::from_millis(500)).with_max_times(RETRIES);
        let tried = (|| self.fetch(&http, target)).retry(pauses).when(|failed| matches!(failed, Failed::Passing(_)));
        tried.await.map_err(|failed| match failed {
            Failed::Passing(why) => self.failed(why),
            Failed::Final(error) => error,
        })
    }

    /// One try.
    async fn fetch(&self, http: &reqwest::Client, target: &Path) -> Result<(), Failed> {
        let passing = |error: reqwest::Error| Failed::Passing(chain(&error));
        let io = |error| Failed::Final(self.io(error));
        tracing::debug!("downloading {}", self.url);
        let mut response = http.get(&self.url).send().await.map_err(passing)?;
        let status = response.status();
        if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
            return Err(Failed::Passing(format!("it answers {status}")));
        }
        if !status.is_success() {
            return Err(Failed::Final(self.failed(format!("it answers {status}"))));
        }
        let mut file = NamedTempFile::new_in(&self.folder).map_err(io)?;
        let mut hasher = Sha256::new();
        while let Some(chunk) = response.chunk().await.map_err(passing)? {
            hasher.update(&chunk);
            file.write_all(&chunk).map_err(io)?;
        }
        let found = hex(&hasher.finalize());
        if found != self.sum {
            let (tool, url, expected) = (self.wanted.name(), self.url.clone(), self.sum.to_owned());
            return Err(Failed::Final(ToolError::WrongSum { tool, url, found, expected }));
        }
        keep(file, target).map_err(io)
    }

    fn failed(&self, why: String) -> ToolError {
        ToolError::Download { tool: self.wanted.name(), url: self.url.clone(), why }
    }

    fn io(&self, source: io::Error) -> ToolError {
        ToolError::Io { tool: self.wanted.name(), path: self.folder.clone(), source }
    }
}

/// Puts a whole file in its place, executable for everyone.
fn keep(file: NamedTempFile, path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o755))?;
    // Closed before it has its name: a program that is open for writing can't be started.
    file.into_temp_path().persist(path)?;
    Ok(())
}

fn sum_of(mut file: File) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match io::Read::read(&mut file, &mut buffer)? {
            0 => return Ok(hex(&hasher.finalize())),
            count => hasher.update(&buffer[..count]),
        }
    }
}
