//! What must not be shown is shown nowhere, and what is hostile does nothing, whatever an example prints or is called.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

#[path = "common/program.rs"]
mod program;
#[path = "common/repository.rs"]
mod repository;

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use example_validator::simulator::Options;
use repository::{Simulated, job};

const PASSWORD: &str = "kAnarie-7431-Zq8w-never-shown";
const FIRST_LINE: &str = "cAnary-first-line-5150";
const SECOND_LINE: &str = "cAnary-second-line-6261";
const BEARER: &str = "bEarer4canary8Xk2Lm9Qr";
const OPTION: &str = "oPtion4canary7Wj3";
const LATE: &str = "lAte-canary-of-another-secret-99";

/// Tokens by their form; put together here, so that no scanner of this repository takes them for real.
fn tokens() -> Vec<String> {
    let body = "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8";
    vec![
        format!("ghp{}{body}", "_"),
        format!("hf{}{body}", "_"),
        format!("eyJ{}.eyJ{}.c2lnbmF0dXJl{}", "hbGciOiJIUzI1NiJ9", "zdWIiOiJjYW5hcnkifQ", "Y2FuYXJ5"),
    ]
}

/// Everything that must not be seen, in the forms in which it is printed.
fn canaries() -> Vec<String> {
    let mut canaries: Vec<String> = [PASSWORD, FIRST_LINE, SECOND_LINE, BEARER, OPTION, LATE].map(str::to_owned).into();
    canaries.extend([PASSWORD, LATE].map(|value| STANDARD.encode(value)));
    canaries.extend(tokens());
    canaries
}

/// Texts that act where they are not made harmless.
const HOSTILE: [&str; 8] = [
    "::error::hostile-command",
    "::add-mask::hostile-mask",
    "##[error]hostile-old-command",
    "\\033[31mhostile-colour\\033]0;title\\007",
    "</details><script>hostile()</script>",
    "@everyone and @hostile-user fixes #1",
    "| a | b |\\n|---|---|\\n| [hostile](https://evil.example) | ![x](https://evil.example/x.png) |",
    "```hostile",
];

const CONFIG: &str = "\
version: 1
cluster: existing
retries: 0
examples:
  - {paths: ['examples/**/*.yaml'], tier: full, timeout: 2m}
  - paths: ['examples/checked.yaml']
    checks:
      - logs: {container: main, matches: '::error::(?P<hostile>never)</details><script>@everyone'}
  - paths: ['examples/quarantined.yaml']
    quarantine: {until: 2099-12-31, reason: '::error::hostile-reason </details><script> @everyone [a](https://evil.example)'}
graces: {image-not-found: 1s, create-failed: 1s, config-missing: 1s}
";

const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: keys}\nstringData:\n";

/// A Job that prints what it finds in its environment, and fails.
fn leaks() -> String {
    let secret = format!("{SECRET}  password: {PASSWORD}\n  lines: \"{FIRST_LINE}\\n{SECOND_LINE}\\n\"\n---\n");
    let script = format!(
        "echo start; echo \"$PASSWORD\"; echo \"the password is '$PASSWORD'.\"; echo {}; echo \"$LINES\"; \
         echo 'Authorization: Bearer {BEARER}'; echo 'client --api-key={OPTION}'; {} echo \"Error: can't log in with $PASSWORD\"; \
         exit 4",
        STANDARD.encode(PASSWORD),
        tokens().iter().map(|token| format!("echo 'got {token}';")).collect::<String>(),
    );
    let environment = "        env:\n        - {name: PASSWORD, valueFrom: {secretKeyRef: {name: keys, key: password}}}\n        \
                       - {name: LINES, valueFrom: {secretKeyRef: {name: keys, key: lines}}}\n";
    secret + &job("leaks", &script, environment)
}

