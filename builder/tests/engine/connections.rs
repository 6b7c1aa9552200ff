//! Engines that do not answer, or no longer.

use kolla::engine::docker::{Address, Docker};
use kolla::engine::{BuildEvent, Error};
use kolla::model::Class;

use crate::bench::{BASE, Bench, on_every_engine};

#[test]
fn a_connection_that_breaks_is_told_from_a_failing_build() {
    on_every_engine(async |bench| {
        let behaviour = "a connection that breaks";
        if bench.skips("native", behaviour, "there is none") {
            return;
        }
        let address = bench.backstage.address();
        let Some(socket) = address.strip_prefix("unix://").map(str::to_owned) else {
            return;
        };
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("engine.sock");
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        let relay = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                let mut far = tokio::net::UnixStream::connect(&socket).await.unwrap();
                connections.spawn(async move {
                    drop(tokio::io::copy_bidirectional(&mut near, &mut far).await);
                });
            }
        });
        let broken = Bench::open(&bench.name, &format!("unix://{}", path.display())).await;
        let name = "kolla-suite/cut:x";
        let earlier = bench.dockerfile(&format!("FROM {BASE}\nRUN true\n"), name);
        bench.build(&earlier).await.0.unwrap();
        let mut request =
            broken.dockerfile(&format!("FROM {BASE}\nRUN echo started; sleep 5\n"), name);
        request.cache = false;
        let sink = |event| {
            if event == BuildEvent::Log("started".into()) {
                relay.abort();
            }
        };
        let error = broken.engine.build(&request, &sink).await.unwrap_err();
        assert!(
            matches!(error, Error::Connection { .. }),
            "{}: {error:?}",
            bench.name
        );
        assert_eq!(error.class(), Class::Transient);
    });
}

#[test]
fn an_engine_that_is_not_there_says_so() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("docker.sock");
        let address = Address::parse(&format!("unix://{}", path.display()), None).unwrap();
        let reason = |error: Error| match error {
            Error::Unreachable { reason, .. } => reason,
            other => panic!("{other:?}"),
        };
        let missing = Docker::connect(&address).await.err().unwrap();
        assert_eq!(reason(missing), "there is no such socket");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let dead = Docker::connect(&address).await.err().unwrap();
        assert_eq!(reason(dead), "nothing listens there");
        let closed = Address::parse("tcp://127.0.0.1:9", None).unwrap();
        let closed_error = Docker::connect(&closed).await.err().unwrap();
        assert_eq!(reason(closed_error), "nothing listens there");
        let error = Docker::discover(&[address, closed]).await.err().unwrap();
        assert_eq!(error.diagnostic().notes().len(), 2);
    });
}
