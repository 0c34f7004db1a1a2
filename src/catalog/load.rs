//! Loading, step by step: find, read, settle what is needed, judge, merge settings.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use rayon::prelude::*;

use super::needs::{self, Needs, Problem};
use super::paths::{Globs, Root};
use super::read::{self, Draft};
use super::rules::{Rules, overlay};
use super::walk::{self, Candidate};
use super::{Catalog, Example, ExampleKind, ExampleSettings, MAX_EXAMPLES, Overrides, judge, resources};
use crate::config::{Config, ExampleRule};
use crate::diagnostic::{Diagnostic, Severity};
use crate::error::{Error, Result};
use crate::framework::Frameworks;
use crate::kustomize::{self, is_kustomization};
use crate::model::{ExampleId, Expect, Tier};

/// How long an attempt may take where no framework says.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// What a load works with.
struct Loader<'a> {
    root: Root,
    rules: Rules,
    narrow: Option<Globs>,
    config: &'a Config,
    overrides: &'a Overrides,
    frameworks: &'a Frameworks,
}

/// What was read, by id.
type Drafts = BTreeMap<String, Draft>;

/// What was set, by id.
type Settings = BTreeMap<String, ExampleRule>;

/// See [`super::load`].
pub fn load(path: &Path, config: &Config, overrides: &Overrides, frameworks: &Frameworks) -> Result<Catalog> {
    let root = Root::new(path).map_err(|error| Error::io("find", path, error))?;
    let rules = Rules::new(&root, &config.examples).map_err(Error::Usage)?;
    let narrow = (!overrides.examples.is_empty()).then(|| Globs::new(&root, &overrides.examples));
    let narrow = narrow.transpose().map_err(Error::usage)?;
    let loader = Loader { root, rules, narrow, config, overrides, frameworks };
    let found = if overrides.paths.is_empty() {
        walk::globs(&loader.root, &loader.rules)
    } else {
        walk::paths(&loader.root, &overrides.paths, &loader.rules).map_err(Error::Usage)?
    };
    let mut drafts = loader.read(found.candidates.into_values().collect());
    let mut diagnostics = found.diagnostics;
    let empty = loader.empty_handed(&drafts);
    if drafts.is_empty() && overrides.paths.is_empty() && !loader.rules.by_convention {
        // The config says where examples are, and they are gone: a run of nothing would be green from then on.
        return Err(Error::Usage(empty.into_iter().map(|found| found.with_severity(Severity::Error)).collect()));
    }
    diagnostics.extend(empty);

    let (settings, mut needs) = loader.settle(&mut drafts);
    report(needs::resolve(&mut needs, &drafts.keys().cloned().collect()), &mut drafts);
    let needed = loader.needed(&needs);
    loader.narrow(&mut drafts, &needs);
    check_count(drafts.len())?;
    let examples = drafts.into_par_iter().map(|(id, draft)| {
        let settings = settings.get(&id).cloned().unwrap_or_default();
        let wanted = needs.get(&id).into_iter().flatten().map(ExampleId::new).collect();
        loader.example(draft, settings, wanted, needed.contains(&id))
    });
    Ok(Catalog { examples: examples.collect(), diagnostics })
}

/// The limit of a run.
fn check_count(count: usize) -> Result<()> {
    if count <= MAX_EXAMPLES {
        return Ok(());
    }
    let message = format!("{count} examples were found; at most {MAX_EXAMPLES} are taken in one run");
    let help = "narrow them with `examples` in the config, or with PATHS";
    Err(Error::usage(Diagnostic::error(message).with_help(help)))
}

/// Puts each problem on its example, at the comment line where that is what set `needs`.
fn report(problems: Vec<Problem>, drafts: &mut Drafts) {
    for problem in problems {
        if let Some(draft) = drafts.get_mut(&problem.id) {
            let told = Diagnostic::error(problem.message).with_help(problem.help);
            draft.diagnostics.push(match draft.comment.needs {
                Some(span) => told.at(&draft.own_text, span),
                None => told,
            });
        }
    }
}

