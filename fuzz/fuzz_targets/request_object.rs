//! `signet_fuzz::request_object` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| signet_fuzz::request_object(data));