fn repository() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| repository::write(root.path(), path, text);
    write("config.yml", CONFIG);
    write("examples/leaks.yaml", &leaks());
    // The script names the value itself, and so do the manifest and what is kept of the object.
    let literal = format!("{SECRET}  key: {LATE}\n---\n{}", job("literal", &format!("echo {LATE}; exit 1"), ""));
    write("examples/literal.yaml", &literal);
    let encoded = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: keys}}\ndata: {{key: {}}}\n---\n{}",
        STANDARD.encode(LATE),
        job("encoded", &format!("echo {}; echo {LATE}", STANDARD.encode(LATE)), "")
    );
    write("examples/encoded.yaml", &encoded);
    let prints: String = HOSTILE.iter().map(|text| format!("printf '{text}\\n'; ")).collect();
    write(
        "examples/hostile.yaml",
        &job("hostile", &format!("{prints} printf 'Error: {}\\n'; exit 5", HOSTILE.join(" ")), ""),
    );
    for (index, text) in HOSTILE.iter().enumerate() {
        write(&format!("examples/fatal-{index}.yaml"), &job("fatal", &format!("printf '{text}\\n' >&2; exit 6"), ""));
    }
    write("examples/checked.yaml", &job("checked", "echo fine", ""));
    write("examples/quarantined.yaml", &job("quarantined", "exit 1", ""));
    for name in [
        "::error::hostile-name",
        "a\u{1b}[31mred",
        "<script>x",
        "@everyone [a](b) `c`",
        "new\nline::error::hostile-line",
        "##[group]x",
    ] {
        write(&format!("examples/{name}.yaml"), &job("named", "echo named; exit 7", ""));
    }
    root
}

/// All that a run shows or keeps, by where.
fn everything(root: &Path, kubeconfig: &Path, format: &str) -> Vec<(String, Vec<u8>)> {
    let folder = format!("out-{format}");
    let mut command = program::program(root);
    command.args([
        "run",
        "--config",
        "config.yml",
        "--no-color",
        "--format",
        format,
        "--output",
        &folder,
        "--kubeconfig",
    ]);
    let output = command.arg(kubeconfig).output().unwrap();
    let shown = format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{shown}");
    let folder = root.join(folder);
    let mut all = vec![("stdout".to_owned(), output.stdout), ("stderr".to_owned(), output.stderr)];
    assert_eq!(repository::report(&folder)["summary"]["conclusion"], "simulated");
    for name in ["report.json", "report.html", "junit.xml", "summary.md", "plan.json"] {
        all.push((name.to_owned(), std::fs::read(folder.join(name)).unwrap()));
    }
    all.extend(
        repository::members(&folder).into_iter().map(|(name, content)| (format!("evidence.zip/{name}"), content)),
    );
    all
}