impl Loader<'_> {
    /// Reads candidates in parallel. Kustomize folders become one example each; what they list is then theirs.
    fn read(&self, candidates: Vec<Candidate>) -> Drafts {
        let (folders, files): (Vec<_>, Vec<_>) = candidates.into_iter().partition(|candidate| {
            let name = candidate.path.file_name().and_then(|name| name.to_str());
            name.is_some_and(is_kustomization) && !self.rules.is_script(&candidate.id)
        });
        // One that cannot be read lists nothing here; reading it as an example tells why.
        let folders: Vec<(String, Candidate)> = folders
            .into_par_iter()
            .map(|file| (std::fs::read_to_string(&file.path).unwrap_or_default(), file))
            .collect();
        let claimed = self.claimed(&folders);
        let folders = folders
            .into_par_iter()
            .filter(|(text, file)| file.named || !(kustomize::is_component(text) || claimed.contains(&file.id)));
        let rendered = folders.map(|(_, file)| {
            let folder = file.path.parent().unwrap_or(&file.path);
            Some(read::kustomization(&self.root.id(folder), &file.id, &file.path))
        });
        let files = files.into_par_iter().filter(|file| file.named || !claimed.contains(&file.id));
        let read = files.map(|file| {
            if self.rules.is_script(&file.id) {
                return Some(read::script(&file.id, &file.path));
            }
            read::manifest(&file.id, &file.path, file.named)
        });
        rendered.chain(read).flatten().map(|draft| (draft.id.clone(), draft)).collect()
    }

    /// The files, and the kustomizations of folders, that some kustomization lists.
    fn claimed(&self, kustomizations: &[(String, Candidate)]) -> BTreeSet<String> {
        let mut claimed = BTreeSet::new();
        for (text, file) in kustomizations {
            let folder = file.path.parent().unwrap_or(&file.path);
            let listed = kustomize::mentioned(text).into_iter().map(|path| self.root.id(&folder.join(path)));
            for id in listed.filter(|id| *id != self.root.id(folder)) {
                claimed.extend(kustomize::FILE_NAMES.map(|name| format!("{id}/{name}")));
                claimed.insert(id);
            }
        }
        claimed
    }

    /// Merges the settings of all drafts, and reads what they need and nobody found yet: an example may need one that
    /// PATHS or globs leave out.
    fn settle(&self, drafts: &mut Drafts) -> (Settings, Needs) {
        let mut settings = Settings::new();
        loop {
            for (id, draft) in &*drafts {
                if !settings.contains_key(id) {
                    settings.insert(id.clone(), self.settings(draft));
                }
            }
            let wanted: BTreeSet<&String> = settings.values().flat_map(|rule| rule.needs.iter().flatten()).collect();
            let missing: Vec<_> =
                wanted.into_iter().filter(|id| !drafts.contains_key(*id)).filter_map(|id| self.on_disk(id)).collect();
            let before = drafts.len();
            drafts.extend(self.read(missing));
            if drafts.len() == before {
                let needs = settings.iter().map(|(id, rule)| (id.clone(), rule.needs.clone().unwrap_or_default()));
                let needs = needs.collect();
                return (settings, needs);
            }
        }
    }

    /// The file, or the kustomization of the folder, that an id means.
    fn on_disk(&self, id: &str) -> Option<Candidate> {
        let path = self.root.join(id);
        if path.is_file() {
            return Some(Candidate { id: id.to_owned(), path, named: true });
        }
        kustomize::FILE_NAMES.into_iter().find(|name| path.join(name).is_file()).map(|name| Candidate {
            id: format!("{id}/{name}"),
            path: path.join(name),
            named: true,
        })
    }

    /// What holds for a draft: entries of the config, over them its own comment line, over that the flags.
    fn settings(&self, draft: &Draft) -> ExampleRule {
        let mut own = draft.comment.settings.clone();
        own.needs = own.needs.map(|needs| needs.iter().map(|id| self.root.normalize(id)).collect());
        let Overrides { timeout, retries, .. } = *self.overrides;
        let flags = ExampleRule { timeout, retries, ..ExampleRule::default() };
        overlay(overlay(self.rules.settings(&draft.id, &draft.file), &own), &flags)
    }

    /// Every id that is needed, also by examples that this run leaves out.
    fn needed(&self, needs: &Needs) -> BTreeSet<String> {
        needs.values().flatten().cloned().chain(self.rules.needed().map(str::to_owned)).collect()
    }

    /// Leaves out what `--examples` does not mean, except for what that needs.
    fn narrow(&self, drafts: &mut Drafts, needs: &Needs) {
        if let Some(narrow) = &self.narrow {
            let selected = drafts.values().filter(|draft| narrow.matches(&draft.id) || narrow.matches(&draft.file));
            let kept = needs::closure(needs, selected.map(|draft| draft.id.clone()));
            drafts.retain(|id, _| kept.contains(id));
        }
    }

    /// A warning for each place where examples were looked for and none was found.
    fn empty_handed(&self, drafts: &Drafts) -> Vec<Diagnostic> {
        let warning =
            |message: String, help: &str| Diagnostic::error(message).with_severity(Severity::Warning).with_help(help);
        let mut warnings = Vec::new();
        if !self.overrides.paths.is_empty() {
            let empty = self.overrides.paths.iter().filter(|path| {
                let ids = [self.root.id(path), self.root.normalize(&path.to_string_lossy())];
                let globs = walk::written_globs(&self.root, path).and_then(Result::ok);
                let is_meant = |file: &str| match &globs {
                    Some(globs) => globs.iter().any(|globs| globs.matches(file)),
                    None => ids.iter().any(|id| is_below(file, id)),
                };
                !drafts.values().any(|draft| is_meant(&draft.file))
            });
            warnings.extend(empty.map(|path| {
                let help = "expected YAML or JSON files with Kubernetes objects, not ignored by git";
                warning(format!("{}: no example is there", path.display()), help)
            }));
        } else if self.rules.by_convention && drafts.is_empty() {
            let help = "say where they are with `examples` in .github/example-validator.yml, or with PATHS";
            warnings.push(warning("no example was found in examples/, samples/ or config/samples/".to_owned(), help));
        } else if !self.rules.by_convention {
            let idle = self
                .rules
                .rules
                .iter()
                .filter(|rule| !drafts.values().any(|draft| rule.covers(&draft.id, &draft.file)));
            warnings.extend(idle.map(|rule| {
                let help = "globs are relative to the root; files without a Kubernetes object are no examples";
                warning(format!("this entry of `examples` matches no example: {}", rule.paths()), help)
            }));
        }
        if let Some(narrow) = &self.narrow
            && !drafts.values().any(|draft| narrow.matches(&draft.id) || narrow.matches(&draft.file))
        {
            let help = "--examples takes globs over the paths of examples, like examples/pytorch/**";
            warnings
                .push(warning(format!("--examples {}: no example matches", self.overrides.examples.join(",")), help));
        }
        warnings
    }

    /// The finished example.
    fn example(&self, draft: Draft, set: ExampleRule, needs: Vec<ExampleId>, needed: bool) -> Example {
        let judged = judge::judged(&draft.objects, self.frameworks);
        let expect = set.expect.unwrap_or_default();
        // What is broken may well have had something to judge, and a refusal needs no object to be judged.
        let broken = draft.objects.is_empty() && !draft.diagnostics.is_empty();
        let idle = judged.is_empty() && draft.kind != ExampleKind::Script && !broken && expect != Expect::Rejected;
        let settings = ExampleSettings {
            tier: set.tier.unwrap_or(Tier::Full),
            timeout: set.timeout.or_else(|| judge::timeout(&judged)).unwrap_or(DEFAULT_TIMEOUT),
            retries: set.retries.unwrap_or(self.config.retries),
            expect,
            needs,
            resources: set.resources.unwrap_or_else(|| resources::requested(&draft.objects)),
            support: set.support.unwrap_or(needed || idle),
            representative: set.representative.unwrap_or(false),
            quarantine: set.quarantine,
            checks: set.checks.unwrap_or_default(),
            run: set.run,
        };
        let mut diagnostics = draft.diagnostics;
        diagnostics.extend(draft.comment.diagnostics);
        if idle && !needed && set.support.is_none() {
            diagnostics.extend(judge::unjudged(&draft.objects, self.frameworks, &draft.source));
        }
        Example {
            id: ExampleId::new(draft.id),
            kind: draft.kind,
            path: draft.path,
            source: draft.source,
            objects: draft.objects,
            diagnostics,
            framework: judged.first().map(|(_, framework)| framework.clone()),
            judged: judged.into_iter().map(|(index, _)| index).collect(),
            settings,
        }
    }
}

/// Whether an id is `folder`, or lies below it.
fn is_below(id: &str, folder: &str) -> bool {
    match folder {
        "." => !id.starts_with("../"),
        _ => id.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
    }
}
