use serde::Deserialize;

use super::*;

#[derive(schemars::JsonSchema, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[expect(dead_code, reason = "only its schema is used")]
struct Config {
    version: u8,
    #[serde(default)]
    retries: Option<u32>,
    #[serde(default)]
    tier: Option<Tier>,
    #[serde(default)]
    images: Vec<Image>,
    #[serde(default)]
    check: Option<Check>,
    #[serde(default)]
    labels: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    ratio: Option<f64>,
}

#[derive(schemars::JsonSchema, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Tier {
    /// Static.
    Basic,
    /// On a cluster.
    Full,
}

#[derive(schemars::JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
struct Image {
    name: String,
}

#[derive(schemars::JsonSchema, Deserialize)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum Check {
    Word(String),
    Image(Image),
    List(Vec<u8>),
}

fn told(text: &str) -> Vec<(ViolationKind, String, String)> {
    let json = schemars::schema_for!(Config);
    super::told(&Schema::of_json_schema(json.as_value()), Dialect::Document, text)
}

fn one(kind: ViolationKind, path: &str, message: &str) -> Vec<(ViolationKind, String, String)> {
    vec![(kind, path.to_owned(), message.to_owned())]
}

#[test]
fn what_the_type_allows_is_accepted() {
    assert_eq!(
        told("version: 1\nretries: 3\ntier: full\nimages: [{name: a}]\ncheck: [1]\nlabels: {a: b}\nratio: 1\n"),
        []
    );
    assert_eq!(told("version: 1\ncheck: word\n"), []);
}

#[test]
fn null_is_not_given() {
    assert_eq!(told("version: 1\nretries:\ntier: null\nimages:\nlabels: ~\n"), []);
    assert_eq!(told("version:\n"), one(ViolationKind::Required, "version", "required field `version` is empty"));
}

#[test]
fn an_unknown_field_is_told_with_the_one_that_was_meant() {
    assert_eq!(
        told("version: 1\nretrise: 3\n"),
        one(ViolationKind::UnknownField, "retrise", "unknown field `retrise`, did you mean `retries`?")
    );
    assert_eq!(
        told("version: 1\nimages: [{name: a, foo: b}]\n"),
        one(ViolationKind::UnknownField, "images[0].foo", "unknown field `foo`")
    );
}

#[test]
fn a_missing_field_is_told_at_its_object() {
    assert_eq!(
        told("version: 1\nimages: [{}]\n"),
        one(ViolationKind::Required, "images[0]", "required field `name` is missing")
    );
}

#[test]
fn a_wrong_type_tells_what_was_expected() {
    assert_eq!(
        told("version: 1\nretries: many\n"),
        one(ViolationKind::WrongType, "retries", "expected integer, found string `many`")
    );
    assert_eq!(
        told("version: 1\nimages: [null]\n"),
        one(ViolationKind::WrongType, "images[0]", "expected object, found null")
    );
}

#[test]
fn numbers_keep_to_the_range_of_their_type() {
    assert_eq!(told("version: 300\n")[0].0, ViolationKind::Range);
    assert_eq!(told("version: 1\nretries: -1\n")[0].0, ViolationKind::Range);
}

#[test]
fn a_word_outside_an_enumeration_is_told_with_the_nearest() {
    assert_eq!(
        told("version: 1\ntier: ful\n"),
        one(ViolationKind::NotAllowed, "tier", "`ful` is not allowed, did you mean `full`?")
    );
}

#[test]
fn of_several_alternatives_the_one_of_the_right_type_was_meant() {
    assert_eq!(
        told("version: 1\ncheck: {nmae: a}\n").iter().map(|(kind, ..)| *kind).collect::<Vec<_>>(),
        [ViolationKind::UnknownField, ViolationKind::Required]
    );
    assert_eq!(told("version: 1\ncheck: true\n")[0].2, "expected string or object or array, found boolean `true`");
}
