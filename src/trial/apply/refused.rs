//! From an API server's answer to the cause of a verdict. Pure.

use std::sync::LazyLock;

use kube::core::Status;
use regex::Regex;

use super::answer::{Blame, Meaning, meaning};
use super::locate::locate;
use crate::catalog::Object;
use crate::diagnostic::Source;
use crate::error::chain;
use crate::model::{Cause, CauseClass, Outcome};
use crate::trial::isolate::IsolatedObject;
use crate::yaml::{Node, Span};

/// Most characters of a message: an immutable field comes with both of its values.
const MESSAGE: usize = 600;
/// What kube says of an answer that is no `Status`.
const NO_STATUS: &str = "Failed to parse error data";

/// Why an example could not be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// `failed` where the API server refuses the example, else `errored`.
    pub outcome: Outcome,
    /// Why.
    pub cause: Cause,
}

impl Refused {
    /// Whether the API server itself refused an object of the example: what `expect: rejected` asks for.
    #[must_use]
    pub fn is_rejection(&self) -> bool {
        self.outcome == Outcome::Failed
    }

    /// Somebody else's fault.
    pub(super) fn errored(class: CauseClass, reason: &str, message: String, hint: &str, object: String) -> Self {
        let cause = Cause { hint: hint.to_owned(), object, ..Cause::new(class, reason, message) };
        Self { outcome: Outcome::Errored, cause }
    }
}

/// What the final answer to a request for an object of a manifest comes to.
#[must_use]
pub fn of_object(item: &IsolatedObject<'_>, error: &kube::Error) -> Refused {
    let mut refused = of_request(&item.object.reference(), error);
    if refused.is_rejection()
        && let kube::Error::Api(status) = error
    {
        place(&mut refused.cause, item.object, item.source, &paths(status, &item.object.root));
    }
    refused
}

/// What it comes to that an object asks for a port or an address that another one of the same attempt has.
#[must_use]
pub(super) fn of_clash(item: &IsolatedObject<'_>, error: &kube::Error) -> Refused {
    let mut cause = Cause {
        hint: "another object of the example, or of what it needs, asks for the same: give each its own, or let the cluster choose"
            .to_owned(),
        object: item.object.reference(),
        ..Cause::new(CauseClass::Admission, reason(error), message(error))
    };
    let paths = if let kube::Error::Api(status) = error { paths(status, &item.object.root) } else { Vec::new() };
    place(&mut cause, item.object, item.source, &paths);
    Refused { outcome: Outcome::Failed, cause }
}

/// What the final answer to a request comes to; `object` is `Kind/name`.
#[must_use]
pub fn of_request(object: &str, error: &kube::Error) -> Refused {
    let (outcome, class) = match meaning(error) {
        Meaning::Refused | Meaning::Lagging => (Outcome::Failed, CauseClass::Admission),
        Meaning::Transient(blame) | Meaning::Fault(blame) => (Outcome::Errored, blame.into()),
    };
    let cause = Cause {
        hint: hint(error).to_owned(),
        object: object.to_owned(),
        ..Cause::new(class, reason(error), message(error))
    };
    Refused { outcome, cause }
}

/// What a kind that is not served comes to; `versions` are those of its group that are.
#[must_use]
pub fn unserved(item: &IsolatedObject<'_>, versions: &[String]) -> Refused {
    let Object { api_version, kind, .. } = item.object;
    let message = format!("no matches for kind `{kind}` in version `{api_version}`");
    let hint = if versions.is_empty() || !api_version.contains('/') {
        "the cluster has no such kind: is the operator that defines it installed? Add an `operator:` step to the config, \
         and `--install-operator` for an existing cluster"
            .to_owned()
    } else {
        format!("the cluster serves this group in {}: has the kind moved to another version?", versions.join(", "))
    };
    let object = item.object.reference();
    let mut cause = Cause { hint, object, ..Cause::new(CauseClass::Admission, "NoKindMatch", message) };
    place(&mut cause, item.object, item.source, &["apiVersion".to_owned()]);
    Refused { outcome: Outcome::Failed, cause }
}

/// Gives a cause its file and line: of the first path that is there, else of the object.
fn place(cause: &mut Cause, object: &Object, source: &Source, paths: &[String]) {
    let start = || object.root.get("kind").unwrap_or(&object.root).span;
    let span: Span = paths.iter().find_map(|path| locate(&object.root, path)).unwrap_or_else(start);
    cause.file.clone_from(&source.path);
    cause.line = source.position(span.start).0;
}

