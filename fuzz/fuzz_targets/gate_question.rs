//! `signet_fuzz::gate_question` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| signet_fuzz::gate_question(data));
