//! Containers that run to their end.

use kolla::engine::{Error, RunRequest};
use kolla::model::ImageId;

use crate::bench::on_every_engine;

#[test]
fn a_container_runs_to_its_end() {
    on_every_engine(async |bench| {
        let base = bench.base().await;
        let before = bench.backstage.traces().await;
        let run = |command: &[&str], network| {
            let request = RunRequest {
                image: base.clone(),
                command: command.iter().map(|word| (*word).to_owned()).collect(),
                network,
            };
            let engine = &bench.engine;
            async move { engine.run(&request).await }
        };
        let good = run(&["echo", "a  b", "$HOME"], false).await.unwrap();
        assert_eq!(
            (good.status, good.output.as_str()),
            (0, "a  b $HOME\n"),
            "{}",
            bench.name
        );
        let bad = run(&["sh", "-c", "echo out; echo err >&2; exit 3"], false)
            .await
            .unwrap();
        assert_eq!(bad.status, 3, "{}", bench.name);
        assert!(
            bad.output.contains("out") && bad.output.contains("err"),
            "{}",
            bad.output
        );
        let much = run(&["seq", "1", "200000"], false).await.unwrap();
        assert!(much.output.len() <= 64 * 1024 && much.output.ends_with("200000\n"));
        let alone = run(&["ip", "-o", "link"], false).await.unwrap();
        assert_eq!(
            alone.output.lines().count(),
            1,
            "{}: {}",
            bench.name,
            alone.output
        );
        let missing = run(&["no-such-command"], false).await;
        assert_eq!(missing.map(|end| end.status), Ok(127), "{}", bench.name);
        let nothing = RunRequest {
            image: ImageId::new(format!("sha256:{}", "0".repeat(64))),
            command: vec!["true".into()],
            network: false,
        };
        let nothing = bench.engine.run(&nothing).await;
        assert!(
            matches!(nothing, Err(Error::NoSuchImage { .. })),
            "{}: {nothing:?}",
            bench.name
        );
        assert_eq!(bench.backstage.traces().await, before, "{}", bench.name);
    });
}
