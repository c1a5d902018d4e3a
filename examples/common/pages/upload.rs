//! A file of a bank, before anything of it is imported.

use coursegate::AccountId;
use coursegate::registrar::{Imported, StatementPreview};
use coursegate::statement::{Preset, StatementRow};

use super::bank::cents;
use super::{Act, text};
use crate::common::UPLOAD_PATH;
use crate::common::upload::Look;

/// Rows that are shown before an import.
const SHOWN: usize = 8;
/// Lines that cannot be read, of which each is named.
const NAMED: usize = 20;

/// A form for a file, and what the last one is.
pub(super) fn import(accounts: &[AccountId], look: Option<&Look>) -> String {
    let options: String = accounts
        .iter()
        .map(|account| format!("<option value=\"{}\">", text(account.as_str())))
        .collect();
    let usual = match (look, accounts) {
        (Some(look), _) => look.upload.account.as_str(),
        (None, [only]) => only.as_str(),
        _ => "",
    };
    let form = format!(
        "<article id=\"import\" data-drop><h2>Import a statement</h2>\
         <form method=\"post\" action=\"{UPLOAD_PATH}\" enctype=\"multipart/form-data\">\
         <label>Account <input id=\"account\" name=\"account\" list=\"accounts\" required maxlength=\"60\" value=\"{}\" \
         autocomplete=\"off\"></label><datalist id=\"accounts\">{options}</datalist>\
         <label>File <input type=\"file\" id=\"file\" name=\"file\" required accept=\".csv,.txt,text/csv,text/plain\"></label>\
         <button class=\"main\">Look at it</button></form>\
         <p class=\"quiet\">CSV as your bank's site gives it. Nothing is imported before you have seen it. \
         <span data-script hidden>You can drop the file here.</span></p></article>",
        text(usual)
    );
    form + &look.map_or_else(String::new, shown)
}

fn shown(look: &Look) -> String {
    let here = format!("/admin/statement?upload={}", look.key);
    let head = format!(
        "<h2>{} <small>for {}</small></h2>",
        text(&look.upload.name),
        text(look.upload.account.as_str())
    );
    let (class, body) = match (&look.preview, &look.upload.imported) {
        (_, Some(imported)) => ("todo", done(imported)),
        (Ok(preview), None) => ("todo", preview_of(preview, look, &here)),
        (Err(error), None) => (
            "error",
            format!(
                "<p class=\"bad\">{}</p><p>It begins so:</p><pre>{}</pre>{}",
                text(&error.in_full()),
                text(&look.beginning),
                reading(look, None, &here)
            ),
        ),
    };
    format!("<article class=\"{class}\" id=\"look\">{head}{body}</article>")
}

fn done(imported: &Imported) -> String {
    let doubtful = match imported.doubtful {
        0 => String::new(),
        rows => format!(", {rows} may be earlier ones: say below what they are"),
    };
    format!(
        "<p class=\"good\">Imported: {} new{doubtful}. {} were imported before.</p>",
        imported.added, imported.known
    )
}

