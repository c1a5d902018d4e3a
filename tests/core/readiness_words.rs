//! What a report and the settings say, read word by word: every name exists, and every sentence
//! reads as one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use coursegate::port::GatewayError;
use coursegate::readiness::{self, LiveCheck, ReadinessFinding, ReadinessRule};
use coursegate::store::{StoreError, StoreReport};
use coursegate::{Config, Environment, Registrar, Setting};

use crate::configuration::{environment, good};
use crate::readiness::{Bank, Internet, Shelf, builder};
use crate::support;

/// Commands, and examples of what may stand in an address.
const VERBATIM: [&str; 6] = [
    "openssl rand -hex 32",
    "--env-file",
    "//",
    "%",
    "-",
    "{reference}",
];

/// The names in the source that a host can use.
struct Names {
    sources: Vec<String>,
    public: BTreeSet<String>,
    features: String,
}

fn sources(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, out),
            false if path.extension().is_some_and(|it| it == "rs") => out.push(path),
            false => {}
        }
    }
}

/// The identifier that a text begins with.
fn identifier(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

impl Names {
    fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut paths = Vec::new();
        sources(&root.join("src"), &mut paths);
        let sources: Vec<String> = paths
            .iter()
            .map(|path| fs::read_to_string(path).unwrap())
            .collect();
        let mut public = BTreeSet::new();
        for line in sources.iter().flat_map(|text| text.lines()) {
            let Some(mut rest) = line.trim_start().strip_prefix("pub ") else {
                continue;
            };
            for word in ["async ", "const ", "fn ", "struct ", "enum ", "trait "] {
                rest = rest.strip_prefix(word).unwrap_or(rest);
            }
            public.insert(identifier(rest).to_owned());
        }
        let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
        let features = manifest.split("[features]").nth(1).unwrap();
        Self {
            sources,
            public,
            features: features.split("\n[").next().unwrap().to_owned(),
        }
    }

    /// Whether a type has a variant, a field or a method.
    fn has_member(&self, owner: &str, member: &str) -> bool {
        let holds = |text: &String| {
            let bodies = ["enum", "struct", "impl", "words!("]
                .iter()
                .flat_map(|kind| {
                    let heads = [
                        format!("{kind} {owner} {{"),
                        format!("{kind}{owner} {{"),
                        format!(" for {owner} {{"),
                    ];
                    let bodies = heads.into_iter().flat_map(|head| {
                        let parts = text.split(&head).skip(1);
                        let ends = parts.map(|part| part.split("\n}").next().unwrap().to_owned());
                        ends.collect::<Vec<_>>()
                    });
                    bodies.collect::<Vec<_>>()
                });
            bodies
                .into_iter()
                .flat_map(|body| {
                    let lines = body.lines().map(|line| line.trim_start().to_owned());
                    lines.collect::<Vec<_>>()
                })
                .any(|line| {
                    let starts = ["", "pub ", "pub fn ", "pub async fn ", "pub const "];
                    starts.iter().any(|start| {
                        let rest = line.strip_prefix(start).unwrap_or_default();
                        identifier(rest) == member
                    })
                })
        };
        self.sources.iter().any(holds)
    }

    /// Why something in backticks names nothing.
    fn unknown(&self, quoted: &str) -> Option<String> {
        let is_example = VERBATIM.contains(&quoted)
            || quoted.starts_with('/')
            || url::Url::parse(quoted).is_ok_and(|url| url.has_host());
        if is_example || Setting::ALL.iter().any(|it| it.variable == quoted) {
            return None;
        }
        let known = match quoted.trim_end_matches("()").split_once("::") {
            Some((owner, member)) => self.public.contains(owner) && self.has_member(owner, member),
            None => {
                let feature = format!("\n{quoted} = ");
                self.public.contains(quoted) || self.features.contains(&feature)
            }
        };
        (!known).then(|| format!("`{quoted}` is no name of the API, the settings or the features"))
    }

    /// What is wrong with a text.
    fn faults(&self, text: &str) -> Vec<String> {
        let mut faults = Vec::new();
        if text.matches('`').count() % 2 == 1 {
            faults.push("a backtick is alone".to_owned());
        }
        faults.extend(
            text.split('`')
                .skip(1)
                .step_by(2)
                .filter_map(|it| self.unknown(it)),
        );
        let plain: Vec<&str> = text.split('`').step_by(2).collect();
        let plain = plain.join("that");
        for word in plain.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
            let is_setting = word.starts_with("COURSEGATE_") || word.starts_with("IKHOKHA_");
            let known = |setting: &&Setting| match word.ends_with('_') {
                true => setting.variable.starts_with(word),
                false => setting.variable == word,
            };
            if is_setting && !Setting::ALL.iter().any(|it| known(&it)) {
                faults.push(format!("there is no setting {word}"));
            }
            // A type is named so that it is seen to be one.
            let humps = word.chars().filter(char::is_ascii_uppercase).count();
            let is_type = self.public.contains(word) && humps > 1;
            if is_type && word.chars().any(|c| c.is_ascii_lowercase()) {
                faults.push(format!("{word} stands without backticks"));
            }
        }
        for setting in Setting::ALL {
            let allowed: Vec<&str> = setting.expected.split([',', ' ']).collect();
            let is_closed = allowed.contains(&"or") && !setting.expected.contains('=');
            let ways = [
                format!("{} to ", setting.variable),
                format!("{}, or set it to ", setting.variable),
            ];
            for rest in ways.iter().filter_map(|way| text.split(way).nth(1)) {
                if is_closed && !allowed.contains(&identifier(rest)) {
                    faults.push(format!(
                        "{} cannot be {}",
                        setting.variable,
                        identifier(rest)
                    ));
                }
            }
        }
        faults.extend(sentences(&plain));
        faults
    }
}

