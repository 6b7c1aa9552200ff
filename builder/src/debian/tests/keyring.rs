#![allow(clippy::unwrap_used)]

use pgp::composed::{ArmorOptions, KeyType, SecretKeyParamsBuilder, SignedSecretKey};
use pgp::packet::{KeyFlags, SignatureConfig, Subpacket, SubpacketData};
use pgp::types::{Duration as PgpDuration, Password, Timestamp};
use rand_8::rngs::OsRng;

use super::*;

const YEAR: u32 = 365 * 24 * 3600;
/// When the keys of these tests were made.
const MADE: u32 = 1_700_000_000;
const TEXT: &str = "Suite: stable\n- a line with a dash\n";

fn at(seconds: u32) -> SystemTime {
    Timestamp::from_secs(seconds).into()
}

fn secret(can_sign: bool) -> SignedSecretKey {
    let mut params = SecretKeyParamsBuilder::default();
    params
        .key_type(KeyType::Ed25519Legacy)
        .can_certify(true)
        .can_sign(can_sign)
        .created_at(Timestamp::from_secs(MADE))
        .primary_user_id("archive".into());
    params.build().unwrap().generate(OsRng).unwrap()
}

fn config(key: &SignedSecretKey, kind: SignatureType, more: Vec<SubpacketData>) -> SignatureConfig {
    config_at(key, kind, MADE, more)
}

fn config_at(
    key: &SignedSecretKey,
    kind: SignatureType,
    created: u32,
    more: Vec<SubpacketData>,
) -> SignatureConfig {
    let mut config = SignatureConfig::v4(kind, key.algorithm(), HashAlgorithm::Sha256);
    let mut data = vec![
        SubpacketData::SignatureCreationTime(Timestamp::from_secs(created)),
        SubpacketData::IssuerFingerprint(key.fingerprint()),
    ];
    data.extend(more);
    let packets = data.into_iter().map(|d| Subpacket::regular(d).unwrap());
    config.hashed_subpackets = packets.collect();
    config
}

/// The public key with its own statement about itself replaced.
fn public(key: &SignedSecretKey, says: Vec<SubpacketData>) -> SignedPublicKey {
    let mut public = key.to_public_key();
    let config = config(key, SignatureType::CertPositive, says);
    let primary = &public.primary_key;
    let user = &mut public.details.users[0];
    let signature = config
        .sign_certification(
            &key.primary_key,
            primary,
            &Password::empty(),
            Tag::UserId,
            &user.id,
        )
        .unwrap();
    user.signatures = vec![signature];
    public
}

fn flags(sign: bool) -> SubpacketData {
    let mut flags = KeyFlags::default();
    flags.set_certify(true);
    flags.set_sign(sign);
    SubpacketData::KeyFlags(flags)
}

fn ring(key: &SignedPublicKey) -> Keyring {
    let armoured = key.to_armored_string(ArmorOptions::default()).unwrap();
    Keyring::parse(armoured.as_bytes()).unwrap()
}

fn signed(key: &SignedSecretKey, config: SignatureConfig) -> String {
    let message =
        CleartextSignedMessage::new(TEXT, config, &key.primary_key, &Password::empty()).unwrap();
    message.to_armored_string(ArmorOptions::default()).unwrap()
}

fn message(key: &SignedSecretKey, created: u32) -> String {
    signed(
        key,
        config_at(key, SignatureType::Text, created, Vec::new()),
    )
}

fn why(ring: &Keyring, message: &str, now: u32) -> String {
    let error = ring.verify(message.as_bytes(), at(now)).unwrap_err();
    error.to_string()
}

#[test]
fn only_the_signed_text_is_returned() {
    let key = secret(true);
    let ring = ring(&public(&key, vec![flags(true)]));
    let message = message(&key, MADE + 10);
    let read = ring.verify(message.as_bytes(), at(MADE + 20)).unwrap();
    assert_eq!(read.trim_end(), TEXT.trim_end());
    for around in [
        format!("Suite: evil\n{message}"),
        format!("{message}Suite: evil\n"),
        format!("{message}{message}"),
    ] {
        let error = why(&ring, &around, MADE + 20);
        assert!(
            error.starts_with("expected a text signed in clear"),
            "{error}"
        );
    }
    let smuggled = message.replacen("Hash: SHA256\n", "Hash: SHA256\nSuite: evil\n", 1);
    assert!(ring.verify(smuggled.as_bytes(), at(MADE + 20)).is_err());
}

