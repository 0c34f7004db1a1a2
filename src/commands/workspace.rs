//! What every command that looks at examples starts from: the config, the examples, the schemas.

use std::path::{Path, PathBuf};

use crate::catalog::{self, Catalog, Object, Overrides};
use crate::config::{self, Config};
use crate::diagnostic::{Diagnostic, Severity};
use crate::error::{Error, Result};
use crate::framework::Frameworks;
use crate::lint::schemas::Schemas;
use crate::lint::{self, registry};
use crate::model::ExampleId;
use crate::operator::{self, Offline};
use crate::settings::Settings;
use crate::trial::isolate;

/// A repository as a command sees it.
#[derive(Debug)]
pub struct Workspace {
    /// The config with flags and inputs put over it.
    pub config: Config,
    /// The user's frameworks and the built-in ones.
    pub frameworks: Frameworks,
    /// The examples.
    pub catalog: Catalog,
    /// CRDs and built-in kinds.
    pub schemas: Schemas,
    /// What the operator's steps bring; `None` if that could not be found out whole.
    pub operator: Option<Vec<Object>>,
    /// What the registries said of the images, once they were asked.
    pub registries: registry::Answers,
    /// What concerns no single example.
    pub diagnostics: Vec<Diagnostic>,
}

impl Workspace {
    /// Reads everything; CRDs and examples at the same time.
    ///
    /// # Errors
    /// The user's mistakes in config and paths, or the disk's.
    pub fn open(settings: &Settings) -> Result<Self> {
        let config = settings.over(config::read(&settings.root, settings.config.as_deref())?)?;
        paths_are_there(settings, &config)?;
        let frameworks = Frameworks::new(&config.frameworks);
        let (catalog, knowledge) = rayon::join(
            || catalog::load(&settings.root, &config, &overrides(settings), &frameworks),
            || Knowledge::gather(settings, &config),
        );
        let (catalog, mut knowledge) = (catalog?, knowledge?);
        let mut diagnostics = std::mem::take(&mut knowledge.diagnostics);
        diagnostics.extend(catalog.diagnostics.iter().cloned());
        let Knowledge { schemas, operator, .. } = knowledge;
        let registries = registry::Answers::default();
        Ok(Self { config, frameworks, catalog, schemas, operator, registries, diagnostics })
    }

    /// Asks the registries of the images of those examples that are `wanted`.
    ///
    /// # Errors
    /// The program can't reach the network at all.
    pub fn ask_registries(&mut self, wanted: impl Fn(&ExampleId) -> bool) -> Result<()> {
        let examples = self.catalog.examples.iter().filter(|example| wanted(&example.id));
        let images = registry::images_to_ask(examples, &self.config.images);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::Internal(format!("can't start the network: {error}")))?;
        self.registries = runtime.block_on(registry::look_up(images, &self.config.registries.mirrors));
        Ok(())
    }

    /// The CustomResourceDefinitions of the project, for a cluster that has none.
    #[must_use]
    pub fn definitions(&self, root: &Path) -> Vec<serde_json::Value> {
        let sources = if self.config.crds.is_empty() {
            operator::offline(root, &self.config.operator).sources
        } else {
            operator::crds(root, &self.config.crds).sources
        };
        let objects = sources.iter().flat_map(catalog::objects_of);
        objects.filter(isolate::is_definition).map(|object| object.root.to_json()).collect()
    }

    /// What the rules have to know.
    #[must_use]
    pub fn lint_context(&self) -> lint::Context<'_> {
        lint::Context {
            config: &self.config,
            frameworks: &self.frameworks,
            schemas: &self.schemas,
            operator: self.operator.as_deref(),
            registries: &self.registries,
        }
    }
}

/// Schemas and objects that don't come from examples.
struct Knowledge {
    schemas: Schemas,
    operator: Option<Vec<Object>>,
    diagnostics: Vec<Diagnostic>,
}

impl Knowledge {
    /// CRDs come from where the user says, else from what the operator's steps bring.
    fn gather(settings: &Settings, config: &Config) -> Result<Self> {
        let Offline { sources, complete, mut diagnostics } = operator::offline(&settings.root, &config.operator);
        let crds = if config.crds.is_empty() {
            sources.clone()
        } else {
            let found = operator::crds(&settings.root, &config.crds);
            diagnostics.extend(found.diagnostics);
            found.sources
        };
        let (schemas, broken) = Schemas::load(crds);
        // A CRD that can't be read makes every verdict on its objects worthless: the user has to know first.
        let (errors, warnings): (Vec<_>, Vec<_>) =
            broken.into_iter().partition(|found| found.severity == Severity::Error);
        if !errors.is_empty() {
            return Err(Error::Usage(errors));
        }
        diagnostics.extend(warnings);
        let operator = complete.then(|| sources.iter().flat_map(catalog::objects_of).collect());
        Ok(Self { schemas, operator, diagnostics })
    }
}

fn overrides(settings: &Settings) -> Overrides {
    Overrides {
        paths: settings.paths.clone(),
        examples: settings.selection.examples.clone(),
        timeout: settings.limits.timeout,
        retries: settings.limits.retries,
    }
}

/// The paths of CRDs must be there: a misspelt one would silently judge less.
fn paths_are_there(settings: &Settings, config: &Config) -> Result<()> {
    let missing = |path: &&PathBuf| !settings.root.join(path).exists();
    let named = if settings.selection.crds.is_some() { "--crds" } else { "`crds` in the config" };
    let missing: Vec<_> = config
        .crds
        .iter()
        .filter(missing)
        .map(|path| {
            Diagnostic::error(format!("{named}: `{}` is not there", path.display()))
                .with_help("name files or folders that hold CustomResourceDefinitions, relative to the root")
        })
        .collect();
    if missing.is_empty() { Ok(()) } else { Err(Error::Usage(missing)) }
}
