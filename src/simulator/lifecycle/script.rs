//! Scripts: what a container is told to do by an annotation.
//!
//! `example-validator.dev/simulate` on a pod, its template or an object that owns it: one script for all containers
//! (`fail:3`), or one for some (`main=fail:3,helper=hang`). Without it a container does what its command says. [`SCRIPTS`]
//! is the table of them.

use std::time::Duration;

use serde_json::Value as Json;

use super::image::Fault;
use super::play::{End, Play};
use crate::schema::closest;

/// The annotation that chooses a script.
pub const ANNOTATION: &str = "example-validator.dev/simulate";

/// A script that an annotation can name.
#[derive(Debug)]
pub struct Script {
    /// Its name, with its argument if it takes one.
    pub name: &'static str,
    /// What the container does.
    pub about: &'static str,
    act: fn(&str) -> Act,
}

/// What a script makes a container do.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// Run like this.
    Run(Play),
    /// Fail in the first n namespaces that its example is tried in, then succeed.
    Flaky(usize),
    /// Run, and never become ready.
    NeverReady,
    /// Its image cannot be had.
    Image(Fault),
}

/// Every script.
pub const SCRIPTS: &[Script] = &[
    Script {
        name: "succeed",
        about: "prints a line and exits 0",
        act: |_| run("simulated: it succeeds\n", exit(0, 0)),
    },
    Script {
        name: "fail[:CODE]",
        about: "prints a line and exits with CODE (1)",
        act: |code| run(&format!("simulated: it fails\nError: exit {}\n", number(code, 1)), exit(number(code, 1), 0)),
    },
    Script {
        name: "crash-loop",
        about: "fails each time that it is started",
        act: |_| run("simulated: it crashes\n", exit(1, 0)),
    },
    Script {
        name: "flaky[:N]",
        about: "fails in the first N (1) namespaces it is tried in, then succeeds",
        act: |times| Act::Flaky(usize::try_from(number(times, 1)).unwrap_or(1)),
    },
    Script {
        name: "oom",
        about: "needs more memory than it may have, and is killed",
        act: |_| run("simulated: it allocates\n", End::OutOfMemory { after: Duration::ZERO }),
    },
    Script {
        name: "sleep:DURATION",
        about: "sleeps (2s, 5m), then exits 0",
        act: |time| run("simulated: it sleeps\n", End::Exit { code: 0, after: duration(time) }),
    },
    Script { name: "hang", about: "runs and never ends", act: |_| run("simulated: it hangs\n", End::Never) },
    Script { name: "never-ready", about: "runs, never ends and never becomes ready", act: |_| Act::NeverReady },
    Script {
        name: "start-error",
        about: "cannot be started: its command is not in its image",
        act: |_| run("", End::StartError { message: start_error("simulated") }),
    },
    Script { name: "image-absent", about: "its image does not exist", act: |_| Act::Image(Fault::NotFound) },
    Script {
        name: "image-denied",
        about: "the registry refuses its image (403)",
        act: |_| Act::Image(Fault::Status("403 Forbidden")),
    },
    Script {
        name: "image-limited",
        about: "the registry has had too many requests (429)",
        act: |_| Act::Image(Fault::Status("429 Too Many Requests")),
    },
    Script {
        name: "image-down",
        about: "the registry is out of order (503)",
        act: |_| Act::Image(Fault::Status("503 Service Unavailable")),
    },
    Script {
        name: "image-refused",
        about: "nobody listens at the registry's address",
        act: |_| Act::Image(Fault::Refused),
    },
    Script {
        name: "image-unknown-host",
        about: "the registry's name is not known",
        act: |_| Act::Image(Fault::NoSuchHost),
    },
];

/// The script that an annotation's value names for a container; `None` if it names none for it. A container whose script is not known
/// can't be started, and says which is meant.
#[must_use]
pub fn act(annotation: &str, container: &str) -> Option<Act> {
    let words = annotation.split(',').map(str::trim);
    let mut chosen = words.filter_map(|word| match word.split_once('=') {
        Some((name, script)) => (name.trim() == container).then(|| script.trim()),
        None => Some(word),
    });
    let (name, argument) = chosen.next_back().map(|script| script.split_once(':').unwrap_or((script, "")))?;
    let bare = |script: &Script| script.name.split([':', '[']).next().unwrap_or_default();
    Some(match SCRIPTS.iter().find(|script| bare(script) == name) {
        Some(known) => (known.act)(argument),
        None => run("", End::StartError { message: unknown(name, &SCRIPTS.iter().map(bare).collect::<Vec<_>>()) }),
    })
}

fn unknown(name: &str, known: &[&str]) -> String {
    let meant = match closest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {}", known.join(", ")),
    };
    format!("the annotation {ANNOTATION} names `{name}`, which is no script; {meant}")
}

/// The annotation of an object or of its pod template.
#[must_use]
pub fn annotation(object: &Json) -> Option<&str> {
    ["/metadata/annotations", "/spec/template/metadata/annotations"]
        .iter()
        .find_map(|place| object.pointer(place)?.get(ANNOTATION)?.as_str())
}

/// What a container runtime says of a command that is not there (containerd 2, runc 1.3).
#[must_use]
pub fn start_error(command: &str) -> String {
    let why = if command.starts_with('/') {
        format!("stat {command}: no such file or directory")
    } else {
        "executable file not found in $PATH".to_owned()
    };
    format!(
        "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: \"{command}\": {why}"
    )
}

fn run(text: &str, end: End) -> Act {
    let output = if text.is_empty() { Vec::new() } else { vec![(Duration::ZERO, text.to_owned())] };
    Act::Run(Play { output, end })
}

fn exit(code: i32, seconds: u64) -> End {
    End::Exit { code, after: Duration::from_secs(seconds) }
}

fn number(text: &str, otherwise: i32) -> i32 {
    text.parse().unwrap_or(otherwise)
}

fn duration(text: &str) -> Duration {
    crate::duration::parse(text).unwrap_or(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_annotation_names_one_script_for_all_or_one_for_each() {
        assert!(matches!(act("fail:3", "main"), Some(Act::Run(Play { end: End::Exit { code: 3, .. }, .. }))));
        assert!(matches!(act("main=hang, helper=fail", "main"), Some(Act::Run(Play { end: End::Never, .. }))));
        assert_eq!(act("helper=fail", "main"), None);
        assert_eq!(act("image-limited", "x"), Some(Act::Image(Fault::Status("429 Too Many Requests"))));
        let Some(Act::Run(Play { end: End::StartError { message }, .. })) = act("crash-lop", "x") else { panic!() };
        assert!(message.contains("`crash-lop`, which is no script; did you mean `crash-loop`?"), "{message}");
    }

    #[test]
    fn the_document_has_the_table() {
        let document = std::fs::read_to_string("docs/simulate.md").unwrap();
        for script in SCRIPTS {
            let line = format!("| `{}` | {} |", script.name, script.about);
            assert!(document.contains(&line), "docs/simulate.md lacks: {line}");
        }
        let lines = document.lines().skip_while(|line| !line.starts_with("| Script")).skip(2);
        assert_eq!(lines.take_while(|line| line.starts_with('|')).count(), SCRIPTS.len());
    }

    #[test]
    fn every_script_of_the_table_can_be_named() {
        for script in SCRIPTS {
            let name = script.name.split(['[']).next().unwrap_or_default().replace("DURATION", "2s");
            assert!(act(&name, "any").is_some(), "{name}");
        }
    }
}
