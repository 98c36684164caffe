//! No text makes the parser or the verifier panic, and what is valid prints back to itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osr_ir::{text, verifier};

fuzz_target!(|source: &str| {
    if let Ok(module) = text::parse(source)
        && verifier::verify(&module).is_ok()
    {
        let printed = text::print(&module);
        assert_eq!(text::parse(&printed).expect("a printed module parses"), module);
    }
});
