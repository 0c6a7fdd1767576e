//! PEM (RFC 7468): one block of base64 under a label. Cosign has a label of its own, so that readers which know labels
//! do not read its keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The first block of a text: its label and its bytes. `None` if there is none that is whole.
pub(crate) fn decode(text: &str) -> Option<(&str, Vec<u8>)> {
    let (_, rest) = text.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once("-----")?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
    let body: String = body.split_whitespace().collect();
    Some((label, STANDARD.decode(body).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks() {
        let whole = "about it\n-----BEGIN A KEY-----\nAAE\r\nC\n-----END A KEY-----\n";
        assert_eq!(decode(whole), Some(("A KEY", vec![0, 1, 2])));
        for text in [
            "",
            "AAEC",
            "-----BEGIN A-----\nAAEC\n",
            "-----BEGIN A-----\n%\n-----END A-----\n",
            "-----BEGIN A",
        ] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
