//! Learners and admins, many at once about few enrollments; and some who only say that they paid.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use coursegate::EnrollmentId;
use coursegate::adapter::simulator::Choice;
use futures_util::future::join_all;

use super::act::{Act, Answer, offers};
use super::books::Books;
use super::post::{Post, client};
use super::weather::Process;
use crate::school::Dice;

/// How long the same few learners act.
const GENERATION: Duration = Duration::from_millis(2500);
/// How long people wait for an answer: then they go away, and what they asked for is dropped.
const PATIENCE: Duration = Duration::from_millis(400);
const LEARNERS: u64 = 3;
const COURSES: u64 = 2;

/// What a person knows of their enrollment.
#[derive(Debug, Clone, Default)]
struct Known {
    enrollment: Option<EnrollmentId>,
    attempts: Vec<Attempt>,
}

#[derive(Debug, Clone)]
struct Attempt {
    reference: String,
    link: Option<String>,
    cents: i64,
}

pub struct People {
    books: Arc<Books>,
    post: Arc<Post>,
    processes: [Arc<Process>; 2],
    client: reqwest::Client,
    known: Mutex<HashMap<(String, String), Known>>,
    begun: Instant,
    until: Instant,
    pub acts: AtomicUsize,
}

/// Something to do: at a process, or on the provider's page.
enum Step {
    Act(Act),
    Pay(Attempt, Choice),
}

fn pick<T: Clone>(items: &[T], dice: &mut Dice) -> Option<T> {
    let count = u64::try_from(items.len()).unwrap();
    (count > 0).then(|| items[usize::try_from(dice.below(count)).unwrap()].clone())
}

impl People {
    pub fn new(
        books: Arc<Books>,
        post: Arc<Post>,
        processes: [Arc<Process>; 2],
        until: Instant,
    ) -> Arc<Self> {
        Arc::new(Self {
            books,
            post,
            processes,
            client: client(PATIENCE),
            known: Mutex::default(),
            begun: Instant::now(),
            until,
            acts: AtomicUsize::new(0),
        })
    }

    /// A learner of now, or at times one of some while ago, and a course.
    fn somebody(&self, kind: &str, dice: &mut Dice) -> (String, String) {
        let now = self.begun.elapsed().as_millis() / GENERATION.as_millis();
        let now = u64::try_from(now).unwrap();
        let then = match dice.below(4) {
            0 => now.saturating_sub(dice.below(10)),
            _ => now,
        };
        (
            format!("{kind}-{then}-{}", dice.below(LEARNERS)),
            format!("course-{}", dice.below(COURSES)),
        )
    }

    fn known(&self, who: &(String, String)) -> Known {
        let known = self.known.lock().unwrap();
        known.get(who).cloned().unwrap_or_default()
    }

