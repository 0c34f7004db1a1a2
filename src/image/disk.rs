//! Watches the disk on which images pile up, and gives back what nobody needs before it is full.
//!
//! Nothing of the user's is ever deleted: blobs of this run's own proxy, images that this program built (by their label), and on the
//! nodes, which are this run's own too, images that no container uses. What was loaded into a node is pinned, so it stays.

use std::io;
use std::path::Path;

use super::engine::{Engine, LABEL};
use super::external::Proxy;

/// So many bytes must stay free, whatever the disk's size: less does not hold one more image for machine learning.
const MIN_FREE: u64 = 2 << 30;
/// So many hundredths must stay free: the kubelet evicts pods at 10 of them, and kind sets that off at 0, where Docker fails first.
const MIN_PERCENT: u64 = 5;

/// How much room a disk has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// What we may still write.
    pub free: u64,
    /// What there is in all.
    pub total: u64,
}

impl Space {
    /// The room on the disk that holds `path`.
    ///
    /// # Errors
    /// The path is not there.
    pub fn of(path: &Path) -> io::Result<Self> {
        let disk = rustix::fs::statvfs(path)?;
        Ok(Self { free: disk.f_bavail * disk.f_frsize, total: disk.f_blocks * disk.f_frsize })
    }

    /// Whether so little is free that something must be given back.
    #[must_use]
    pub fn is_tight(self) -> bool {
        self.free < MIN_FREE || self.free < self.total / 100 * MIN_PERCENT
    }
}

/// What can be given back, in the order in which it is: what costs the least to get again goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Blobs of the proxy: nodes that have pulled an image don't ask again.
    Blobs,
    /// Images of earlier builds in the engine.
    Built,
    /// Images in the nodes that no container uses.
    Nodes,
}

impl Step {
    /// What to do next; `None` if there is room again, or nothing left to do.
    fn after(done: Option<Self>, space: Space) -> Option<Self> {
        if !space.is_tight() {
            return None;
        }
        match done {
            None => Some(Self::Blobs),
            Some(Self::Blobs) => Some(Self::Built),
            Some(Self::Built) => Some(Self::Nodes),
            Some(Self::Nodes) => None,
        }
    }
}

/// Makes room on the disk of `path` if it is tight; says in one line what was done, and `None` if nothing had to be.
///
/// # Errors
/// The path is not there.
pub async fn relieve(
    path: &Path,
    engine: &Engine,
    proxy: Option<&Proxy>,
    nodes: &[String],
) -> io::Result<Option<String>> {
    let before = Space::of(path)?;
    let mut done = None;
    while let Some(step) = Step::after(done, Space::of(path)?) {
        done = Some(step);
        match step {
            Step::Blobs => {
                let _ = proxy.map(Proxy::drop_unused);
            }
            Step::Built => {
                // Without `--all` only what has no tag any more.
                let _ = engine.ask(&["image", "prune", "--force", "--filter", &format!("label={LABEL}")]).await;
            }
            Step::Nodes => {
                for node in nodes {
                    let _ = engine.ask(&["exec", node, "crictl", "rmi", "--prune"]).await;
                }
            }
        }
    }
    let after = Space::of(path)?;
    let mib = |bytes: u64| bytes >> 20;
    let told =
        format!("the disk was nearly full ({} MiB free); now {} MiB are free", mib(before.free), mib(after.free));
    Ok(done.map(|_| told))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn a_disk_is_tight_by_bytes_or_by_its_share() {
        for (free, total, expected) in
            [(10, 100, false), (1, 10, true), (3, 10, false), (4, 100, true), (3, 4, false), (0, 0, true)]
        {
            assert_eq!(Space { free: free * GIB, total: total * GIB }.is_tight(), expected, "{free} of {total}");
        }
    }

    #[test]
    fn the_cheapest_goes_first_and_only_as_long_as_the_disk_is_tight() {
        let (tight, roomy) = (Space { free: GIB, total: 100 * GIB }, Space { free: 50 * GIB, total: 100 * GIB });
        let mut steps = Vec::new();
        while let Some(step) = Step::after(steps.last().copied(), tight) {
            steps.push(step);
        }
        assert_eq!(steps, [Step::Blobs, Step::Built, Step::Nodes]);
        assert_eq!(Step::after(None, roomy), None);
        assert_eq!(Step::after(Some(Step::Blobs), roomy), None);
    }

    #[test]
    fn the_room_of_a_disk_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let space = Space::of(folder.path()).unwrap();
        assert!(space.total > 0 && space.free <= space.total);
        assert!(Space::of(&folder.path().join("nowhere")).is_err());
    }
}
