//! Which of the changed workflow files use this action.

use std::collections::BTreeSet;
use std::path::Path;

/// Where GitHub looks for workflows.
const FOLDER: &str = ".github/workflows/";
/// What a workflow that uses this action holds: its name, or a local action, which may be or wrap it.
const MARKS: [&str; 2] = ["example-validator", "uses: ./"];

/// The changed workflow files that use this action, or may do so. One that is gone runs nothing; one that can't be read may.
#[must_use]
pub fn using_this_action(root: &Path, changed: &[String]) -> BTreeSet<String> {
    let uses = |file: &String| match std::fs::read_to_string(root.join(file)) {
        Ok(text) => MARKS.iter().any(|mark| text.contains(mark)),
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    };
    changed.iter().filter(|file| is_workflow(file) && uses(file)).cloned().collect()
}

/// Whether a path, which may climb out of the root to the repository's top, is a workflow file.
fn is_workflow(file: &str) -> bool {
    let from_top = file.trim_start_matches("./").trim_start_matches("../");
    let name = from_top.strip_prefix(FOLDER).unwrap_or_default();
    Path::new(name).extension().is_some_and(|extension| extension == "yml" || extension == "yaml")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_workflows_that_use_this_action_count() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join(FOLDER);
        std::fs::create_dir_all(&folder).unwrap();
        for (name, text) in [
            ("ours.yml", "steps: [{uses: org/example-validator@v1}]"),
            ("local.yaml", "steps:\n- uses: ./\n"),
            ("other.yml", "steps: [{uses: actions/checkout@v5}]"),
            ("notes.md", "example-validator"),
        ] {
            std::fs::write(folder.join(name), text).unwrap();
        }
        std::fs::write(folder.join("broken.yml"), [0xff, 0xfe]).unwrap();
        let changed = ["ours.yml", "local.yaml", "other.yml", "notes.md", "gone.yml", "broken.yml"]
            .map(|name| format!("{FOLDER}{name}"));
        let expected = ["broken.yml", "local.yaml", "ours.yml"].map(|name| format!("{FOLDER}{name}"));
        assert_eq!(using_this_action(root.path(), &changed), BTreeSet::from(expected));
        std::fs::create_dir(root.path().join("sub")).unwrap();
        let climbed = [format!("../{FOLDER}ours.yml")];
        assert_eq!(using_this_action(&root.path().join("sub"), &climbed).len(), 1);
    }
}
