use super::link::Link;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:26rem;margin:3rem auto;padding:0 1rem;\
color:#16202a;background:#fff}button{display:block;width:100%;margin:.6rem 0;padding:.8rem;font:inherit;\
border:1px solid #4a5a68;border-radius:.4rem;background:#f3f6f8;color:inherit;cursor:pointer}\
small{color:#4a5a68}@media(prefers-color-scheme:dark){body{background:#10161c;color:#e6edf3}\
button{background:#1d2731;border-color:#8494a3}small{color:#9fb0bf}}";

fn frame(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{title}</title><style>{STYLE}</style><h1>{title}</h1>{body}\
         <p><small>Simulated payment page: no money moves here.</small></p></html>"
    )
}

pub(super) fn unknown() -> String {
    frame("Unknown payment", "<p>This pay link does not exist.</p>")
}

/// What a server before the API may answer.
pub(super) fn instead_of_json() -> String {
    frame("Please wait", "<p>The service is being worked on.</p>")
}

pub(super) fn pay(link: &Link) -> String {
    let what = escaped(&link.description);
    let sum = format!("R {}.{:02}", link.amount / 100, link.amount % 100);
    if link.paid.is_some() {
        return frame(
            "Already paid",
            &format!("<p>{what}</p><p><strong>{sum}</strong> was paid.</p>"),
        );
    }
    let button = |choice: &str, text: &str| {
        format!("<button name=\"choice\" value=\"{choice}\">{text}</button>")
    };
    let buttons = [
        button("card", "Pay by card"),
        button("eft", "Pay by Instant EFT"),
        button("decline", "Pay by card that is declined"),
        button("cancel", "Cancel"),
    ];
    let body = format!(
        "<p>{what}</p><p><strong>{sum}</strong></p><form method=\"post\">{}</form>",
        buttons.concat()
    );
    frame("Pay", &body)
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
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
