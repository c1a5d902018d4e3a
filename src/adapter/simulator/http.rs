use std::fmt;
use std::time::Duration;

/// A request, as any web framework can give it.
#[derive(Clone)]
pub struct HttpRequest {
    /// `GET` or `POST`.
    pub method: String,
    /// Path, with its query if it has one.
    pub path: String,
    /// Headers; names match in any case.
    pub headers: Vec<(String, String)>,
    /// The raw body.
    pub body: Vec<u8>,
}

impl HttpRequest {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }

    /// The path without its query.
    pub(super) fn bare_path(&self) -> &str {
        self.path
            .split_once('?')
            .map_or(self.path.as_str(), |(path, _)| path)
    }

    /// A field of the query, percent-decoded.
    pub(super) fn query(&self, name: &str) -> Option<String> {
        form_field(self.path.split_once('?')?.1, name)
    }
}

/// How an answer is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
    /// At once.
    Send,
    /// After so long.
    Delay(Duration),
    /// Never: the connection stays open, and nothing comes.
    Hang,
    /// Not at all: the connection is closed.
    Disconnect,
}

/// An answer, as any web framework can send it.
#[derive(Clone)]
#[non_exhaustive]
pub struct HttpResponse {
    /// The status.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How to send it. Anything but [`Transport::Send`] is a fault that was asked for.
    pub transport: Transport,
}

impl HttpResponse {
    pub(super) fn json(status: u16, body: &serde_json::Value) -> Self {
        let headers = vec![("content-type", "application/json".to_owned())];
        Self {
            headers,
            body: body.to_string().into_bytes(),
            ..Self::empty(status)
        }
    }

    pub(super) fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            transport: Transport::Send,
        }
    }

    pub(super) fn nothing_here() -> Self {
        Self::error(404, "there is nothing at this path")
    }

    /// An error in the simulator's own words.
    pub(super) fn error(status: u16, message: &str) -> Self {
        Self::json(status, &serde_json::json!({ "message": message }))
    }

    pub(super) fn html(status: u16, body: String) -> Self {
        let headers = vec![
            ("content-type", "text/html; charset=utf-8".to_owned()),
            (
                "content-security-policy",
                "default-src 'none'; style-src 'unsafe-inline'; form-action *".to_owned(),
            ),
        ];
        Self {
            headers,
            body: body.into_bytes(),
            ..Self::empty(status)
        }
    }

    pub(super) fn see_other(location: String) -> Self {
        Self {
            headers: vec![("location", location)],
            ..Self::empty(303)
        }
    }

    #[must_use]
    pub(super) fn over(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("path", &self.bare_path())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpResponse")
            .field("status", &self.status)
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

/// One field of a form or query, percent-decoded.
pub(super) fn form_field(form: &str, name: &str) -> Option<String> {
    let pairs = form.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .into_iter()
        .find(|(key, _)| *key == name)
        .and_then(|(_, value)| decoded(value))
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}
