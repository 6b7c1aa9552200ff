//! Archives that are the same to the byte wherever and whenever they are made.

mod tar;

pub use tar::{Body, Entry, EntryKind, FIXED_TIME, TarReader};
