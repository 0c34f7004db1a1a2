//! The generated files in `dist/` are those that the code generates; `UPDATE_GENERATED=1 cargo test --test generated`
//! writes them anew.

use std::path::Path;

use example_validator::diagnostic::Source;
use example_validator::{config, settings, yaml};

/// Compares a file, from the package's root, with what it should be, made of what it is.
fn compare_with(name: &str, expected: impl FnOnce(&str) -> String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let expected = expected(&committed);
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        assert!(std::fs::write(&path, &expected).is_ok(), "can't write {}", path.display());
    } else {
        assert!(
            committed == expected,
            "{name} is out of date: run `UPDATE_GENERATED=1 cargo test --test generated` and commit it"
        );
    }
}

fn compare(name: &str, generated: &str) {
    compare_with(&format!("dist/{name}"), |_| generated.to_owned());
}

/// `text` with `generated` between the two marks, which have to be there.
fn between(text: &str, start: &str, end: &str, generated: &str) -> String {
    let (before, rest) = text.split_once(start).unwrap_or_else(|| panic!("no {start}"));
    let (_, after) = rest.split_once(end).unwrap_or_else(|| panic!("no {end} after {start}"));
    format!("{before}{start}\n{generated}{end}{after}")
}

#[test]
fn the_schema_of_the_config_is_the_committed_one() {
    compare("config.schema.json", &format!("{:#}\n", config::json_schema()));
}

#[test]
fn the_tables_of_inputs_and_outputs_are_the_committed_ones() {
    let (inputs, outputs) = (settings::inputs_markdown(), settings::outputs_markdown());
    compare("inputs.md", &inputs);
    compare("outputs.md", &outputs);
    compare_with("README.md", |readme| {
        let readme = between(readme, "<!-- inputs -->", "<!-- /inputs -->", &format!("\n{inputs}\n"));
        between(&readme, "<!-- outputs -->", "<!-- /outputs -->", &format!("\n{outputs}\n"))
    });
}

#[test]
fn the_inputs_and_outputs_of_the_action_are_those_of_the_code() {
    compare_with("action.yml", |action| {
        let action = between(action, "# <inputs>", "# </inputs>", &settings::inputs_yaml());
        between(&action, "# <outputs>", "# </outputs>", &settings::outputs_yaml())
    });
}

#[test]
fn what_the_action_declares_is_what_the_runner_will_pass() {
    let action = yaml::parse(include_str!("../action.yml")).documents[0].root.to_json();
    for (name, input) in action["inputs"].as_object().unwrap() {
        // Every other default would win over the config.
        let default = if name == "github-token" { Some("${{ github.token }}") } else { None };
        assert_eq!(input.get("default").and_then(serde_json::Value::as_str), default, "{name}");
        assert!(input["description"].as_str().is_some_and(|text| text.len() > 10), "{name}");
    }
    let names = |key: &str| action[key].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names("inputs"), settings::inputs().into_iter().map(|input| input.name).collect::<Vec<_>>());
    assert_eq!(names("outputs"), settings::OUTPUTS.map(|output| output.name));
}

#[test]
fn the_schema_accepts_what_the_program_accepts() {
    let schema = config::json_schema();
    assert!(jsonschema::meta::is_valid(&schema));
    let validator = jsonschema::validator_for(&schema).unwrap();
    let full = include_str!("config/full.yml");
    for text in [full, "version: 1\nexamples:\n", "parallel: 4\nkubernetes: [{version: v1.34.0, image: a/b}]\n"] {
        assert!(config::load(&Source::new("config.yml", text)).is_ok(), "{text}");
        let value = yaml::parse(text).documents[0].root.to_json();
        let found: Vec<_> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(found.is_empty(), "{found:#?}");
    }
}

#[test]
fn the_schema_refuses_what_the_program_refuses() {
    let validator = jsonschema::validator_for(&config::json_schema()).unwrap();
    for text in [
        "version: 2",
        "foo: 1",
        "retries: 11",
        "parallel: many",
        "fail-on: [skipped]",
        "checks: [{cel: a, run: b}]",
        "kubernetes: [1.34]",
        "images: [{name: a}]",
        "tiers: {push: {full: some}}",
    ] {
        assert!(config::load(&Source::new("config.yml", text)).is_err(), "{text}");
        assert!(!validator.is_valid(&yaml::parse(text).documents[0].root.to_json()), "{text}");
    }
}
