//! References, and what they make of an image.

use kolla::engine::Error;
use kolla::model::{Digest, ImageId};

use crate::bench::{BASE, LABEL, on_every_engine, reference};

#[test]
fn children_stand_on_local_parents_without_a_network() {
    on_every_engine(async |bench| {
        let hex = Digest::of(&bench.name).hex();
        let parent = format!("kolla.invalid/parent:fp-{hex}");
        let request = bench.dockerfile(&format!("FROM {BASE}\nRUN echo x > /made\n"), &parent);
        bench.build(&request).await.0.unwrap();
        let child = bench.dockerfile(
            &format!("FROM {parent}\nRUN cat /made\nCOPY --from={parent} /made /again\n"),
            "kolla-suite/child:x",
        );
        let (result, events) = bench.build(&child).await;
        result.unwrap_or_else(|error| panic!("{}: {error}: {events:?}", bench.name));
        let images = bench.engine.images(LABEL).await.unwrap();
        assert!(
            images
                .iter()
                .any(|i| i.references.contains(&reference(&parent))),
            "{images:?}"
        );
    });
}

#[test]
fn tags_come_and_go() {
    on_every_engine(async |bench| {
        let request = bench.dockerfile(
            &format!("FROM {BASE}\nRUN echo tags > /file\n"),
            "kolla-suite/tags:one",
        );
        let id = bench.build(&request).await.0.unwrap();
        let image = ImageId::new(id.clone());
        let two = reference("kolla-suite/tags:two");
        for _ in 0..2 {
            bench.engine.tag(&image, &two).await.unwrap();
        }
        let find = async || {
            let images = bench.engine.images(LABEL).await.unwrap();
            images.into_iter().find(|image| image.id.as_str() == id)
        };
        assert_eq!(find().await.unwrap().references.len(), 2, "{}", bench.name);
        for _ in 0..2 {
            bench.engine.untag(&two).await.unwrap();
        }
        assert_eq!(
            find().await.unwrap().references,
            std::slice::from_ref(&request.reference)
        );
        bench.engine.untag(&request.reference).await.unwrap();
        assert_eq!(find().await, None, "{}", bench.name);
        let gone = bench.engine.tag(&image, &two).await;
        assert!(
            matches!(gone, Err(Error::NoSuchImage { .. })),
            "{}: {gone:?}",
            bench.name
        );
    });
}
