//! The targets of `make fuzz`, and the rooms that they look into.
//!
//! These are compiled in here: the library needs some hundreds of crates that are of no use to them,
//! and a fuzzer's instruments make all of them slow to compile.

#[path = "../../src/archive/mod.rs"]
pub mod archive;
pub mod checks;
#[path = "../../src/dockerfile/mod.rs"]
pub mod dockerfile;
#[path = "../../src/model/mod.rs"]
pub mod model;
#[path = "../../src/oci/mod.rs"]
pub mod oci;

// The checks name the crate as tests do.
extern crate self as kolla;
