#![no_main]

libfuzzer_sys::fuzz_target!(|given: codex_ml_fuzz::Returned| codex_ml_fuzz::returned(given));
