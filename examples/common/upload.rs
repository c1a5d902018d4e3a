//! A file of a bank: taken, shown as it would be read, and imported when a person says so.

use std::convert::Infallible;
use std::pin::pin;

use axum::body::Bytes;
use coursegate::reason::Note;
use coursegate::registrar::{Admin, Imported, StatementPreview};
use coursegate::statement::{Mapping, Preset, detect};
use coursegate::{AccountId, AdminId, Error};
use futures_util::{Stream, StreamExt};

use super::admin::{Act, Failure};
use super::app::{App, Reply, User};
use super::pages;
use super::serve::Limits;

/// Largest file of a bank, in bytes, with what is around it in the form.
const LARGEST: usize = 10 * 1024 * 1024 + 4 * 1024;
const BROKEN: &str = "The file did not arrive whole. Choose it again.";

/// A file that a person looks at.
#[derive(Clone)]
pub struct Upload {
    pub name: String,
    pub account: AccountId,
    file: Vec<u8>,
    /// How the person wants it read; otherwise it is guessed.
    mapping: Option<Mapping>,
    pub imported: Option<Imported>,
}

/// What the page shows of a file.
pub struct Look {
    /// The name it is kept under.
    pub key: String,
    pub upload: Upload,
    pub preview: Result<StatementPreview, Error>,
    /// How it is read, or was tried to be read.
    pub mapping: Mapping,
    /// How it begins, for whoever has to say which column is which.
    pub beginning: String,
}

impl App {
    /// Takes a file of an admin's, and shows what it is. Its bytes are asked for only then.
    pub async fn upload_form(
        &self,
        user: &User,
        kind: &str,
        body: impl Future<Output = Option<Vec<u8>>>,
    ) -> Reply {
        let User::Admin(person) = user else {
            return Reply::Page(403, pages::problem("Only admins may do this."));
        };
        let form = tokio::time::timeout(Limits::USUAL.time_limit, body).await;
        let taken = match form {
            Ok(Some(form)) => taken(kind, form).await,
            Ok(None) => Err("The file is larger than 10 MiB. Import it in parts.".to_owned()),
            Err(_) => Err(BROKEN.to_owned()),
        };
        match taken {
            Ok(upload) => {
                let key = self.uploads.put(person, upload);
                Reply::To(format!("/admin/statement?upload={key}"))
            }
            Err(what) => Reply::Page(422, pages::problem(&what)),
        }
    }

    /// What a file is, as the person wants it read.
    pub(super) async fn look(
        &self,
        admin: &Admin<'_>,
        person: &AdminId,
        key: &str,
    ) -> Result<Option<Look>, Error> {
        let Some(upload) = self.uploads.get(person, key) else {
            return Ok(None);
        };
        let mapping = upload.mapping.as_ref();
        let preview = admin
            .statements()
            .preview(&upload.account, &upload.file, mapping)
            .await;
        if let Err(error @ (Error::Forbidden(_) | Error::Store(_))) = preview {
            return Err(error);
        }
        let used = preview.as_ref().ok().map(|preview| &preview.mapping);
        let beginning = &upload.file[..upload.file.len().min(2_000)];
        let beginning = String::from_utf8_lossy(beginning);
        Ok(Some(Look {
            key: key.to_owned(),
            mapping: mapping.or(used).cloned().unwrap_or_else(plain),
            beginning: masked(&beginning),
            preview,
            upload,
        }))
    }

    /// What is clicked beside a file.
    pub(super) async fn act_on_upload(
        &self,
        admin: &Admin<'_>,
        person: &AdminId,
        act: &Act,
    ) -> Result<(), Failure> {
        let key = act.subject.as_str();
        let upload = self.uploads.get(person, key);
        let upload = upload.ok_or(Failure::Conflict(
            "The file is not here any more. Choose it again.".to_owned(),
        ))?;
        match act.action.as_str() {
            "import" => {
                let (account, file) = (&upload.account, &upload.file);
                let statements = admin.statements();
                let preview = statements.preview(account, file, upload.mapping.as_ref());
                let rows = preview.await?.statement.rows;
                let imported = admin.statements().import(account, &rows).await?;
                self.uploads
                    .change(person, key, |kept| kept.imported = Some(imported));
            }
            _ => {
                let mapping = wanted(&upload, &act.other, &act.text)?;
                self.uploads.change(person, key, |kept| {
                    (kept.mapping, kept.imported) = (mapping, None);
                });
            }
        }
        Ok(())
    }
}

