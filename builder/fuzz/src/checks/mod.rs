//! What is fuzzed: one module for each target, and in it a function that takes any bytes and panics
//! when something does not hold.
//!
//! Tests use the same functions: `builder/tests/fuzz_corpus.rs` on the inputs that are kept in
//! `corpus/`, the unit tests of the Dockerfile parser on mutations of real files.

pub mod agreement;
pub mod dockerfile;
pub mod expand;
pub mod layer;
pub mod manifest;
