//! Looks at everything from outside, over a connection of the test's own.

use chrono::{DateTime, Utc};

use super::books::Books;
use super::laws::{EVENTS, FACTS, LEFT, MONEY, WORK};

fn at(text: &str, now: DateTime<Utc>) -> String {
    text.replace("$now", &now.to_rfc3339())
}

/// What the workers have not done yet; leases count once they have stopped.
pub async fn left(books: &Books, now: DateTime<Utc>, stopped: bool) -> Vec<String> {
    let mut left = books.ask(&at(LEFT, now), &[]).await;
    if stopped {
        let leases = WORK.iter().filter(|(what, _)| what.contains("lease"));
        for (what, query) in leases {
            let found = books.ask(&at(query, now), &[]).await;
            left.extend(found.into_iter().map(|it| format!("{what}: {it}")));
        }
    }
    left
}

/// How often each thing happened.
pub async fn summary(books: &Books) -> String {
    let query = "SELECT format('%s %s', count(*), what) FROM outside.facts
        GROUP BY what ORDER BY count(*) DESC";
    books.ask(query, &[]).await.join(", ")
}

/// Everything that is wrong.
pub async fn problems(books: &Books, now: DateTime<Utc>) -> Vec<String> {
    books.run(FACTS).await;
    let mut problems = Vec::new();
    for (what, query) in [MONEY, EVENTS, WORK].concat() {
        let found = books.ask(&at(query, now), &[]).await;
        if !found.is_empty() {
            let some = &found[..found.len().min(5)];
            problems.push(format!("{what}: {} times, such as {some:?}", found.len()));
        }
    }
    problems
}
