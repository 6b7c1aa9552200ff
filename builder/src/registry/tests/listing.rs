use super::*;

/// Names in pages of two, as Docker's registry gives them.
fn pages(names: &'static [&'static str], key: &'static str, path: &'static str) -> Server {
    Server::start(move |request| {
        if request.path == "/v2/" {
            return Reply::new(200, "");
        }
        if request.path != path {
            return Reply::new(404, "");
        }
        let last = request.query("last").unwrap_or_default();
        let left: Vec<&str> = names.iter().copied().filter(|name| *name > last).collect();
        let page = &left[..left.len().min(2)];
        let reply = Reply::new(200, serde_json::json!({ key: page }).to_string());
        match page.last() {
            Some(end) if left.len() > 2 => {
                reply.with("Link", format!("<{path}?last={end}&n=2>; rel=\"next\""))
            }
            _ => reply,
        }
    })
}

#[test]
fn lists_come_in_pages() {
    let names = &["a/b", "a/c", "b/d", "c", "d/e"];
    let server = pages(names, "repositories", "/v2/_catalog");
    let found = client().repositories(&repository(&server, "any")).unwrap();
    assert_eq!(found, names);
    let server = pages(&["1", "2", "3"], "tags", "/v2/a/b/tags/list");
    let found = client().tags(&repository(&server, "a/b")).unwrap();
    assert_eq!(found, ["1", "2", "3"]);
    let error = client().tags(&repository(&server, "a/x")).unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

#[test]
fn a_registry_that_leads_in_circles_or_talks_nonsense_is_no_trap() {
    let circle = Server::start(|_| {
        Reply::new(200, "{\"repositories\":[\"a\"]}")
            .with("Link", "</v2/_catalog?last=a>; rel=\"next\"")
    });
    let found = client().repositories(&repository(&circle, "any")).unwrap();
    assert_eq!(found, ["a", "a"]);
    let empty = Server::start(|_| Reply::new(200, "{\"repositories\":null}"));
    assert!(
        client()
            .repositories(&repository(&empty, "any"))
            .unwrap()
            .is_empty()
    );
    for body in ["<html>", "[]", "{\"repositories\":[1]}"] {
        let server = Server::start(move |_| Reply::new(200, body));
        let error = client()
            .repositories(&repository(&server, "any"))
            .unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{error}");
    }
    let large = Server::start(|_| Reply::new(200, vec![b' '; 5 << 20]));
    let error = client()
        .repositories(&repository(&large, "any"))
        .unwrap_err();
    assert!(error.to_string().contains("larger than"), "{error}");
}