#[test]
fn a_changed_text_is_refused() {
    let key = secret(true);
    let ring = ring(&public(&key, vec![flags(true)]));
    let message = message(&key, MADE + 10);
    for (old, new) in [
        ("stable", "evil"),
        ("a line", "b line"),
        ("dash\n", "dash\nmore: x\n"),
    ] {
        let changed = message.replacen(old, new, 1);
        assert_ne!(changed, message);
        assert!(why(&ring, &changed, MADE + 20).ends_with("is bad: the text was changed"));
    }
    for nothing in [
        "",
        "Suite: stable\n",
        "-----BEGIN PGP SIGNED MESSAGE-----\n",
    ] {
        assert!(why(&ring, nothing, MADE + 20).starts_with("expected a text signed in clear"));
    }
    assert!(ring.verify(b"\xff", at(MADE)).is_err());
}

#[test]
fn a_strangers_signature_counts_for_nothing() {
    let (key, stranger) = (secret(true), secret(true));
    let ring = ring(&public(&key, vec![flags(true)]));
    let by_stranger = message(&stranger, MADE + 10);
    let error = why(&ring, &by_stranger, MADE + 20);
    let name = stranger.fingerprint().to_string().to_uppercase();
    assert_eq!(
        error,
        format!("no trusted key has signed it; signed by {name}")
    );
    // One who only says to be somebody.
    let mut claims = config_at(&stranger, SignatureType::Text, MADE + 10, Vec::new());
    claims.hashed_subpackets[1] =
        Subpacket::regular(SubpacketData::IssuerFingerprint(key.fingerprint())).unwrap();
    assert!(why(&ring, &signed(&stranger, claims), MADE + 20).contains("is bad"));
}

#[test]
fn one_good_signature_of_several_is_enough() {
    let (key, stranger) = (secret(true), secret(true));
    let ring = ring(&public(&key, vec![flags(true)]));
    let both = |first: &SignedSecretKey, second: &SignedSecretKey| {
        let sign = |key: &SignedSecretKey, text: &str| {
            config_at(key, SignatureType::Text, MADE + 10, Vec::new()).sign(
                &key.primary_key,
                &Password::empty(),
                text.as_bytes(),
            )
        };
        let message = CleartextSignedMessage::new_many(TEXT, |text| {
            Ok(vec![sign(first, text)?, sign(second, text)?])
        });
        message
            .unwrap()
            .to_armored_string(ArmorOptions::default())
            .unwrap()
    };
    for message in [both(&key, &stranger), both(&stranger, &key)] {
        assert!(ring.verify(message.as_bytes(), at(MADE + 20)).is_ok());
    }
}

#[test]
fn keys_count_in_their_time() {
    let key = secret(true);
    let expires = SubpacketData::KeyExpirationTime(PgpDuration::from_secs(YEAR));
    let ring = ring(&public(&key, vec![flags(true), expires]));
    let message = message(&key, MADE + 10);
    assert!(ring.verify(message.as_bytes(), at(MADE + YEAR - 1)).is_ok());
    assert!(why(&ring, &message, MADE + YEAR).ends_with("has expired"));
    assert!(why(&ring, &message, MADE - 2 * 24 * 3600).contains("not vouched for"));
}

#[test]
fn a_revoked_key_counts_for_nothing() {
    let key = secret(true);
    let mut public = public(&key, vec![flags(true)]);
    let message = message(&key, MADE + 10);
    assert!(
        ring(&public)
            .verify(message.as_bytes(), at(MADE + 20))
            .is_ok()
    );
    let revocation = config(&key, SignatureType::KeyRevocation, Vec::new())
        .sign_key(&key.primary_key, &Password::empty(), &public.primary_key)
        .unwrap();
    public.details.revocation_signatures.push(revocation);
    assert!(why(&ring(&public), &message, MADE + 20).ends_with("is revoked"));
}

