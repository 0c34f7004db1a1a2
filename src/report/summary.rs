//! `summary.md`: the report as GitHub shows it under a run.

pub(super) mod failure;
mod gantt;
pub(super) mod health;
pub(super) mod parts;
pub(super) mod view;

use askama::Template;

use self::failure::Frame;
use super::Report;
use super::comment::changes::Changes;
use super::comment::{About, State};
use super::details::Details;
use crate::error::{Error, Result};

/// GitHub drops a step's whole summary when it is larger than 1 MiB; this leaves room for what other tools add to it.
pub const STEP_LIMIT: usize = 983_000;

/// How much is told.
#[derive(Clone, Copy, Debug)]
struct Detail {
    /// Failures, and lines of the table, at most.
    rows: usize,
    /// The source lines of failures.
    blocks: bool,
    /// The examples that passed, and why others were skipped.
    quiet_rows: bool,
    /// Warnings and notes.
    remarks: Remarks,
    /// The chart of where the time went.
    gantt: bool,
    /// What is flaky, and what was fixed: lines of each list, at most.
    lists: usize,
}

/// How warnings and notes are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remarks {
    /// Each with its line.
    Each,
    /// Counted by code.
    ByCode,
    /// Not at all.
    None,
}

/// From everything to the counts alone. A report that is too long is told with less detail, never cut in the middle.
const LADDER: [Detail; 10] = [
    WHOLE,
    Detail { lists: 50, ..WHOLE },
    SHORT,
    Detail { gantt: false, ..SHORT },
    Detail { gantt: false, remarks: Remarks::ByCode, ..SHORT },
    Detail { gantt: false, remarks: Remarks::ByCode, quiet_rows: false, ..SHORT },
    Detail { blocks: false, remarks: Remarks::ByCode, ..FAILURES },
    Detail { rows: 200, ..FAILURES },
    Detail { rows: 20, ..FAILURES },
    Detail { rows: 0, ..FAILURES },
];

const WHOLE: Detail =
    Detail { rows: usize::MAX, blocks: true, quiet_rows: true, remarks: Remarks::Each, gantt: true, lists: usize::MAX };
/// Without the lists, whose names the tables have, too.
const SHORT: Detail = Detail { lists: 0, ..WHOLE };
/// The failures in short and the overview.
const FAILURES: Detail = Detail { blocks: false, quiet_rows: false, remarks: Remarks::None, gantt: false, ..SHORT };

/// The report as Markdown of at most `limit` bytes ([`STEP_LIMIT`] for a step's summary), as long as the counts alone fit.
/// `details` holds the findings with their sources, for the source lines of failures.
///
/// # Errors
/// [`Error::Internal`] if the template can't be filled in, which text in memory does not meet.
pub fn render(report: &Report, details: &Details, limit: usize) -> Result<String> {
    let changes = Changes::since(None, report, None);
    render_in(Frame::new(report, details, None, changes.as_ref()), limit)
}

/// The same with what is known of the run's place: links, notices, commands that judge a failure again, and with the state of
/// the run before what has changed since.
///
/// # Errors
/// Those of [`render`].
pub fn render_about(
    report: &Report,
    details: &Details,
    about: &About,
    before: Option<&State>,
    limit: usize,
) -> Result<String> {
    let about = about.of_report(report);
    let changes = Changes::since(before, report, Some(&about));
    render_in(Frame::new(report, details, Some(&about), changes.as_ref()), limit)
}

