//! Plain pages that work without scripts. Everything that is text stays text.

mod admin;
mod audit_log;
mod bank;
mod day;
mod enrollment;
mod learner;
mod lists;
#[cfg(feature = "statements")]
mod upload;

use coursegate::{AdminId, LearnerId};

use super::app::User;

pub use admin::{Counts, queue};
pub use audit_log::audit_log;
pub use bank::{settled, statement};
pub use day::day;
pub use enrollment::timeline;
pub use learner::{learner, lesson, transfer};
pub use lists::{money, notices, payments, problems};

/// How the pages look.
pub const STYLE: &str = include_str!("style.css");
/// What they do beyond being pages.
#[cfg(feature = "live")]
pub const SCRIPT: &str = include_str!("page.js");

/// Makes text safe between tags and in quoted attributes.
fn text(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    for c in raw.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// Words of the wire, as people write them.
fn plain(word: &impl ToString) -> String {
    text(&word.to_string().replace('_', " "))
}

/// The frame around every page. The stream that its script follows hangs on who is signed in.
fn frame(title: &str, user: Option<&User>, nav: &str, body: &str) -> String {
    let (stream, who) = match user {
        Some(User::Learner(learner)) => ("/api/live", learner.as_str()),
        Some(User::Admin(person)) => ("/api/admin/live", person.as_str()),
        None => ("", ""),
    };
    let live = cfg!(feature = "live") && !stream.is_empty();
    let script = match live {
        true => "<script type=\"module\" src=\"/page.js\"></script>",
        false => "",
    };
    let follows = match live {
        true => format!(" data-live=\"{stream}\" data-who=\"{}\"", text(who)),
        false => String::new(),
    };
    let signed_in = match who {
        "" => String::new(),
        who => format!("<p>Signed in as <strong>{}</strong></p>", text(who)),
    };
    let title = text(title);
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>{title}</title>\
         <link rel=\"icon\" href=\"data:,\"><link rel=\"stylesheet\" href=\"/style.css\">{script}</head>\
         <body{follows}><p id=\"offline\" role=\"status\" hidden>No connection: what you see may be old. \
         It comes back by itself.</p><header><strong>Demo School</strong>{signed_in}</header>{nav}\
         <main><h1 tabindex=\"-1\">{title}</h1>{body}</main>\
         <aside><section id=\"results\" hidden></section><p id=\"said\" role=\"status\"></p></aside></body></html>"
    )
}

/// A page of the learner's.
fn learners(title: &str, learner: Option<&LearnerId>, body: &str) -> String {
    let user = learner.map(|learner| User::Learner(learner.clone()));
    frame(title, user.as_ref(), "", body)
}

/// A page of the admin's, beside its other pages.
fn admins(title: &str, person: &AdminId, counts: &Counts, here: &str, body: &str) -> String {
    let nav = counts.nav(here);
    frame(title, Some(&User::Admin(person.clone())), &nav, body)
}

pub fn problem(what: &str) -> String {
    let body = format!(
        "<p class=\"bad\">{}</p><p><a href=\"/\">To the courses</a> · <a href=\"/admin\">To the admin</a></p>",
        text(what)
    );
    frame("That did not work", None, "", &body)
}

pub fn sign_in(role: &str, error: Option<&str>) -> String {
    let error = error.map_or_else(String::new, |error| {
        format!("<p class=\"bad\">{}</p>", text(error))
    });
    let body = format!(
        "<p>A demo: any name will do. Your platform has its own sign-in.</p>{error}{}",
        sign_in_form(role)
    );
    frame("Demo sign-in", None, "", &body)
}

fn sign_in_form(role: &str) -> String {
    format!(
        "<form method=\"post\" action=\"/sign-in\"><input name=\"name\" required maxlength=\"60\" \
         placeholder=\"Your name\" aria-label=\"Your name\"><input type=\"hidden\" name=\"role\" value=\"{}\">\
         <button class=\"main\">Sign in (demo)</button></form>",
        text(role)
    )
}

/// A form with one button, and a field when something has to be written.
struct Act<'a> {
    action: &'a str,
    subject: &'a str,
    other: &'a str,
    label: &'a str,
    /// What has to be written.
    ask: Option<&'a str>,
    /// The page to come back to.
    back: &'a str,
    /// Whether it is what the page is for.
    main: bool,
}

impl<'a> Act<'a> {
    fn new(action: &'a str, subject: &'a str, label: &'a str, back: &'a str) -> Self {
        Self {
            action,
            subject,
            other: "",
            label,
            ask: None,
            back,
            main: false,
        }
    }

    #[cfg(feature = "statements")]
    fn main(self) -> Self {
        Self { main: true, ..self }
    }

    fn ask(self, ask: &'a str) -> Self {
        Self {
            ask: Some(ask),
            ..self
        }
    }

    fn html(&self) -> String {
        self.with("")
    }

    /// With more fields in front.
    fn with(&self, fields: &str) -> String {
        let Self {
            action,
            subject,
            other,
            label,
            back,
            ..
        } = self;
        let (subject, other, back) = (text(subject), text(other), text(back));
        let field = self.ask.map_or_else(String::new, |ask| {
            format!(
                "<input id=\"{action}-{subject}\" name=\"text\" required maxlength=\"200\" \
                 placeholder=\"{ask}\" aria-label=\"{ask}\">"
            )
        });
        format!(
            "<form method=\"post\" action=\"/admin/act\"><input type=\"hidden\" name=\"action\" value=\"{action}\">\
             <input type=\"hidden\" name=\"subject\" value=\"{subject}\"><input type=\"hidden\" name=\"other\" value=\"{other}\">\
             <input type=\"hidden\" name=\"back\" value=\"{back}\">{fields}{field}<button{}>{}</button></form>",
            if self.main { " class=\"main\"" } else { "" },
            text(label)
        )
    }
}
