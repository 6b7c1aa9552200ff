use super::*;
use crate::oci::spec::{Descriptor, Index};

/// A registry that lists these referrers itself, or, with none, only keeps what it is given.
fn serve(own: Option<Index>) -> Server {
    let kept: Mutex<Option<Vec<u8>>> = Mutex::default();
    Server::start(move |request| {
        let index = |bytes: Vec<u8>| Reply::new(200, bytes).with("Content-Type", media::INDEX);
        if request.path == "/v2/" {
            return Reply::new(200, "{}");
        }
        if request.path.contains("/referrers/") {
            return match &own {
                Some(own) => index(own.to_bytes().unwrap()),
                None => Reply::new(404, "404 page not found\n"),
            };
        }
        let mut kept = kept.lock().unwrap();
        if request.method == "PUT" {
            *kept = Some(request.body.clone());
            return Reply::new(201, "");
        }
        match &*kept {
            Some(bytes) => index(bytes.clone()),
            None => Reply::new(404, "{}"),
        }
    })
}

fn referrer(text: &str) -> Descriptor {
    let mut referrer = Descriptor::of(media::MANIFEST, text.as_bytes());
    referrer.artifact_type = Some(format!("application/{text}"));
    referrer
}

#[test]
fn a_registry_that_lists_referrers_is_left_to_it() {
    let index = Index::new(vec![referrer("a")]);
    let server = serve(Some(index.clone()));
    let (client, subject) = (client(), Digest::of("image"));
    let reference = reference(&server, "team/a");
    client
        .add_referrers(&reference, &subject, &[referrer("a")], &[])
        .unwrap();
    let found = client.referrers(&reference, &subject).unwrap();
    assert_eq!(found, index.manifests);
    assert!(!server.lines().iter().any(|line| line.starts_with("PUT ")));
}

#[test]
fn an_index_is_kept_where_the_registry_lists_none() {
    let server = serve(None);
    let (client, subject) = (client(), Digest::of("image"));
    let reference = reference(&server, "team/a");
    assert_eq!(client.referrers(&reference, &subject), Ok(Vec::new()));
    let add = |added: &[Descriptor], replaced: &[Digest]| {
        client
            .add_referrers(&reference, &subject, added, replaced)
            .unwrap();
        client.referrers(&reference, &subject).unwrap()
    };
    let (a, b, c) = (referrer("a"), referrer("b"), referrer("c"));
    assert_eq!(add(&[a.clone(), b.clone()], &[]), [a.clone(), b.clone()]);
    let name = format!("PUT /v2/team/a/manifests/sha256-{}", subject.hex());
    assert!(server.lines().contains(&name));
    let puts = || server.lines().iter().filter(|line| **line == name).count();
    assert_eq!(add(std::slice::from_ref(&b), &[]), [a.clone(), b.clone()]);
    assert_eq!(puts(), 1, "nothing new is not sent");
    assert_eq!(add(std::slice::from_ref(&c), &[a.digest]), [b, c]);
    assert_eq!(puts(), 2);
}

#[test]
fn a_list_that_cannot_be_read_is_told() {
    let reply = |body: Vec<u8>| {
        Server::start(move |request| match request.path.as_str() {
            "/v2/" => Reply::new(200, "{}"),
            _ => Reply::new(200, body.clone()).with("Content-Type", media::INDEX),
        })
    };
    let long = vec![b' '; (4 << 20) + 1];
    for body in [b"{}".to_vec(), b"<html>".to_vec(), long] {
        let server = reply(body);
        let found = client().referrers(&reference(&server, "a"), &Digest::of("image"));
        assert!(matches!(found, Err(Error::Corrupt { .. })), "{found:?}");
    }
}
