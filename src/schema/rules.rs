//! `x-kubernetes-validations`: CEL rules of a custom resource's schema.

use std::hash::{Hash, Hasher};
use std::sync::{LazyLock, OnceLock};

use kube_cel::cel::ExecutionError;
use kube_cel::{CompiledSchema, ErrorKind, ValidationError, Validator, compile_schema};
use regex::Regex;
use serde_json::{Map, Value as Json};

/// The rules of one shape, compiled when an object first meets them.
#[derive(Debug)]
pub(super) struct Rules {
    /// The subschema, reduced to what CEL has to know: these rules, and the types of everything below.
    schema: Json,
    compiled: OnceLock<CompiledSchema>,
}

/// What a rule said about a value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The value breaks it.
    Broken { message: String, rule: String },
    /// It could not be evaluated here.
    Unknown { message: String, rule: String },
}

thread_local! {
    static VALIDATOR: Validator = Validator::new();
}

static OLD_SELF: LazyLock<Regex> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "a literal that the tests compile")]
    Regex::new(r"\boldSelf\b").expect("the pattern is a literal that compiles")
});

impl Rules {
    /// The rules of a subschema, if it has any.
    pub fn of(schema: &Map<String, Json>) -> Option<Box<Self>> {
        let rules = schema.get("x-kubernetes-validations")?.as_array().filter(|rules| !rules.is_empty())?;
        let mut reduced = reduce(schema);
        let rules = rules.iter().map(without_old_self).collect();
        reduced.insert("x-kubernetes-validations".to_owned(), Json::Array(rules));
        Some(Box::new(Self { schema: Json::Object(reduced), compiled: OnceLock::new() }))
    }

    /// Evaluates every rule on `value`, as on an object that is being created: rules about a change are skipped.
    pub fn evaluate(&self, value: &Json) -> Vec<Verdict> {
        let compiled = self.compiled.get_or_init(|| compile_schema(&self.schema));
        let outcome = VALIDATOR.with(|validator| validator.validate_compiled(compiled, value, None));
        outcome.err().into_iter().flatten().map(|error| verdict(&error)).collect()
    }
}

impl PartialEq for Rules {
    fn eq(&self, other: &Self) -> bool {
        self.schema == other.schema
    }
}

impl Eq for Rules {}

impl Hash for Rules {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.schema.hash(state);
    }
}

/// A rule that also holds on creation sees no old value then: `oldSelf` is an optional without one.
fn without_old_self(rule: &Json) -> Json {
    let mut rule = rule.clone();
    if rule.get("optionalOldSelf") == Some(&Json::Bool(true)) {
        for key in ["rule", "messageExpression"] {
            if let Some(Json::String(text)) = rule.get_mut(key) {
                *text = OLD_SELF.replace_all(text, "optional.none()").into_owned();
            }
        }
    }
    rule
}

/// A subschema without what CEL need not know, and without the rules of the levels below: those are shapes of their own.
fn reduce(schema: &Map<String, Json>) -> Map<String, Json> {
    let child = |value: &Json| value.as_object().map_or_else(|| value.clone(), |schema| Json::Object(reduce(schema)));
    schema
        .iter()
        .filter_map(|(key, value)| {
            let value = match key.as_str() {
                "properties" => {
                    let properties = value.as_object()?;
                    Json::Object(properties.iter().map(|(name, schema)| (name.clone(), child(schema))).collect())
                }
                "items" | "additionalProperties" => child(value),
                "type"
                | "format"
                | "default"
                | "x-kubernetes-int-or-string"
                | "x-kubernetes-preserve-unknown-fields"
                | "x-kubernetes-embedded-resource" => value.clone(),
                _ => return None,
            };
            Some((key.clone(), value))
        })
        .collect()
}

/// Functions that read a value from a text, and fail where the text does not hold one.
const CONVERSIONS: [&str; 11] =
    ["bool", "cidr", "double", "duration", "int", "ip", "quantity", "semver", "timestamp", "uint", "url"];