/// What is wrong with the English, as far as it can be told by rules.
fn sentences(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if !text.ends_with(['.', '?']) || text.ends_with("..") || text.contains("?.") {
        faults.push("it does not end like a sentence".to_owned());
    }
    // A name in backticks was replaced by a word.
    for sentence in text.split(". ") {
        if sentence.starts_with(|c: char| c.is_lowercase()) && !sentence.starts_with("that") {
            faults.push(format!("{sentence:?} begins small"));
        }
    }
    let words: Vec<&str> = text.split(' ').collect();
    if words.contains(&"")
        || words
            .windows(2)
            .any(|two| two[0] == two[1] && !two[0].starts_with("that"))
    {
        faults.push("a word is empty, or twice there".to_owned());
    }
    // "it where", "it the": a clause without a verb.
    let bare = [
        "where", "when", "how", "what", "who", "which", "the", "a", "an",
    ];
    let subject = |word: &str| word.trim_start_matches('"').eq_ignore_ascii_case("it");
    let objects = [
        "of it", "about it", "with it", "Set it", "Take it", "Give it",
    ];
    for two in words
        .windows(2)
        .filter(|two| subject(two[0]) && bare.contains(&two[1]))
    {
        let text = text.to_owned();
        let is_object = objects
            .iter()
            .any(|object| text.contains(&format!("{object} {}", two[1])));
        if !is_object {
            faults.push(format!("\"{} {}\" lacks a verb", two[0], two[1]));
        }
    }
    faults
}

