//! Files of banks, from the page where they are dropped to the learner's access.

use reqwest::StatusCode;

use crate::{Browser, Server};

/// A form with a file, as a browser sends it.
async fn send(person: &Browser<'_>, account: &str, name: &str, file: &[u8]) -> reqwest::Response {
    const EDGE: &str = "----test-boundary-7f3a";
    let mut body = format!(
        "--{EDGE}\r\ncontent-disposition: form-data; name=\"account\"\r\n\r\n{account}\r\n\
         --{EDGE}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
         content-type: text/csv\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(file);
    body.extend_from_slice(format!("\r\n--{EDGE}--\r\n").as_bytes());
    person
        .client
        .post(format!("{}/admin/statement/file", person.server.app))
        .header(
            "content-type",
            format!("multipart/form-data; boundary={EDGE}"),
        )
        .body(body)
        .send()
        .await
        .unwrap()
}

/// Where an answer leads to.
fn leads(answer: &reqwest::Response) -> String {
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    answer.headers()["location"].to_str().unwrap().to_owned()
}

/// Uploads a file, and gives the page that shows it, and its key.
pub(crate) async fn look(person: &Browser<'_>, account: &str, file: &[u8]) -> (String, String) {
    let at = leads(&send(person, account, "bank.csv", file).await);
    let page = person.get(&at).await.text().await.unwrap();
    let key = at.split("upload=").nth(1).unwrap().to_owned();
    (page, key)
}

/// A click on one of the page's buttons, and the page it leads to.
async fn act(person: &Browser<'_>, path: &str, fields: &[(&str, &str)]) -> String {
    let url = format!("{}{path}", person.server.app);
    let at = leads(&person.submit(url, fields).await);
    person.get(&at).await.text().await.unwrap()
}

pub(crate) async fn import(person: &Browser<'_>, key: &str) -> String {
    let back = format!("/admin/statement?upload={key}");
    let fields = [("action", "import"), ("subject", key), ("back", &back)];
    act(person, "/admin/act", &fields).await
}

/// The boxes that can be ticked for a payment, by their names.
pub(crate) fn boxes(page: &str, payment: &str) -> Vec<String> {
    let names = page.split("name=\"").skip(1);
    let names = names.map(|rest| rest.split('"').next().unwrap());
    let of = |name: &&str| name.starts_with("pick:") && name.ends_with(payment);
    names.filter(of).map(str::to_owned).collect()
}

/// The same bytes, with one text in the place of another, whatever its case.
fn replaced(file: &[u8], old: &str, new: &str) -> Vec<u8> {
    let (mut out, mut at) = (Vec::new(), 0);
    while at < file.len() {
        match file.get(at..at + old.len()) {
            Some(here) if here.eq_ignore_ascii_case(old.as_bytes()) => {
                out.extend_from_slice(new.as_bytes());
                at += old.len();
            }
            _ => {
                out.push(file[at]);
                at += 1;
            }
        }
    }
    out
}

/// A bank's file, the reference in it, and what the page calls its layout.
macro_rules! bank {
    ($name:literal, $reference:literal, $layout:literal) => {
        (
            $name,
            include_bytes!(concat!("../data/statements/", $name, ".csv")).as_slice(),
            $reference,
            $layout,
        )
    };
}

const BANKS: [(&str, &[u8], &str, &str); 16] = [
    bank!("absa", "CG-GQHTT4FFPTWY", "Absa"),
    bank!("bank_zero", "CG-7Q71P3SWATAR", "Bank Zero"),
    bank!("capitec", "CG-FC3M3210YZ62", "Capitec"),
    bank!("capitec_business", "CG-2KCHPQN62CXR", "Capitec Business"),
    bank!("discovery", "CG-GPBF8ZGM3SFZ", "Discovery Bank"),
    bank!(
        "fnb_effective_date",
        "CG-0MWF2SBY7KW3",
        "FNB, with effective date"
    ),
    bank!("fnb_email", "CG-QHM1MWSX7W9E", "FNB, by e-mail"),
    bank!(
        "fnb_enterprise",
        "CG-K21JB5FHVMFQ",
        "FNB Enterprise, CSV Date Number"
    ),
    bank!("fnb_excel", "CG-GYJ5S390KYQN", "FNB, transaction history"),
    bank!("fnb_history", "CG-0MWF2SBY7KW3", "FNB, transaction history"),
    bank!("fnb_short", "CG-0MWF2SBY7KW3", "FNB, four columns"),
    bank!("investec", "CG-ADMTRTYZTXM0", "Investec"),
    bank!("nedbank", "CG-337AEYHM60VF", "Nedbank"),
    bank!(
        "standard_bank_new",
        "CG-BMWCXJ11B4M7",
        "Standard Bank, business"
    ),
    bank!("standard_bank_old", "CG-TWCW3CKZ477S", "Standard Bank"),
    bank!("tymebank", "CG-WRMWDM1MX179", "TymeBank"),
];

/// Each bank's file, from the upload to an approved enrollment, on both servers.
#[tokio::test]
async fn each_banks_file_leads_to_access() {
    let servers = [Server::start("axum_server"), Server::start("actix_server")];
    for (at, (bank, file, written, layout)) in BANKS.into_iter().enumerate() {
        let server = &servers[at % 2];
        let learner = server.sign_in(&format!("learner-{at}"), "").await;
        let nomsa = server.sign_in("nomsa", "admin").await;
        let enrolled = learner.enroll("rust-101", "bank_transfer").await;
        let payment = enrolled["next"]["reference"].as_str().unwrap();
        let account = bank.replace('_', "-");
        let (page, key) = look(&nomsa, &account, &replaced(file, written, payment)).await;
        assert!(
            page.contains(&format!("Read as <strong>{layout}</strong>")),
            "{bank}: {page}"
        );
        assert!(page.contains("Nothing was imported for"), "{bank}");
        assert!(page.contains("arrived</strong>"), "{bank}");
        assert_eq!(
            boxes(&page, payment).len(),
            0,
            "{bank}: nothing is imported before a click"
        );
        assert_eq!(learner.access("rust-101").await["allowed"], false);
        let mut page = import(&nomsa, &key).await;
        assert!(page.contains("Imported: "), "{bank}: {page}");
        // These banks' files have the same day, sum and balance for one account each: a file that is
        // imported for the wrong account looks just so.
        if let Some((_, row)) = page.split_once("name=\"same:") {
            assert!(page.contains("say below what they are"), "{bank}: {page}");
            assert_eq!(
                boxes(&page, payment).len(),
                0,
                "{bank}: it pays nothing yet"
            );
            let (row, _) = row.split_once('"').unwrap();
            let fields = [
                ("action", "tell_apart"),
                ("subject", row),
                ("text", "another bank"),
                ("back", "/admin/statement"),
            ];
            page = act(&nomsa, "/admin/act", &fields).await;
        }
        let found = boxes(&page, payment);
        assert_eq!(found.len(), 1, "{bank}: {page}");
        let ticked = [(found[0].as_str(), "on"), ("note", "seen")];
        let mut page = act(&nomsa, "/admin/statement/match", &ticked).await;
        if bank == "tymebank" {
            // R 1,499.00 came for R 499.00: nothing is done before somebody says so.
            assert!(page.contains("nothing was done"), "{page}");
            assert_eq!(learner.access("rust-101").await["allowed"], false);
            let anyway = format!("anyway{}", found[0].strip_prefix("pick").unwrap());
            assert!(page.contains(&anyway), "{page}");
            let ticked = [(found[0].as_str(), "on"), (anyway.as_str(), "on")];
            page = act(&nomsa, "/admin/statement/match", &ticked).await;
        }
        assert!(page.contains("the learner has access"), "{bank}: {page}");
        assert_eq!(learner.access("rust-101").await["allowed"], true, "{bank}");
        // The file once more: nothing is new, and nobody is asked.
        let (page, key) = look(&nomsa, &account, &replaced(file, written, payment)).await;
        assert!(
            page.contains("<strong>0 are new</strong>, 0 may be"),
            "{bank}: {page}"
        );
        assert!(!page.contains("Nothing was imported for"), "{bank}");
        assert!(
            import(&nomsa, &key).await.contains("Imported: 0 new."),
            "{bank}"
        );
    }
}

/// Files that are none, forms that are none, and people who may not.
#[tokio::test]
async fn a_file_that_cannot_be_read_says_why() {
    for name in ["axum_server", "actix_server"] {
        let server = Server::start(name);
        let nomsa = server.sign_in("nomsa", "admin").await;
        let refused = async |account: &str, file: &[u8]| {
            let answer = send(&nomsa, account, "x.csv", file).await;
            assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
            answer.text().await.unwrap()
        };
        assert!(
            refused("", b"Date,Amount\n")
                .await
                .contains("which account")
        );
        assert!(refused("fnb", b"").await.contains("Choose a file"));
        assert!(
            refused("fnb", &vec![b'x'; 11 << 20])
                .await
                .contains("larger than 10 MiB")
        );
        // What is no statement is shown as what it is, with a way on.
        for (file, said) in [
            (&b"PK\x03\x04 a workbook"[..], "ask the bank"),
            (b"%PDF-1.7\n", "ask the bank"),
            (b"OFXHEADER:100\n", "ask the bank"),
            (b"Dear school,\nplease find below\n", "none of the layouts"),
        ] {
            let (page, key) = look(&nomsa, "fnb", file).await;
            assert!(page.contains(said), "{page}");
            assert!(page.contains("Read it in another way"));
            let url = format!("{}/admin/act", server.app);
            let import = [("action", "import"), ("subject", key.as_str())];
            let answer = nomsa.submit(url, &import).await;
            assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
        }
        // Columns of its own, written by a person.
        let (_, key) = look(&nomsa, "fnb", b"Dag;Bedrag;Wie\n2026-11-01;499,00;CG-X\n").await;
        let back = format!("/admin/statement?upload={key}");
        let read_as = async |other: &str, columns: &str| {
            let url = format!("{}/admin/act", server.app);
            let fields = [
                ("action", "read_as"),
                ("subject", key.as_str()),
                ("other", other),
                ("text", columns),
                ("back", back.as_str()),
            ];
            nomsa.submit(url, &fields).await
        };
        let columns = r#"{"date":"Dag","amounts":{"signed":"Bedrag"},"reference":"Wie","delimiter":";","decimal":"."}"#;
        assert_eq!(
            read_as("own", columns).await.status(),
            StatusCode::SEE_OTHER
        );
        let page = nomsa.get(&back).await.text().await.unwrap();
        assert!(page.contains("set `Mapping::decimal` to `,`"), "{page}");
        let columns = columns.replace(r#""decimal":".""#, r#""decimal":",""#);
        read_as("own", &columns).await;
        let page = nomsa.get(&back).await.text().await.unwrap();
        assert!(
            page.contains("1 arrived") && page.contains("R 499.00"),
            "{page}"
        );
        for (other, columns) in [("own", "{\"date\":"), ("no_bank", "")] {
            let answer = read_as(other, columns).await;
            assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
        }
        // A file is shown to nobody but who chose it.
        let pieter = server.sign_in("pieter", "admin").await;
        let page = pieter.get(&back).await.text().await.unwrap();
        assert!(!page.contains("bank.csv"), "{page}");
        let thandi = server.sign_in("thandi", "").await;
        let answer = send(&thandi, "fnb", "x.csv", b"Date,Amount\n").await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        let url = format!("{}/admin/statement/match", server.app);
        let answer = thandi.submit(url, &[("pick:a:CG-1", "on")]).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        for (path, fields) in [
            ("match", &[][..]),
            ("match", &[("pick:a", "on")]),
            (
                "match",
                &[("row", "a"), ("reference", "CG-1"), ("sum", "many")],
            ),
            ("same", &[]),
        ] {
            let url = format!("{}/admin/statement/{path}", server.app);
            let answer = nomsa.submit(url, fields).await;
            assert_eq!(
                answer.status(),
                StatusCode::UNPROCESSABLE_ENTITY,
                "{path} {fields:?}"
            );
        }
    }
}

/// What an admin does with a statement, in a browser: drops a file, looks at it, has it read otherwise,
/// imports it, ticks, splits, tells apart and closes.
#[cfg(feature = "live")]
mod in_a_browser {
    use fantoccini::{Client, Locator};
    use serde_json::json;

    use crate::browser::{Driver, click, picture, sign_in, until, until_true, write};
    use crate::{Browser, Server};

    async fn drop_file(window: &Client, name: &str, text: &str) {
        let script = "const [name, text] = arguments, data = new DataTransfer();
            data.items.add(new File([text], name, { type: 'text/csv' }));
            const place = document.querySelector('[data-drop] h2');
            for (const type of ['dragover', 'drop'])
                place.dispatchEvent(new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer: data }));";
        let arguments = vec![json!(name), json!(text)];
        window.execute(script, arguments).await.unwrap();
    }

    async fn shot(driver: &Driver, window: &Client, name: &str) {
        for (width, scheme, device) in [
            (1280, "light", "desk"),
            (500, "light", "tablet"),
            (390, "dark", "phone"),
            (1280, "dark", "desk-dark"),
        ] {
            let size = json!({ "width": width, "height": 1400, "deviceScaleFactor": 1, "mobile": width < 600 });
            driver
                .tell(window, "Emulation.setDeviceMetricsOverride", size)
                .await;
            let media =
                json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
            driver
                .tell(window, "Emulation.setEmulatedMedia", media)
                .await;
            let script = "return [document.documentElement.scrollWidth, innerWidth, [...document.querySelectorAll('main *')]\
                .filter(it => it.getBoundingClientRect().right > innerWidth).map(it => it.outerHTML.slice(0, 200)).pop()]";
            let widths = window.execute(script, vec![]).await.unwrap();
            assert!(
                widths[0].as_i64() <= widths[1].as_i64(),
                "{name} on a {device}: {widths}"
            );
            picture(window, &format!("{name}-{device}")).await;
        }
        let clear = json!({});
        driver
            .tell(window, "Emulation.clearDeviceMetricsOverride", clear)
            .await;
    }

    async fn asked(server: &Server, learner: &str, course: &str) -> String {
        let learner: Browser<'_> = server.sign_in(learner, "").await;
        let enrolled = learner.enroll(course, "bank_transfer").await;
        enrolled["next"]["reference"].as_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn a_statement_is_settled() {
        let driver = Driver::start().await;
        let server = Server::start("axum_server");
        let window = driver.window().await;
        sign_in(&window, &format!("{}/admin", server.app), "nomsa").await;
        let whole = asked(&server, "thandi", "rust-101").await;
        let (one, other) = (
            asked(&server, "sipho", "rust-101").await,
            asked(&server, "sipho", "maths-12").await,
        );
        let short = asked(&server, "lerato", "baking").await;
        let file = format!(
            "Date,Amount,Balance,Description\n\
             2026/02/01, 499.00, 1499.00,{}\n\
             2026/02/01, 849.00, 2348.00,{one} {other}\n\
             2026/02/02, 100.00, 2448.00,{short}\n\
             2026/02/02, -20.00, 2428.00,SERVICE FEE\n\
             2026/02/03, 75.00, 2503.00,FOR THE CAKE SALE\n\
             not a row\n2026/02/30, 1.00, 2504.00,there is no such day\n",
            // The payer left one character out.
            whole.replacen(&whole[5..6], "", 1)
        );
        window
            .goto(&format!("{}/admin/statement", server.app))
            .await
            .unwrap();
        until(&window, "Every row is settled").await;
        until_true(&window, "!document.querySelector('[data-script]').hidden").await;
        // An account is asked for first.
        write(&window, "#account", "fnb-main").await;
        drop_file(&window, "february.csv", &file).await;
        until(&window, "Read as FNB, four columns").await;
        let counts = "8 lines: 4 arrived, 1 left the account, 0 not booked yet, 1 cannot be read, 2 are no rows.";
        until(&window, counts).await;
        until(
            &window,
            "4 are new, 0 may be earlier ones, 0 were imported before",
        )
        .await;
        until(&window, "Line 8: its day").await;
        shot(&driver, &window, "statement-preview").await;

        // Read otherwise, and as before.
        click(&window, "#reading summary").await;
        let choose =
            "const list = document.querySelector('#layout'); list.value = 'nedbank'; return true";
        window.execute(choose, vec![]).await.unwrap();
        click(&window, "#layout + button").await;
        until_true(&window, "!document.querySelector('#first')").await;
        shot(&driver, &window, "statement-refused").await;
        click(&window, "#reading summary").await;
        click(&window, "#layout + button").await;
        until(&window, "Read as FNB, four columns").await;

        click(&window, "#look form button").await;
        until(&window, "Imported: 4 new. 0 were imported before.").await;
        let rows = "document.querySelectorAll('article[data-row]').length === 4";
        until_true(&window, rows).await;
        until(&window, "the reference, but for one character").await;
        until(&window, "It looks like nothing that waits").await;
        until(&window, "R 499.00 of the row").await;
        until(
            &window,
            "ZAR 125.50 was asked: take ZAR 100.00 all the same",
        )
        .await;
        shot(&driver, &window, "statement-rows").await;

        // What is certain is ticked with one click: both courses of one transfer. The others by hand.
        click(&window, "button[data-tick=certain]").await;
        let ticked = "document.querySelectorAll('input[form=match]:checked').length";
        until_true(&window, &format!("{ticked} === 2")).await;
        for payment in [&whole, &short] {
            click(&window, &format!("input[name^='pick:'][name$='{payment}']")).await;
        }
        write(&window, "#match-note", "seen at the bank").await;
        click(&window, "#match button.main").await;
        until(&window, &format!("{whole}: approved")).await;
        until(&window, &format!("{one}: approved")).await;
        until(&window, &format!("{other}: approved")).await;
        until(&window, &format!("{short}: nothing was done")).await;
        shot(&driver, &window, "statement-results").await;
        click(&window, "#done form button").await;
        until(&window, &format!("{short}: approved")).await;
        for (learner, course) in [
            ("thandi", "rust-101"),
            ("sipho", "rust-101"),
            ("sipho", "maths-12"),
            ("lerato", "baking"),
        ] {
            let learner = server.sign_in(learner, "").await;
            assert_eq!(learner.access(course).await["allowed"], true);
        }

        // What is for no course is closed with a word.
        until_true(
            &window,
            "document.querySelectorAll('article[data-row]').length === 1",
        )
        .await;
        click(&window, "article[data-row] summary").await;
        write(&window, "input[id^=close_row]", "the cake sale").await;
        let close = "[...document.querySelectorAll('article[data-row] button')].pop().click()";
        window.execute(close, vec![]).await.unwrap();
        until(&window, "Every row is settled").await;

        // The same rows without their balances, of a file that was saved again: they may be others.
        let again = file
            .replace("Amount,Balance", "Amount,Was")
            .replace("Description", "Description,Balance");
        let again: String = again
            .lines()
            .map(|line| match line.starts_with("2026") {
                true => format!("{line},\n"),
                false => format!("{line}\n"),
            })
            .collect();
        drop_file(&window, "again.csv", &again).await;
        until(
            &window,
            "0 are new, 4 may be earlier ones, 0 were imported before",
        )
        .await;
        click(&window, "#look form button").await;
        until(&window, "4 may be earlier ones: say below what they are").await;
        until(&window, "May be earlier rows once more").await;
        until(&window, ": paid CG-").await;
        shot(&driver, &window, "statement-doubtful").await;
        click(&window, "article.warning form button").await;
        until(&window, "It is another transfer").await;
        let told = "document.querySelectorAll('article.warning').length";
        // A word is asked for.
        until_true(&window, &format!("{told} === 4")).await;
        write(
            &window,
            "article.warning input[name=text]",
            "two deposits that day",
        )
        .await;
        click(&window, "article.warning form button").await;
        until_true(&window, &format!("{told} === 3")).await;
        click(&window, "#all-same").await;
        click(&window, "#same button").await;
        until_true(&window, &format!("{told} === 0")).await;
        // It may be approved, and is known for what it is.
        until_true(
            &window,
            "document.querySelectorAll('article[data-row]').length === 1",
        )
        .await;
        window
            .goto(&format!("{}/admin/settled", server.app))
            .await
            .unwrap();
        until(&window, "closed by nomsa: the cake sale").await;
        until(&window, "an earlier one once more, says nomsa").await;
        shot(&driver, &window, "statement-settled").await;
        let _ = window.find(Locator::Css("table")).await.unwrap();
        window.close().await.unwrap();
    }
}
