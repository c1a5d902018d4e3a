use subtle::ConstantTimeEq;

use super::http::{HttpRequest, HttpResponse};
use super::{Simulator, State};
use crate::webhook::{Signature, Signer, stringified};

impl Simulator {
    /// The provider very probably re-serialises what it parsed before it checks, so the
    /// canonical form is what has to be signed. A member `text` is left out of callbacks only.
    pub(super) fn check_signature(
        &self,
        state: &mut State,
        request: &HttpRequest,
    ) -> Result<(), HttpResponse> {
        let settings = &self.account.settings;
        let path = request.bare_path();
        let app_id = request.header("ik-appid").unwrap_or_default();
        if app_id != self.account.app_id.as_str() {
            state.note(format!(
                "{path}: the IK-APPID header is missing or names another application"
            ));
            return Err(HttpResponse::error(401, "Unauthorized"));
        }
        let Some(signature) = request
            .header("ik-sign")
            .and_then(|hex| Signature::from_hex(hex.as_bytes()))
        else {
            state.note(format!(
                "{path}: the IK-SIGN header is missing or not 64 hexadecimal digits"
            ));
            return Err(HttpResponse::error(401, "Unauthorized"));
        };
        let signer = &self.account.signer;
        let same = |expected: Signature| bool::from(expected.ct_eq(&signature));
        let body = stringified(&request.body).unwrap_or_else(|| request.body.clone());
        if same(signer.sign(path, &body)) {
            if body != request.body {
                state.note(format!(
                    "{path}: the body sent is not the canonical form that was signed"
                ));
            }
            return Ok(());
        }
        let raw = body != request.body && same(signer.sign(path, &request.body));
        let query = same(signer.sign(&request.path, &request.body));
        let apostrophe = same(self.unescaped_apostrophes(path, &request.body));
        let (note, accepted) = if raw {
            (
                "the signature is over the raw body, and its canonical form differs",
                settings.lenient_raw,
            )
        } else if query {
            (
                "the signature covers the query, which is not signed",
                settings.lenient_query,
            )
        } else if apostrophe {
            (
                "the signature leaves apostrophes unescaped",
                settings.lenient_apostrophe,
            )
        } else {
            (
                "the signature matches no known form: compare the secret",
                false,
            )
        };
        state.note(format!("{path}: {note}"));
        if accepted {
            Ok(())
        } else {
            Err(HttpResponse::error(401, "Unauthorized"))
        }
    }

    fn unescaped_apostrophes(&self, path: &str, body: &[u8]) -> Signature {
        let mut message = Vec::with_capacity(path.len() + body.len());
        for byte in path.bytes().chain(body.iter().copied()) {
            match byte {
                0 => message.extend(b"\\0"),
                b'\\' | b'"' => message.extend([b'\\', byte]),
                other => message.push(other),
            }
        }
        Signature::from_bytes(Signer::hmac_sha256(self.account.secret.bytes(), &message))
    }
}