/// A rule that fails, or that meets an error which an API server meets as well, is broken. What this program's CEL does
/// not know must not refuse an object.
fn verdict(error: &ValidationError) -> Verdict {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<ExecutionError>());
    let met_by_server = match cause {
        Some(ExecutionError::FunctionError { function, message }) => {
            CONVERSIONS.contains(&function.as_str()) && !message.starts_with("expected")
        }
        Some(
            ExecutionError::NoSuchKey(_)
            | ExecutionError::DivisionByZero(_)
            | ExecutionError::RemainderByZero(_)
            | ExecutionError::Overflow(..)
            | ExecutionError::IndexOutOfBounds(_)
            // Also what a function's only argument meets, such as a field that is not there.
            | ExecutionError::MissingArgumentOrTarget,
        ) => true,
        _ => false,
    };
    let (message, rule) = (error.message.clone(), error.rule.clone());
    match error.kind {
        ErrorKind::ValidationFailure => Verdict::Broken { message, rule },
        ErrorKind::EvaluationError if met_by_server => Verdict::Broken { message, rule },
        _ => Verdict::Unknown { message, rule },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn verdicts(schema: &Json, value: &Json) -> Vec<Verdict> {
        Rules::of(schema.as_object().unwrap()).unwrap().evaluate(value)
    }

    fn broken(schema: &Json, value: &Json) -> Vec<String> {
        let message = |verdict| match verdict {
            Verdict::Broken { message, .. } => message,
            Verdict::Unknown { message, .. } => panic!("{message}"),
        };
        verdicts(schema, value).into_iter().map(message).collect()
    }

    #[test]
    fn a_broken_rule_tells_its_message() {
        let schema = json!({"type": "object", "properties": {"min": {"type": "integer"}, "max": {"type": "integer"}},
            "x-kubernetes-validations": [{"rule": "self.min <= self.max", "message": "min must not exceed max"}]});
        assert_eq!(broken(&schema, &json!({"min": 3, "max": 2})), ["min must not exceed max"]);
        assert!(broken(&schema, &json!({"min": 1, "max": 2})).is_empty());
    }

    #[test]
    fn a_message_expression_is_evaluated() {
        let schema = json!({"type": "integer", "x-kubernetes-validations":
            [{"rule": "self < 5", "messageExpression": "'got ' + string(self)"}]});
        assert_eq!(broken(&schema, &json!(7)), ["got 7"]);
    }

    #[test]
    fn a_rule_about_a_change_is_skipped() {
        let schema = json!({"type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf"}]});
        assert!(broken(&schema, &json!("a")).is_empty());
    }

    #[test]
    fn a_rule_with_an_optional_old_value_sees_none() {
        let schema = json!({"type": "string", "x-kubernetes-validations":
            [{"rule": "oldSelf.hasValue() || self == 'new'", "optionalOldSelf": true, "message": "must be new"}]});
        assert_eq!(broken(&schema, &json!("old")), ["must be new"]);
        assert!(broken(&schema, &json!("new")).is_empty());
    }

    #[test]
    fn a_field_that_is_not_there_breaks_a_rule_that_reads_it() {
        let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}},
            "x-kubernetes-validations": [{"rule": "self.a > 0"}]});
        assert_eq!(broken(&schema, &json!({})).len(), 1);
    }

    #[test]
    fn a_text_that_a_rule_cannot_read_breaks_it() {
        for (rule, good, bad) in [
            ("int(self) > 0", vec!["80", "+5"], vec!["http", "", "1.5"]),
            (
                "duration(self) >= duration('1ms')",
                vec!["1h30m", ".5s", "+1s", "1.5h", "2000us"],
                vec!["apple", "1d", "5"],
            ),
            ("url(self).getScheme() in ['http', 'https', '']", vec!["https://a.b/c", "/a"], vec!["a b", "a/b"]),
            ("quantity(self).isGreaterThan(quantity('1'))", vec!["2", "1Gi"], vec!["lots"]),
            ("ip(self).family() == 4", vec!["10.0.0.1"], vec!["10.0.0"]),
            ("timestamp(self) > timestamp('2020-01-01T00:00:00Z')", vec!["2026-01-01T00:00:00Z"], vec!["today"]),
        ] {
            let schema = json!({"type": "string", "x-kubernetes-validations": [{"rule": rule}]});
            for text in good {
                assert!(verdicts(&schema, &json!(text)).is_empty(), "{rule} of {text}");
            }
            for text in bad {
                assert_eq!(broken(&schema, &json!(text)).len(), 1, "{rule} of {text}");
            }
        }
    }

    #[test]
    fn a_function_of_a_field_that_is_not_there_breaks_a_rule() {
        let schema = json!({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string"}}},
            "x-kubernetes-validations": [{"rule": "size(self.a) > 0"}]});
        assert_eq!(broken(&schema, &json!({})).len(), 1);
        assert!(broken(&schema, &json!({"a": ["b"]})).is_empty());
    }

    #[test]
    fn an_error_beside_a_decisive_operand_does_not_count() {
        for rule in ["self.a > 0 || self.b > 0", "!(self.a > 0 && self.b > 9)", "!(size(self.c) > 0 && false)"] {
            let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"},
                "c": {"type": "string"}}, "x-kubernetes-validations": [{"rule": rule}]});
            assert!(verdicts(&schema, &json!({"b": 1})).is_empty(), "{rule}");
        }
    }

    #[test]
    fn rules_below_are_left_to_their_own_shape() {
        let schema = json!({"type": "object", "properties": {"a": {"type": "integer",
            "x-kubernetes-validations": [{"rule": "self > 9"}]}}, "x-kubernetes-validations": [{"rule": "true"}]});
        assert!(broken(&schema, &json!({"a": 1})).is_empty());
    }

    #[test]
    fn what_cannot_be_evaluated_is_not_broken() {
        let schema = json!({"type": "string", "x-kubernetes-validations":
            [{"rule": "nobody.knows(self)"}, {"rule": "self =="}]});
        let found = verdicts(&schema, &json!("a"));
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|verdict| matches!(verdict, Verdict::Unknown { .. })), "{found:?}");
    }
}