fn contains(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

fn assert_no_canary(all: &[(String, Vec<u8>)]) {
    let mut found = Vec::new();
    for (place, content) in all {
        for canary in canaries() {
            if contains(content, &canary) || place.contains(&canary) {
                let text = String::from_utf8_lossy(content);
                let line = text.lines().find(|line| line.contains(&canary)).unwrap_or_default();
                found.push(format!("{canary} in {place}: {line}"));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// What a line of a console may be to a runner: a command of ours alone.
fn assert_inert_console(place: &str, text: &str, github: bool) {
    let mut stopped: Option<String> = None;
    for line in text.lines() {
        assert!(!line.chars().any(|c| c.is_control() && c != '\t'), "{place}: {line:?}");
        if let Some(token) = &stopped {
            if line.trim() == format!("::{token}::") {
                stopped = None;
            }
            continue;
        }
        let trimmed = line.trim_start();
        if let Some(token) = trimmed.strip_prefix("::stop-commands::") {
            stopped = Some(token.to_owned());
            continue;
        }
        // What is a command in the newer form is not looked at for the older one.
        if trimmed.starts_with("::") && github {
            let ours = [
                "::error file=",
                "::error title=",
                "::warning file=",
                "::notice",
                "::group::",
                "::endgroup::",
                "::warning title=",
            ];
            assert!(ours.iter().any(|ours| trimmed.starts_with(ours)), "{place}: {line}");
        } else {
            assert!(!github || !line.contains("##["), "{place}: {line}");
        }
    }
    assert!(stopped.is_none(), "{place}: commands stay stopped");
}

/// Markdown without what stands in code, where nothing acts.
fn outside_of_code(markdown: &str) -> String {
    let (mut outside, mut fence) = (String::new(), None::<String>);
    for line in markdown.lines() {
        let trimmed = line.trim_start();
        let ticks: String = trimmed.chars().take_while(|c| *c == '`').collect();
        match &fence {
            Some(open) => {
                if ticks.len() >= open.len() && trimmed.trim_end() == ticks {
                    fence = None;
                }
            }
            None if ticks.len() >= 3 => fence = Some(ticks),
            None => {
                outside.push_str(&without_code_spans(line));
                outside.push('\n');
            }
        }
    }
    assert!(fence.is_none(), "a block of code stays open");
    outside
}

/// A line without its spans of code: from a run of backticks to the next one of the same length.
fn without_code_spans(line: &str) -> String {
    let characters: Vec<char> = line.chars().collect();
    let run = |from: usize| characters[from..].iter().take_while(|c| **c == '`').count();
    let (mut kept, mut at) = (String::new(), 0);
    while at < characters.len() {
        let ticks = run(at);
        let escaped = at > 0 && characters[at - 1] == '\\';
        if ticks == 0 || escaped {
            kept.push(characters[at]);
            at += 1;
            continue;
        }
        let mut end = at + ticks;
        while end < characters.len() && run(end) != ticks {
            end += run(end).max(1);
        }
        at = if end < characters.len() { end + ticks } else { at + ticks };
    }
    kept
}

fn assert_inert(all: &[(String, Vec<u8>)], github: bool) {
    let text = |name: &str| {
        let (_, content) = all.iter().find(|(place, _)| place == name).unwrap();
        String::from_utf8(content.clone()).unwrap()
    };
    for name in ["stdout", "stderr"] {
        assert_inert_console(name, &text(name), github);
    }
    let summary = text("summary.md");
    assert!(!summary.contains('\u{1b}'));
    let outside = outside_of_code(&summary);
    for hostile in ["<script", "@everyone", "@hostile-user", "](https://evil.example", "![x]", "::error::hostile\n"] {
        assert!(!outside.contains(hostile), "`{hostile}` acts in summary.md:\n{outside}");
    }
    assert_eq!(outside.matches("<details>").count(), outside.matches("</details>").count(), "{outside}");
    for name in ["report.json", "junit.xml"] {
        assert!(!text(name).contains('\u{1b}'), "{name}");
    }
    assert!(!text("junit.xml").contains("<script"));
    for (place, content) in all.iter().filter(|(place, _)| place.starts_with("evidence.zip/")) {
        let name = place.trim_start_matches("evidence.zip/");
        assert!(!name.chars().any(|c| c.is_control() || "<>:\\|\"`[]".contains(c)), "{name:?}");
        assert!(!name.split('/').any(|part| part == ".." || part.is_empty()), "{name:?}");
        if name == "index.txt" {
            assert!(!String::from_utf8_lossy(content).chars().any(|c| c.is_control() && c != '\n'), "{place}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_shown_or_kept_and_no_text_of_others_acts() {
    let cluster = Simulated::start(Options::default()).await;
    let root = repository();
    tokio::task::block_in_place(|| {
        for format in ["text", "github"] {
            let all = everything(root.path(), &cluster.kubeconfig, format);
            // What is searched is there: the logs were read, and the values were in them.
            let log = all.iter().find(|(place, _)| place.contains("leaks") && place.contains("main")).unwrap();
            assert!(contains(&log.1, "start") && contains(&log.1, "can't log in with"), "{}", log.0);
            assert_no_canary(&all);
            assert_inert(&all, format == "github");
        }
    });
    assert_eq!(cluster.left(), Vec::<String>::new());
}
