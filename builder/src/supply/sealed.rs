//! A private key as cosign keeps it: a JSON document in PEM, its content sealed by a password
//! (`go-securesystemslib/encrypted`: scrypt, then NaCl's secretbox).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto_secretbox::aead::Aead as _;
use crypto_secretbox::{Key, KeyInit as _, Nonce, XSalsa20Poly1305};
use p256::pkcs8::der::pem;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// What cosign writes since version 2.
const LABEL: &str = "ENCRYPTED SIGSTORE PRIVATE KEY";
/// What it wrote before.
const OLD_LABEL: &str = "ENCRYPTED COSIGN PRIVATE KEY";

/// The largest file that is read as a key, in bytes.
pub(super) const MAX_FILE: usize = 64 * 1024;

/// Rounds of scrypt as the power of two, as cosign has them: 64 MiB of memory, a fifth of a second.
const LOG_ROUNDS: u8 = 16;
/// The most that a file may ask for: a gigabyte of memory.
const MAX_LOG_ROUNDS: u8 = 20;
const BLOCK: u32 = 8;

const SALT: usize = 32;
const NONCE: usize = 24;

#[derive(Serialize, Deserialize)]
struct Document {
    kdf: Kdf,
    cipher: Cipher,
    ciphertext: String,
}

#[derive(Serialize, Deserialize)]
struct Kdf {
    name: String,
    params: Params,
    salt: String,
}

#[derive(Serialize, Deserialize)]
struct Params {
    #[serde(rename = "N")]
    rounds: u64,
    #[serde(rename = "r")]
    block: u32,
    #[serde(rename = "p")]
    parallel: u32,
}

#[derive(Serialize, Deserialize)]
struct Cipher {
    name: String,
    nonce: String,
}

/// Why a sealed key is not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is not of this form; in what respect.
    Form(&'static str),
    /// The password is another one.
    Password,
}

/// Seals a secret; salt and nonce are fresh ones.
pub(super) fn seal(secret: &[u8], password: &[u8]) -> Result<Zeroizing<String>, Fault> {
    let salt: [u8; SALT] = rand::random();
    let nonce: [u8; NONCE] = rand::random();
    let sealed = cipher(password, &salt, LOG_ROUNDS)?
        .encrypt(&Nonce::from(nonce), secret)
        .map_err(|_| Fault::Form("it is too long"))?;
    let document = Document {
        kdf: Kdf {
            name: "scrypt".to_owned(),
            params: Params {
                rounds: 1 << LOG_ROUNDS,
                block: BLOCK,
                parallel: 1,
            },
            salt: STANDARD.encode(salt),
        },
        cipher: Cipher {
            name: "nacl/secretbox".to_owned(),
            nonce: STANDARD.encode(nonce),
        },
        ciphertext: STANDARD.encode(sealed),
    };
    let json = serde_json::to_vec(&document).map_err(|_| Fault::Form("it is no JSON"))?;
    pem::encode_string(LABEL, pem::LineEnding::LF, &json)
        .map(Zeroizing::new)
        .map_err(|_| Fault::Form("it is no PEM"))
}

/// Opens what [`seal`] or cosign sealed.
pub(super) fn open(text: &str, password: &[u8]) -> Result<Zeroizing<Vec<u8>>, Fault> {
    if text.len() > MAX_FILE {
        return Err(Fault::Form("it is too large"));
    }
    let (label, json) =
        pem::decode_vec(text.trim().as_bytes()).map_err(|_| Fault::Form("it is no PEM"))?;
    match label {
        LABEL | OLD_LABEL => {}
        "PRIVATE KEY" | "EC PRIVATE KEY" => return Err(Fault::Form("it is not encrypted")),
        "PUBLIC KEY" => return Err(Fault::Form("it is a public key")),
        _ => return Err(Fault::Form("it is another kind of PEM")),
    }
    let document: Document =
        serde_json::from_slice(&json).map_err(|_| Fault::Form("its content is not cosign's"))?;
    let Params {
        rounds,
        block,
        parallel,
    } = document.kdf.params;
    let power = u8::try_from(rounds.trailing_zeros()).unwrap_or(u8::MAX);
    let usual = rounds.is_power_of_two() && (10..=MAX_LOG_ROUNDS).contains(&power);
    if document.kdf.name != "scrypt" || !usual || block != BLOCK || parallel != 1 {
        return Err(Fault::Form("its key is derived in an unknown way"));
    }
    let bytes = |text: &str| {
        STANDARD
            .decode(text)
            .map_err(|_| Fault::Form("its content is not cosign's"))
    };
    let nonce = bytes(&document.cipher.nonce)?;
    let Ok(nonce) = <[u8; NONCE]>::try_from(nonce) else {
        return Err(Fault::Form("its content is not cosign's"));
    };
    if document.cipher.name != "nacl/secretbox" {
        return Err(Fault::Form("it is encrypted in an unknown way"));
    }
    let sealed = bytes(&document.ciphertext)?;
    cipher(password, &bytes(&document.kdf.salt)?, power)?
        .decrypt(&Nonce::from(nonce), sealed.as_slice())
        .map(Zeroizing::new)
        .map_err(|_| Fault::Password)
}

fn cipher(password: &[u8], salt: &[u8], power: u8) -> Result<XSalsa20Poly1305, Fault> {
    let unusable = || Fault::Form("its key is derived in an unknown way");
    let mut key = Zeroizing::new([0; 32]);
    let params = scrypt::Params::new(power, BLOCK, 1, key.len()).map_err(|_| unusable())?;
    scrypt::scrypt(password, salt, &params, key.as_mut()).map_err(|_| unusable())?;
    Ok(XSalsa20Poly1305::new(Key::from_slice(key.as_ref())))
}