    /// Several people do something about one enrollment, all at once, again and again.
    pub async fn crowd(self: Arc<Self>, mut dice: Dice) {
        while Instant::now() < self.until {
            let is_guest = dice.below(8) == 0;
            let kind = if is_guest { "guest" } else { "learner" };
            let who = self.somebody(kind, &mut dice);
            let mut steps = Vec::new();
            for _ in 0..2 + dice.below(5) {
                let step = match is_guest {
                    true => Step::Act(self.bursary(&who, &mut dice).await),
                    false => self.step(&who, &mut dice).await,
                };
                steps.push((step, dice.below(2)));
            }
            let taken = steps
                .into_iter()
                .map(|(step, at)| self.take(&who, step, at));
            if join_all(taken).await.contains(&false) {
                // A process is down: nobody tries more often than that.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// Learners who never pay, and to whom nobody at the school is kind.
    pub async fn liars(self: Arc<Self>, mut dice: Dice) {
        while Instant::now() < self.until {
            let who = self.somebody("liar", &mut dice);
            let attempt = pick(&self.known(&who).attempts, &mut dice);
            match (attempt, dice.below(6)) {
                (
                    Some(Attempt {
                        reference, link, ..
                    }),
                    way @ 0..=3,
                ) => {
                    let link = link.unwrap_or_default();
                    match way {
                        0 => self.post.lie(&link, &reference, false),
                        1 => self.post.lie(&link, &reference, true),
                        2 => {
                            let back = Step::Act(Act::Return { reference });
                            self.take(&who, back, dice.below(2)).await;
                        }
                        // Nobody knows these few: they are parked.
                        _ => self.post.lie(
                            "strangerslink",
                            &format!("STRANGER-{}", dice.below(40)),
                            true,
                        ),
                    }
                }
                _ => {
                    let enroll = Step::Act(Self::enroll(&who, &mut dice, "card"));
                    self.take(&who, enroll, dice.below(2)).await;
                }
            }
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
    }

    fn enroll(who: &(String, String), dice: &mut Dice, method: &str) -> Act {
        Act::Enroll {
            learner: who.0.clone(),
            course: who.1.clone(),
            offer: usize::try_from(dice.below(4)).unwrap(),
            method: method.to_owned(),
            intent: dice.below(8),
        }
    }

    /// Access is given or taken that rests on no enrollment.
    async fn bursary(&self, who: &(String, String), dice: &mut Dice) -> Act {
        let (learner, course) = who.clone();
        match pick(&self.books.grants(&learner, &course).await, dice) {
            Some(grant) if dice.below(3) > 0 => Act::Revoke { grant },
            _ => {
                self.books.given(&learner, &course).await;
                let offer = usize::try_from(dice.below(4)).unwrap();
                Act::Give {
                    learner,
                    course,
                    offer,
                }
            }
        }
    }

    async fn step(&self, who: &(String, String), dice: &mut Dice) -> Step {
        let (learner, course) = who.clone();
        let known = self.known(who);
        let (attempt, chance) = (pick(&known.attempts, dice), dice.below(30));
        let methods = ["card", "card", "card", "instant_eft", "bank_transfer"];
        let method = pick(&methods, dice).unwrap();
        let act = match (chance, attempt, known.enrollment) {
            (7..=13, Some(attempt), _) if attempt.link.is_some() => {
                let choices = [
                    Choice::Card,
                    Choice::Card,
                    Choice::InstantEft,
                    Choice::Decline,
                ];
                return Step::Pay(attempt, pick(&choices, dice).unwrap());
            }
            (14, Some(Attempt { reference, .. }), _) => Act::Return { reference },
            (
                15,
                Some(Attempt {
                    reference, cents, ..
                }),
                _,
            ) => Act::See {
                reference,
                cents,
                line: dice.below(3),
            },
            (16..=19, _, Some(enrollment)) => Act::Approve {
                enrollment,
                by: pick(&["nomsa", "pieter"], dice).unwrap().to_owned(),
                past_everybody: dice.below(6) == 0,
            },
            (20, _, _) => Act::Prove { learner, course },
            (21, _, Some(enrollment)) => Act::Reject { enrollment },
            (22..=24, Some(Attempt { reference, .. }), _) => Act::Refund {
                reference,
                part: dice.below(2) == 0,
                proof: dice.below(3),
            },
            (25, Some(Attempt { reference, .. }), _) => Act::Reverse { reference },
            (26, Some(Attempt { reference, .. }), _) => Act::Reinstate { reference },
            (27, _, _) => match pick(&self.books.grants(&learner, &course).await, dice) {
                Some(grant) => Act::Revoke { grant },
                None => Self::enroll(who, dice, method),
            },
            (28, _, _) => self.bursary(who, dice).await,
            (29, _, _) => Act::Withdraw { learner, course },
            _ => Self::enroll(who, dice, method),
        };
        Step::Act(act)
    }

    /// Whether it was answered at all.
    async fn take(&self, who: &(String, String), step: Step, at: u64) -> bool {
        let act = match step {
            Step::Act(act) => act,
            Step::Pay(attempt, choice) => {
                let link = attempt.link.unwrap();
                let paid = self
                    .post
                    .pay((&link, &attempt.reference), attempt.cents, choice);
                paid.await;
                return true;
            }
        };
        self.acts.fetch_add(1, Ordering::Relaxed);
        let Some(answer) = self.ask(&act, at).await else {
            return false;
        };
        if let Some((what, about)) = act.trace(&answer) {
            self.books.done(what, &about).await;
        }
        self.learn(who, &act, answer);
        true
    }

    /// `None` when the process is away, or goes away in the middle of its answer.
    async fn ask(&self, act: &Act, at: u64) -> Option<Answer> {
        let process = &self.processes[usize::try_from(at).unwrap()];
        let request = self
            .client
            .post(format!("http://127.0.0.1:{}/act", process.port()))
            .body(serde_json::to_vec(act).unwrap());
        let answer = request.send().await.ok()?.bytes().await.ok()?;
        serde_json::from_slice(&answer).ok()
    }

    fn learn(&self, who: &(String, String), act: &Act, answer: Answer) {
        let (enrollment, attempt) = match answer {
            Answer::Pay {
                enrollment,
                reference,
                url,
            } => {
                let link = url.rsplit('/').next().map(str::to_owned);
                (Some(enrollment), Some((reference, link)))
            }
            Answer::Transfer {
                enrollment,
                reference,
            } => (Some(enrollment), Some((reference, None))),
            Answer::Stays(enrollment) => (enrollment, None),
            Answer::Given(_) | Answer::Done | Answer::Refused(_) => return,
        };
        let Act::Enroll { offer, .. } = act else {
            return;
        };
        let mut known = self.known.lock().unwrap();
        let known = known.entry(who.clone()).or_default();
        known.enrollment = known.enrollment.or(enrollment);
        if let Some((reference, link)) = attempt
            && !known.attempts.iter().any(|it| it.reference == reference)
        {
            known.attempts.push(Attempt {
                reference,
                link,
                cents: offers()[*offer].0,
            });
        }
    }
}
