//! What the step itself tells: its summary, and outputs for the steps after it.

use std::io::{self, Write};
use std::path::Path;

use super::{Finished, Told};
use crate::github::outputs;
use crate::report::summary;

/// Appends the report to the step's summary.
pub(super) fn summary(finished: &Finished<'_>, told: &mut Told) {
    let Some(path) = &finished.context.step_summary else { return };
    let Finished { report, details, about, .. } = finished;
    let text = summary::render_with(report, details, Some(about), told.before.as_ref(), summary::STEP_LIMIT);
    let written = text.map_err(|error| error.to_string()).and_then(|text| append(path, &text).map_err(|error| error.to_string()));
    if let Err(error) = written {
        told.remarks.push(format!("the step's summary can't be written: {error}"));
    }
}

/// Writes the outputs, those of the report and those that were noted meanwhile.
pub(super) fn outputs(finished: &Finished<'_>, told: &mut Told) {
    let Some(path) = &finished.context.output_file else { return };
    let output = &finished.settings.output;
    let mut all = outputs::of_report(finished.report);
    all.push(("report", output.join("report.json").display().to_string()));
    all.push(("summary", output.join("summary.md").display().to_string()));
    all.append(&mut told.outputs);
    if let Err(error) = outputs::append(path, &all) {
        told.remarks.push(format!("the step's outputs can't be written: {error}"));
    }
}

fn append(path: &Path, text: &str) -> io::Result<()> {
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(text.as_bytes())
}
