//! Every case of `tests/conformance/cases`, built by the judge and by kolla's native engine, must come
//! to the same image. `tests/conformance/judge` runs this with a judge; without one it is left out.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use kolla_tests::conformance::{
    Candidate, Case, Difference, Expected, Judge, Prepared, Server, cases, differences,
};
use serde_json::Value;

#[test]
fn an_image_is_what_buildkit_makes_of_its_dockerfile() {
    let Some(judge) = Judge::own() else {
        eprintln!("skipped: run with tests/conformance/judge");
        return;
    };
    let candidate = Candidate::chosen(&judge);
    let (server, cases) = (Server::start(), cases());
    assert!(!cases.is_empty(), "no case has such a name");
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(BTreeMap::new());
    let left_out = Mutex::new(BTreeMap::new());
    // What a build waits for is mostly not the processor.
    let workers = thread::available_parallelism().map_or(2, usize::from) + 1;
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Some(reason) = case.not_for(candidate.name()) {
                        left_out.lock().unwrap().insert(&case.name, reason);
                        continue;
                    }
                    let outcome =
                        catch_unwind(AssertUnwindSafe(|| run(&judge, &candidate, &server, case)));
                    let failure = match outcome {
                        Ok(Ok(())) => continue,
                        Ok(Err(failure)) => failure,
                        Err(_) => "the test itself failed, see above".to_owned(),
                    };
                    failures.lock().unwrap().insert(&case.name, failure);
                }
            });
        }
    });
    for (name, reason) in left_out.into_inner().unwrap() {
        eprintln!("left out: {name}: {reason}");
    }
    let failures = failures.into_inner().unwrap();
    for (name, failure) in &failures {
        eprintln!("\n=== {name}\n{failure}");
    }
    let names: Vec<_> = failures.into_keys().collect();
    assert!(
        names.is_empty(),
        "{} of {} cases differ: {names:?}",
        names.len(),
        cases.len()
    );
}

fn run(judge: &Judge, candidate: &Candidate, server: &Server, case: &Case) -> Result<(), String> {
    let prepared = case.prepare(&judge.work(), server);
    if let Some(fixed) = case.fixed() {
        return by_hand(judge, candidate, case, &prepared, &fixed);
    }
    let judged = match candidate {
        Candidate::Judge => {
            let judged = judge.build(case, &prepared, &[]);
            judged.map(|report| server.nowhere(report))
        }
        Candidate::Native(_) | Candidate::Docker => judge.judged(case, &prepared, server),
    };
    if let (Some(folder), Ok(judged)) = (std::env::var_os("KOLLA_TEST_REPORTS"), &judged) {
        let path = PathBuf::from(folder).join(format!("{}.json", case.name));
        std::fs::write(path, format!("{judged:#}\n")).unwrap();
    }
    let built = candidate.build(judge, case, &prepared);
    match (case.expected(), judged, built) {
        (Expected::Image, Ok(judged), Ok(built)) => {
            let built = server.nowhere(built);
            shown(&differences(&judged, &built, &case.skips()))
        }
        (Expected::Failure, Err(judged), Err(built)) => {
            let text = case.judge_says().unwrap_or_default();
            if !judged.contains(text) {
                return Err(format!(
                    "the judge fails, but does not say {text:?}:\n{judged}"
                ));
            }
            said(candidate, case, &built)
        }
        (Expected::Refusal, Ok(_), Err(built)) => said(candidate, case, &built),
        (Expected::Refusal, Ok(_), Ok(_)) if matches!(candidate, Candidate::Judge) => Ok(()),
        (expected, judged, built) => {
            let show = |result: Result<_, String>| match result {
                Ok(_) => "builds it".to_owned(),
                Err(text) => format!("fails:\n{text}"),
            };
            Err(format!(
                "expected: {expected:?}\nthe judge {}\nkolla {}",
                show(judged),
                show(built)
            ))
        }
    }
}

/// Of a case that no judge can build: only the parts that are written down count.
fn by_hand(
    judge: &Judge,
    candidate: &Candidate,
    case: &Case,
    prepared: &Prepared,
    fixed: &Value,
) -> Result<(), String> {
    let built = candidate.build(judge, case, prepared);
    if !matches!(candidate, Candidate::Native(_)) {
        return match built {
            Ok(_) => Err("the judge builds it by now: take its word".to_owned()),
            Err(_) => Ok(()),
        };
    }
    let mut built = built?;
    let parts = fixed.as_object().ok_or("expected.json is no object")?;
    let all = built.as_object_mut().ok_or("no report")?;
    all.retain(|part, _| parts.contains_key(part));
    shown(&differences(fixed, &built, &case.skips()))
}

fn shown(found: &[Difference]) -> Result<(), String> {
    let all: Vec<String> = found.iter().map(ToString::to_string).collect();
    if all.is_empty() {
        Ok(())
    } else {
        Err(all.join("\n"))
    }
}

fn said(candidate: &Candidate, case: &Case, built: &str) -> Result<(), String> {
    // Another engine has its own words.
    if !matches!(candidate, Candidate::Native(_)) {
        return Ok(());
    }
    match case.kolla_says().iter().find(|text| !built.contains(*text)) {
        Some(text) => Err(format!("kolla fails, but does not say {text:?}:\n{built}")),
        None => Ok(()),
    }
}
