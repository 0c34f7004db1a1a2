//! `allOf`, `anyOf`, `oneOf`, `not`.

use super::check::{Checker, describe};
use super::shape::{Branches, Id, Types};
use super::{Dialect, Violation, ViolationKind};
use crate::yaml::{Anchor, Value};

impl<'n> Checker<'_, 'n> {
    /// What several shapes together say about one value.
    pub fn combinations(&mut self, branches: &Branches, anchor: Anchor<'n>) {
        for &id in &branches.all {
            let found = self.attempt(id, anchor);
            self.found.extend(found);
        }
        if !branches.any.is_empty() {
            self.alternatives(&branches.any, false, anchor);
        }
        if !branches.one.is_empty() {
            self.alternatives(&branches.one, true, anchor);
        }
        if let Some(id) = branches.not
            && fits(&self.attempt(id, anchor))
        {
            let message = format!("{} is what the schema excludes here", describe(anchor.node()));
            self.tell(ViolationKind::Alternative, anchor, message);
        }
    }

    /// The violations of one branch. A custom resource's fields are known by its structure, not by its branches.
    fn attempt(&mut self, id: Id, anchor: Anchor<'n>) -> Vec<Violation<'n>> {
        let mut checker = Checker::new(self.schema, self.dialect, self.root);
        checker.tells_unknown = self.tells_unknown && self.dialect != Dialect::CustomResource;
        checker.tells_values = self.tells_values;
        checker.check(id, anchor);
        checker.finish()
    }

    /// At least one of the shapes fits, or exactly one.
    fn alternatives(&mut self, ids: &[Id], exactly_one: bool, anchor: Anchor<'n>) {
        let mut attempts: Vec<_> = ids.iter().map(|&id| (id, self.attempt(id, anchor))).collect();
        let fitting = attempts.iter().filter(|(_, found)| fits(found)).count();
        if fitting > 1 && exactly_one {
            let message = format!("{fitting} of {} alternatives fit, exactly one may", ids.len());
            self.tell(ViolationKind::Alternative, anchor, message);
        }
        if fitting > 0 {
            return;
        }
        // The alternative that was most likely meant: of the right type, by its constants, and with the fewest mistakes.
        attempts.sort_by_cached_key(|(id, found)| {
            let far = found.iter().filter(|violation| std::ptr::eq(violation.anchor.node(), anchor.node()));
            (!self.is_of_type(*id, anchor), self.misses_constant(*id, anchor), far.count(), found.len())
        });
        let meant = attempts.into_iter().next().filter(|(id, _)| self.is_of_type(*id, anchor));
        if let Some((_, found)) = meant {
            self.found.extend(found);
        } else {
            let expected = ids.iter().fold(Types::default(), |types, &id| types.with(self.shape(id).types));
            let message = format!("expected {}, found {}", expected.describe(), describe(anchor.node()));
            self.tell(ViolationKind::WrongType, anchor, message);
        }
    }

    fn is_of_type(&self, id: Id, anchor: Anchor<'n>) -> bool {
        let types = self.shape(id).types;
        let own = match anchor.node().value {
            Value::Null => Types::NULL,
            Value::Bool(_) => Types::BOOLEAN,
            Value::Int(_) => Types::INTEGER.with(Types::NUMBER),
            Value::Float(_) => Types::NUMBER,
            Value::String(_) => Types::STRING,
            Value::Seq(_) => Types::ARRAY,
            Value::Map(_) => Types::OBJECT,
        };
        types.is_any() || types.has(own)
    }

    /// Whether a field that names the alternative (one allowed value) has another value.
    fn misses_constant(&self, id: Id, anchor: Anchor<'n>) -> bool {
        self.shape(id).properties.iter().any(|property| {
            let limits = self.shape(property.shape).limits.as_ref();
            let constant = limits.and_then(|limits| <&[_; 1]>::try_from(&*limits.allowed).ok());
            let given = anchor.node().get(&property.name);
            constant.is_some_and(|[constant]| given.is_some_and(|node| node.to_json() != *constant))
        })
    }
}

/// Whether nothing is wrong. A rule that could not be evaluated is not held against a branch.
fn fits(found: &[Violation<'_>]) -> bool {
    found.iter().all(|violation| violation.kind == ViolationKind::RuleUnknown)
}