/// The field paths of an answer: those of its causes, else those in its text that begin with a key of the object.
fn paths(status: &Status, root: &Node) -> Vec<String> {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let fields: Vec<_> = causes.map(|cause| cause.field.clone()).filter(|field| is_field(field)).collect();
    if !fields.is_empty() {
        return fields;
    }
    let keys: Vec<_> = root.entries().map(|entry| regex::escape(&entry.key)).collect();
    let pattern = format!(
        r#"(?P<before>["'.])?\b(?P<path>(?:{})(?P<tail>(?:\.[\w/-]+|\[[^\]\s]*\])*))(?P<after>:|$)?"#,
        keys.join("|")
    );
    let Ok(pattern) = Regex::new(&pattern) else { return Vec::new() };
    // A bare key may be any word of the text, unless it is quoted, or followed by a colon.
    let is_path = |found: &regex::Captures<'_>| {
        !found["tail"].is_empty() || found.name("before").is_some() || found.name("after").is_some()
    };
    pattern.captures_iter(&status.message).filter(is_path).map(|found| found["path"].to_owned()).collect()
}

fn is_field(field: &str) -> bool {
    !field.is_empty() && field != "<nil>"
}

/// A word to search for.
fn reason(error: &kube::Error) -> &str {
    let kube::Error::Api(status) = error else { return "Unreachable" };
    if meaning(error) == Meaning::Transient(Blame::Operator) {
        return "WebhookUnreachable";
    }
    if status.message.contains("field not declared in schema") {
        return "UnknownField";
    }
    match (status.reason.as_str(), status.code) {
        ("" | NO_STATUS, 400..=499) => "BadRequest",
        ("" | NO_STATUS, _) => "InternalError",
        (reason, _) => reason,
    }
}

/// What happened, in one line: the server's own causes with their fields, else its message.
fn message(error: &kube::Error) -> String {
    let kube::Error::Api(status) = error else {
        return one_line(&format!("the API server could not be reached: {}", chain(error)));
    };
    let mut causes: Vec<String> = Vec::new();
    for cause in status.details.iter().flat_map(|details| &details.causes).filter(|cause| is_field(&cause.field)) {
        let text = format!("{}: {}", cause.field, cause.message);
        if !causes.contains(&text) {
            causes.push(text);
        }
    }
    // A message that is short says the same, and names the object too.
    if causes.is_empty() || status.reason == "Conflict" {
        one_line(&status.message)
    } else {
        one_line(&causes.join("; "))
    }
}

/// A text without line breaks, and not too long.
fn one_line(text: &str) -> String {
    #[expect(clippy::expect_used, reason = "a test compiles the pattern")]
    static SPACE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"[\s\x00-\x1f]+").expect("a valid pattern"));
    let line = SPACE.replace_all(text.trim(), " ");
    match line.char_indices().nth(MESSAGE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.into_owned(),
    }
}

/// Parts of answers, and what to do about them.
const HINTS: &[(&str, &str)] = &[
    (
        "failed calling webhook",
        "the operator's webhook does not answer: is the operator ready, and its certificate there?",
    ),
    (
        "conversion webhook for",
        "the operator's webhook does not answer: is the operator ready, and its certificate there?",
    ),
    ("field not declared in schema", "remove the field, or correct its name: the API server does not know it"),
    ("unknown field", "remove the field, or correct its name: the API server does not know it"),
    ("violates PodSecurity", "the namespace enforces this profile: give the pod the security context that it asks for"),
    ("exceeded quota", "the example's own quota leaves no room for this: raise it, or request less"),
    ("must be created before", "apply the runtime first: put it in the same file, or name its file in `needs`"),
    ("error looking up service account", "create that ServiceAccount in the example, or name its file in `needs`"),
    ("because it is being terminated", "something else is deleting the attempt's namespace"),
    (
        "RBAC permissions not currently held",
        "give the identity of the kubeconfig these permissions (or `escalate`): the API server lets nobody grant more than they have",
    ),
    (
        "is already allocated",
        "something else on the cluster has this port or address: free it, or leave the choice to the cluster",
    ),
    ("cannot create resource", "give the identity of the kubeconfig the permission to create it"),
    ("cannot patch resource", "give the identity of the kubeconfig the permission to patch it"),
    ("cannot get resource", "give the identity of the kubeconfig the permission to get it"),
    ("Unauthorized", "the credentials of the kubeconfig are not valid (any more): log in again"),
];

fn hint(error: &kube::Error) -> &'static str {
    let kube::Error::Api(status) = error else { return "" };
    HINTS.iter().find(|(text, _)| status.message.contains(text)).map_or("", |(_, hint)| hint)
}
