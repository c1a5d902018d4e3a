//! Server-sent events: what changed, as it changes.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Bytes;
use coursegate::access::Visitor;
use coursegate::live::{AdminStream, Hub, LearnerStream, LearnerToken};
use coursegate::{AdminId, CourseId, Error, LearnerId, Registrar};
use futures_util::Stream;
use futures_util::stream::unfold;

use super::app::COURSES;

/// A line that says nothing, so that nobody in between closes a quiet connection.
const QUIET: Duration = Duration::from_secs(15);
/// Wait after the store failed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// The module that keeps tabs in step; any page can use it.
pub const MODULE: &str = include_str!("coursegate.js");
pub use super::pages::SCRIPT as PAGE;

/// Where a stream goes on: what the browser says when it comes back by itself, or what the
/// module asks for.
#[derive(Debug, Default, serde::Deserialize)]
pub struct Since {
    since: Option<String>,
}

impl Since {
    pub fn or<'s>(&'s self, last_event: Option<&'s str>) -> Option<&'s str> {
        last_event.or(self.since.as_deref())
    }
}

/// One learner's cards.
pub async fn learner(
    hub: &Hub,
    registrar: &Registrar,
    learner: LearnerId,
    since: Option<&str>,
) -> Option<impl Stream<Item = Result<Bytes, Infallible>> + use<>> {
    let courses = COURSES
        .iter()
        .filter_map(|course| CourseId::new(course.id).ok());
    let since: Option<LearnerToken> = since.and_then(|token| serde_json::from_str(token).ok());
    let stream = hub
        .learner(registrar, Visitor::new(learner), courses.collect(), since)
        .await
        .ok()?;
    Some(unfold(stream, async |mut stream: LearnerStream| {
        let text = match tokio::time::timeout(QUIET, stream.next()).await {
            Ok(Ok(update)) => message("learner", &serde_json::to_string(&stream.token()), &update),
            Ok(Err(_)) => {
                tokio::time::sleep(AFTER_FAILURE).await;
                ":\n\n".to_owned()
            }
            Err(_) => ":\n\n".to_owned(),
        };
        Some((Ok(Bytes::from(text)), stream))
    }))
}

/// What happens, for the people who approve; nothing for others. It ends when somebody may not
/// see it any more.
pub async fn admin(
    hub: &Hub,
    registrar: &Registrar,
    person: AdminId,
    since: Option<&str>,
) -> Option<impl Stream<Item = Result<Bytes, Infallible>> + use<>> {
    let stream = hub.admins(registrar, person, since).await.ok()?;
    Some(unfold(stream, async |mut stream: AdminStream| {
        let text = match tokio::time::timeout(QUIET, stream.next()).await {
            Ok(Ok(update)) => message("admin", &Ok(stream.token()), &update),
            Ok(Err(Error::Forbidden(_))) => return None,
            Ok(Err(_)) => {
                tokio::time::sleep(AFTER_FAILURE).await;
                ":\n\n".to_owned()
            }
            Err(_) => ":\n\n".to_owned(),
        };
        Some((Ok(Bytes::from(text)), stream))
    }))
}

/// One event. JSON has no bare line ends, so it stays one line.
fn message(
    name: &str,
    id: &Result<String, serde_json::Error>,
    update: &impl serde::Serialize,
) -> String {
    match (id, serde_json::to_string(update)) {
        (Ok(id), Ok(data)) => format!("id: {id}\nevent: {name}\ndata: {data}\n\n"),
        _ => ":\n\n".to_owned(),
    }
}
