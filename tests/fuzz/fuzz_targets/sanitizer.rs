#![no_main]

libfuzzer_sys::fuzz_target!(|given: &str| codex_ml_fuzz::sanitizer(given));
