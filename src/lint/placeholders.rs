//! Templates that are not filled in: `{{ }}`, `${VAR}`, `<your-bucket>`, "Your storageClassName", `CHANGEME`.
//!
//! The same characters are at home in many places: a shell expands `${VAR}`, Argo and KServe have templates of their own,
//! Kubernetes expands `$(VAR)`. So each pattern is looked for only where nobody would expand it.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::code;
use super::findings::Findings;
use crate::catalog::{Example, Object};
use crate::diagnostic::{Diagnostic, Location, Severity};
use crate::yaml::{Node, Span, Value};

/// How to recognise a placeholder, and where.
struct Pattern {
    regex: Regex,
    places: &'static [Place],
}

/// What a string is for, which says who might expand it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// A field that Kubernetes or an operator reads as it is.
    Field,
    /// A name, label or selector.
    Identity,
    /// The value of an environment variable.
    Environment,
    /// A command line or a script.
    Command,
    /// The contents of a ConfigMap or Secret.
    Data,
    /// Text for people: annotations, descriptions.
    Prose,
}

use Place::{Command, Data, Environment, Field, Identity, Prose};

static PATTERNS: LazyLock<Vec<Pattern>> = LazyLock::new(|| {
    let everywhere: &[Place] = &[Field, Identity, Environment, Command, Data, Prose];
    [
        // Helm and Jinja.
        (r"\{\{.*?\}\}", &[Field, Identity] as &'static [Place]),
        (r"^\{\{[^{}]*\}\}$", &[Environment]),
        // envsubst. A dot in the name would be Katib's `${trialParameters.x}`.
        (r"\$\{[A-Za-z_][A-Za-z0-9_]*(:?[-=?+][^}]*)?\}", &[Field, Identity]),
        (r"^\$\{[A-Za-z_][A-Za-z0-9_]*\}$", &[Environment]),
        // `<your-bucket>`, `<insert the token>`; `<image>` only as the whole value.
        (r"(?i)<(your|my|insert|replace|enter|fill|change|put|add)\b[^<>]*>|(?i)<your[^<>]*>", everywhere),
        (r"^<[A-Za-z][A-Za-z0-9 _./-]*>$", &[Field, Identity, Environment]),
        // "Your storageClassName", `gs://your-bucket`.
        (r"(?i)^your[ _-]([A-Za-z0-9.-]+[ _]?){1,3}$", &[Field]),
        (r"(?i)(^|[^a-z0-9])your[_-][a-z0-9]", &[Field, Environment, Command, Data]),
        // `CHANGEME`, `replace_me`, `INSERT_TOKEN_HERE`.
        (
            r"(?i)(^|[^a-z0-9])(change[-_ ]?me|replace[-_ ]?(me|this)|fill[-_ ]?(me[-_ ]?)?in|insert[-_ ][a-z0-9_-]+[-_ ]here)($|[^a-z0-9])",
            &[Field, Identity, Environment, Command, Data],
        ),
        (r"(^|[^A-Z0-9_])(REPLACE_WITH_[A-Z0-9_]+|YOUR_[A-Z0-9_]+)", everywhere),
        (r"^(TODO|FIXME|TBD|PLACEHOLDER|XXX+)([^A-Za-z0-9]|$)", &[Field, Identity, Environment]),
    ]
    .into_iter()
    .map(|(text, places)| Pattern { regex: pattern(text), places })
    .collect()
});

/// Every placeholder holds one of these; nearly no other string does, so that the patterns are seldom tried.
static HINT: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)\{\{|\$\{|<|your|change|replace|fill|insert|todo|fixme|tbd|placeholder|xxx"));

/// What Helm alone writes: told of every kind.
static HELM: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"\{\{-?\s*(\$?\.(Values|Release|Chart|Capabilities)\b|include\s+"|template\s+")"#));
/// Any template of that form, in a text that can't be parsed.
static BRACES: LazyLock<Regex> = LazyLock::new(|| pattern(r"\{\{.*?\}\}|\{%.*?%\}"));

#[expect(clippy::expect_used, reason = "the patterns of this file are literals")]
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a literal pattern compiles, as the tests of this file show")
}

/// Groups whose objects hold templates that their own operator fills in.
const TEMPLATING_GROUPS: [&str; 11] = [
    "argoproj.io",
    "external-secrets.io",
    "generators.external-secrets.io",
    "kro.run",
    "kyverno.io",
    "monitoring.coreos.com",
    "serving.kserve.io",
    "source.toolkit.fluxcd.io",
    "templates.gatekeeper.sh",
    "tekton.dev",
    "triggers.tekton.dev",
];

/// Of longer texts, only the word that matters is quoted.
const MOST_QUOTED: usize = 60;

/// Whether the operator of an object fills in `{{ }}` or `${ }` itself; Katib does in the trials of an Experiment.
pub(super) fn fills_in_templates(object: &Object) -> bool {
    TEMPLATING_GROUPS.contains(&object.group()) || (object.group() == "kubeflow.org" && object.kind == "Experiment")
}

/// Checks every string of an object: `EV507`, as a warning at the string.
pub fn check(object: &Object, findings: &mut Findings<'_>) {
    if object.kind == "CustomResourceDefinition" {
        return;
    }
    let templating = fills_in_templates(object);
    let data = object.group().is_empty() && matches!(object.kind.as_str(), "ConfigMap" | "Secret");
    for entry in object.root.entries() {
        let place = if data { top_level_of_data(&entry.key) } else { Field };
        let place = place_of(&entry.key, place);
        walk(&entry.value, place, &mut |node, text, place| look(node, text, place, templating, findings));
    }
}

fn top_level_of_data(key: &str) -> Place {
    if matches!(key, "data" | "stringData" | "binaryData") { Data } else { Field }
}

/// What the strings below `key` are for.
fn place_of(key: &str, above: Place) -> Place {
    match (above, key) {
        (Field | Environment, "command" | "args" | "script" | "source" | "entrypoint" | "exec") => Command,
        (Field, "env") => Environment,
        (Field, "annotations" | "description" | "message" | "summary" | "title" | "displayName") => Prose,
        (Field, "labels" | "matchLabels" | "selector" | "name" | "generateName") => Identity,
        (above, _) => above,
    }
}

fn walk<'a>(node: &'a Node, place: Place, visit: &mut impl FnMut(&'a Node, &'a str, Place)) {
    match &node.value {
        Value::String(text) => visit(node, text, place),
        Value::Seq(items) => items.iter().for_each(|item| walk(item, place, visit)),
        Value::Map(mapping) => {
            for entry in mapping {
                walk(&entry.value, place_of(&entry.key, place), visit);
            }
        }
        _ => {}
    }
}

fn look(node: &Node, text: &str, place: Place, templating: bool, findings: &mut Findings<'_>) {
    // Several lines are a script or a file of some other language, whose templates are its own.
    if !HINT.is_match(text) || text.trim_end().contains('\n') || is_refused_image(node.span, findings) {
        return;
    }
    let candidates = PATTERNS.iter().filter(|pattern| pattern.places.contains(&place));
    let mut hits = candidates.filter_map(|pattern| pattern.regex.find(text));
    let is_own = |hit: &str| templating && (hit.starts_with("{{") || hit.starts_with("${"));
    let hit = hits.find(|hit| !is_own(hit.as_str())).or_else(|| HELM.find(text));
    let Some(hit) = hit else { return };
    let quoted = if text.chars().count() > MOST_QUOTED { words_around(text, hit.range()) } else { text };
    findings.warning(code::PLACEHOLDER, node, format!("`{quoted}` looks like a placeholder that was not filled in")).help = Some(
        "write a value that works as it is; if the file is a template, leave it out with `exclude`, or add what it renders to"
            .to_owned(),
    );
}

/// The words of a text that a part of it, without the spaces around it, belongs to.
fn words_around(text: &str, part: Range<usize>) -> &str {
    let found = &text[part.clone()];
    let first = part.start + (found.len() - found.trim_start().len());
    let last = part.end - (found.len() - found.trim_end().len());
    let before = text[..first].char_indices().rev().find(|(_, one)| one.is_whitespace());
    let start = before.map_or(0, |(at, space)| at + space.len_utf8());
    let end = text[last..].find(char::is_whitespace).map_or(text.len(), |space| last + space);
    text[start..end].trim_matches(['"', '\'', ','])
}

/// A malformed image says of itself what it looks like.
fn is_refused_image(span: Span, findings: &Findings<'_>) -> bool {
    findings.diagnostics.iter().any(|diagnostic| {
        diagnostic.code == Some(code::IMAGE_REFERENCE)
            && diagnostic.location.as_ref().is_some_and(|location| location.span == span)
    })
}

/// For an example that can't be parsed: `EV507` at its first `{{ }}` or `{% %}`, which is why.
#[must_use]
pub fn check_unparsed(example: &Example) -> Option<Diagnostic> {
    example.diagnostics.iter().find(|diagnostic| diagnostic.code == Some(code::SYNTAX))?;
    let hit = BRACES.find(&example.source.text)?;
    Some(Diagnostic {
        code: Some(code::PLACEHOLDER),
        severity: Severity::Warning,
        message: format!("`{}` is a template that was not filled in; YAML can't be read around it", hit.as_str()),
        help: Some("leave the file out with `exclude`, or add what it renders to (`helm template`)".to_owned()),
        location: Some(Location {
            source: std::sync::Arc::clone(&example.source),
            span: Span::new(hit.start(), hit.end()),
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::fixture::{self, example, lines};

    fn found(text: &str) -> Vec<String> {
        lines(&example("a.yaml", text), check)
    }

    fn field(value: &str) -> Vec<String> {
        found(&format!("apiVersion: v1\nkind: PersistentVolumeClaim\nspec: {{storageClassName: {value}}}\n"))
    }

    fn pod(container: &str) -> Vec<String> {
        found(&format!("apiVersion: v1\nkind: Pod\nspec: {{containers: [{container}]}}\n"))
    }

    #[test]
    fn of_a_long_text_only_the_placeholder_is_quoted() {
        let lines = pod(&format!("{{args: ['curl -X POST {} YOUR_WEBHOOK_URL']}}", "-H x ".repeat(20)));
        assert!(lines[0].contains(": `YOUR_WEBHOOK_URL` looks"), "{lines:?}");
    }

    #[test]
    fn a_placeholder_in_a_field_is_a_warning() {
        assert_eq!(
            field("'Your storageClassName'"),
            [
                "EV507 warning 3 spec.storageClassName: `Your storageClassName` looks like a placeholder that was not filled in"
            ]
        );
        for value in [
            "'{{ .Values.class }}'",
            "'{{class}}-fast'",
            "'${CLASS}'",
            "'${CLASS:-standard}'",
            "'fast-${ZONE}'",
            "<your-class>",
            "<YOUR_CLASS>",
            "<storage-class>",
            "'<insert class here>'",
            "gs://your-bucket/data",
            "YOUR_BUCKET",
            "CHANGEME",
            "change-me",
            "REPLACE_ME",
            "REPLACE_WITH_CLASS",
            "INSERT_CLASS_HERE",
            "TODO",
            "'TODO: pick one'",
            "TBD",
        ] {
            assert_eq!(field(value).len(), 1, "{value}");
        }
    }

    #[test]
    fn ordinary_values_are_fine() {
        for value in [
            "standard",
            "$(CLASS)",
            "'$VALUE'",
            "'{single}'",
            "a<b",
            "'Name <someone@example.com>'",
            "todo-list",
            "exchange-merchant",
            "changemein",
            "/data/yours/x",
            "yourself",
            "'${trialParameters.learningRate}'",
            "'Put your name here, and then go on'",
            "'>=1.2'",
        ] {
            assert!(field(value).is_empty(), "{value}: {:?}", field(value));
        }
    }

    #[test]
    fn a_shell_may_expand_what_stands_in_a_command() {
        for container in [
            "{command: [sh, -c, 'echo ${HOME} {{x}} <in >out']}",
            "{args: ['--log=${LOG}', \"--format={{.Name}}\"]}",
            "{livenessProbe: {exec: {command: [sh, -c, 'test ${A}']}}}",
            "{env: [{name: A, value: 'jdbc:${db.url}/x'}, {name: B, value: '$(A)/b'}, {name: C, value: 'x${HOME}'}]}",
        ] {
            assert!(pod(container).is_empty(), "{container}: {:?}", pod(container));
        }
        for container in [
            "{args: ['--bucket=<your-bucket>']}",
            "{args: ['--bucket=gs://your-bucket']}",
            "{command: [run, '--token=CHANGEME']}",
            "{env: [{name: A, value: '${A}'}]}",
            "{env: [{name: A, value: <token>}]}",
            "{env: [{name: A, value: TODO}]}",
        ] {
            assert_eq!(pod(container).len(), 1, "{container}");
        }
    }

    #[test]
    fn files_in_config_maps_are_their_own() {
        let config = |value: &str| {
            found(&format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata:\n  k: {value}\n"))
        };
        for value in
            ["'${HOME}/x'", "'{{ .Name }}'", "|\n    echo <your-bucket>\n    echo CHANGEME\n", "'TODO later'", "<html>"]
        {
            assert!(config(value).is_empty(), "{value}: {:?}", config(value));
        }
        assert_eq!(config("<your-token>").len(), 1);
        assert_eq!(config("changeme").len(), 1);
        assert_eq!(found("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '${NAME}'}\n").len(), 1);
    }

    #[test]
    fn operators_with_templates_of_their_own_are_left_alone() {
        let workflow =
            |value: &str| found(&format!("apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nspec: {{a: '{value}'}}\n"));
        assert!(workflow("{{inputs.parameters.x}}").is_empty());
        assert_eq!(workflow("{{ .Values.x }}").len(), 1);
        assert_eq!(workflow("<your-bucket>").len(), 1);
        assert_eq!(found("apiVersion: kubeflow.org/v1\nkind: TFJob\nspec: {a: '{{x}}'}\n").len(), 1);
    }

    #[test]
    fn names_and_labels_with_your_in_them_work() {
        assert!(found("apiVersion: v1\nkind: Pod\nmetadata: {name: your-app, labels: {app: your-app}}\n").is_empty());
        assert_eq!(found("apiVersion: v1\nkind: Pod\nmetadata: {name: '<your-app>'}\n").len(), 1);
        assert!(
            found("apiVersion: v1\nkind: Pod\nmetadata: {annotations: {a: 'set ${A} or {{ $labels.x }}'}}\n")
                .is_empty()
        );
    }

    #[test]
    fn definitions_of_kinds_are_left_alone() {
        assert!(
            found("apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nspec: {a: '${X}'}\n")
                .is_empty()
        );
    }

    #[test]
    fn a_malformed_image_is_told_once() {
        let lines = lines(
            &example("a.yaml", "apiVersion: v1\nkind: Pod\nspec: {containers: [{image: '${IMAGE}'}]}\n"),
            |object, findings| {
                super::super::images::check(object, &[], findings);
                check(object, findings);
            },
        );
        assert!(lines.len() == 1 && lines[0].starts_with("EV301"), "{lines:?}");
    }

    #[test]
    fn a_text_that_is_no_yaml_because_of_a_template_is_told() {
        let text = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {{ .Release.Name }}-a\n";
        let mut example = example("a.yaml", text);
        assert_eq!(check_unparsed(&example), None);
        assert!(!crate::yaml::parse(text).errors.is_empty());
        example.diagnostics.push(Diagnostic { code: Some(code::SYNTAX), ..Diagnostic::error("broken") });
        let line = fixture::line(&check_unparsed(&example).unwrap());
        assert!(line.starts_with("EV507 warning 4 `{{ .Release.Name }}`"), "{line}");
        example.source = crate::diagnostic::Source::new("a.yaml", "a: [1\n");
        assert_eq!(check_unparsed(&example), None);
    }

    #[test]
    fn kubeflows_examples_have_the_one_placeholder_and_no_other() {
        let Some(catalog) = fixture::folder("../shared/kubeflow-v1/examples") else { return };
        let lines: Vec<_> = catalog.examples.iter().flat_map(|example| lines(example, check)).collect();
        assert_eq!(lines.len(), 1, "{lines:#?}");
        assert!(lines[0].contains("Your storageClassName"));
    }
}