#[test]
fn a_key_that_is_not_for_signing_does_not_sign() {
    let key = secret(false);
    let ring = ring(&public(&key, vec![flags(false)]));
    assert!(why(&ring, &message(&key, MADE + 10), MADE + 20).ends_with("is not for signing"));
}

#[test]
fn a_key_that_somebody_else_vouches_for_counts_for_nothing() {
    let (key, other) = (secret(true), secret(true));
    let mut forged = public(&key, vec![flags(true)]);
    forged.details.users = other.to_public_key().details.users;
    let error = why(&ring(&forged), &message(&key, MADE + 10), MADE + 20);
    assert!(error.contains("not vouched for by itself"), "{error}");
}

#[test]
fn signatures_count_in_their_time_and_with_a_sound_hash() {
    let key = secret(true);
    let ring = ring(&public(&key, vec![flags(true)]));
    let lifetime = SubpacketData::SignatureExpirationTime(PgpDuration::from_secs(100));
    let short = config_at(&key, SignatureType::Text, MADE + 10, vec![lifetime]);
    let short = signed(&key, short);
    assert!(ring.verify(short.as_bytes(), at(MADE + 109)).is_ok());
    assert!(why(&ring, &short, MADE + 110).ends_with("has expired"));
    let early = message(&key, MADE - 10);
    assert!(why(&ring, &early, MADE + 20).ends_with("is older than the key"));
    let late = message(&key, MADE + 2 * 24 * 3600);
    assert!(why(&ring, &late, MADE + 20).contains("from the future"));
    let mut weak = config_at(&key, SignatureType::Text, MADE + 10, Vec::new());
    weak.hash_alg = HashAlgorithm::Sha1;
    let weak = CleartextSignedMessage::new(TEXT, weak, &key.primary_key, &Password::empty());
    // The crate may refuse to make one at all.
    if let Ok(weak) = weak {
        let weak = weak.to_armored_string(ArmorOptions::default()).unwrap();
        assert!(why(&ring, &weak, MADE + 20).contains("hash"));
    }
}

#[test]
fn the_archives_own_keys_are_read_and_may_sign_in_their_time() {
    let ring = Keyring::debian().unwrap();
    assert_eq!(ring.keys.len(), DEBIAN.len());
    let (in_2026, in_2036) = (at(1_790_000_000), at(2_090_000_000));
    for key in &ring.keys {
        let subkeys = key.public_subkeys.iter().map(Signer::Sub);
        let signer = subkeys.last().unwrap_or(Signer::Primary(key));
        assert_eq!(
            usable(key, &signer, in_2026),
            Ok(()),
            "{}",
            signer.fingerprint()
        );
        assert_eq!(usable(key, &signer, in_2036), Err("has expired"));
    }
}

#[test]
fn what_is_no_keyring_is_an_error() {
    for bytes in ["", "x", ARMOUR, "\u{99}\u{1}"] {
        assert!(Keyring::parse(bytes.as_bytes()).is_err(), "{bytes}");
    }
    let binary = pgp::ser::Serialize::to_bytes(&secret(true).to_public_key()).unwrap();
    assert_eq!(Keyring::parse(&binary).unwrap().keys.len(), 1);
}

/// A text signed by a key that was made for it, and that key, armoured.
pub(in crate::debian) fn signed_by_new_key(text: &str) -> (Vec<u8>, String) {
    let key = secret(true);
    let config = config_at(&key, SignatureType::Text, MADE + 10, Vec::new());
    let message =
        CleartextSignedMessage::new(text, config, &key.primary_key, &Password::empty()).unwrap();
    let public = public(&key, vec![flags(true)]);
    (
        message.to_armored_bytes(ArmorOptions::default()).unwrap(),
        public.to_armored_string(ArmorOptions::default()).unwrap(),
    )
}
