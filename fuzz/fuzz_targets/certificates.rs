#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| secret_service::fuzzing::certificates(data));
