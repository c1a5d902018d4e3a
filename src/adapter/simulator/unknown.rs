use super::http::HttpResponse;
use crate::vocabulary::string_enum;

/// What a status look-up answers about a payment nobody knows. The provider does not publish its
/// own answer, so a client has to live with each of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum UnknownAnswer {
    /// 404 with an error object.
    NotFound,
    /// 400 with an error object.
    BadRequest,
    /// 200 with an error object.
    ErrorObject,
    /// 200 with the JSON `null`.
    Null,
    /// 200 with an empty list.
    EmptyList,
    /// 200 with an empty body.
    EmptyBody,
}

string_enum!(UnknownAnswer {
    NotFound => "not_found",
    BadRequest => "bad_request",
    ErrorObject => "error_object",
    Null => "null",
    EmptyList => "empty_list",
    EmptyBody => "empty_body",
});

impl UnknownAnswer {
    pub(super) fn response(self) -> HttpResponse {
        const MESSAGE: &str = "Payment not found";
        match self {
            Self::NotFound => HttpResponse::error(404, MESSAGE),
            Self::BadRequest => HttpResponse::error(400, MESSAGE),
            Self::ErrorObject => HttpResponse::error(200, MESSAGE),
            Self::Null => HttpResponse::json(200, &serde_json::Value::Null),
            Self::EmptyList => HttpResponse::json(200, &serde_json::json!([])),
            Self::EmptyBody => HttpResponse::empty(200),
        }
    }
}
