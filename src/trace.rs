//! The program's own diagnostics: tracing events on stderr. Under GitHub Actions details (`-v`, `RUNNER_DEBUG`) are `::debug::` commands,
//! which the runner shows only where step debugging is on; warnings and errors are plain lines, which everybody sees.

use std::fmt;

use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{Compact, Format, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::report::annotations::neutral;

/// Starts to write this program's events of `level` and above to stderr; other crates only warn, and only where details are
/// wanted: what they know of a request that failed, its cause tells. A second call in one process changes nothing.
pub fn start(level: LevelFilter, under_actions: bool) {
    let others = if level > LevelFilter::WARN { LevelFilter::WARN } else { LevelFilter::OFF };
    let filter = Targets::new().with_default(others).with_target(env!("CARGO_CRATE_NAME"), level);
    let plain = tracing_subscriber::fmt::format().without_time().with_target(false).with_ansi(false).compact();
    // The fields of spans are formatted by the layer, not by `plain`: it must know of the colours, too.
    let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    // A second subscriber is refused; the first one goes on, which is what a caller in the same process wants.
    let _ = if under_actions {
        registry.with(layer.event_format(Commands(plain))).try_init()
    } else {
        registry.with(layer.event_format(plain)).try_init()
    };
}

/// Writes a detail as a `::debug::` workflow command, one line, with the runner's escapes; a warning as lines that are no commands.
struct Commands(Format<Compact, ()>);

impl<S, N> FormatEvent<S, N> for Commands
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut text = String::new();
        self.0.format_event(context, Writer::new(&mut text), event)?;
        if *event.metadata().level() <= Level::WARN {
            return text.trim_end().lines().try_for_each(|line| writeln!(writer, "{}", neutral(line)));
        }
        let escaped = text.trim_end().replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
        writeln!(writer, "::debug::{escaped}")
    }
}
