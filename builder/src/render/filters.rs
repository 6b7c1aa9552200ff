//! The filters that Dockerfile templates need beside Tera's own.

use tera::{Kwargs, State, Tera, TeraResult, Value};

pub(super) fn register(tera: &mut Tera) {
    tera.register_filter("json", json);
    tera.register_filter("shell", shell);
}

/// A value as JSON: the exec form of CMD and ENTRYPOINT, and quoted words of LABEL and ENV.
fn json(value: &Value, _: Kwargs, _: &State) -> TeraResult<String> {
    serde_json::to_string(value).map_err(|e| tera::Error::message(e.to_string()))
}

/// One word for a POSIX shell, quoted where it has to be.
fn shell(value: &str, _: Kwargs, _: &State) -> String {
    let plain = !value.is_empty()
        && value
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-./:=@%+,".contains(&b));
    if plain {
        value.to_owned()
    } else {
        format!("'{}'", value.replace('\'', r"'\''"))
    }
}
