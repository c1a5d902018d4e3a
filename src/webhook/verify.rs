use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use super::address::signed_path;
use super::canonical;
use super::delivery::{Delivery, single};
use super::error::{VerifierError, VerifyError};
use super::scheme::{KeyRing, SignedTime};
use super::sign::{Prepared, Signature, Signer};
use crate::vocabulary::AppId;

/// Header with the application id. HTTP header names match in any case.
const APP_ID_HEADER: &str = "ik-appid";
/// Header with the signature.
const SIGNATURE_HEADER: &str = "ik-sign";

/// Which of the accepted forms the signature was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignedForm {
    /// Registered path and raw body: what nine public integrations see.
    Raw,
    /// Registered path with the query as it came, and raw body.
    RawWithQuery,
    /// Registered path and canonical body.
    Canonical,
    /// Registered path with the query as it came, and canonical body.
    CanonicalWithQuery,
}

/// A delivery whose signature matched, and with which key.
///
/// Only [`Verifier::verify`] makes one.
#[derive(Clone)]
pub struct Verified<'d> {
    pub(super) path: &'d str,
    pub(super) body: &'d [u8],
    pub(super) key: &'d Arc<str>,
    pub(super) form: SignedForm,
}

impl<'d> Verified<'d> {
    /// The raw bytes that were signed.
    pub fn body(&self) -> &'d [u8] {
        self.body
    }

    /// The path as it arrived.
    pub fn path(&self) -> &'d str {
        self.path
    }

    /// Label of the key that matched.
    pub fn key(&self) -> &'d Arc<str> {
        self.key
    }

    /// The form that the signature was over.
    pub fn form(&self) -> SignedForm {
        self.form
    }

    /// A delivery that was verified when it arrived and waited in the inbox since.
    /// Only the registrar reads inbox rows, and only verified deliveries become one.
    pub(crate) fn resumed(
        path: &'d str,
        body: &'d [u8],
        key: &'d Arc<str>,
        form: SignedForm,
    ) -> Self {
        Self {
            path,
            body,
            key,
            form,
        }
    }
}

impl fmt::Debug for Verified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified")
            .field("key", &self.key)
            .field("form", &self.form)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Checks deliveries. Keys and the registered path are prepared once.
///
/// The path is the one given to the provider in `callbackUrl`: a proxy may show the
/// application another one. It may be written in any way (`/café/hook`, `/a/../hook`); what is
/// compared is its form in a URL (`/caf%C3%A9/hook`, `/hook`). There is no switch that
/// skips a check.
#[derive(Debug, Clone)]
pub struct Verifier {
    app_id: AppId,
    keys: Vec<PreparedKey>,
    path: String,
    max_body: usize,
    signed_time: Option<SignedTime>,
}

#[derive(Clone)]
struct PreparedKey {
    label: Arc<str>,
    signer: Signer,
    at_path: Prepared,
}

impl fmt::Debug for PreparedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PreparedKey").field(&self.label).finish()
    }
}

impl Verifier {
    /// Body cap unless [`max_body`](Self::max_body) sets another: 64 KiB.
    pub const DEFAULT_MAX_BODY: usize = 64 * 1024;

    /// A verifier for callbacks to `path` from application `app_id`.
    ///
    /// # Errors
    /// [`VerifierError`] when there is no key or more than eight, two keys share
    /// a label, or the path is not a plain URL path.
    pub fn new(app_id: AppId, keys: &KeyRing, path: &str) -> Result<Self, VerifierError> {
        let path = signed_path(path).ok_or(VerifierError::BadPath)?;
        let keys = keys
            .checked()?
            .iter()
            .map(|(label, secret)| {
                let signer = Signer::new(secret);
                let at_path = signer.after(&path);
                PreparedKey {
                    label: label.clone(),
                    signer,
                    at_path,
                }
            })
            .collect();
        Ok(Self {
            app_id,
            keys,
            path,
            max_body: Self::DEFAULT_MAX_BODY,
            signed_time: None,
        })
    }

    /// Sets the body cap, in bytes.
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Requires a signed time, for a provider whose scheme has one.
    #[must_use]
    pub fn signed_time(mut self, scheme: SignedTime) -> Self {
        self.signed_time = Some(scheme);
        self
    }

