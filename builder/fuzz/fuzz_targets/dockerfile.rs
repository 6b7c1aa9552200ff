#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kolla_fuzz::checks::dockerfile::check(data));
