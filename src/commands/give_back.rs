//! Gives what this program wrote into a workspace to the workspace's owner.
//!
//! An action's container is root, and the next job's checkout on a runner of one's own is not: it could delete nothing that root left
//! (actions/runner#434).

use std::fs;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::Path;

use crate::settings::RunContext;

/// Gives the output folder to whom the workspace belongs, where we are root in a job and it lies below the workspace.
pub fn give_back(output: &Path, context: &RunContext) {
    let Some(workspace) = context.workspace.as_deref().filter(|_| rustix::process::geteuid().is_root()) else { return };
    if let (Ok(output), Ok(workspace)) = (output.canonicalize(), workspace.canonicalize()) {
        to_owner(&output, &workspace);
    }
}

/// The folder, what is in it, and those between it and the workspace that are ours. What can't be given is left.
fn to_owner(output: &Path, workspace: &Path) {
    let Ok(owner) = fs::metadata(workspace) else { return };
    if owner.uid() == 0 || output == workspace || !output.starts_with(workspace) {
        return;
    }
    let ours = |path: &Path| fs::symlink_metadata(path).is_ok_and(|found| found.uid() == 0);
    let give = |path: &Path| {
        let _ = lchown(path, Some(owner.uid()), Some(owner.gid()));
    };
    output.ancestors().skip(1).take_while(|path| *path != workspace).filter(|path| ours(path)).for_each(give);
    let mut left = vec![output.to_owned()];
    while let Some(path) = left.pop() {
        give(&path);
        // A link's target is none of ours.
        if fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir()) {
            left.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_belongs_to_whom_the_workspace_belongs() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: only root can give files away");
            return;
        }
        let place = tempfile::tempdir().unwrap();
        let (workspace, beside) = (place.path().join("work"), place.path().join("beside"));
        let output = workspace.join("a/out");
        fs::create_dir_all(output.join("evidence")).unwrap();
        for file in [output.join("report.json"), workspace.join("theirs"), beside.clone()] {
            fs::write(file, "").unwrap();
        }
        std::os::unix::fs::symlink(&beside, output.join("link")).unwrap();
        lchown(&workspace, Some(1001), Some(118)).unwrap();

        to_owner(&output, &workspace);

        let owner = |path: &Path| fs::symlink_metadata(path).map(|found| (found.uid(), found.gid())).unwrap();
        for given in ["a", "a/out", "a/out/evidence", "a/out/report.json", "a/out/link"] {
            assert_eq!(owner(&workspace.join(given)), (1001, 118), "{given}");
        }
        assert_eq!((owner(&beside).0, owner(&workspace.join("theirs")).0), (0, 0));
        to_owner(&workspace, &workspace);
        assert_eq!(owner(&workspace.join("theirs")).0, 0, "a workspace is not all ours");
    }
}
