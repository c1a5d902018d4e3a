use url::Url;

use crate::vocabulary::PaymentReference;
use crate::webhook::web_address;

/// Why a web address was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Not `https://host/path` or `http://host/path`.
    #[error(
        "{what} must be an absolute http or https address without credentials, backslashes and characters that nobody sees"
    )]
    Invalid {
        /// Which address.
        what: &'static str,
    },
    /// The callback address has a query or a fragment.
    #[error(
        "the callback URL must have neither query nor fragment: the provider signs its path only"
    )]
    CallbackWithQuery,
}

/// The host's pages, as the provider is told about them. `{reference}` in the
/// success, failure and cancel addresses becomes the attempt's reference.
///
/// They may be written in any way that a URL parser reads. The provider is given the form in which
/// the parser writes them, and callbacks are verified over the path of that form:
///
/// ```
/// # use coursegate::Site;
/// let site = Site {
///     callback_url: "https://school.example/café/hook".into(),
/// #   success_url: "https://school.example/paid/{reference}".into(),
/// #   failure_url: "https://school.example/failed/{reference}".into(),
/// #   cancel_url: None,
/// #   requester_url: "https://school.example".into(),
///     // ...
/// };
/// assert_eq!(site.callback_path()?, "/caf%C3%A9/hook");
/// # Ok::<(), coursegate::UrlError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Where callbacks go: public https in production, without a query.
    pub callback_url: String,
    /// Where the learner goes after paying. Visiting it proves nothing.
    pub success_url: String,
    /// Where the learner goes after a failure.
    pub failure_url: String,
    /// Where the learner goes after giving up.
    pub cancel_url: Option<String>,
    /// The site itself.
    pub requester_url: String,
}

impl Site {
    pub(crate) fn check(&self) -> Result<(), UrlError> {
        self.normalized().map(drop)
    }

    /// The same pages in the form that the provider is given: percent-encoded, without dot segments.
    pub(crate) fn normalized(&self) -> Result<Self, UrlError> {
        let cancel_url = self.cancel_url.as_deref();
        Ok(Self {
            callback_url: self.callback()?.into(),
            success_url: page(&self.success_url, "the success URL")?,
            failure_url: page(&self.failure_url, "the failure URL")?,
            cancel_url: cancel_url
                .map(|url| page(url, "the cancel URL"))
                .transpose()?,
            requester_url: page(&self.requester_url, "the requester URL")?,
        })
    }

    fn callback(&self) -> Result<Url, UrlError> {
        let url = parsed(&self.callback_url, "the callback URL")?;
        match (url.query(), url.fragment()) {
            (None, None) => Ok(url),
            _ => Err(UrlError::CallbackWithQuery),
        }
    }

    /// The path that callbacks are signed with, and that requests have: the one to route. It is
    /// percent-encoded; a framework that decodes paths before it compares them, as actix-web does,
    /// wants it decoded.
    ///
    /// # Errors
    /// [`UrlError`] when the callback address cannot be right.
    pub fn callback_path(&self) -> Result<String, UrlError> {
        Ok(self.callback()?.path().to_owned())
    }

    pub(crate) fn filled(&self, url: &str, reference: &PaymentReference) -> String {
        url.replace("{reference}", reference.as_str())
    }
}

fn parsed(text: &str, what: &'static str) -> Result<Url, UrlError> {
    web_address(text).ok_or(UrlError::Invalid { what })
}

/// A page, of which the place for the reference stays as it is.
fn page(text: &str, what: &'static str) -> Result<String, UrlError> {
    let url = String::from(parsed(text, what)?);
    Ok(url.replace("%7Breference%7D", "{reference}"))
}
