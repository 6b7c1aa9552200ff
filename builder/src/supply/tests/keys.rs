//! Keys beside those that Debian's cosign made.

use super::super::{PublicKey, SecretKey};

/// Made by `cosign generate-key-pair` with the password `pw`.
const COSIGN_KEY: &str = include_str!("cosign/cosign.key");
const COSIGN_PUB: &str = include_str!("cosign/cosign.pub");

#[test]
fn a_key_of_cosign_s_is_opened() {
    let key = SecretKey::open(COSIGN_KEY, "pw").unwrap();
    assert_eq!(key.public(), PublicKey::parse(COSIGN_PUB).unwrap());
    assert_eq!(key.public().to_pem().unwrap(), COSIGN_PUB);
    let old = COSIGN_KEY.replace("SIGSTORE", "COSIGN");
    assert!(SecretKey::open(&old, "pw").is_ok());
}

#[test]
fn a_key_is_opened_by_its_own_password_only() {
    let key = SecretKey::generate();
    let sealed = key.seal("s3cret").unwrap();
    let opened = SecretKey::open(&sealed, "s3cret").unwrap();
    assert_eq!(opened.public(), key.public());
    let problem = SecretKey::open(&sealed, "an0ther").unwrap_err();
    assert_eq!(problem.message(), "the password does not open this key");
    let shown = format!("{problem:?} {key:?}");
    assert!(!shown.contains("s3cret") && !shown.contains("an0ther"));
    assert_ne!(
        *sealed,
        *key.seal("s3cret").unwrap(),
        "fresh salt and nonce"
    );
    assert_ne!(SecretKey::generate().public(), key.public());
}

#[test]
fn what_is_no_key_is_refused() {
    let body = |json: &str| {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(json);
        let lines: Vec<&str> = text
            .as_bytes()
            .chunks(64)
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        let label = "ENCRYPTED SIGSTORE PRIVATE KEY";
        format!(
            "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
            lines.join("\n")
        )
    };
    let document = |rounds: &str, nonce: &str| {
        body(&format!(
            r#"{{"kdf":{{"name":"scrypt","params":{{"N":{rounds},"r":8,"p":1}},"salt":"AA=="}},
            "cipher":{{"name":"nacl/secretbox","nonce":"{nonce}"}},"ciphertext":"AA=="}}"#
        ))
    };
    let nonce = "A".repeat(32);
    let plain = COSIGN_PUB.replace("PUBLIC", "PRIVATE");
    for (text, reason) in [
        ("", "it is no PEM"),
        ("x", "it is no PEM"),
        (COSIGN_PUB, "it is a public key"),
        (&plain, "it is not encrypted"),
        (&body("{}"), "its content is not cosign's"),
        (
            &document("18446744073709551615", &nonce),
            "in an unknown way",
        ),
        // Eight terabytes of memory.
        (&document("8589934592", &nonce), "in an unknown way"),
        (&document("0", &nonce), "in an unknown way"),
        (&document("1024", "AAAA"), "its content is not cosign's"),
        (&document("1024", &nonce), "the password does not open"),
        (&" ".repeat(70_000), "it is too large"),
    ] {
        let problem = SecretKey::open(text, "pw").unwrap_err();
        assert!(problem.message().contains(reason), "{reason}: {problem}");
    }
    for (text, reason) in [
        ("", "not a public key"),
        (COSIGN_KEY, "this is a private key"),
        (
            &COSIGN_PUB.replace("MFkw", "MFkx"),
            "not a public key of ECDSA",
        ),
    ] {
        let problem = PublicKey::parse(text).unwrap_err();
        assert!(problem.message().contains(reason), "{reason}: {problem}");
    }
}

#[test]
fn a_signature_is_of_one_message_by_one_key() {
    let (key, other) = (SecretKey::generate(), SecretKey::generate());
    let signature = key.sign(b"message");
    assert_eq!(signature, key.sign(b"message"), "the same bytes each time");
    assert!(key.public().verifies(b"message", &signature));
    assert!(!key.public().verifies(b"massage", &signature));
    assert!(!other.public().verifies(b"message", &signature));
    assert!(!key.public().verifies(b"message", &signature[1..]));
    assert!(!key.public().verifies(b"message", b""));
}
