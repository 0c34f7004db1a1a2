//! CEL expressions over an object, in which a key that is missing means "not yet".

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock, OnceLock};

use kube_cel::KubeCelExt;
use kube_cel::cel::objects::{Key, Map};
use kube_cel::cel::{Context, ExecutionError, Program, Value};
use regex::Regex;
use serde_json::Value as Json;

/// The names that an expression may use: the two variables, and the namespaces of CEL's functions.
const NAMES: [&str; 8] = ["object", "conditions", "math", "sets", "strings", "base64", "optional", "jsonpatch"];

/// An expression that is true or false of an object.
#[derive(Clone)]
pub struct Expression {
    text: Arc<str>,
    /// Compiled at its first use: most runs use few of the built-in ones.
    program: Arc<OnceLock<Result<Program, String>>>,
}

/// Why an expression is of no use, or could not be evaluated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{expression}`: {message}")]
pub struct ExpressionError {
    /// The expression.
    pub expression: String,
    /// What is wrong with it.
    pub message: String,
}

/// What an expression says of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is true.
    True,
    /// It is false.
    False,
    /// It asks for a key or an index that is not there: that is no answer yet.
    Missing,
}

/// What an expression sees: `object`, and `conditions`, its `status.conditions` as a map from type to status.
pub struct Scope {
    context: Context<'static>,
}

impl Scope {
    /// The scope of one object; it serves any number of expressions.
    #[must_use]
    pub fn new(object: &Json) -> Self {
        let mut context = Context::default().with_all();
        context.add_variable_from_value("object", to_cel(object));
        context.add_variable_from_value("conditions", conditions(object));
        Self { context }
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scope")
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({:?})", self.text)
    }
}

impl Expression {
    /// An expression that is known to be right; it is compiled when it is first used.
    #[must_use]
    pub fn trusted(text: &str) -> Self {
        Self { text: text.trim().into(), program: Arc::default() }
    }

    /// A user's expression, checked.
    ///
    /// # Errors
    /// It is not CEL, or uses a name that it is not given.
    pub fn compile(text: &str) -> Result<Self, ExpressionError> {
        let expression = Self::trusted(text);
        let program = expression.program()?;
        let references = program.references();
        let mut unknown: Vec<&str> = references.variables();
        unknown.retain(|name| !NAMES.contains(name) && !is_loop_variable(text, name));
        unknown.sort_unstable();
        if let Some(name) = unknown.first() {
            return Err(expression.error(format!(
                "`{name}` is not known here: an expression sees `object` (the whole object) and `conditions` (status by \
                 type)"
            )));
        }
        match program.execute(&Scope::new(&Json::Object(serde_json::Map::new())).context) {
            Err(error @ (ExecutionError::UndeclaredReference(_) | ExecutionError::InvalidArgumentCount { .. })) => {
                Err(expression.error(error.to_string()))
            }
            _ => Ok(expression),
        }
    }

    /// The expression as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is true in `scope`. A key or an index that is missing makes it false.
    ///
    /// # Errors
    /// It cannot be evaluated, or gives something else than true or false.
    pub fn holds(&self, scope: &Scope) -> Result<bool, ExpressionError> {
        Ok(self.answer(scope)? == Answer::True)
    }

    /// What it says in `scope`, where "false" and "not there" have to be told apart.
    ///
    /// # Errors
    /// It cannot be evaluated, or gives something else than true or false.
    pub fn answer(&self, scope: &Scope) -> Result<Answer, ExpressionError> {
        match self.program()?.execute(&scope.context) {
            Ok(Value::Bool(true)) => Ok(Answer::True),
            Ok(Value::Bool(false)) => Ok(Answer::False),
            Ok(other) => {
                Err(self.error(format!("it gives a value of type {}; expected true or false", other.type_of())))
            }
            // A function says "missing argument" for an argument whose own key is missing.
            Err(
                ExecutionError::NoSuchKey(_)
                | ExecutionError::IndexOutOfBounds(_)
                | ExecutionError::MissingArgumentOrTarget,
            ) => Ok(Answer::Missing),
            Err(error) => Err(self.error(error.to_string())),
        }
    }

    fn program(&self) -> Result<&Program, ExpressionError> {
        let compiled = self.program.get_or_init(|| {
            Program::compile(&self.text).map_err(|errors| {
                let first = errors.errors.first().map(|error| format!("column {}: {}", error.pos.1, error.msg));
                first.unwrap_or_else(|| "it is not a CEL expression".to_owned())
            })
        });
        compiled.as_ref().map_err(|message| self.error(message.clone()))
    }

    fn error(&self, message: String) -> ExpressionError {
        ExpressionError { expression: self.text.to_string(), message }
    }
}

