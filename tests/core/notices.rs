//! Who is told what, and by which channel.

use std::sync::{Arc, Mutex};

use coursegate::access::AccessTerms;
use coursegate::adapter::memory::MemoryStore;
use coursegate::adapter::simulator::{Choice, Settings};
use coursegate::enrollment::MigratedPayment;
use coursegate::notice::NoticeKind;
use coursegate::payment::PaymentMethod;
use coursegate::port::{ChannelError, Message, NotificationChannel, Recipient};
use coursegate::registrar::{BuildError, ErrorKind, ExistingAccess, ExistingPayment};
use coursegate::store::{NoticeKey, PageRequest};
use coursegate::{
    AdminId, ChannelName, Email, EventId, ExternalKey, Money, PaymentReference, Registrar, Title,
};

use crate::support::{World, admin, config, course, learner, request};

/// What, to whom, and what somebody wrote about it.
type Sent = (NoticeKind, Recipient, Option<String>);

/// A channel that keeps what it was given, or fails as it is told.
#[derive(Debug, Clone)]
struct Post {
    name: &'static str,
    learners: bool,
    fails: Arc<Mutex<Option<ChannelError>>>,
    tried: Arc<Mutex<Vec<EventId>>>,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl Post {
    fn new(name: &'static str, learners: bool) -> Self {
        Self {
            name,
            learners,
            fails: Arc::default(),
            tried: Arc::default(),
            sent: Arc::default(),
        }
    }

    fn fail(&self, error: Option<ChannelError>) {
        *self.fails.lock().unwrap() = error;
    }

    fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }
}

#[async_trait::async_trait]
impl NotificationChannel for Post {
    fn name(&self) -> ChannelName {
        ChannelName::new(self.name).unwrap()
    }

    fn reaches_learners(&self) -> bool {
        self.learners
    }

    async fn send(&self, notification: &Message) -> Result<(), ChannelError> {
        let notice = &notification.notice;
        self.tried.lock().unwrap().push(notice.id);
        if let Some(error) = self.fails.lock().unwrap().clone() {
            return Err(error);
        }
        let note = notice.note.as_ref().map(|note| note.as_str().to_owned());
        let sent = (notice.kind, notification.to.clone(), note);
        self.sent.lock().unwrap().push(sent);
        Ok(())
    }
}

fn world(channels: &[&Post]) -> World {
    World::with(Settings::new(1), config(), |builder| {
        channels.iter().fold(builder, |builder, channel| {
            builder.channel((*channel).clone())
        })
    })
}

async fn wants(world: &World, person: &AdminId, kind: NoticeKind, channel: &str) {
    let desk = world.registrar.admin(person.clone());
    let chosen = desk.notices().preferences().await.unwrap();
    let chosen = chosen.and(kind, ChannelName::new(channel).unwrap());
    desk.notices()
        .choose_channels(chosen.channels)
        .await
        .unwrap();
}

async fn in_app(world: &World, person: &AdminId, unread: bool) -> Vec<(NoticeKind, EventId)> {
    let desk = world.registrar.admin(person.clone());
    let page = desk
        .notices()
        .list(unread, PageRequest::<NoticeKey>::first(100))
        .await
        .unwrap();
    let notices = page
        .items
        .iter()
        .map(|item| (item.notice.kind, item.notice.id));
    notices.collect()
}

/// Works until nothing is left to do now.
async fn work(world: &World) {
    while world.pass().await.told > 0 {}
}

#[tokio::test]
async fn an_admin_who_chose_nothing_finds_in_the_app_what_has_to_be_done() {
    let world = World::new();
    let enrolled = world.enroll("thandi", PaymentMethod::BankTransfer).await;
    let found = in_app(&world, &admin(), true).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, NoticeKind::ApprovalNeeded);
    let desk = world.registrar.admin(admin());
    let page = desk
        .notices()
        .list(true, PageRequest::first(1))
        .await
        .unwrap();
    let notice = &page.items[0].notice;
    assert_eq!(notice.headline(), "A bank transfer waits for approval.");
    assert_eq!(notice.enrollment, Some(enrolled.enrollment));
    assert!(!format!("{page:?}").contains("thandi"));
    assert!(!serde_json::to_string(&page).unwrap().contains("thandi"));

    desk.notices().mark_read(&[found[0].1]).await.unwrap();
    assert_eq!(in_app(&world, &admin(), true).await, []);
    assert_eq!(in_app(&world, &admin(), false).await, found);
    // A card needs nobody.
    let (_, _, link) = world.attempt("sipho", PaymentMethod::Card).await;
    world.pay(&link, Choice::Card).await;
    assert_eq!(in_app(&world, &admin(), true).await, []);
    // What nobody read for a month is not unread for ever.
    world.enroll("zola", PaymentMethod::BankTransfer).await;
    world.advance(31 * 24 * 3600);
    assert_eq!(in_app(&world, &admin(), true).await, []);
    assert_eq!(in_app(&world, &admin(), false).await.len(), 2);
}

