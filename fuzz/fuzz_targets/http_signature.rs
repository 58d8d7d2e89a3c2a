//! `signet_fuzz::http_signature` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| signet_fuzz::http_signature(data));