fn preview_of(preview: &StatementPreview, look: &Look, here: &str) -> String {
    let read = &preview.statement;
    let layout = preview.preset().map_or("your own columns", Preset::name);
    let account = match preview.is_new_account {
        true => format!(
            "<p class=\"warn\">Nothing was imported for {} before. If it is one of your accounts, written in another \
             way, choose that one: else what it paid can pay again.</p>",
            text(preview.account.as_str())
        ),
        false => String::new(),
    };
    let counts = format!(
        "<p id=\"counts\">{} lines: <strong>{} arrived</strong>, {} left the account, {} not booked yet, {} cannot be read, \
         {} are no rows.</p>",
        read.lines,
        read.rows.len(),
        read.outgoing,
        read.pending,
        read.bad.len(),
        read.skipped
    );
    let import = &preview.import;
    let would = format!(
        "<p id=\"would\">Of those that arrived, <strong>{} are new</strong>, {} may be earlier ones, {} were imported before.</p>",
        import.added, import.doubtful, import.known
    );
    let bad: String = read
        .bad
        .iter()
        .take(NAMED)
        .map(|bad| format!("<li>Line {}: {}</li>", bad.line, bad.reason))
        .collect();
    let bad = match read.bad.len() {
        0 => String::new(),
        lines => format!(
            "<details id=\"bad\" open><summary class=\"bad\">Lines that cannot be read, and are left out: {lines}</summary>\
             <ul>{bad}</ul></details>"
        ),
    };
    let import = match read.rows.len() {
        0 => "<p>No money arrived in it.</p>".to_owned(),
        rows => {
            let label = match rows {
                1 => "Import 1 row".to_owned(),
                rows => format!("Import {rows} rows"),
            };
            Act::new("import", &look.key, &label, here).main().html()
        }
    };
    format!(
        "<p>Read as <strong>{layout}</strong>. Is every day, sum and text in its place?</p>{}{account}{counts}{would}{bad}{import}{}",
        first_rows(&read.rows),
        reading(look, preview.preset(), here)
    )
}

fn first_rows(rows: &[StatementRow]) -> String {
    let lines: String = rows
        .iter()
        .take(SHOWN)
        .map(|row| {
            format!(
                "<tr><td data-label=\"Day\">{}</td><td class=\"sum\" data-label=\"Sum\">{}</td><td data-label=\"Reference\">{}</td>\
                 <td data-label=\"Other text\">{}</td><td class=\"sum\" data-label=\"Balance\">{}</td></tr>",
                row.date,
                row.amount,
                text(row.reference.as_str()),
                text(row.description.as_str()),
                row.balance.map_or_else(String::new, cents)
            )
        })
        .collect();
    match rows.is_empty() {
        true => String::new(),
        false => format!(
            "<table id=\"first\"><thead><tr><th>Day</th><th class=\"sum\">Sum</th><th>Reference</th><th>Other text</th>\
             <th class=\"sum\">Balance</th></tr></thead><tbody>{lines}</tbody></table>"
        ),
    }
}

/// Ways to have it read otherwise: another layout, or other columns.
fn reading(look: &Look, preset: Option<Preset>, here: &str) -> String {
    let wire = |preset: Preset| match serde_json::to_value(preset) {
        Ok(serde_json::Value::String(wire)) => wire,
        _ => String::new(),
    };
    let layouts: String = Preset::ALL
        .iter()
        .map(|other| {
            let selected = if Some(*other) == preset {
                " selected"
            } else {
                ""
            };
            format!(
                "<option value=\"{}\"{selected}>{}</option>",
                wire(*other),
                other.name()
            )
        })
        .collect();
    let form = |fields: &str, label: &str| {
        format!(
            "<form method=\"post\" action=\"/admin/act\"><input type=\"hidden\" name=\"action\" value=\"read_as\">\
             <input type=\"hidden\" name=\"subject\" value=\"{}\"><input type=\"hidden\" name=\"back\" value=\"{}\">{fields}\
             <button>{label}</button></form>",
            text(&look.key),
            text(here)
        )
    };
    let columns = serde_json::to_string_pretty(&look.mapping).unwrap_or_default();
    format!(
        "<details id=\"reading\"><summary>Read it in another way</summary>{}{}</details>",
        form(
            &format!(
                "<select name=\"other\" id=\"layout\" aria-label=\"Layout\"><option value=\"\">Find out</option>{layouts}</select>"
            ),
            "Read as this bank's"
        ),
        form(
            &format!(
                "<input type=\"hidden\" name=\"other\" value=\"own\"><textarea id=\"columns\" name=\"text\" rows=\"12\" \
                 spellcheck=\"false\" aria-label=\"Which column is which\">{}</textarea>",
                text(&columns)
            ),
            "Read with these columns"
        )
    )
}