#[tokio::test]
async fn channels_reach_those_who_chose_them_and_the_learner() {
    let (mail, sms) = (Post::new("mail", true), Post::new("sms", false));
    let world = world(&[&mail, &sms]);
    let sipho = AdminId::new("sipho").unwrap();
    wants(&world, &admin(), NoticeKind::ApprovalNeeded, "mail").await;
    wants(&world, &sipho, NoticeKind::ApprovalNeeded, "sms").await;
    wants(&world, &sipho, NoticeKind::Rejected, "sms").await;

    let first = world
        .enroll("thandi", PaymentMethod::BankTransfer)
        .await
        .enrollment;
    work(&world).await;
    let waits = NoticeKind::ApprovalNeeded;
    assert_eq!(mail.sent(), [(waits, Recipient::Admin(admin()), None)]);
    assert_eq!(sms.sent(), [(waits, Recipient::Admin(sipho.clone()), None)]);

    let desk = world.registrar.admin(admin());
    desk.approvals()
        .reject(first, "no money came")
        .await
        .unwrap();
    work(&world).await;
    let email = Email::new("thandi@school.example").unwrap();
    let thandi = Recipient::Learner(learner("thandi"), email);
    let why = Some("no money came".to_owned());
    let rejected = NoticeKind::Rejected;
    assert_eq!(mail.sent()[1..], [(rejected, thandi, why.clone())]);
    assert_eq!(sms.sent()[1..], [(rejected, Recipient::Admin(sipho), why)]);

    // Told once, however many workers look.
    let (one, two) = (world.registrar.worker(), world.registrar.worker());
    let _ = tokio::join!(one.pass(), two.pass());
    assert_eq!((mail.sent().len(), sms.sent().len()), (2, 2));
}

#[tokio::test]
async fn a_learner_is_told_only_what_still_holds() {
    let mail = Post::new("mail", true);
    let world = world(&[&mail]);
    let id = world
        .enroll("thandi", PaymentMethod::BankTransfer)
        .await
        .enrollment;
    let desk = world.registrar.admin(admin());
    desk.approvals().reject(id, "too late").await.unwrap();
    world.enroll("thandi", PaymentMethod::BankTransfer).await;
    desk.approvals()
        .approve(id, "it came after all")
        .await
        .unwrap();
    work(&world).await;
    let kinds: Vec<_> = mail.sent().into_iter().map(|(kind, ..)| kind).collect();
    assert_eq!(kinds, [NoticeKind::Approved]);
}

#[tokio::test]
async fn a_dead_channel_delays_nobody_and_is_tried_again() {
    let (mail, sms) = (Post::new("mail", false), Post::new("sms", false));
    let world = world(&[&mail, &sms]);
    for channel in ["mail", "sms"] {
        wants(&world, &admin(), NoticeKind::ApprovalNeeded, channel).await;
    }
    mail.fail(Some(ChannelError::Unavailable("no mail server".to_owned())));
    let before = world.publisher.published().len();
    world.enroll("thandi", PaymentMethod::BankTransfer).await;
    work(&world).await;
    assert_eq!(sms.sent().len(), 1);
    assert!(world.publisher.published().len() > before);
    for _ in 0..3 {
        world.advance(3600);
        world.pass().await;
    }
    assert_eq!(
        sms.sent().len(),
        1,
        "the channel that works is not told again"
    );
    mail.fail(None);
    world.advance(24 * 3600);
    world.pass().await;
    assert_eq!(mail.sent().len(), 1);
    let tried = mail.tried.lock().unwrap().clone();
    assert_eq!(tried.len(), 5);
    assert!(
        tried.iter().all(|id| *id == tried[0]),
        "the same notice has one id"
    );
}

