//! The generated files in `dist/` are those that the code generates; `UPDATE_GENERATED=1 cargo test --test generated`
//! writes them anew.

use std::path::Path;

use example_validator::diagnostic::Source;
use example_validator::{config, settings, yaml};

fn compare(name: &str, generated: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("dist").join(name);
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        assert!(std::fs::write(&path, generated).is_ok(), "can't write {}", path.display());
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == generated,
        "dist/{name} is out of date: run `UPDATE_GENERATED=1 cargo test --test generated` and commit it"
    );
}

#[test]
fn the_schema_of_the_config_is_the_committed_one() {
    compare("config.schema.json", &format!("{:#}\n", config::json_schema()));
}

#[test]
fn the_table_of_inputs_is_the_committed_one() {
    compare("inputs.md", &settings::inputs_markdown());
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
