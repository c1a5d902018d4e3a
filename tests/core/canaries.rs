//! Six secrets and ten thousand card numbers go in wherever anything goes in; none comes out
//! of logs, `Debug`, errors, metrics, reports, exports of the audit, or live messages.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

use coursegate::access::AccessTerms;
use coursegate::adapter::simulator::{Choice, Settings};
use coursegate::event::audit_log::verify_lines;
use coursegate::payment::PaymentMethod;
use coursegate::registrar::{NewGrant, NextStep};
use coursegate::statement::StatementRow;
use coursegate::store::{InboxFilter, PageRequest, PaymentFilter, Period, RowFilter};
use coursegate::webhook::BodyKeys;
use coursegate::{BankDetails, Config, Environment, Money, PaymentReference, Secret, readiness};

use crate::net::{Net, SECRETS, cards, written};
use crate::no_secrets::Log;
use crate::scene::imported;
use crate::support::{
    World, admin, body, config, course, learner, signed, visitor, with_signature,
};

#[test]
fn the_net_catches() {
    let cards = cards();
    assert_eq!(cards.iter().collect::<HashSet<_>>().len(), 10_000);
    assert_eq!(
        SECRETS[..2],
        [crate::support::APP_ID, crate::support::SECRET]
    );
    let net = Net::new(&cards);
    for (how, card) in cards.iter().enumerate().take(100) {
        assert!(net.find(&format!("x1{}2", written(card, how))).is_some());
    }
    assert!(net.find(&format!("\"{}\"", SECRETS[4])).is_some());
    assert_eq!(
        net.find("2026-11-21 15:43:13.123456 12345678901234567890"),
        None
    );
}

fn settings() -> Config {
    let secret = |at: usize| Secret::new(SECRETS[at]).unwrap();
    let mut config = config()
        .also_accept("last", secret(2))
        .also_accept("next", secret(3))
        .bank(BankDetails {
            account_holder: "Test School".into(),
            bank: "Test Bank".into(),
            account_number: cards()[0].clone(),
            branch_code: "000001".into(),
        });
    let keys = BodyKeys::default().and("one", &secret(4));
    config.body_keys = keys.unwrap().and("two", &secret(5)).unwrap();
    config
}

