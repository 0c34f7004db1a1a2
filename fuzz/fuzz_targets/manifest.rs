#![no_main]
//! Any bytes as a manifest: reading, schema, in-code rules and rendering must not panic, and places must lie in the text.

use example_validator::diagnostic::render;
use example_validator::lint;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let diagnostics = lint::check_text("fuzz.yaml", text);
    let _ = render(&diagnostics, false);
});
