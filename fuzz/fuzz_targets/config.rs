#![no_main]
//! Any bytes as a config: it is accepted or explained, never a panic.

use example_validator::config;
use example_validator::diagnostic::Source;
use example_validator::diagnostic::render::render;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(diagnostics) = config::load(&Source::new("config.yml", text)) {
        assert!(!diagnostics.is_empty(), "a refusal explains itself");
        let _ = render(&diagnostics, false);
    }
});