fn render_in(frame: Frame<'_>, limit: usize) -> Result<String> {
    let mut text = String::new();
    for detail in LADDER {
        text = view::summary(frame, detail).render().map_err(|error| Error::Internal(error.to_string()))?;
        text.push('\n');
        if text.len() <= limit {
            break;
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Diagnostic, Severity, Source};
    use crate::model::{ExampleId, Outcome};
    use crate::report::{Health, LogTail, Past, Row, Run, sample};
    use crate::yaml::Span;
    use insta::assert_snapshot;

    fn report(rows: Vec<Row>) -> Report {
        let run = Run { duration_ms: 21, ..sample::report().run };
        Report::new(run, vec![], vec![], rows, &[Outcome::Failed, Outcome::TimedOut, Outcome::Errored])
            .with_schemas("v1.37")
    }

    fn shown(rows: Vec<Row>) -> String {
        render(&report(rows), &Details::default(), STEP_LIMIT).unwrap().replace(env!("CARGO_PKG_VERSION"), "VERSION")
    }

    fn static_rows() -> Vec<Row> {
        let mut remarked = sample::row("examples/remarked.yaml", Outcome::Passed);
        remarked.diagnostics = vec![
            sample::finding("EV302", Severity::Warning, "examples/remarked.yaml", 12, "image `x` has no tag"),
            sample::finding("EV501", Severity::Note, "examples/remarked.yaml", 4, "namespace is rewritten"),
        ];
        let mut spared = sample::broken("examples/spared.yaml");
        spared.quarantined = true;
        let mut skipped = sample::row("examples/gpu.yaml", Outcome::Skipped);
        skipped.reason = "needs nvidia.com/gpu".to_owned();
        vec![sample::broken("examples/broken.yaml"), remarked, spared, skipped]
    }

    #[test]
    fn a_static_run_tells_failures_first_and_folds_the_rest() {
        let source = Source::new("examples/broken.yaml", "kind: X\nspec:\n    x: 1 # ```\n");
        let error = Diagnostic::error("spec.x: unknown field").at(&source, Span::new(18, 19)).with_help("remove it");
        let mut details = Details::default();
        details.add(ExampleId::new("examples/broken.yaml"), vec![error]);
        let text = render(&report(static_rows()), &details, STEP_LIMIT).unwrap();
        assert_snapshot!(text.replace(env!("CARGO_PKG_VERSION"), "VERSION"), @"
        ## ❌ 1 of 4 examples failed

        4 examples: 1 passed, 2 failed (1 quarantined), 1 skipped.

        Commit `0123456789ab` of `kubeflow/trainer` · pull request 12 · 0.021 s

        ### ❌ `examples/broken.yaml` failed

        - **cause**: manifest/EV105: spec.x: unknown field
        - **hint**: remove it
        - **object**: `PyTorchJob/x`
        - **at**: `examples/broken.yaml:3`

        ````text
        error: spec.x: unknown field
         --> examples/broken.yaml:3:5
          |
        3 |     x: 1 # ```
          |     ^
          |
          = help: remove it
        ````

        ### ❌ `examples/spared.yaml` failed (quarantined)

        - **cause**: manifest/EV105: spec.x: unknown field
        - **hint**: remove it
        - **object**: `PyTorchJob/x`
        - **at**: `examples/spared.yaml:3`

        ```text
        error[EV105]: examples/spared.yaml:3:5: spec.x: unknown field (help: remove it)
        ```

        ### Overview

        | Example | Framework | `basic` |
        |---|---|---|
        | `examples/broken.yaml` | `pytorchjob` | ❌ failed |
        | `examples/gpu.yaml` | `pytorchjob` | ⏭️ skipped |
        | `examples/spared.yaml` | `pytorchjob` | ❌ failed (quarantined) |

        <details><summary>1 result skipped</summary>

        - `examples/gpu.yaml`: needs nvidia.com/gpu

        </details>

        <details><summary>1 warning and 1 note in 1 example</summary>

        - `examples/remarked.yaml`
          - `warning[EV302]` line 12: image `x` has no tag
          - `note[EV501]` line 4: namespace is rewritten

        </details>

        <details><summary>1 example passed</summary>

        | Example | Framework | `basic` |
        |---|---|---|
        | `examples/remarked.yaml` | `pytorchjob` | ✅ |

        </details>

        <sub>example-validator VERSION · built-in kinds were checked by the schemas of Kubernetes `v1.37` · `example-validator explain CODE` says more about a code</sub>
        ");
    }

    #[test]
    fn errors_and_checks_without_a_result_are_told_of_what_passed() {
        let mut row = sample::row("examples/a.yaml", Outcome::Passed);
        row.kubernetes = Some("v1.34.0".to_owned());
        row.diagnostics =
            vec![sample::finding("EV202", Severity::Error, "examples/a.yaml", 9, "no container `pytorch`")];
        row.checks = vec![sample::check("logs", "inconclusive", "the logs are not whole: cut\nsecond line")];
        let text = shown(vec![row]);
        assert!(text.contains("<summary>1 error and 1 inconclusive check in 1 example</summary>"), "{text}");
        assert!(text.contains("  - `error[EV202]` line 9: no container `pytorch`"), "{text}");
        assert!(text.contains("  - inconclusive on `v1.34.0`: logs: the logs are not whole: cut\n"), "{text}");
        assert!(text.contains("| ✅ 1 check inconclusive |"), "{text}");
    }

    #[test]
    fn a_support_file_is_named_as_one() {
        let mut bare = sample::row("examples/claim.yaml", Outcome::Passed);
        (bare.framework, bare.support) = (None, true);
        let mut needed = sample::row("examples/etcd.yaml", Outcome::Passed);
        needed.support = true;
        let text = shown(vec![bare, needed]);
        assert!(text.contains("| `examples/claim.yaml` | `support file` | ✅ |"), "{text}");
        assert!(text.contains("| `examples/etcd.yaml` | `pytorchjob (support file)` | ✅ |"), "{text}");
    }

    #[test]
    fn versions_are_columns_and_what_failed_alike_is_told_once() {
        let passed = |version: &str| {
            let mut row = sample::row("examples/a.yaml", Outcome::Passed);
            row.kubernetes = Some(version.to_owned());
            row
        };
        let mut flaky = sample::slow("examples/b.yaml", "v1.34.0");
        (flaky.outcome, flaky.attempts[1].outcome) = (Outcome::Flaky, Outcome::Passed);
        let slow = ["v1.9.0", "v1.34.0"].map(|version| sample::slow("examples/slow.yaml", version));
        let rows = [passed("v1.34.0"), passed("v1.9.0"), flaky].into_iter().chain(slow).collect();
        assert_snapshot!(shown(rows), @"
        ## ❌ 1 of 3 examples failed

        3 examples on v1.9.0 and v1.34.0 (5 results): 2 passed, 1 flaky, 0 failed, 2 timed out, 0 skipped.

        Commit `0123456789ab` of `kubeflow/trainer` · pull request 12 · 0.021 s

        ### ⏰ `examples/slow.yaml` timed out on `v1.9.0` and `v1.34.0`

        - **cause**: timeout/Timeout: not finished after 15m
        - **hint**: raise `timeout`
        - **object**: `Pod/x-worker-0`
        - **at**: `examples/slow.yaml:1`
        - **attempts**: timed out, then timed out
        - **check**: logs failed: no line matches
        - **evidence**: `v1.9.0/examples/slow.yaml`

        ### Overview

        | Example | Framework | `v1.9.0` | `v1.34.0` |
        |---|---|---|---|
        | `examples/b.yaml` | `pytorchjob` |  | 🔁 flaky |
        | `examples/slow.yaml` | `pytorchjob` | ⏰ timed out | ⏰ timed out |

        <details><summary>🔁 1 example is flaky: it passed when tried again</summary>

        - `examples/b.yaml:1` on `v1.34.0`: timeout/Timeout: not finished after 15m (timed out, then passed) · `v1.34.0/examples/b.yaml`

        </details>

        <details><summary>2 warnings in 2 examples</summary>

        - `examples/b.yaml`
          - `warning[EV302]` line 9: image `x` has no tag
        - `examples/slow.yaml`
          - `warning[EV302]` line 9: image `x` has no tag

        </details>

        <details><summary>1 example passed</summary>

        | Example | Framework | `v1.9.0` | `v1.34.0` |
        |---|---|---|---|
        | `examples/a.yaml` | `pytorchjob` | ✅ | ✅ |

        </details>

        <sub>example-validator VERSION · built-in kinds were checked by the schemas of Kubernetes `v1.37` · `example-validator explain CODE` says more about a code</sub>
        ");
    }

    #[test]
    fn a_simulated_run_says_so_and_a_log_is_a_block_of_its_own() {
        let run = Run { duration_ms: 21, simulated: true, ..Run::default() };
        let mut passed = sample::slow("a.yaml", "v1.33.4");
        (passed.outcome, passed.cause) = (Outcome::Passed, None);
        passed.diagnostics.clear();
        let mut failed = sample::slow("a.yaml", "v1.34.0");
        failed.diagnostics.clear();
        let lines = vec!["```".to_owned(), "</details> @team".to_owned()];
        failed.log = Some(LogTail { of: "Pod/`x`, container main".to_owned(), lines });
        let report = Report::new(run, vec![], vec![], vec![passed, failed], &[]);
        let text = render(&report, &Details::default(), STEP_LIMIT).unwrap();
        assert_snapshot!(text.replace(env!("CARGO_PKG_VERSION"), "VERSION"), @"
        ## 🧪 Simulated, without a real cluster: 1 of 1 example failed, only on v1.34.0

        > [!IMPORTANT]
        > Simulated: no real cluster was used, so that nothing here says whether the examples work. For real: `--cluster kind` (needs a Docker engine), or `--cluster existing` (needs a kubeconfig).

        1 example on v1.33.4 and v1.34.0 (2 results): 1 passed, 0 failed, 1 timed out, 0 skipped.

        0.021 s

        ### ⏰ `a.yaml` timed out on `v1.34.0`

        - **cause**: timeout/Timeout: not finished after 15m
        - **hint**: raise `timeout`
        - **object**: `Pod/x-worker-0`
        - **at**: `a.yaml:1`
        - **attempts**: timed out, then timed out
        - **versions**: timed out on v1.34.0 alone, passed on v1.33.4
        - **check**: logs failed: no line matches
        - **evidence**: `v1.34.0/a.yaml`

        The last 2 lines of Pod/`x`, container main

        ````text
        ```
        </details> @team
        ````

        ### Overview

        | Example | Framework | `v1.33.4` | `v1.34.0` |
        |---|---|---|---|
        | `a.yaml` | `pytorchjob` | 🧪 | ⏰ timed out |

        <sub>example-validator VERSION · `example-validator explain CODE` says more about a code</sub>
        ");
    }

    #[test]
    fn what_is_flaky_and_what_was_fixed_is_named_until_room_is_short() {
        let mut rows: Vec<_> = (0..120).map(|index| sample::slow(&format!("{index:03}.yaml"), "v1.34.0")).collect();
        for (index, row) in rows.iter_mut().enumerate() {
            row.outcome = if index < 60 { Outcome::Passed } else { Outcome::Flaky };
            let commit = "c".to_owned();
            let past = Past { at: "2026-11-23T20:00:00Z".to_owned(), commit, outcome: Outcome::Failed, duration_ms: 1 };
            row.health = Some(Health { past: vec![past], ..Health::default() });
        }
        let report = report(rows);
        let at = |limit: usize| {
            let text = render(&report, &Details::default(), limit).unwrap();
            assert!(text.len() <= limit, "{} of {limit}", text.len());
            text
        };
        let whole = at(STEP_LIMIT);
        let titles = ["🔁 60 examples are flaky: they passed when tried again", "🎉 120 examples were fixed"];
        for title in titles {
            assert!(whole.contains(&format!("<details><summary>{title}</summary>\n\n- `")), "{whole}");
        }
        assert!(whole.contains("\n- `119.yaml` on `v1.34.0`\n") && !whole.contains("\n### 🔁"), "{whole}");
        let shorter = at(whole.len() - 1);
        assert!(shorter.contains("\n- ... and 10 more\n") && shorter.contains("\n- ... and 70 more\n"), "{shorter}");
        let short = at(shorter.len() - 1);
        let left_out = "Left out to keep this short: the lists of what is flaky and of what was fixed. All of it";
        assert!(short.contains(left_out) && titles.iter().all(|title| !short.contains(title)), "{short}");
    }

    #[test]
    fn a_good_run_is_short() {
        assert_snapshot!(shown(vec![sample::row("a.yaml", Outcome::Passed)]), @"
        ## ✅ The example passed

        1 example: 1 passed, 0 failed, 0 skipped.

        Commit `0123456789ab` of `kubeflow/trainer` · pull request 12 · 0.021 s

        <details><summary>1 example passed</summary>

        | Example | Framework | `basic` |
        |---|---|---|
        | `a.yaml` | `pytorchjob` | ✅ |

        </details>

        <sub>example-validator VERSION · built-in kinds were checked by the schemas of Kubernetes `v1.37` · `example-validator explain CODE` says more about a code</sub>
        ");
    }

    #[test]
    fn texts_of_others_do_not_act() {
        let mut row = sample::broken("examples/`|<img src=x>@team.yaml");
        row.framework = Some("a|b".to_owned());
        let message = "</details> @team [x](https://evil.example)\n# x".to_owned();
        if let Some(cause) = &mut row.cause {
            cause.message.clone_from(&message);
        }
        row.diagnostics[0].message = message;
        // The characters that part mentions and links are shown as `¦` here.
        assert_snapshot!(shown(vec![row]).replace('\u{200b}', "¦"), @r"
        ## ❌ 1 of 1 example failed

        1 example: 0 passed, 1 failed, 0 skipped.

        Commit `0123456789ab` of `kubeflow/trainer` · pull request 12 · 0.021 s

        ### ❌ ``examples/`|<img src=x>@team.yaml`` failed

        - **cause**: manifest/EV105: &lt;/details&gt; @¦team \[x\](https:¦//evil.example)␊#¦ x
        - **hint**: remove it
        - **object**: `PyTorchJob/x`
        - **at**: ``examples/`|<img src=x>@team.yaml:3``

        ```text
        error[EV105]: examples/`|<img src=x>@team.yaml:3:5: </details> @team [x](https://evil.example)␊# x (help: remove it)
        ```

        ### Overview

        | Example | Framework | `basic` |
        |---|---|---|
        | ``examples/`\|<img src=x>@team.yaml`` | `a\|b` | ❌ failed |

        <sub>example-validator VERSION · built-in kinds were checked by the schemas of Kubernetes `v1.37` · `example-validator explain CODE` says more about a code</sub>
        ");
    }

    #[test]
    fn a_long_report_is_told_with_less_detail_and_says_so() {
        let mut rows: Vec<_> = (0..3_000).map(|index| sample::broken(&format!("examples/{index:04}.yaml"))).collect();
        let passed = (0..3_000).map(|index| sample::row(&format!("good/{index:04}.yaml"), Outcome::Passed));
        rows.extend(passed);
        let report = report(rows);
        for limit in [STEP_LIMIT, 600_000, 500_000, 60_000, 10_000, 1_000] {
            let text = render(&report, &Details::default(), limit).unwrap();
            assert!(text.len() <= limit, "{} of {limit}", text.len());
            assert!(text.starts_with("## ❌ 3000 of 6000 examples failed\n"));
            assert!(text.contains("Left out to keep this short: "));
            assert!(text.ends_with("</sub>\n"));
        }
    }

    #[test]
    fn one_endless_message_is_clipped() {
        let mut row = sample::broken("a.yaml");
        if let Some(cause) = &mut row.cause {
            cause.message = "é".repeat(1_000_000);
        }
        assert!(shown(vec![row]).len() < 10_000);
    }

    #[test]
    fn every_conclusion_has_its_verdict() {
        let first = |report: &Report| {
            let text = render(report, &Details::default(), STEP_LIMIT).unwrap();
            text.lines().next().unwrap_or_default().to_owned()
        };
        let one = |outcome| report(vec![sample::row("a", outcome), sample::row("b", Outcome::Passed)]);
        assert_eq!(first(&report(vec![])), "## ⚠️ No examples were found");
        assert_eq!(first(&one(Outcome::Passed)), "## ✅ All 2 examples passed");
        assert_eq!(first(&one(Outcome::Skipped)), "## ✅ 1 of 2 examples passed");
        assert_eq!(first(&one(Outcome::Failed)), "## ❌ 1 of 2 examples failed");
        assert_eq!(first(&one(Outcome::Errored)), "## ⚠️ 1 of 2 examples could not be judged");
        assert_eq!(first(&one(Outcome::Failed).cancelled()), "## 🚫 Cancelled; until then 1 of 2 examples failed");
        let run = Run { simulated: true, ..Run::default() };
        let simulated = Report::new(run, vec![], vec![], vec![sample::row("a", Outcome::Passed)], &[]);
        assert_eq!(first(&simulated), "## 🧪 Simulated, without a real cluster: 0 of 1 example failed");
        let flaky =
            Report::new(Run::default(), vec![], vec![], vec![sample::row("a", Outcome::Flaky)], &[Outcome::Flaky]);
        assert_eq!(first(&flaky), "## ❌ 1 of 1 example did not pass at once");
    }
}
