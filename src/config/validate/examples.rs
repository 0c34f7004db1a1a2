//! The entries of `examples`.

use super::super::place::Place;
use super::super::raw::{RawCommand, RawExample, RawQuantity, RawQuarantine, RawResources, RawRun};
use super::super::{Command, ExampleRule, MetricsSource, Quarantine, Resources, Run, forms};
use super::{checks, globs, plain, time, tries};
use crate::quantity::Quantity;

/// One entry; `metrics` is what its metrics checks can ask.
pub(super) fn rule(raw: RawExample, metrics: Option<&MetricsSource>, at: &Place<'_>) -> ExampleRule {
    if raw.paths.is_empty() {
        at.key("paths").error("is empty: expected at least one glob, like examples/**/*.yaml");
    }
    ExampleRule {
        paths: globs(raw.paths, &at.key("paths")),
        exclude: globs(raw.exclude.unwrap_or_default(), &at.key("exclude")),
        tier: raw.tier,
        timeout: time(raw.timeout, &at.key("timeout")),
        retries: raw.retries.map(|retries| tries(retries, &at.key("retries"))),
        expect: raw.expect,
        needs: raw.needs.map(|needs| ids(needs, &at.key("needs"))),
        resources: raw.resources.map(|resources| self::resources(resources, &at.key("resources"))),
        support: raw.support,
        representative: raw.representative,
        quarantine: raw.quarantine.and_then(|quarantine| self::quarantine(&quarantine, &at.key("quarantine"))),
        checks: raw.checks.map(|list| checks::list(list, metrics, checks::Scope::Example, &at.key("checks"))),
        run: raw.run.map(|run| self::run(run, &at.key("run"))),
    }
}

fn ids(raw: Vec<String>, at: &Place<'_>) -> Vec<String> {
    at.items(raw).filter_map(|(at, id)| at.ok(forms::text(plain(&id)))).collect()
}

fn resources(raw: RawResources, at: &Place<'_>) -> Resources {
    Resources {
        cpu: raw.cpu.and_then(|cpu| quantity(&cpu, &at.key("cpu"))).unwrap_or_default(),
        memory: raw.memory.and_then(|memory| quantity(&memory, &at.key("memory"))).unwrap_or_default(),
    }
}

/// An amount that is not negative.
pub(super) fn quantity(raw: &RawQuantity, at: &Place<'_>) -> Option<Quantity> {
    let text = written(raw);
    let parsed = Quantity::parse(&text).filter(|quantity| *quantity >= Quantity::default());
    at.ok(parsed.ok_or_else(|| format!("`{text}` is not a quantity: expected an amount like 2, 500m or 4Gi")))
}

fn quarantine(raw: &RawQuarantine, at: &Place<'_>) -> Option<Quarantine> {
    let reason = at.key("reason").ok(forms::text(&raw.reason));
    let until = raw.until.parse();
    let until =
        until.map_err(|_| format!("`{}` is not a date: expected a day that exists, like 2027-01-31", raw.until));
    Some(Quarantine { until: at.key("until").ok(until)?, reason: reason? })
}

fn run(raw: RawRun, at: &Place<'_>) -> Run {
    let image = raw.image.and_then(|image| at.key("image").ok(forms::image(&image).map(|_| image.clone())));
    Run { image, command: command(raw.command, &at.key("command")) }
}

/// The text that an amount is read from.
pub(super) fn written(raw: &RawQuantity) -> String {
    match raw {
        RawQuantity::Text(text) => text.clone(),
        RawQuantity::Number(number) => number.to_string(),
    }
}

/// A program to start. A line for a shell gets its values in environment variables alone, so that none is ever parsed by it.
pub(super) fn command(raw: RawCommand, at: &Place<'_>) -> Command {
    match raw {
        RawCommand::Line(line) => {
            at.ok(forms::text(&line));
            if ["{path}", "{evidence}"].iter().any(|word| line.contains(word)) {
                at.error_with_help(
                    "nothing is filled into a line for the shell",
                    "use \"$EXAMPLE\" and \"$EVIDENCE_DIR\", or write the command as a list: [bash, \"{path}\"]",
                );
            }
            Command::Shell(line)
        }
        RawCommand::Argv(argv) => {
            if argv.first().is_none_or(|program| program.trim().is_empty()) {
                at.error("names no program: expected a list like [bash, \"{path}\"]");
            }
            Command::Argv(argv)
        }
    }
}
