//! The entries of `examples`, ready to be matched, and what they come to for one example.

use super::paths::{Globs, Root};
use crate::config::ExampleRule;
use crate::diagnostic::Diagnostic;

/// Where examples are looked for when nobody says where.
const CONVENTION: [&str; 3] = ["examples/**", "samples/**", "config/samples/**"];

/// An entry of `examples` with its globs compiled.
#[derive(Debug)]
pub struct Rule {
    include: Globs,
    exclude: Globs,
    settings: ExampleRule,
}

/// All entries, in their order.
#[derive(Debug)]
pub struct Rules {
    /// The entries; those of the convention if the config has none.
    pub rules: Vec<Rule>,
    /// Whether they are only the convention.
    pub by_convention: bool,
}

impl Rules {
    /// Compiles the entries of a config.
    ///
    /// # Errors
    /// A glob is not one.
    pub fn new(root: &Root, examples: &[ExampleRule]) -> Result<Self, Vec<Diagnostic>> {
        let by_convention = examples.is_empty();
        let convention = [ExampleRule { paths: CONVENTION.map(str::to_owned).to_vec(), ..ExampleRule::default() }];
        let written = if by_convention { &convention } else { examples };
        let (mut rules, mut errors) = (Vec::new(), Vec::new());
        for rule in written {
            match (Globs::new(root, &rule.paths), Globs::new(root, &rule.exclude)) {
                (Ok(include), Ok(exclude)) => {
                    let needs = rule.needs.as_ref().map(|needs| needs.iter().map(|id| root.normalize(id)).collect());
                    rules.push(Rule { include, exclude, settings: ExampleRule { needs, ..rule.clone() } });
                }
                (include, exclude) => errors.extend([include.err(), exclude.err()].into_iter().flatten()),
            }
        }
        if errors.is_empty() { Ok(Self { rules, by_convention }) } else { Err(errors) }
    }

    /// What the entries that cover an example come to: the last one wins, key by key. An entry's `needs` do not hold for what
    /// they name, so that an entry may cover a folder and name a file of it.
    #[must_use]
    pub fn settings(&self, id: &str, file: &str) -> ExampleRule {
        self.rules.iter().filter(|rule| rule.covers(id, file)).fold(ExampleRule::default(), |weaker, rule| {
            let mut stronger = rule.settings.clone();
            if stronger.needs.as_ref().is_some_and(|needs| needs.iter().any(|need| need == id)) {
                stronger.needs = None;
            }
            overlay(weaker, &stronger)
        })
    }

    /// Whether an entry says how `id` is run.
    #[must_use]
    pub fn is_script(&self, id: &str) -> bool {
        self.rules.iter().any(|rule| rule.settings.run.is_some() && rule.matches(id))
    }

    /// Every id that some entry needs.
    pub fn needed(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().flat_map(|rule| rule.settings.needs.iter().flatten()).map(String::as_str)
    }
}

impl Rule {
    /// Whether it holds for an example: a kustomize folder is meant by its own path (`id`) or by its kustomization
    /// (`file`); for a plain file both are the same.
    #[must_use]
    pub fn covers(&self, id: &str, file: &str) -> bool {
        self.matches(file) || (self.matches(id) && !self.exclude.matches(file))
    }

    /// Whether its globs mean this path.
    #[must_use]
    pub fn matches(&self, id: &str) -> bool {
        self.include.matches(id) && !self.exclude.matches(id)
    }

    /// Whether it names this file without a wildcard.
    #[must_use]
    pub fn names(&self, id: &str) -> bool {
        self.include.name(id)
    }

    /// Where to look for its files; see [`Globs::bases`].
    pub fn bases(&self) -> impl Iterator<Item = (String, bool)> {
        self.include.bases()
    }

    /// Its globs as the user wrote them.
    #[must_use]
    pub fn paths(&self) -> String {
        self.settings.paths.join(", ")
    }
}

