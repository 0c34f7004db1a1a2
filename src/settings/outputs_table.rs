//! The action's outputs, as data: their names are a contract, their descriptions go to `action.yml` and to the documentation.

/// An output of the action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    /// `conclusion`.
    pub name: &'static str,
    /// What it holds.
    pub description: &'static str,
}

/// Every output of the action. All are text; one that does not apply is empty.
pub const OUTPUTS: [Output; 16] = [
    Output {
        name: "conclusion",
        description: "success, failure, error, cancelled, or simulated if no real cluster judged",
    },
    Output { name: "passed", description: "How many cells (an example on a Kubernetes version) passed" },
    Output { name: "failed", description: "How many cells failed" },
    Output { name: "timed-out", description: "How many cells were not done in time" },
    Output { name: "flaky", description: "How many cells failed and passed on a retry" },
    Output { name: "skipped", description: "How many cells were not tried" },
    Output {
        name: "errored",
        description: "How many cells could not be judged: the cluster, a registry or the tool is at fault",
    },
    Output { name: "report", description: "The path of report.json, from the workspace" },
    Output { name: "summary", description: "The path of summary.md, from the workspace" },
    Output { name: "artifact-id", description: "The artifact's id; empty if none was uploaded" },
    Output { name: "artifact-url", description: "The artifact's address, for people who are signed in" },
    Output { name: "comment-url", description: "The pull request comment's address; empty if none was written" },
    Output {
        name: "matrix",
        description: "What the jobs of a fan-out run, as JSON for strategy.matrix (command plan)",
    },
    Output { name: "cache-hit", description: "true if no image had to be built, as all came from the cache" },
    Output { name: "cache-keys", description: "The keys of the cached images in the Actions cache, one a line" },
    Output {
        name: "health-score",
        description: "The mean health of the judged examples, 0 to 100; empty while it is unknown",
    },
];

/// The action's outputs as a table, `dist/outputs.md`.
#[must_use]
pub fn outputs_markdown() -> String {
    let mut text = String::from("| Output | Meaning |\n|---|---|\n");
    for Output { name, description } in OUTPUTS {
        text.push_str(&format!("| `{name}` | {description} |\n"));
    }
    text
}

/// The `outputs:` of `action.yml`.
#[must_use]
pub fn outputs_yaml() -> String {
    let mut text = String::from("outputs:\n");
    for Output { name, description } in OUTPUTS {
        text.push_str(&format!("  {name}:\n    description: {}\n", super::inputs::quoted(description)));
    }
    text
}