#[tokio::test]
async fn no_secret_and_no_card_number_comes_out() {
    let cards = cards();
    let net = Net::new(&cards);
    #[cfg(feature = "metrics")]
    let metrics = crate::metrics::handle();
    let log = Log::of_process();

    let mut rich = Settings::new(1);
    rich.rich = true;
    #[cfg(feature = "live")]
    let hub = coursegate::live::Hub::new();
    #[cfg(feature = "live")]
    let publisher = hub.clone();
    let world = World::with(rich, settings(), |builder| {
        #[cfg(feature = "live")]
        let builder = builder.publisher(publisher);
        builder
    });
    let desk = world.registrar.admin(admin());
    let mut out = Out::default();
    out.debug(
        "parts",
        &(&world.registrar, &world.simulator, settings(), &desk),
    );

    #[cfg(feature = "live")]
    let mut streams = Streams::open(&world, &hub).await;

    // In every place of a callback, signed and forged.
    let (id, reference, link) = world.attempt("thandi", PaymentMethod::Card).await;
    world.simulator.pay(&link, Choice::Card).unwrap();
    world.simulator.take_callbacks();
    for (at, card) in cards.iter().enumerate() {
        let card = written(card, at);
        let own = body(link.as_str(), "SUCCESS", reference.as_str());
        let text = match at % 10 {
            0 => body(&card, "SUCCESS", "CG-NOBODYS"),
            1 => body("strangerslink00", "SUCCESS", &card),
            2 => body(link.as_str(), &card, reference.as_str()),
            3 => own.replace("\"00\"", &format!("\"{card}\"")),
            4 => own.replace(
                '}',
                &format!(r#","cardNumber":"{card}","cardType":"{card}"}}"#),
            ),
            5 => own.replace(
                '}',
                &format!(r#","authCode":"{card}","card":{{"number":"{card}"}}}}"#),
            ),
            6 => format!("{{\"{card}\": "),
            7 => own.replace('}', &format!(r#","{card}":1,"{card}":2}}"#)),
            8 => body(&card, &card, &card),
            _ => own
                .replace("SUCCESS", "FAILURE")
                .replace("\"00\"", &format!("\"{card}\"")),
        };
        let receipt = if at % 3 == 0 {
            let signature = [card.as_str(), "canary-signature"][at % 2];
            let forged = with_signature(text.as_bytes(), signature);
            out.debug("a delivery", &forged);
            world.registrar.receive(forged).await
        } else {
            world.registrar.receive(signed(&text)).await
        };
        out.debug("a receipt", &receipt);
        if at % 500 == 0 {
            world.advance(61);
            world.pass().await;
            #[cfg(feature = "live")]
            streams.listen().await;
        }
    }
    assert!(world.may_enter("thandi").await);

    // In what people write, and what they ask for.
    let written_by = |at: usize| written(&cards[at], at);
    for at in 100..130 {
        let name = format!("learner-{at}");
        let transfer = world.enroll(&name, PaymentMethod::BankTransfer).await;
        out.debug("an enrollment", &transfer);
        let NextStep::Transfer { reference, .. } = &transfer.next else {
            panic!("no transfer")
        };
        let card = written_by(at);
        let done = match at % 3 {
            0 => desk
                .approvals()
                .approve(transfer.enrollment, card.as_str())
                .await
                .map(drop),
            1 => desk
                .approvals()
                .reject(transfer.enrollment, card.as_str())
                .await
                .map(drop),
            _ => {
                let day = chrono::NaiveDate::from_ymd_opt(2026, 2, 1).unwrap();
                let price = crate::support::price();
                let said = format!("{} {card}", reference.as_str());
                let row = StatementRow::new(day, price, &said, &card).with_bank_id(&said);
                out.debug("a row", &row);
                let row = imported(&world.registrar, row).await;
                desk.statements().close(&row, card.as_str()).await
            }
        };
        done.unwrap();
        let asked = PaymentReference::new(card.replace(' ', "")).unwrap();
        out.error(&world.registrar.refresh_payment(&asked).await.unwrap_err());
        out.error(
            &desk
                .refunds()
                .record(&asked, card.as_str())
                .await
                .unwrap_err(),
        );
        out.error(
            &desk
                .operations()
                .replay(&card.as_str().into())
                .await
                .unwrap_err(),
        );
        out.debug(
            "a refusal",
            &desk
                .approvals()
                .approve_all(&[transfer.enrollment], card.as_str(), true)
                .await,
        );
    }
    let refund = Money::zar(100).unwrap();
    let refunds = desk.refunds();
    let done = refunds.record_partial(&reference, refund, written_by(140));
    done.await.unwrap();
    let new = NewGrant {
        learner: learner("sipho"),
        course: course(),
        terms: AccessTerms::default(),
    };
    out.debug("a grant", &new);
    let given = desk.learners().grant(new, written_by(141)).await.unwrap();
    desk.learners()
        .revoke(given.id, written_by(142))
        .await
        .unwrap();
    for _ in 0..20 {
        world.advance(61);
        world.pass().await;
        #[cfg(feature = "live")]
        streams.listen().await;
    }

    // What the desk is shown, as `Debug`; what is stored, in exports.
    let (first, period) = (PageRequest::first(500), period());
    out.debug("explanations", &desk.approvals().explain(id).await.unwrap());
    out.debug("the queue", &desk.approvals().pending(first).await.unwrap());
    let filter = PaymentFilter::default();
    out.debug(
        "payments",
        &desk
            .payments()
            .list(&filter, PageRequest::first(500))
            .await
            .unwrap(),
    );
    out.debug("days", &desk.payments().days(period, None).await.unwrap());
    out.debug(
        "rows",
        &desk
            .statements()
            .list(RowFilter::Settled, PageRequest::first(500))
            .await
            .unwrap(),
    );
    out.debug(
        "notices",
        &desk
            .notices()
            .list(false, PageRequest::first(500))
            .await
            .unwrap(),
    );
    out.debug(
        "learner",
        &desk.learners().export(&learner("thandi")).await.unwrap(),
    );
    for filter in [InboxFilter::Waiting, InboxFilter::Parked, InboxFilter::Dead] {
        let page = desk
            .operations()
            .inbox(filter, PageRequest::first(500))
            .await
            .unwrap();
        assert!(
            filter == InboxFilter::Waiting || page.items.len() > 10,
            "{filter:?}"
        );
        out.debug("the inbox", &page);
        net.clean(
            &serde_json::to_string(&page.items).unwrap(),
            "the inbox as JSON",
        );
        let listed: Vec<_> = page
            .items
            .iter()
            .map(|it| (&it.key, &it.reference))
            .collect();
        net.clean(
            &serde_json::to_string(&listed).unwrap(),
            "the list of callbacks",
        );
    }
    out.debug(
        "events",
        &desk
            .operations()
            .unassigned(PageRequest::first(500))
            .await
            .unwrap(),
    );
    net.clean(
        &serde_json::to_string(&world.registrar.health().await).unwrap(),
        "health",
    );
    out.debug("alerts", &world.registrar.alerts());
    out.debug("provider", &world.registrar.provider_health());
    net.clean(&out.text, "`Debug`");
    net.clean(&out.errors, "an error");
    assert!(out.errors.contains("no such payment"), "{}", out.errors);

    let (mut lines, mut request) = (Vec::new(), first_link());
    loop {
        let page = desk.audit_log().export(request).await.unwrap();
        lines.extend(page.items);
        match page.next {
            Some(after) => request = PageRequest::after(after, 500),
            None => break,
        }
    }
    assert!(lines.len() > 300, "{}", lines.len());
    verify_lines(&lines, None).unwrap();
    net.clean(&lines.join("\n"), "the export of the audit");
    for event in world.publisher.published() {
        net.clean(&serde_json::to_string(&event).unwrap(), "a published event");
        net.clean(&event.sentence(), "a sentence");
    }

    #[cfg(feature = "live")]
    {
        streams.listen().await;
        let heard = &streams.heard;
        assert!(
            heard.contains("payment_completed") && heard.contains("Continue"),
            "{heard}"
        );
        net.clean(heard, "a live message");
    }

    #[cfg(feature = "metrics")]
    {
        let text = metrics.render();
        assert!(text.contains("coursegate_security_events_total"), "{text}");
        net.clean(&text, "the metrics");
    }

    // Reports about settings that are full of it.
    let variables = SECRETS.iter().enumerate().flat_map(|(at, secret)| {
        let card = cards[at].clone();
        [
            (format!("VITE_KEY_{at}"), (*secret).to_owned()),
            (format!("COURSEGATE_RETRYS_{at}"), card.clone()),
            (card, "x".to_owned()),
            (
                coursegate::Setting::ALL[at * 5].variable.to_owned(),
                format!("{secret} {at}"),
            ),
        ]
    });
    let environment = Environment::new(variables);
    let error = Config::from_environment(&environment).unwrap_err();
    let report = readiness::unusable(&error, &environment);
    let json = serde_json::to_string(&report).unwrap();
    net.clean(
        &format!("{error} {error:?} {report} {report:?} {json} {environment:?}"),
        "a report",
    );
    let good = readiness::check(&settings(), &environment);
    net.clean(&format!("{good} {good:?}"), "a report");
    let file: BTreeMap<&str, &str> = SECRETS.iter().map(|it| (*it, *it)).collect();
    let wrong: Result<Config, _> = serde_json::from_value(serde_json::to_value(&file).unwrap());
    net.clean(&wrong.unwrap_err().to_string(), "an error of a file");

    let log = log.text();
    for span in [
        "webhook", "enroll", "refresh", "admin", "provider", "commit", "timer", "worker",
    ] {
        assert!(
            log.contains(&format!("coursegate.{span}")),
            "{span} is not in the log"
        );
    }
    net.clean(&log, "the log");
}

fn first_link() -> PageRequest<u64> {
    PageRequest::first(500)
}

fn period() -> Period {
    Period {
        from: crate::support::start(),
        until: crate::support::start() + chrono::Duration::days(1),
        offset: chrono::FixedOffset::east_opt(7200).unwrap(),
    }
}

/// What a learner and an admin hear.
#[cfg(feature = "live")]
struct Streams {
    learner: coursegate::live::LearnerStream,
    admin: coursegate::live::AdminStream,
    heard: String,
}

#[cfg(feature = "live")]
impl Streams {
    async fn open(world: &World, hub: &coursegate::live::Hub) -> Self {
        let courses = vec![course()];
        let learner = hub.learner(&world.registrar, visitor("thandi"), courses, None);
        Self {
            learner: learner.await.unwrap(),
            admin: hub.admins(&world.registrar, admin(), None).await.unwrap(),
            heard: String::new(),
        }
    }

    async fn listen(&mut self) {
        let soon = std::time::Duration::from_millis(5);
        while let Ok(Ok(update)) = tokio::time::timeout(soon, self.learner.next()).await {
            let json = serde_json::to_string(update.cards()).unwrap();
            writeln!(self.heard, "{update:?} {json}").unwrap();
        }
        while let Ok(Ok(update)) = tokio::time::timeout(soon, self.admin.next()).await {
            let json = serde_json::to_string(&update).unwrap();
            writeln!(self.heard, "{update:?} {json}").unwrap();
        }
    }
}

#[derive(Default)]
struct Out {
    text: String,
    errors: String,
}

impl Out {
    fn debug(&mut self, what: &str, value: &dyn std::fmt::Debug) {
        writeln!(self.text, "{what}: {value:?}").unwrap();
    }

    fn error(&mut self, error: &coursegate::Error) {
        writeln!(self.errors, "{error} {error:?}").unwrap();
    }
}
