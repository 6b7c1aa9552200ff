//! The registries under test, asked by curl rather than by any engine.

use std::process::Command;

use serde_json::{Value, json};

/// A registry, and what it takes to use it.
#[derive(Debug, Clone)]
pub struct Registry {
    /// HOST:PORT.
    pub address: String,
    /// Whom it lets in, where it asks.
    pub login: Option<(String, String)>,
}

impl Registry {
    /// Plain HTTP, open to all.
    pub fn plain() -> Option<Self> {
        let address = crate::setting("KOLLA_TEST_REGISTRY")?;
        Some(Self {
            address,
            login: None,
        })
    }

    /// TLS and a password.
    pub fn with_password() -> Option<Self> {
        let address = crate::setting("KOLLA_TEST_TLS_REGISTRY")?;
        let user = crate::setting("KOLLA_TEST_REGISTRY_USER")?;
        let password = crate::setting("KOLLA_TEST_REGISTRY_PASSWORD")?;
        Some(Self {
            address,
            login: Some((user, password)),
        })
    }

    /// The digest that a tag stands for; none where there is no such tag.
    pub fn digest(&self, repository: &str, tag: &str) -> Option<String> {
        let scheme = if self.login.is_some() {
            "https"
        } else {
            "http"
        };
        let mut command = Command::new("curl");
        command.args(["--silent", "--insecure", "--head"]).args([
            "--header",
            "Accept: application/vnd.docker.distribution.manifest.v2+json",
            "--header",
            "Accept: application/vnd.oci.image.manifest.v1+json",
        ]);
        if let Some((user, password)) = &self.login {
            command.args(["--user", &format!("{user}:{password}")]);
        }
        command.arg(format!(
            "{scheme}://{}/v2/{repository}/manifests/{tag}",
            self.address
        ));
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        if !text
            .lines()
            .next()
            .is_some_and(|status| status.contains(" 200"))
        {
            return None;
        }
        text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("docker-content-digest")
                .then(|| value.trim().to_owned())
        })
    }

    /// Docker's configuration after `docker login`.
    pub fn docker_config(&self, user: &str, password: &str) -> Value {
        json!({ "auths": { &self.address: { "auth": base64(&format!("{user}:{password}")) } } })
    }
}

/// Standard base64.
pub fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bits = chunk
            .iter()
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for i in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * i) & 63) as usize];
            out.push(if i <= chunk.len() {
                char::from(digit)
            } else {
                '='
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn base64_is_as_in_the_rfc() {
        let all = ["", "f", "fo", "foo", "foobar"].map(super::base64);
        assert_eq!(all, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYmFy"]);
    }
}