    /// Checks size, application id and signature, in this order. Every key is
    /// tried, also after one matched. On the raw form nothing is allocated.
    ///
    /// # Errors
    /// [`VerifyError`] names the first check that failed.
    ///
    /// # Example
    /// ```
    /// use coursegate::webhook::{Delivery, KeyRing, Signer, Verifier};
    /// use coursegate::{AppId, Secret};
    ///
    /// let secret = Secret::new("test-secret-0123456789abcdef")?;
    /// let body = br#"{"paylinkID":"2zh1zj6y8xpb0g3","status":"SUCCESS","externalTransactionID":"CG-1","responseCode":"00"}"#;
    /// let sign = Signer::new(&secret).sign("/webhook", body).to_hex();
    ///
    /// let verifier = Verifier::new(AppId::new("IKTESTAPP")?, &KeyRing::new("2026", secret), "/webhook")?;
    /// let delivery = Delivery::new("/webhook", [("ik-appid", "IKTESTAPP"), ("ik-sign", &sign)], body.to_vec());
    /// let verified = verifier.verify(&delivery, chrono::Utc::now())?;
    /// assert_eq!(verified.key().as_ref(), "2026");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn verify<'d>(
        &'d self,
        delivery: &'d Delivery,
        now: DateTime<Utc>,
    ) -> Result<Verified<'d>, VerifyError> {
        if delivery.body().len() > self.max_body {
            return Err(VerifyError::TooLarge { cap: self.max_body });
        }
        let app_id = single(
            delivery,
            APP_ID_HEADER,
            VerifyError::MissingAppId,
            VerifyError::RepeatedAppId,
        )?;
        if !bool::from(same(app_id.trim_ascii(), self.app_id.as_str().as_bytes())) {
            return Err(VerifyError::WrongAppId);
        }
        let signature = single(
            delivery,
            SIGNATURE_HEADER,
            VerifyError::MissingSignature,
            VerifyError::RepeatedSignature,
        )?;
        let signature =
            Signature::from_hex(signature.trim_ascii()).ok_or(VerifyError::MalformedSignature)?;
        let time = self
            .signed_time
            .as_ref()
            .map(|scheme| scheme.check(delivery, now))
            .transpose()?;
        let (key, form) = self
            .find(delivery, &signature, time.as_deref())
            .ok_or(VerifyError::WrongSignature)?;
        Ok(Verified {
            path: delivery.path(),
            body: delivery.body(),
            key: &key.label,
            form,
        })
    }

    fn find(
        &self,
        delivery: &Delivery,
        signature: &Signature,
        time: Option<&str>,
    ) -> Option<(&PreparedKey, SignedForm)> {
        let raw = delivery.body();
        if let Some(key) = self.matching(signature, time, &[raw]) {
            return Some((key, SignedForm::Raw));
        }
        let query = delivery.query().map(str::as_bytes);
        if let Some(query) = query
            && let Some(key) = self.matching(signature, time, &[b"?", query, raw])
        {
            return Some((key, SignedForm::RawWithQuery));
        }
        let body = canonical(raw)?;
        if let Some(key) = self.matching(signature, time, &[&body]) {
            return Some((key, SignedForm::Canonical));
        }
        let key = self.matching(signature, time, &[b"?", query?, &body])?;
        Some((key, SignedForm::CanonicalWithQuery))
    }

    /// Tries every key, without early exit.
    fn matching(
        &self,
        signature: &Signature,
        time: Option<&str>,
        parts: &[&[u8]],
    ) -> Option<&PreparedKey> {
        let mut found = u8::MAX;
        for (index, key) in (0u8..).zip(&self.keys) {
            let expected = match time {
                None => key.at_path.sign(parts),
                Some(time) => key
                    .signer
                    .after(&format!("{time}{}", self.path))
                    .sign(parts),
            };
            found.conditional_assign(&index, expected.ct_eq(signature));
        }
        self.keys.get(usize::from(found))
    }
}

/// Whether two texts are the same, in time that depends on their lengths only.
fn same(ours: &[u8], theirs: &[u8]) -> Choice {
    let difference = ours
        .iter()
        .zip(theirs)
        .fold(0, |difference, (a, b)| difference | (a ^ b));
    difference.ct_eq(&0) & ours.len().ct_eq(&theirs.len())
}
