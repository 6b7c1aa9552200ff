//! Builds that fail, and how that is told.

use kolla::engine::Error;
use kolla::model::Class;

use crate::bench::{BASE, on_every_engine};
use crate::fixtures::setting;

#[test]
fn a_failing_command_is_a_failed_step_with_its_status() {
    on_every_engine(async |bench| {
        let error = bench
            .fails(&format!("FROM {BASE}\nRUN true\nRUN echo broken; exit 7\n"))
            .await;
        let Error::Step {
            number,
            instruction,
            status,
            ..
        } = &error
        else {
            panic!("{}: {error:?}", bench.name)
        };
        assert_eq!((*number, *status), (3, Some(7)), "{}", bench.name);
        assert_eq!(instruction, "RUN echo broken; exit 7", "{}", bench.name);
        assert_eq!(error.class(), Class::Build);
    });
}

#[test]
fn a_missing_file_is_a_failed_step() {
    on_every_engine(async |bench| {
        let error = bench
            .fails(&format!("FROM {BASE}\nCOPY no-such-file /\n"))
            .await;
        let Error::Step {
            number: 2,
            status: None,
            message,
            ..
        } = &error
        else {
            panic!("{}: {error:?}", bench.name)
        };
        assert!(
            message.contains("no-such-file"),
            "{}: {message}",
            bench.name
        );
    });
}

#[test]
fn a_dockerfile_that_cannot_be_read_is_refused() {
    on_every_engine(async |bench| {
        for dockerfile in [
            &format!("FROM {BASE}\nRUNN true\n"),
            "\n",
            "FROM kolla-suite/UPPER:x\nRUN true\n",
        ] {
            let error = bench.fails(dockerfile).await;
            assert!(
                matches!(error, Error::Refused { .. }),
                "{}: {dockerfile}: {error:?}",
                bench.name
            );
        }
    });
}

#[test]
fn a_base_image_that_does_not_exist_is_named() {
    on_every_engine(async |bench| {
        let error = bench
            .fails("FROM kolla.invalid/nothing:1\nRUN true\n")
            .await;
        let Error::BaseImage { reference, .. } = &error else {
            panic!("{}: {error:?}", bench.name)
        };
        assert_eq!(reference, "kolla.invalid/nothing:1");
        assert_eq!(error.class(), Class::Environment);
        // Nothing listens on the discard port.
        let error = bench.fails("FROM 127.0.0.1:9/nothing:1\nRUN true\n").await;
        assert!(
            matches!(error, Error::BaseImageUnwell { .. }),
            "{}: {error:?}",
            bench.name
        );
        assert_eq!(error.class(), Class::Transient);
        if let Some(registry) = setting("KOLLA_TEST_REGISTRY") {
            let error = bench
                .fails(&format!("FROM {registry}/nothing:1\nRUN true\n"))
                .await;
            assert!(
                matches!(error, Error::BaseImage { .. }),
                "{}: {error:?}",
                bench.name
            );
        }
    });
}

#[test]
fn a_full_disk_is_told_from_a_failing_command() {
    on_every_engine(async |bench| {
        let error = bench
            .fails(&format!(
                "FROM {BASE}\nRUN busybox dd if=/dev/zero of=/dev/full count=1\n"
            ))
            .await;
        assert!(
            matches!(error, Error::DiskFull { .. }),
            "{}: {error:?}",
            bench.name
        );
    });
}
