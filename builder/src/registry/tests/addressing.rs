use super::*;
use std::io::{BufRead as _, Write as _};
use std::net::TcpListener;

#[test]
fn a_loopback_registry_may_speak_plain_http() {
    let memory = Memory::new(memory::Habits::default());
    let server = memory.serve();
    let client = client();
    for _ in 0..2 {
        assert_eq!(client.resolve(&reference(&server, "a:1")), Ok(None));
    }
    let greetings = server.seen().into_iter().filter(|r| r.path == "/v2/");
    assert_eq!(greetings.count(), 1);
}

#[test]
fn nothing_at_the_address_is_a_connection_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let reference = Reference::parse(&format!("{address}/a:1")).unwrap();
    let error = client().resolve(&reference).unwrap_err();
    assert!(matches!(error, Error::Connection { .. }), "{error}");
    assert!(error.to_string().starts_with(&format!("{address}/a: ")));
}

/// A proxy that lets nobody through, and what it was asked for.
fn proxy() -> (std::net::SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::<Mutex<Vec<String>>>::default();
    let lines = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = std::io::BufReader::new(&stream);
            let (mut first, mut rest) = (String::new(), String::from("x"));
            reader.read_line(&mut first).unwrap();
            while !rest.trim().is_empty() {
                rest.clear();
                reader.read_line(&mut rest).unwrap();
            }
            lines.lock().unwrap().push(first);
            let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
        }
    });
    (address, asked)
}

#[test]
fn other_registries_are_asked_by_tls_alone_and_through_the_proxy() {
    let (address, asked) = proxy();
    let (mut options, _) = options();
    let url = format!("http://u:s3cret@{address}");
    options.proxy = Some(Proxy::new(&url, &[]).unwrap());
    options.attempts = 1;
    options.insecure = vec![crate::model::Registry::new("lab.example").unwrap()];
    let client = Client::new(options);
    let error = |name: &str| {
        client
            .resolve(&Reference::parse(name).unwrap())
            .unwrap_err()
    };
    let refused = error("debian:13");
    assert!(matches!(refused, Error::Connection { .. }), "{refused}");
    assert!(!refused.to_string().contains("s3cret"), "{refused}");
    let _ = error("reg.example:5000/a");
    let to = |line: &String| line.split(' ').nth(1).unwrap().to_owned();
    let verified: Vec<_> = asked.lock().unwrap().iter().map(to).collect();
    assert_eq!(verified, ["registry-1.docker.io:443", "reg.example:5000"]);
    let _ = error("lab.example/a");
    let all: Vec<_> = asked.lock().unwrap().iter().map(to).collect();
    assert_eq!(all[2..], ["lab.example:443", "lab.example:80"]);
    // This machine is never looked for behind a proxy.
    let server = Memory::new(memory::Habits::default()).serve();
    assert_eq!(client.resolve(&reference(&server, "a:1")), Ok(None));
    assert_eq!(asked.lock().unwrap().len(), 4);
}
