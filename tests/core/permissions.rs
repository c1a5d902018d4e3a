//! Every call of an admin asks for its permission before anything else.

use std::collections::BTreeSet;

/// What acts for an admin.
const HANDLES: &[&str] = &[
    "Admin<",
    "Approvals<",
    "Payments<",
    "Refunds<",
    "Statements<",
    "Learners<",
    "AuditLog<",
    "Operations<",
    "Notices<",
];
/// Public methods that need no permission: one tells what somebody may do, the others give handles.
const UNASKED: &[&str] = &[
    "Admin.may",
    "Admin.approvals",
    "Admin.payments",
    "Admin.refunds",
    "Admin.statements",
    "Admin.learners",
    "Admin.audit_log",
    "Admin.operations",
    "Admin.notices",
];

/// The public methods of `Admin` and of each handle, each with its body.
fn methods_of_admin(source: &str) -> Vec<(String, String)> {
    let mut methods: Vec<(String, String)> = Vec::new();
    let (mut inside, mut open) = (None, false);
    for line in source.lines() {
        if line.starts_with("impl") {
            let own = |name: &&&str| line.contains(**name) && !line.contains(" for ");
            inside = HANDLES
                .iter()
                .find(own)
                .map(|name| name.trim_end_matches('<'));
            open = false;
        }
        let Some(handle) = inside else {
            continue;
        };
        let head = ["pub fn ", "pub async fn ", "pub const fn "];
        let name = head
            .iter()
            .find_map(|head| line.strip_prefix("    ")?.strip_prefix(head));
        if let Some(name) = name {
            let name = name.split(['(', '<']).next().unwrap().to_owned();
            methods.push((format!("{handle}.{name}"), String::new()));
            open = true;
        }
        if open {
            let body = &mut methods.last_mut().unwrap().1;
            // A chain that is broken over lines reads as one.
            if line.trim_start().starts_with('.') {
                body.truncate(body.trim_end().len());
                body.push_str(line.trim_start());
            } else {
                body.push_str(line);
            }
            body.push('\n');
            open = line != "    }";
        }
    }
    methods
}

/// The public methods that do something before they ask for a permission, or never ask.
fn unasked(source: &str) -> Vec<String> {
    let methods = methods_of_admin(source);
    // Nothing is read, written or looked up before the question: each of these would wait, or go
    // through the registrar.
    let asks_first = |body: &str, question: &str| {
        body.split_once(question).is_some_and(|(before, after)| {
            let before = before.split_once('{').map_or("", |(_, before)| before);
            let (waits, reaches) = (before.contains(".await"), before.contains("registrar"));
            !waits && !reaches && after.contains(".await")
        })
    };
    let mut asked: BTreeSet<String> = BTreeSet::new();
    loop {
        let more: Vec<String> = methods
            .iter()
            .filter(|(name, body)| {
                let handle = name.split('.').next().unwrap();
                let delegates = |to: &String| {
                    let (of, to) = to.split_once('.').unwrap();
                    of == handle && asks_first(body, &format!("self.{to}("))
                };
                let asks = ["self.allow(", "self.admin.allow("];
                !asked.contains(name)
                    && (asks.iter().any(|asks| asks_first(body, asks))
                        || asked.iter().any(delegates))
            })
            .map(|(name, _)| name.clone())
            .collect();
        if more.is_empty() {
            break;
        }
        asked.extend(more);
    }
    let names = methods.into_iter().map(|(name, _)| name);
    names
        .filter(|name| !asked.contains(name) && !UNASKED.contains(&name.as_str()))
        .collect()
}

#[test]
fn every_call_of_an_admin_asks_for_a_permission_before_anything_else() {
    let folder = format!("{}/src/registrar/admin", env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(folder).unwrap();
    let sources: String = files
        .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap() + "\n")
        .collect();
    let found = methods_of_admin(&sources).len();
    assert!(found > 35, "only {found} methods were found");
    assert_eq!(unasked(&sources), Vec::<String>::new());
}

#[test]
fn a_call_of_an_admin_that_does_not_ask_is_found() {
    let source = "
impl Admin<'_> {
    pub fn may(&self) -> bool {
        true
    }

    pub async fn asks(&self, note: impl Into<Note>) -> Result<(), Error> {
        let note = note.into();
        self.allow(Permission::View, None).await?;
        self.registrar.work(note).await
    }

    pub async fn delegates(&self) -> Result<(), Error> {
        Ok(self.asks(\"\").await?)
    }

    pub async fn never_asks(&self) -> Result<(), Error> {
        self.registrar.work().await
    }

    pub fn looks(&self) -> usize {
        self.registrar.inner.size
    }

    pub async fn reads_first(&self) -> Result<(), Error> {
        let found = self.registrar.read().await?;
        self.allow(Permission::View, None).await?;
        Ok(found)
    }

    pub async fn delegates_to_one_that_does_not(&self) -> Result<(), Error> {
        self.never_asks().await
    }

    async fn own(&self) {}
}

impl<'a> Admin<'a> {
    pub async fn in_another_block(&self) -> Result<(), Error> {
        self.registrar.work().await
    }
}

impl Refunds<'_> {
    pub async fn asks(&self) -> Result<(), Error> {
        self.registrar.work().await
    }

    pub async fn asks_its_admin(&self) -> Result<(), Error> {
        self.admin.allow(Permission::Refund, None).await?;
        self.admin.registrar.work().await
    }
}

impl Registrar {
    pub async fn of_somebody_else(&self) {}
}
";
    assert_eq!(
        unasked(source),
        [
            "Admin.never_asks",
            "Admin.looks",
            "Admin.reads_first",
            "Admin.delegates_to_one_that_does_not",
            "Admin.in_another_block",
            "Refunds.asks"
        ]
    );
}
