//! Several processes on one store.

use kolla::oci::validate::validate;

use crate::fixtures::traces;
use crate::fleet::{BESIDES, Fleet, digests, marks};

#[test]
fn processes_at_the_same_fleet_do_each_step_once() {
    let Some(fleet) = Fleet::new() else { return };
    let _among_others = crate::among_others();
    let store = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let home = tempfile::tempdir().unwrap();
                fleet.builds(home.path(), store.path());
            });
        }
    });
    let marks = marks(store.path());
    assert!(marks.iter().all(|(_, count)| *count == 1), "{marks:?}");
    assert_eq!(marks.len(), 8, "{marks:?}");
    assert_eq!(digests(store.path()).len(), 4);
    let problems = validate(store.path(), &BESIDES);
    // The steps of stages that no image is made of are kept for the next build.
    let wrong: Vec<_> = problems
        .iter()
        .filter(|p| p.problem != "nothing names it")
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(traces(store.path()), [""; 0]);
}
