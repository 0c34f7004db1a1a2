//! Files that the API hands out by a redirect to a signed address: the zips of artifacts, the logs of runs.

use crate::hex::hex;
use std::path::Path;

use http::header::LOCATION;
use http::{Method, StatusCode};
use jiff::Timestamp;
use reqwest::{Response, Url};
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt as _;

use super::answer::Answer;
use super::error::{Error, Result};
use super::{Api, MAX_REDIRECTS, MEDIA_TYPE, REQUEST_TIMEOUT};

/// What was downloaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Downloaded {
    /// How much, in bytes.
    pub bytes: u64,
    /// The digest as the API writes those of artifacts: `sha256:` and hexadecimal digits.
    pub digest: String,
}

impl Api {
    /// Downloads what `route` hands out into `file`, which appears whole or not at all. The token goes to the API alone, never to where it
    /// sends us. Cut downloads are begun anew, with a new address.
    ///
    /// # Errors
    /// As [`Error`] tells them: [`Error::TooLarge`] beyond `limit` bytes (nothing more is read then), [`Error::Gone`] for an expired
    /// artifact, [`Error::Disk`].
    pub async fn download(&self, route: &str, limit: u64, file: &Path) -> Result<Downloaded> {
        let mut tried = 0;
        loop {
            let error = match self.download_once(route, limit, file).await {
                Ok(downloaded) => return Ok(downloaded),
                Err(error) => error,
            };
            tried += 1;
            let Some(pause) = self.patience.pause(&error, true, tried) else { return Err(error) };
            tracing::debug!("download of {route}: {error}; trying again in {pause:?}");
            tokio::time::sleep(pause).await;
        }
    }

    /// Where `route` sends on to: a signed address, which is all the permission that it takes. `None` if it hands out the thing itself.
    /// Such addresses hold for a minute.
    ///
    /// # Errors
    /// As [`Error`] tells them: [`Error::Gone`] for an expired artifact.
    pub async fn location(&self, route: &str) -> Result<Option<Url>> {
        let mut tried = 0;
        loop {
            let error = match self.location_once(route).await {
                Ok(location) => return Ok(location),
                Err(error) => error,
            };
            tried += 1;
            let Some(pause) = self.patience.pause(&error, true, tried) else { return Err(error) };
            tracing::debug!("{route}: {error}; trying again in {pause:?}");
            tokio::time::sleep(pause).await;
        }
    }

    async fn location_once(&self, route: &str) -> Result<Option<Url>> {
        let response = self.in_time(self.ask(MEDIA_TYPE, &Method::GET, route, None::<&()>)).await?;
        if response.status().is_redirection() {
            let nowhere = || Error::Unreadable {
                route: route.to_owned(),
                message: "it is sent on, and does not say where".to_owned(),
            };
            return elsewhere(&response, &self.base).ok_or_else(nowhere).map(Some);
        }
        if response.status() != StatusCode::OK {
            Answer::read(response).await?.good(route, Timestamp::now())?;
        }
        Ok(None)
    }

    async fn download_once(&self, route: &str, limit: u64, file: &Path) -> Result<Downloaded> {
        let mut response = self.in_time(self.ask(MEDIA_TYPE, &Method::GET, route, None::<&()>)).await?;
        let mut from = self.base.clone();
        for _ in 0..MAX_REDIRECTS {
            let Some(address) = elsewhere(&response, &from) else { break };
            let asked = self.bare.get(address.clone()).send();
            response = self.in_time(async { asked.await.map_err(|error| Error::line(&error)) }).await?;
            from = address;
        }
        if response.status() != StatusCode::OK {
            let status = response.status().as_u16();
            Answer::read(response).await?.good(route, Timestamp::now())?;
            return Err(Error::Answered { status, message: "a download was expected".to_owned() });
        }
        keep(response, route, limit, file).await
    }

    async fn in_time<T>(&self, request: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::time::timeout(REQUEST_TIMEOUT, request).await.unwrap_or_else(|_| Err(Error::timeout()))
    }
}

/// Where an answer sends the request on; never from a closed line to an open one.
fn elsewhere(response: &Response, from: &Url) -> Option<Url> {
    let location = response.headers().get(LOCATION).filter(|_| response.status().is_redirection())?;
    let address = from.join(location.to_str().ok()?).ok()?;
    (address.scheme() == "https" || from.scheme() == "http").then_some(address)
}

/// Writes a body into a file beside its place, and puts it there when it is whole.
async fn keep(mut response: Response, route: &str, limit: u64, file: &Path) -> Result<Downloaded> {
    let disk = |error: std::io::Error| Error::Disk { path: file.display().to_string(), message: error.to_string() };
    let too_large = || Error::TooLarge { what: route.to_owned(), limit };
    if response.content_length().is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (opened, place) = NamedTempFile::new_in(folder).map_err(disk)?.into_parts();
    let mut writer = tokio::fs::File::from_std(opened);
    let (mut bytes, mut hash) = (0_u64, Sha256::new());
    while let Some(piece) = response.chunk().await.map_err(|error| Error::line(&error))? {
        bytes += piece.len() as u64;
        if bytes > limit {
            return Err(too_large());
        }
        hash.update(&piece);
        writer.write_all(&piece).await.map_err(disk)?;
    }
    writer.flush().await.map_err(disk)?;
    place.persist(file).map_err(|error| disk(error.error))?;
    let hexadecimal = hex(&hash.finalize());
    Ok(Downloaded { bytes, digest: format!("sha256:{hexadecimal}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(status: u16, place: &str, from: &str) -> Option<String> {
        let answer = http::Response::builder().status(status).header(LOCATION, place).body("").unwrap();
        elsewhere(&Response::from(answer), &Url::parse(from).unwrap()).map(String::from)
    }

    #[test]
    fn a_download_is_followed_anywhere_but_to_an_open_line() {
        let api = "https://api.host/x";
        assert_eq!(to(302, "https://blobs.other/y?sig=1", api).as_deref(), Some("https://blobs.other/y?sig=1"));
        assert_eq!(to(302, "/y", api).as_deref(), Some("https://api.host/y"));
        assert_eq!(to(302, "http://127.0.0.1:1/y", "http://127.0.0.1:2/x").as_deref(), Some("http://127.0.0.1:1/y"));
        for (status, place) in [(302, "http://blobs.other/y"), (302, "file:///etc/passwd"), (302, ""), (200, "/y")] {
            assert_eq!(to(status, place, api).filter(|to| to != api), None, "{status} {place}");
        }
    }
}
