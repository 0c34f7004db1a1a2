//! `init`: a starter config and workflow from what a repository holds.

use super::say;
use crate::catalog::init::starters;
use crate::catalog::survey::survey;
use crate::diagnostic::Diagnostic;
use crate::error::{Error, Result};
use crate::framework::Frameworks;
use crate::settings::Settings;

/// Writes the starter files; with `force` over what is there.
pub fn init(settings: &Settings, force: bool) -> Result<u8> {
    let starters = starters(&survey(&settings.root, &Frameworks::default())?);
    let existing: Vec<_> = starters.iter().filter(|starter| starter.exists && !force).collect();
    if !existing.is_empty() {
        let refuse =
            |path: &str| Diagnostic::error(format!("{path} is already there")).with_help("add --force to overwrite it");
        return Err(Error::Usage(existing.iter().map(|starter| refuse(starter.path)).collect()));
    }
    let mut text = String::new();
    for starter in &starters {
        let path = settings.root.join(starter.path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| Error::io("create the folder", folder, error))?;
        }
        std::fs::write(&path, &starter.text).map_err(|error| Error::io("write", &path, error))?;
        text.push_str(&format!("wrote {}\n", starter.path));
    }
    text.push_str("next: read the config, then `example-validator lint` judges the examples without a cluster\n");
    say(&text)
}
