#![no_main]
//! Any text as a manifest: reading, schema, in-code rules and rendering must not panic, and places must lie in the text.

use example_validator::catalog::objects_of;
use example_validator::diagnostic::Source;
use example_validator::diagnostic::render::render;
use example_validator::lint::{self, findings::Findings, schemas::Schemas};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let source = Source::new("fuzz.yaml", text);
    for object in objects_of(&source) {
        let mut findings = Findings::new(&source, &object.root);
        lint::refusals(&object, &Schemas::default(), &mut findings);
        let _ = render(&findings.diagnostics, false);
    }
});
