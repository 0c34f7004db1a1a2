#![no_main]
//! Any bytes as the answer of a metrics endpoint: what is a sample is read, and can be written and read again.

use example_validator::trial::metrics::exposition::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let read = parse(body);
    let written: String = read.samples.iter().map(|sample| format!("{sample}\n")).collect();
    let again = parse(written.as_bytes());
    assert_eq!((again.samples.len(), again.bad_lines), (read.samples.len(), 0));
});
