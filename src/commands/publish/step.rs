//! What the step itself tells: its summary, and outputs for the steps after it.

use std::io::{self, Write};
use std::path::Path;

use super::Told;
use crate::error::{Error, chain};
use crate::github::outputs;
use crate::report::comment::About;
use crate::report::{Details, Report, summary};
use crate::settings::{RunContext, Settings};

/// Appends the report to the step's summary.
pub(super) fn summary(context: &RunContext, report: &Report, details: &Details, about: &About, told: &mut Told) {
    let Some(path) = &context.step_summary else { return };
    let text = summary::render_about(report, details, about, told.before.as_ref(), summary::STEP_LIMIT);
    let written = text.and_then(|text| append(path, &text).map_err(|error| Error::io("write", path, error)));
    if let Err(error) = written {
        told.remarks.push(format!("the step's summary is missing: {}", chain(&error)));
    }
}

/// Writes the outputs, those of the report and those that were noted meanwhile.
pub(super) fn outputs(settings: &Settings, context: &RunContext, report: &Report, told: &mut Told) {
    let Some(path) = &context.output_file else { return };
    let mut all = outputs::of_report(report);
    for (name, file) in [("report", "report.json"), ("summary", "summary.md")] {
        let file = settings.output.join(file);
        if file.exists() {
            all.push((name, file.display().to_string()));
        }
    }
    all.append(&mut told.outputs);
    if let Err(error) = outputs::append(path, &all) {
        told.remarks.push(format!("the step's outputs can't be written: {error}"));
    }
}

fn append(path: &Path, text: &str) -> io::Result<()> {
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(text.as_bytes())
}
