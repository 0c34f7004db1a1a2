//! What a run leaves behind: each finished cell at once, in the journal and on the console; at the end the evidence and the report.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::commands::unless_closed;
use crate::commands::{judge, publish};
use crate::diagnostic::Diagnostic;
use crate::error::{Error, Result};
use crate::evidence::archive::{self, ARCHIVE, COLLECTED, Contents};
use crate::evidence::journal::{self, Header, Journal};
use crate::evidence::{Evidence, Limits, Redactor};
use crate::model::Tier;
use crate::plan::Plan;
use crate::report::progress::Progress;
use crate::report::{self, Cluster, Details, Report, Row, Run};
use crate::settings::{Format, RunContext, Settings};

/// Where a run's results go.
pub struct Outputs<'a> {
    /// The repository's root, absolute.
    pub root: PathBuf,
    /// Where evidence is collected.
    pub evidence: Evidence,
    /// What must not be shown.
    pub redactor: Redactor,
    settings: &'a Settings,
    context: &'a RunContext,
    format: Format,
    /// Of a run that has cells.
    cells: Option<Cells<'a>>,
}

/// What a run of cells has besides.
struct Cells<'a> {
    journal: Journal,
    progress: Mutex<Progress<'a>>,
}

impl<'a> Outputs<'a> {
    /// Prepares the output folder of a run with `cells` (their tiers and versions); what an earlier run collected there goes.
    ///
    /// # Errors
    /// The folder can't be written.
    pub fn open(
        settings: &'a Settings,
        context: &'a RunContext,
        format: Format,
        run: &Run,
        prefix: &'a str,
        cells: &[(Tier, &str)],
    ) -> Result<Self> {
        let root = settings.root.canonicalize().map_err(|error| Error::io("find", &settings.root, error))?;
        let redactor = Redactor::new();
        for token in settings.github.token.iter().chain(&context.services.token) {
            redactor.add(token.reveal());
        }
        let collected = settings.output.join(COLLECTED);
        let mut outputs = Self {
            root,
            evidence: Evidence::new(&collected, Limits::default(), redactor.clone()),
            redactor,
            settings,
            context,
            format,
            cells: None,
        };
        // What an earlier run collected is none of this one's evidence; what another collected is none of ours.
        is_of_a_run(&settings.output, &collected)?;
        clear(&collected)?;
        remove(&settings.output.join(ARCHIVE))?;
        if cells.is_empty() {
            return Ok(outputs);
        }
        let header = Header { tool: report::Tool::this(), run: run.clone() };
        let journal = Journal::create(&settings.output, &header)?;
        let options = judge::console_options(settings, context, format, prefix);
        let progress = Progress::new(options, cells.iter().copied(), run.simulated);
        if format != Format::Json {
            unless_closed(progress.begin(&mut io::stdout().lock()))?;
        }
        outputs.cells = Some(Cells { journal, progress: Mutex::new(progress) });
        Ok(outputs)
    }

    /// Keeps and shows a finished row. What can't be kept now is kept with the report.
    pub fn finished(&self, row: &Row) {
        let Some(cells) = &self.cells else { return };
        if let Err(error) = cells.journal.append(row) {
            tracing::warn!("the journal is not whole: {error}");
        }
        if self.format != Format::Json && row.kubernetes.is_some() {
            let mut out = io::stdout().lock();
            let mut progress = cells.progress.lock().unwrap_or_else(PoisonError::into_inner);
            // A reader that has gone (`| head`) stops no run.
            let _ = progress.row(&mut out, row).and_then(|()| out.flush());
        }
    }

    /// Keeps what became of a cluster.
    pub fn cluster(&self, cluster: &Cluster) {
        if let Some(cells) = &self.cells
            && let Err(error) = cells.journal.cluster(cluster)
        {
            tracing::warn!("the journal is not whole: {error}");
        }
    }

    /// Writes the report.
    ///
    /// # Errors
    /// The folder can't be written.
    pub fn write(&self, report: &Report, details: &Details, plan: &Plan) -> Result<()> {
        let prefix = judge::prefix(self.settings, self.context);
        let about = publish::about(self.settings, self.context, &prefix, &[]);
        judge::write_reports(self.settings, report, details, Some(plan), &about)
    }

    /// Archives the evidence. Now that there is a report, the journal goes.
    ///
    /// # Errors
    /// The archive can't be written; the evidence is then left as it is.
    pub fn close(mut self, report: &Report) -> Result<()> {
        let archived = self.archive(report);
        if let Some(cells) = self.cells.take() {
            cells.journal.remove()?;
        }
        archived
    }

    /// Makes the archive of what was collected; what can't be archived stays where it is.
    fn archive(&self, report: &Report) -> Result<()> {
        if self.cells.is_none() || !self.evidence.dir().is_dir() {
            return Ok(());
        }
        let contents = Contents { evidence: &self.evidence, run: &report.run, rows: &report.results };
        let archived = archive::archive(&contents, &self.settings.output.join(ARCHIVE))?;
        for left in &archived.left_out {
            tracing::warn!("not in {ARCHIVE}: {}: {}", left.file, left.why);
        }
        Ok(())
    }

    /// Prints what has not been printed.
    pub fn show(&self, report: &Report, details: &Details, general: &[Diagnostic]) -> Result<()> {
        let shown = judge::Shown { format: self.format, rows_are: self.cells.is_some() };
        judge::show(report, details, general, self.context, self.settings, shown)
    }
}

fn remove(file: &Path) -> Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if !is_absent(&error) => Err(Error::io("delete", file, error)),
        _ => Ok(()),
    }
}

/// Whether there is nothing. A folder that is no folder is told when it is written.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Sees that a folder of evidence is what a run left, which has a report or a journal beside it.
fn is_of_a_run(output: &Path, collected: &Path) -> Result<()> {
    let is_filled = std::fs::read_dir(collected).is_ok_and(|mut entries| entries.next().is_some());
    if !is_filled || ["report.json", journal::NAME].iter().any(|name| output.join(name).exists()) {
        return Ok(());
    }
    let message = format!("{} holds files that no run left there, and a run would delete them", collected.display());
    Err(Error::usage(Diagnostic::error(message).with_help("name another folder with --output, or move them away")))
}

fn clear(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if !is_absent(&error) => Err(Error::io("empty the folder", folder, error)),
        _ => Ok(()),
    }
}
