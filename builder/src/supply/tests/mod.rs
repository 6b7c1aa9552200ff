#![allow(clippy::unwrap_used, clippy::panic)]

mod keys;
mod statements;

use super::Subject;
use crate::model::Reference;
use crate::oci::spec::{Descriptor, media};

fn subject(repository: &str, manifest: &[u8]) -> Subject {
    let reference = Reference::parse(repository).unwrap();
    Subject::new(&reference, Descriptor::of(media::MANIFEST, manifest))
}
