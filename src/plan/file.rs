//! `plan.json`: written whole, read back only as it was written.

use std::collections::BTreeSet;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{Plan, SCHEMA_VERSION};
use crate::catalog::Catalog;
use crate::diagnostic::Diagnostic;
use crate::error::{Error, Result};
use crate::hex::hex;
use crate::model::ExampleId;

/// The most examples that one message names.
const MOST_NAMED: usize = 10;
const MAKE_ANEW: &str = "make it anew with `example-validator plan`, and pass it on unchanged";

/// What is read first, to be able to say what kind of file this is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    schema_version: Option<serde_json::Value>,
}

impl Plan {
    /// Reads `plan.json`.
    ///
    /// # Errors
    /// A usage error if the text is no plan, is of another schema version, or is not what the digest was taken of.
    pub fn read(text: &str) -> Result<Self> {
        let refuse = |message: String, help: &str| Error::usage(Diagnostic::error(message).with_help(help));
        let head: Head = serde_json::from_str(text)
            .map_err(|error| refuse(format!("the plan is not a JSON object: {error}"), MAKE_ANEW))?;
        match head.schema_version {
            Some(version) if version == SCHEMA_VERSION => {}
            Some(version) => {
                let message = format!("the plan has schemaVersion {version}; this version reads {SCHEMA_VERSION}");
                return Err(refuse(message, "make and run the plan with the same version of example-validator"));
            }
            None => {
                return Err(refuse("the file has no `schemaVersion`: it is not a plan".to_owned(), MAKE_ANEW));
            }
        }
        let mut plan: Self = serde_json::from_str(text)
            .map_err(|error| refuse(format!("the plan can't be read: {error}"), MAKE_ANEW))?;
        let stated = std::mem::take(&mut plan.digest);
        let found = plan.content_digest();
        if stated != found {
            let stated = if stated.is_empty() { "no digest".to_owned() } else { format!("digest {stated}") };
            let message =
                format!("the plan states {stated}, but its content has {found}: it was changed after it was made");
            return Err(refuse(message, MAKE_ANEW));
        }
        plan.digest = stated;
        Ok(plan)
    }

    /// Checks that every example that the plan takes is still there.
    ///
    /// # Errors
    /// A usage error that names those that are not.
    pub fn check(&self, catalog: &Catalog) -> Result<()> {
        let known: BTreeSet<&ExampleId> = catalog.examples.iter().map(|example| &example.id).collect();
        let missing: BTreeSet<&ExampleId> =
            self.selected().map(|row| &row.example).filter(|id| !known.contains(id)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let named: Vec<&str> = missing.iter().take(MOST_NAMED).map(|id| id.as_str()).collect();
        let more = if missing.len() > MOST_NAMED {
            format!(" and {} more", missing.len() - MOST_NAMED)
        } else {
            String::new()
        };
        let what = if missing.len() == 1 { "an example that is" } else { "examples that are" };
        let message = format!("the plan names {what} not here: {}{more}", named.join(", "));
        let help = "check out the commit that the plan was made from and use the same config, PATHS and --examples, \
                    or make the plan anew";
        Err(Error::usage(Diagnostic::error(message).with_help(help)))
    }

    /// The digest of everything but the digest: SHA-256 of the compact JSON, as `sha256:` and 64 hex digits. Expects that
    /// `digest` is empty, so that it is left out.
    pub(super) fn content_digest(&self) -> String {
        // Numbers, texts and maps with text keys always become JSON.
        let content = serde_json::to_vec(self).unwrap_or_default();
        let hex = hex(&Sha256::digest(&content));
        format!("sha256:{hex}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::json;
    use crate::plan::testing::World;

    fn refusal(text: &str) -> String {
        Plan::read(text).unwrap_err().to_string()
    }

    #[test]
    fn a_plan_is_read_as_it_was_written() {
        let plan = World::jobs(&["a.yaml", "b.yaml"]).on("push").plan();
        assert_eq!(Plan::read(&json(&plan)).unwrap(), plan);
        assert!(plan.digest.starts_with("sha256:") && plan.digest.len() == 71, "{}", plan.digest);
    }

    #[test]
    fn equal_plans_have_equal_digests_and_others_do_not() {
        let plan = |files: &[&str]| World::jobs(&["a.yaml", "b.yaml"]).change(files).plan();
        assert_eq!(plan(&["a.yaml", "x"]).digest, plan(&["x", "a.yaml"]).digest);
        assert_ne!(plan(&["a.yaml"]).digest, plan(&["b.yaml"]).digest);
    }

    #[test]
    fn a_plan_that_was_changed_is_refused() {
        let text = json(&World::jobs(&["a.yaml"]).plan());
        let message = refusal(&text.replace("a.yaml", "b.yaml"));
        assert!(message.contains("changed after it was made"), "{message}");
        let unsigned: String = text.lines().filter(|line| !line.contains("\"digest\"")).collect();
        assert!(refusal(&unsigned).contains("states no digest"), "{}", refusal(&unsigned));
        assert!(refusal(&text.replace("\"shards\"", "\"more\": 1, \"shards\"")).contains("unknown field `more`"));
    }

    #[test]
    fn foreign_files_and_versions_are_told_apart() {
        let text = json(&World::jobs(&["a.yaml"]).plan());
        let other = text.replace("\"schemaVersion\": 1", "\"schemaVersion\": 2");
        assert!(refusal(&other).contains("has schemaVersion 2; this version reads 1"));
        assert!(refusal("{\"a\": 1}").contains("it is not a plan"));
        assert!(refusal("[]").contains("not a JSON object"));
        assert!(refusal("").contains("not a JSON object"));
    }

    #[test]
    fn an_example_that_is_gone_is_named() {
        let mut world = World::jobs(&["a.yaml", "b.yaml"]);
        let plan = world.plan();
        assert!(plan.check(&world.catalog).is_ok());
        world.catalog.examples.remove(0);
        let message = plan.check(&world.catalog).unwrap_err().to_string();
        assert_eq!(message, "the plan names an example that is not here: a.yaml");
    }
}
