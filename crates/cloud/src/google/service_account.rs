//! Keys of service accounts: a token for a signed claim ([description]).
//!
//! [description]: https://developers.google.com/identity/protocols/oauth2/service-account#authorizingrequests

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::{rand, rsa, signature};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Deserialize;
use serde_json::json;
use transport::Clients;

use super::{SCOPE, exchange};
use crate::{Error, Token};

/// A key as the console gives it.
#[derive(Deserialize)]
pub(crate) struct Key {
    client_email: String,
    private_key: String,
    #[serde(default)]
    private_key_id: String,
    #[serde(default = "usual_token_uri")]
    token_uri: String,
}

fn usual_token_uri() -> String {
    "https://oauth2.googleapis.com/token".to_owned()
}

impl Key {
    pub(crate) async fn token(&self, clients: &Clients, who: &str) -> Result<Token, Error> {
        let assertion = self.assertion(SystemTime::now()).map_err(|reason| Error::failed(who, reason))?;
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", assertion.as_str()),
        ];
        exchange(clients, who, &self.token_uri, &form).await
    }

    /// Says who we are, signed, for an hour.
    fn assertion(&self, now: SystemTime) -> Result<String, &'static str> {
        // The other side's clock may be late.
        let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()).saturating_sub(10);
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": self.private_key_id });
        let claims = json!({
            "iss": self.client_email, "scope": SCOPE, "aud": self.token_uri, "iat": now, "exp": now + 3600,
        });
        let part = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let text = format!("{}.{}", part(header), part(claims));
        let bad = "its private_key is not an RSA key in PEM";
        let key = match PrivateKeyDer::from_pem_slice(self.private_key.as_bytes()).map_err(|_| bad)? {
            PrivateKeyDer::Pkcs8(key) => rsa::KeyPair::from_pkcs8(key.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(key) => rsa::KeyPair::from_der(key.secret_pkcs1_der()),
            _ => return Err(bad),
        };
        let key = key.map_err(|_| bad)?;
        let mut signed = vec![0; key.public_modulus_len()];
        key.sign(&signature::RSA_PKCS1_SHA256, &rand::SystemRandom::new(), text.as_bytes(), &mut signed)
            .map_err(|_| "its private_key cannot sign")?;
        Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signed)))
    }
}