/// Whether `name` is bound by a macro of `text`: `object.items.exists(name, ...)`.
fn is_loop_variable(text: &str, name: &str) -> bool {
    static MACRO: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"\.\s*(?:all|exists|exists_one|existsOne|map|filter)\s*\(\s*(\w+)\s*,").ok());
    MACRO.as_ref().is_some_and(|pattern| pattern.captures_iter(text).any(|found| &found[1] == name))
}

/// JSON as CEL sees it. Whole numbers are `int`, so that `x - 1` works, and a key without a value (`null`) is no key at
/// all, as in Kubernetes.
#[must_use]
pub fn to_cel(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Bool(*flag),
        Json::Number(number) => number.as_i64().map_or_else(
            || number.as_u64().map_or_else(|| Value::Float(number.as_f64().unwrap_or(f64::NAN)), Value::UInt),
            Value::Int,
        ),
        Json::String(text) => Value::String(Arc::new(text.clone())),
        Json::Array(items) => Value::List(Arc::new(items.iter().map(to_cel).collect())),
        Json::Object(entries) => {
            map(entries.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.clone(), to_cel(value))))
        }
    }
}

fn conditions(object: &Json) -> Value {
    let listed = object.pointer("/status/conditions").and_then(Json::as_array);
    map(listed.into_iter().flatten().filter_map(|condition| {
        let text = |key: &str| condition.get(key).and_then(Json::as_str).map(str::to_owned);
        Some((text("type")?, Value::String(Arc::new(text("status")?))))
    }))
}

fn map(entries: impl Iterator<Item = (String, Value)>) -> Value {
    let map: HashMap<Key, Value> = entries.map(|(key, value)| (Key::String(Arc::new(key)), value)).collect();
    Value::Map(Map { map: Arc::new(map) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn holds(text: &str, object: &Json) -> Result<bool, String> {
        let expression = Expression::compile(text).map_err(|error| error.message)?;
        expression.holds(&Scope::new(object)).map_err(|error| error.message)
    }

    #[test]
    fn whole_numbers_can_be_counted_with() {
        let object = json!({"status": {"active": 3, "ratio": 0.5}, "spec": {"replicas": 3}});
        assert_eq!(holds("object.status.active - 1 == 2", &object), Ok(true));
        assert_eq!(holds("object.status.active == object.spec.replicas", &object), Ok(true));
        assert_eq!(holds("object.status.ratio < 1.0", &object), Ok(true));
    }

    #[test]
    fn a_missing_key_or_index_means_not_yet() {
        for text in [
            "object.status.phase == 'Done'",
            "object.status.conditions[0].type == 'Done'",
            "object.status.conditions.exists(c, c.type == 'Done')",
            "conditions.Done == 'True'",
            "size(object.status.items) > 0",
        ] {
            assert_eq!(holds(text, &json!({})), Ok(false), "{text}");
            assert_eq!(holds(text, &json!({"status": null})), Ok(false), "{text}");
            assert_eq!(holds(text, &json!({"status": {"conditions": []}})), Ok(false), "{text}");
        }
        assert_eq!(holds("object.status.absent == 1 || object.spec.x == 1", &json!({"spec": {"x": 1}})), Ok(true));
    }

    #[test]
    fn conditions_are_a_map_from_type_to_status() {
        let object = json!({"status": {"conditions": [{"type": "Done", "status": "True"}, {"type": "Half"}, "odd"]}});
        assert_eq!(holds("conditions.Done == 'True'", &object), Ok(true));
        assert_eq!(holds("has(conditions.Half)", &object), Ok(false));
    }

    #[test]
    fn a_bad_expression_is_refused_with_its_place_or_its_name() {
        let error = |text: &str| Expression::compile(text).map(|_| ()).unwrap_err().message;
        assert!(error("object.status.phase = 'x'").contains("column 21"), "{}", error("object.status.phase = 'x'"));
        assert!(error("status.phase == 'x'").contains("`status` is not known here"));
        assert!(error("object.items.exists(i, i == j)").contains("`j`"));
        assert!(error("nosuch(1)").contains("nosuch"));
        assert!(error("'x'.startsWith()").contains("argument count"));
        for text in ["", "object.", "(((", "object.items.exists(i)"] {
            assert_ne!(error(text), "", "{text}");
        }
        assert_eq!(Expression::compile("object.items.exists(i, i == 1)").map(|_| ()), Ok(()));
    }

    #[test]
    fn an_answer_that_is_no_truth_is_an_error() {
        assert!(holds("object.spec", &json!({"spec": {}})).unwrap_err().contains("expected true or false"));
        assert!(holds("object.spec > 1", &json!({"spec": "x"})).is_err());
    }
}
