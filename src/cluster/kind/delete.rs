//! From a cluster, or from what a killed create left of one, to nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::names::is_ours;
use super::{ANSWER, CLUSTER, Kind, told};

/// How long one delete may take.
const REMOVAL: Duration = Duration::from_secs(30);

/// How long is waited for what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// How long nothing must appear after an interrupted create before it is believed. The engine may still be at work on what it
    /// was asked to start.
    pub(super) quiet: Duration,
    /// Between two looks.
    pub(super) look: Duration,
    /// How long Docker may fail to answer: without an engine there is nothing to delete, nor a way to.
    pub(super) silence: Duration,
    /// How long it may take in all.
    pub(super) bound: Duration,
}

impl Default for Patience {
    /// Four seconds, since a cancelled run has ten for everything; a minute in all.
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { quiet: seconds(4), look: Duration::from_millis(200), silence: seconds(10), bound: seconds(60) }
    }
}

/// A cluster that a run left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// Its name.
    pub name: String,
    /// When its first container was created.
    pub created: Option<Timestamp>,
}

impl Kind {
    /// Deletes a cluster, whatever there is of it: until Docker knows of none of its containers, and, if its creation was interrupted,
    /// until none has come back for a while. A name without a cluster is fine.
    ///
    /// # Errors
    /// Something is still there, or can't be seen; what, in one line.
    pub async fn delete(&self, name: &str) -> Result<(), String> {
        let end = Instant::now() + self.patience.bound;
        let mut answered = Instant::now();
        loop {
            let said = self.remove(name).await;
            let found = self.all_of(name).await;
            if found.is_ok() {
                answered = Instant::now();
            }
            let why = match found {
                Ok(left) if left.is_empty() && (!self.is_unsettled(name) || self.stays_away(name).await) => {
                    self.set_unsettled(name, false);
                    return Ok(());
                }
                Ok(left) if left.is_empty() => "its containers come back".to_owned(),
                Ok(left) => self.force(&left).await.and(said).err().unwrap_or_else(|| format!("{left:?} stay")),
                Err(why) => why,
            };
            if Instant::now() >= end || answered.elapsed() >= self.patience.silence {
                return Err(format!("the cluster {name} could not be deleted: {why}"));
            }
            tokio::time::sleep(self.patience.look).await;
        }
    }

    /// The clusters on this Docker engine that runs of this program made, in the order of their names.
    ///
    /// # Errors
    /// Docker does not answer; why, in one line.
    pub async fn leftovers(&self) -> Result<Vec<Leftover>, String> {
        let filter = format!("label={CLUSTER}");
        let format = format!("{{{{.Label \"{CLUSTER}\"}}}}\t{{{{.CreatedAt}}}}");
        let listed = told(self.docker.ask(&["ps", "-a", "--filter", &filter, "--format", &format], ANSWER).await)?;
        let mut found: BTreeMap<&str, Option<Timestamp>> = BTreeMap::new();
        for (name, created) in listed.lines().filter_map(|line| line.split_once('\t')).filter(|(name, _)| is_ours(name))
        {
            let created = timestamp(created);
            found.entry(name).and_modify(|known| *known = (*known).min(created).or(created)).or_insert(created);
        }
        Ok(found.into_iter().map(|(name, created)| Leftover { name: name.to_owned(), created }).collect())
    }

    /// One delete by kind.
    async fn remove(&self, name: &str) -> Result<(), String> {
        let kubeconfig = self.kubeconfig(name);
        // Whoever made this lock was killed: nobody else has this kubeconfig. With it kind deletes, and fails all the same.
        let _ = std::fs::remove_file(kubeconfig.with_extension("lock"));
        let kubeconfig = kubeconfig.to_string_lossy();
        let arguments = ["delete", "cluster", "--name", name, "--kubeconfig", &kubeconfig];
        told(self.cli.ask(&arguments, REMOVAL).await).map(drop)
    }

    /// What kind left, whatever it said.
    async fn force(&self, left: &[String]) -> Result<(), String> {
        let arguments: Vec<_> = ["rm", "-f", "-v"].into_iter().chain(left.iter().map(String::as_str)).collect();
        told(self.docker.ask(&arguments, REMOVAL).await).map(drop)
    }

    /// Whether no container of the cluster comes back for as long as patience lasts.
    async fn stays_away(&self, name: &str) -> bool {
        let end = Instant::now() + self.patience.quiet;
        while Instant::now() < end {
            tokio::time::sleep(self.patience.look).await;
            if !self.all_of(name).await.is_ok_and(|left| left.is_empty()) {
                return false;
            }
        }
        true
    }

    /// All containers of a cluster, its load balancer included.
    async fn all_of(&self, name: &str) -> Result<Vec<String>, String> {
        let filter = format!("label={CLUSTER}={name}");
        let listed = told(self.docker.ask(&["ps", "-a", "--filter", &filter, "--format", "{{.Names}}"], ANSWER).await)?;
        Ok(listed.split_whitespace().map(str::to_owned).collect())
    }
}

/// A time as the Docker CLI writes it: `2026-11-28 10:32:38 +0000 UTC`.
fn timestamp(text: &str) -> Option<Timestamp> {
    let words: Vec<_> = text.split_whitespace().take(3).collect();
    Timestamp::strptime("%Y-%m-%d %H:%M:%S %z", words.join(" ")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_s_times_are_read() {
        assert_eq!(timestamp("2026-11-28 10:32:38 +0000 UTC").unwrap().to_string(), "2026-11-28T10:32:38Z");
        assert_eq!(timestamp("2026-11-28 11:32:38 +0100 CET").unwrap().to_string(), "2026-11-28T10:32:38Z");
        assert_eq!(timestamp("About an hour ago"), None);
    }
}
