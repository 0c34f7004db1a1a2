//! From a cluster, or from what a killed create left of one, to nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::time::Instant;

use super::names::is_ours;
use super::{ANSWER, CLUSTER, Kind, told};

/// Ends what a killed run still has creating clusters: kind lives on when its parent dies, and would finish a cluster that nobody
/// deletes. Returns the names of those clusters.
pub fn end_orphans() -> Vec<String> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let mut ended = Vec::new();
    for number in numbers {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{number}/{file}")).unwrap_or_default();
        let Some(name) = created_by(&read("cmdline")) else { continue };
        let parent = parent(&read("stat")).unwrap_or_default();
        let parent = std::fs::read_to_string(format!("/proc/{parent}/comm")).unwrap_or_default();
        // The kernel keeps 15 letters of a name.
        if !parent.starts_with("example-validat")
            && let Some(group) = Pid::from_raw(number)
        {
            // Each kind leads a group of its own.
            let _ = kill_process_group(group, Signal::KILL);
            ended.push(name);
        }
    }
    ended
}

/// The cluster of ours that a command line creates.
fn created_by(cmdline: &str) -> Option<String> {
    let words: Vec<_> = cmdline.split('\0').collect();
    let is_create = words.windows(2).any(|pair| pair == ["create", "cluster"]);
    let at = words.iter().position(|word| *word == "--name").filter(|_| is_create)?;
    words.get(at + 1).filter(|name| is_ours(name)).map(|name| (*name).to_owned())
}

/// The parent in `/proc/PID/stat`: the second word after the name in brackets, which may hold anything.
fn parent(stat: &str) -> Option<i32> {
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

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

    /// Makes the next delete of a cluster wait until nothing of it comes back: whoever created it may have been killed a moment ago.
    pub fn distrust(&self, name: &str) {
        self.set_unsettled(name, true);
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
    use crate::cluster::kind::names::cluster_name;

    #[test]
    fn docker_s_times_are_read() {
        assert_eq!(timestamp("2026-11-28 10:32:38 +0000 UTC").unwrap().to_string(), "2026-11-28T10:32:38Z");
        assert_eq!(timestamp("2026-11-28 11:32:38 +0100 CET").unwrap().to_string(), "2026-11-28T10:32:38Z");
        assert_eq!(timestamp("About an hour ago"), None);
    }

    #[test]
    fn only_a_create_of_a_cluster_of_ours_is_an_orphan() {
        let name = cluster_name("1", "v1.34.0");
        let line = |words: &[&str]| words.join("\0");
        assert_eq!(
            created_by(&line(&["/bin/kind", "create", "cluster", "--name", &name, "--retain"])),
            Some(name.clone())
        );
        assert_eq!(created_by(&line(&["kind", "create", "cluster", "--name", "ev-mine"])), None);
        assert_eq!(created_by(&line(&["kind", "delete", "cluster", "--name", &name])), None);
        assert_eq!(created_by(""), None);
    }

    #[test]
    fn the_parent_is_read_whatever_a_program_is_called() {
        assert_eq!(parent("12 (a) b) S 7 12 12 0"), Some(7));
        assert_eq!(parent(""), None);
    }
}