#[tokio::test]
async fn what_cannot_be_sent_is_given_up_on_in_sight() {
    let mail = Post::new("mail", false);
    let world = world(&[&mail]);
    for kind in [NoticeKind::ApprovalNeeded, NoticeKind::Alert] {
        wants(&world, &admin(), kind, "mail").await;
    }
    mail.fail(Some(ChannelError::Unavailable("no mail server".to_owned())));
    world.enroll("thandi", PaymentMethod::BankTransfer).await;
    for _ in 0..14 {
        world.pass().await;
        world.advance(7 * 3600);
    }
    let tries_of_first = || {
        let tried = mail.tried.lock().unwrap();
        tried.iter().filter(|id| **id == tried[0]).count()
    };
    assert_eq!(tries_of_first(), 12);
    let found = in_app(&world, &admin(), false).await;
    assert!(
        found.iter().any(|(kind, _)| *kind == NoticeKind::Alert),
        "{found:?}"
    );

    // An address that does not exist is not tried again at all.
    mail.fail(Some(ChannelError::Refused(
        "nobody by that name".to_owned(),
    )));
    world.enroll("sipho", PaymentMethod::BankTransfer).await;
    work(&world).await;
    let notices = in_app(&world, &admin(), false).await;
    let mut approvals = notices
        .iter()
        .filter(|(kind, _)| *kind == NoticeKind::ApprovalNeeded);
    let second = approvals.next().unwrap().1;
    world.advance(24 * 3600);
    work(&world).await;
    let tried = mail.tried.lock().unwrap().clone();
    assert_eq!(tried.iter().filter(|id| **id == second).count(), 1);
}

#[tokio::test]
async fn names_of_channels_are_checked() {
    let mail = Post::new("mail", false);
    let world = world(&[&mail]);
    let desk = world.registrar.admin(admin());
    let pigeon = ChannelName::new("pigeon").unwrap();
    let chosen = desk.notices().preferences().await.unwrap();
    let error = desk
        .notices()
        .choose_channels(chosen.and(NoticeKind::Alert, pigeon).channels)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(error.to_string(), "there is no notification channel pigeon");
    for name in ["", "Mail", "e mail", "mail!", &"m".repeat(33)] {
        assert!(ChannelName::new(name).is_err(), "{name}");
    }
    for name in ["mail", "in_app"] {
        let twice = Registrar::builder(config(), MemoryStore::new())
            .channel(Post::new("mail", false))
            .channel(Post::new(name, false))
            .build_for_tests();
        assert!(matches!(twice, Err(BuildError::ChannelTwice(_))), "{name}");
    }
    let names = world.registrar.channels();
    assert_eq!(
        names,
        [ChannelName::in_app(), ChannelName::new("mail").unwrap()]
    );
}

#[tokio::test]
async fn a_learner_hears_of_a_renewal_and_not_of_what_they_had_before() {
    let mail = Post::new("mail", true);
    let world = world(&[&mail]);
    let to_learner = || {
        let sent = mail.sent();
        let told = sent.iter().filter(|(kind, to, _)| {
            *kind == NoticeKind::Approved && matches!(to, Recipient::Learner { .. })
        });
        told.count()
    };
    let month = AccessTerms::lasting(std::time::Duration::from_secs(30 * 86_400));
    let asked = || request("thandi", PaymentMethod::Card).terms(month.clone());
    for (wish, heard) in [(asked(), 1), (asked().renew(), 2)] {
        let enrollment = world.ask(wish).await.enrollment;
        let attempt = world.case(enrollment).await.attempts.pop().unwrap();
        world.pay(&attempt.link.unwrap().id, Choice::Card).await;
        work(&world).await;
        assert_eq!(to_learner(), heard);
    }
    // Brought over from another system: they had it there.
    let at = world.clock_now();
    let row = ExistingAccess::new(
        ExternalKey::new("old-1").unwrap(),
        learner("sipho"),
        course(),
        at,
    );
    let row = row.paid(ExistingPayment {
        email: Email::new("sipho@school.example").unwrap(),
        title: Title::new("Rust").unwrap(),
        payment: MigratedPayment {
            reference: PaymentReference::new("OLD-1").unwrap(),
            amount: Money::zar(90_000).unwrap(),
            method: PaymentMethod::Card,
            at,
        },
    });
    let desk = world.registrar.admin(admin());
    assert_eq!(desk.learners().bring_over(&[row]).await.unwrap().added, 1);
    work(&world).await;
    assert_eq!(to_learner(), 2);
}