/// `weaker` with everything that `stronger` sets put over it.
#[must_use]
pub fn overlay(weaker: ExampleRule, stronger: &ExampleRule) -> ExampleRule {
    let stronger = stronger.clone();
    ExampleRule {
        paths: weaker.paths,
        exclude: weaker.exclude,
        tier: stronger.tier.or(weaker.tier),
        timeout: stronger.timeout.or(weaker.timeout),
        retries: stronger.retries.or(weaker.retries),
        expect: stronger.expect.or(weaker.expect),
        needs: stronger.needs.or(weaker.needs),
        resources: stronger.resources.or(weaker.resources),
        support: stronger.support.or(weaker.support),
        representative: stronger.representative.or(weaker.representative),
        quarantine: stronger.quarantine.or(weaker.quarantine),
        checks: stronger.checks.or(weaker.checks),
        run: stronger.run.or(weaker.run),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Tier;
    use std::path::Path;

    fn rule(paths: &[&str]) -> ExampleRule {
        ExampleRule { paths: paths.iter().map(ToString::to_string).collect(), ..ExampleRule::default() }
    }

    fn rules(rules: &[ExampleRule]) -> Rules {
        Rules::new(&Root::new(Path::new("/repo")).unwrap(), rules).unwrap()
    }

    #[test]
    fn the_last_entry_that_matches_wins_key_by_key() {
        let all = ExampleRule { tier: Some(Tier::Full), retries: Some(3), ..rule(&["examples/**"]) };
        let big = ExampleRule {
            tier: Some(Tier::Periodic),
            exclude: vec!["**/small.yaml".to_owned()],
            ..rule(&["examples/big/**"])
        };
        let rules = rules(&[all, big]);
        let settings = |id: &str| (rules.settings(id, id).tier, rules.settings(id, id).retries);
        assert_eq!(settings("examples/big/a.yaml"), (Some(Tier::Periodic), Some(3)));
        assert_eq!(settings("examples/big/small.yaml"), (Some(Tier::Full), Some(3)));
        assert_eq!(settings("other/a.yaml"), (None, None));
    }

    #[test]
    fn an_entry_that_covers_what_it_needs_does_not_make_it_need_itself() {
        let needs = Some(vec!["./examples/etcd.yaml".to_owned(), "examples/rbac.yaml".to_owned()]);
        let rules = rules(&[ExampleRule { needs, ..rule(&["examples/**"]) }]);
        let needs = |id: &str| rules.settings(id, id).needs;
        assert_eq!(needs("examples/a.yaml").unwrap().len(), 2);
        assert_eq!((needs("examples/etcd.yaml"), needs("examples/rbac.yaml")), (None, None));
        assert_eq!(rules.needed().collect::<Vec<_>>(), ["examples/etcd.yaml", "examples/rbac.yaml"]);
    }

    #[test]
    fn a_kustomize_folder_is_meant_by_its_path_or_its_kustomization() {
        let tier = |paths: &[&str], exclude: &[&str]| {
            let exclude = exclude.iter().map(ToString::to_string).collect();
            let rules = rules(&[ExampleRule { tier: Some(Tier::Basic), exclude, ..rule(paths) }]);
            rules.settings("examples/app", "examples/app/kustomization.yaml").tier.is_some()
        };
        assert!(tier(&["examples/app"], &[]) && tier(&["examples/**/*.yaml"], &[]) && tier(&["examples/*"], &[]));
        assert!(!tier(&["examples/**"], &["**/kustomization.yaml"]));
    }

    #[test]
    fn every_bad_glob_is_told_at_once() {
        let bad = [rule(&["a/[b"]), ExampleRule { exclude: vec!["{x".to_owned()], ..rule(&["a"]) }];
        let errors = Rules::new(&Root::new(Path::new("/repo")).unwrap(), &bad).unwrap_err();
        assert_eq!(errors.len(), 2);
    }
}