/// Findings of every kind that the settings, the environment and the probes can lead to.
async fn found() -> Vec<ReadinessFinding> {
    let mut findings = Vec::new();
    let mut look = |variables: &std::collections::BTreeMap<&'static str, String>| {
        let environment = environment(variables);
        let report = match Config::from_environment(&environment) {
            Ok(config) => readiness::check(&config, &environment),
            Err(error) => readiness::unusable(&error, &environment),
        };
        findings.extend(report.findings);
    };
    look(&std::collections::BTreeMap::new());
    for setting in Setting::ALL {
        for value in [
            "",
            "\u{1}",
            "many",
            "0",
            "1",
            "99999999999",
            "a=b,a=b",
            "unsigned",
            "x=1,x=2,y=3,z=4,a=5,b=6,c=7,d=8,e=9",
            "https://x.example/?a",
        ] {
            let mut variables = good();
            variables.insert(setting.variable, value.to_owned());
            look(&variables);
        }
    }
    let text = String::from;
    for (name, value) in [
        ("COURSEGATE_RETRYS", text("3")),
        ("COURSEGATE_SOMETHING_ELSE", text("3")),
        ("IKHOKHA_API_URL", text("http://127.0.0.1:8081/api")),
        ("COURSEGATE_RETRIES", text(" 3")),
        ("VITE_IKHOKHA_SECRET", text("x")),
    ] {
        for mode in ["live", "staging", "test"] {
            let mut variables = good();
            variables.insert("COURSEGATE_MODE", mode.to_owned());
            variables.insert(name, value.clone());
            look(&variables);
        }
    }
    let environment = environment(&good());
    let config = || Config::from_environment(&environment).unwrap();
    let refused = GatewayError::Refused {
        reason: text("HTTP 400"),
    };
    for error in [
        GatewayError::BadCredentials,
        refused,
        GatewayError::Unreachable,
        GatewayError::Unreadable,
        GatewayError::RateLimited { wait: None },
    ] {
        let builder = builder(config()).gateway(Bank::failing(error));
        findings.extend(
            builder
                .probe(&environment, &[LiveCheck::Provider])
                .await
                .findings,
        );
    }
    for says in [
        Err(StoreError::Unavailable(text("down"))),
        Err(StoreError::Unusable(text("no schema"))),
        Ok(StoreReport {
            now: Some(chrono::DateTime::UNIX_EPOCH),
            ..StoreReport::default()
        }),
    ] {
        let builder = Registrar::builder(config(), Shelf::saying(says));
        findings.extend(
            builder
                .probe(&environment, &[LiveCheck::Store])
                .await
                .findings,
        );
    }
    findings.extend(
        builder(config())
            .probe(&environment, LiveCheck::ALL)
            .await
            .findings,
    );
    let world = support::World::new();
    for answers in [None, Some(404), Some(200)] {
        let web = Internet {
            registrar: None,
            answers,
        };
        findings.extend(world.registrar.probe_callbacks(&web).await);
    }
    findings
}

#[tokio::test]
async fn every_name_exists_and_every_sentence_reads() {
    let names = Names::read();
    let mut faults = BTreeSet::new();
    let mut read = BTreeSet::new();
    let mut check = |whose: &str, text: &str| {
        if !read.insert(text.to_owned()) {
            return;
        }
        let found = names.faults(text).into_iter();
        faults.extend(found.map(|fault| format!("{whose}: {fault}: {text}")));
    };
    for rule in ReadinessRule::ALL {
        check(rule.as_str(), rule.about().explanation);
        check(rule.as_str(), rule.about().remedy);
    }
    for finding in found().await {
        check(finding.rule.as_str(), &finding.explanation);
        check(finding.rule.as_str(), &finding.remedy);
    }
    for setting in Setting::ALL {
        check(setting.variable, &format!("It is {}.", setting.about));
        check(
            setting.variable,
            &format!("Expected is {}.", setting.expected),
        );
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// What is needed has a remedy that says what it is.
#[test]
fn a_setting_that_is_missing_is_said_to_be_what_it_is() {
    let error = Config::from_environment(&Environment::default()).unwrap_err();
    let said: Vec<String> = error.problems.into_iter().map(|it| it.remedy).collect();
    assert_eq!(
        said,
        [
            "Set it: it is the application's name at the provider.",
            "Set it: it is what calls are signed with; callbacks that are signed with it are accepted.",
            "Set it: it is where the provider sends its callbacks.",
            "Set it: it is where the learner goes after paying.",
            "Set it: it is where the learner goes after a failure.",
            "Set it: it is the site that asks for the payment.",
        ]
    );
}

/// The reader of the words sees what it is for.
#[test]
fn what_was_wrong_before_is_found() {
    let names = Names::read();
    for text in [
        "Use the fallback `hold`, unless this is what you want.",
        "Use `Fallback::Hold`.",
        "Use `Nothing::at_all`.",
        "Set it: it where the provider sends its callbacks.",
        "Set COURSEGATE_TIMEOUT to more.",
        "Set COURSEGATE_MODE to production.",
        "Unset COURSEGATE_ON_UNVERIFIED, or set it to ask.",
        "Give the builder an IkhokhaClient.",
        "It is not that. the store is away.",
        "Run `PgStore::migrate.",
        "Do the the right thing.",
        "No end",
        "Two ends..",
    ] {
        assert!(!names.faults(text).is_empty(), "{text}");
    }
    for text in [
        "Set the fallback of the rules to `Fallback::ManualApproval`.",
        "Set the four COURSEGATE_BANK_ settings, or COURSEGATE_MODE to live.",
        "Call `Registrar::refresh_payment`, and set `StandardPolicy::approve_cards`.",
        "Build with `encryption`. `PgStore` has a table.",
    ] {
        assert_eq!(names.faults(text), [] as [String; 0], "{text}");
    }
}
