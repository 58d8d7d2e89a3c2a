//! `signet_fuzz::client_assertion` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| signet_fuzz::client_assertion(data));