/// How a person wants a file read: by a layout of the list, or as they wrote it.
fn wanted(upload: &Upload, layout: &str, written: &str) -> Result<Option<Mapping>, Failure> {
    let invalid = |what: String| Failure::Invalid(what);
    match layout {
        "" => Ok(None),
        "own" => {
            let mapping = serde_json::from_str(written);
            Ok(Some(mapping.map_err(|error| {
                invalid(format!("The columns cannot be read: {error}"))
            })?))
        }
        layout => {
            let preset: Preset = serde_json::from_value(layout.into())
                .map_err(|_| invalid("There is no such layout.".to_owned()))?;
            // As this file writes its days and sums, if it can be of that layout at all.
            let today = chrono::Utc::now().date_naive();
            let guesses =
                detect(&upload.file, today).map_err(|error| invalid(error.to_string()))?;
            let guess = guesses.into_iter().find(|guess| guess.preset == preset);
            Ok(Some(
                guess.map_or_else(|| preset.mapping(), |guess| guess.mapping),
            ))
        }
    }
}

/// The first lines, with what may be the number of a card made unreadable.
fn masked(beginning: &str) -> String {
    let lines = beginning.lines().take(8).map(Note::from);
    let lines: Vec<String> = lines.map(|line| line.as_str().to_owned()).collect();
    lines.join("\n")
}

/// What an own layout begins with.
fn plain() -> Mapping {
    Mapping::new("Date", "Amount").reference("Reference")
}

/// The bytes of a form, unless they are too many. Those are read to their end all the same, within
/// reason: a browser that is cut off shows nothing of what is answered.
pub async fn gathered<E>(body: impl Stream<Item = Result<Bytes, E>>) -> Option<Vec<u8>> {
    let (mut body, mut form, mut left) = (pin!(body), Vec::new(), 4 * LARGEST);
    let mut fits = true;
    while let Some(chunk) = body.next().await {
        let chunk = chunk.ok()?;
        left = left.checked_sub(chunk.len())?;
        fits &= form.len() + chunk.len() <= LARGEST;
        if fits {
            form.extend_from_slice(&chunk);
        }
    }
    fits.then_some(form)
}

/// The fields of the form with the file.
async fn taken(kind: &str, body: Vec<u8>) -> Result<Upload, String> {
    let boundary = multer::parse_boundary(kind).map_err(|_| BROKEN.to_owned())?;
    let body = futures_util::stream::iter([Ok::<_, Infallible>(body)]);
    let mut form = multer::Multipart::new(body, boundary);
    let (mut account, mut file) = (None, None);
    while let Some(field) = form.next_field().await.map_err(|_| BROKEN.to_owned())? {
        match field.name() {
            Some("account") => {
                account = Some(field.text().await.map_err(|_| BROKEN.to_owned())?);
            }
            Some("file") => {
                let name = field.file_name().unwrap_or("a file");
                let name: String = name.chars().take(100).collect();
                let bytes = field.bytes().await.map_err(|_| BROKEN.to_owned())?;
                file = Some((name, bytes.to_vec()));
            }
            _ => {}
        }
    }
    let account = AccountId::new(account.unwrap_or_default().trim())
        .map_err(|error| format!("Say which account it is of: {error}."))?;
    let (name, file) = file
        .filter(|(_, file)| !file.is_empty())
        .ok_or("Choose a file first.")?;
    Ok(Upload {
        name,
        account,
        file,
        mapping: None,
        imported: None,
    })
}
