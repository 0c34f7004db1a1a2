//! `allOf`, `anyOf`, `oneOf`, `not`.

use super::check::{Checker, describe, types_of};
use super::shape::{Branches, Id, Types};
use super::{Dialect, Violation, ViolationKind};
use crate::yaml::{Anchor, Node, Value};

/// What each branch has to say against a value.
type Attempts<'v> = Vec<(Id, Vec<Violation<'v>>)>;

impl<'n> Checker<'_, 'n> {
    /// What several shapes together say about one value. In a custom resource defaults count, so the branches judge the
    /// completed value; what they have to say is told of the value as it was written.
    pub fn combinations(&mut self, id: Id, branches: &Branches, anchor: Anchor<'n>) {
        let node = anchor.node();
        let groups: [&[Id]; 4] = [&branches.all, &branches.any, &branches.one, branches.not.as_slice()];
        let own = groups.map(|ids| self.attempts(ids, anchor, self.root, self.is_complete));
        let mut fitting = own.each_ref().map(fits);
        if self.needs_completion(node) {
            let completed = Node::from_json(&self.schema.effective(id, node), node.span);
            let root = if self.is_root(anchor) { &completed } else { self.root };
            fitting = groups.map(|ids| fits(&self.attempts(ids, Anchor::Value(&completed), root, true)));
        }
        let [all, any, one, not] = own;
        if fitting[0] < all.len() {
            let before = self.found.len();
            self.found.extend(all.into_iter().flat_map(|(_, found)| found));
            if self.found.len() == before {
                self.misfit_by_defaults(anchor);
            }
        }
        if fitting[1] == 0 && !any.is_empty() {
            self.no_alternative(any, anchor);
        }
        if fitting[2] == 0 && !one.is_empty() {
            self.no_alternative(one, anchor);
        } else if fitting[2] > 1 {
            let message = format!("{} of {} alternatives fit, exactly one may", fitting[2], one.len());
            self.tell(ViolationKind::Alternative, anchor, message);
        }
        if fitting[3] > 0 && !not.is_empty() {
            let message = format!("{} is what the schema excludes here", describe(node));
            self.tell(ViolationKind::Alternative, anchor, message);
        }
    }

    fn needs_completion(&self, node: &Node) -> bool {
        self.dialect == Dialect::CustomResource
            && !self.is_complete
            && matches!(node.value, Value::Map(_) | Value::Seq(_))
    }

    /// The violations of each branch. A custom resource's fields are known by its structure, not by its branches.
    fn attempts<'v>(&self, ids: &[Id], anchor: Anchor<'v>, root: &'v Node, is_complete: bool) -> Attempts<'v> {
        let attempt = |&id: &Id| {
            let mut checker = Checker::new(self.schema, self.dialect, root);
            checker.tells_unknown = self.tells_unknown && self.dialect != Dialect::CustomResource;
            checker.tells_values = self.tells_values;
            checker.is_complete = is_complete;
            checker.check(id, anchor);
            (id, checker.finish())
        };
        ids.iter().map(attempt).collect()
    }

    /// Tells the mistakes of the alternative that was most likely meant: of the right type, by its constants, and with the
    /// fewest mistakes.
    fn no_alternative(&mut self, mut attempts: Attempts<'n>, anchor: Anchor<'n>) {
        let types = attempts.iter().fold(Types::default(), |types, (id, _)| types.with(self.shape(*id).types));
        attempts.sort_by_cached_key(|(id, found)| {
            let near = found.iter().filter(|violation| std::ptr::eq(violation.anchor.node(), anchor.node()));
            (!self.is_of_type(*id, anchor), self.misses_constant(*id, anchor), near.count(), found.len())
        });
        let meant = attempts.into_iter().next().filter(|(id, _)| self.is_of_type(*id, anchor));
        match meant {
            Some((_, found)) if !found.is_empty() => self.found.extend(found),
            Some(_) => self.misfit_by_defaults(anchor),
            None => {
                let message = format!("expected {}, found {}", types.describe(), describe(anchor.node()));
                self.tell(ViolationKind::WrongType, anchor, message);
            }
        }
    }

    /// The value as it was written is fine, but not as it is completed.
    fn misfit_by_defaults(&mut self, anchor: Anchor<'n>) {
        let message = "with its defaults filled in, the value is not what the schema asks for";
        self.tell(ViolationKind::Alternative, anchor, message);
    }

    fn is_of_type(&self, id: Id, anchor: Anchor<'n>) -> bool {
        let types = self.shape(id).types;
        types.is_any() || types.has(types_of(&anchor.node().value))
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

/// How many branches have nothing against the value. A rule that could not be evaluated is not held against it.
fn fits(attempts: &Attempts<'_>) -> usize {
    let is_fine = |found: &[Violation<'_>]| found.iter().all(|violation| violation.kind == ViolationKind::RuleUnknown);
    attempts.iter().filter(|(_, found)| is_fine(found)).count()
}
