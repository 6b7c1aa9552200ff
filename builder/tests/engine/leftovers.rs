//! What interrupted runs leave in an engine.

use kolla::engine::Error;

use crate::bench::{BASE, LABEL, on_every_engine, reference};

#[test]
fn what_was_left_behind_is_found_and_nothing_else() {
    on_every_engine(async |bench| {
        let behaviour = "what was left behind";
        if bench.skips("native", behaviour, "it leaves no containers") {
            return;
        }
        let name = "kolla-suite/leftover:x";
        let mut first = bench.dockerfile(&format!("FROM {BASE}\nRUN echo one > /file\n"), name);
        first.cache = false;
        let old = bench.build(&first).await.0.unwrap();
        let second = bench.dockerfile(&format!("FROM {BASE}\nRUN echo two > /file\n"), name);
        let new = bench.build(&second).await.0.unwrap();
        let client = bench.backstage.client().unwrap();
        let create = async |labels: &[(&str, &str)]| {
            let labels = labels
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect();
            let body = bollard::models::ContainerCreateBody {
                image: Some(new.clone()),
                cmd: Some(vec!["true".into()]),
                labels: Some(labels),
                ..Default::default()
            };
            let options = None::<bollard::query_parameters::CreateContainerOptions>;
            client.create_container(options, body).await.unwrap().id
        };
        let ours = create(&[("org.openstack.kolla.run", "1")]).await;
        let service = create(&[]).await;
        let found = bench.engine.leftovers(LABEL).await.unwrap();
        let ids: Vec<_> = found.iter().map(|leftover| leftover.id.as_str()).collect();
        assert!(
            ids.contains(&old.as_str()) && ids.contains(&ours.as_str()),
            "{found:?}"
        );
        assert!(
            !ids.contains(&new.as_str()) && !ids.contains(&service.as_str()),
            "{found:?}"
        );
        for leftover in &found {
            bench.engine.remove(leftover).await.unwrap();
            bench.engine.remove(leftover).await.unwrap();
        }
        assert!(
            bench.engine.leftovers(LABEL).await.unwrap().is_empty(),
            "{}",
            bench.name
        );
        // Its last name is kept while a container stands on it.
        let used = bench.engine.untag(&reference(name)).await;
        assert!(
            matches!(used, Err(Error::InUse { .. })),
            "{}: {used:?}",
            bench.name
        );
        client
            .remove_container(
                &service,
                None::<bollard::query_parameters::RemoveContainerOptions>,
            )
            .await
            .unwrap();
        bench.engine.untag(&reference(name)).await.unwrap();
    });
}
