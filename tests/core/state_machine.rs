use std::collections::HashSet;

use coursegate::enrollment::{
    self, Command, CommandKind, Status, StatusKind, TransitionResult, render_table,
};
use coursegate::payment::{AttemptEvent, AttemptStatus, AttemptStep};
use coursegate::reason::{ApprovalCause, HoldReason, Note, WithdrawReason};
use proptest::prelude::*;

fn commands() -> impl Strategy<Value = Command> {
    let causes = |automatic: bool| {
        let fitting: Vec<_> = ApprovalCause::ALL
            .iter()
            .copied()
            .filter(|cause| cause.is_automatic() == automatic)
            .collect();
        prop::sample::select(fitting)
    };
    prop_oneof![
        causes(true).prop_map(Command::PaymentConfirmed),
        Just(Command::PaymentFailed),
        causes(false).prop_map(Command::Approve),
        Just(Command::Reject(Note::new("no"))),
        prop::sample::select(HoldReason::ALL).prop_map(Command::Hold),
        Just(Command::Expire),
        Just(Command::Withdraw),
        Just(Command::Refund),
        Just(Command::Release),
        Just(Command::CloseAgain(enrollment::Closed::Rejected {
            reason: Note::new("no"),
        })),
        prop::sample::select(WithdrawReason::ALL)
            .prop_map(|why| Command::CloseAgain(enrollment::Closed::Withdrawn { why })),
        Just(Command::Revoke),
        Just(Command::Reopen),
    ]
}

/// The law once more, told as facts with a precedence instead of as a table: what is
/// approved outranks what is closed, that outranks what is held.
#[derive(Debug, Clone, Default, PartialEq)]
struct Model {
    approved: Option<ApprovalCause>,
    closed: Option<Closed>,
    held: Option<HoldReason>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Closed {
    Rejected,
    Expired,
    Withdrawn(WithdrawReason),
}

impl Model {
    /// Takes a command; `false` when it is refused.
    fn take(&mut self, command: &Command) -> bool {
        use WithdrawReason::{Left, MoneyBack, Revoked};
        let closed_by_somebody =
            matches!(self.closed, Some(Closed::Rejected | Closed::Withdrawn(_)));
        match command {
            Command::PaymentFailed => {}
            Command::PaymentConfirmed(_) if closed_by_somebody => {
                *self = Self::holding(HoldReason::LatePayment);
            }
            Command::PaymentConfirmed(cause) => {
                *self = Self::approving(self.approved.unwrap_or(*cause).max(*cause));
            }
            // Who left has to come back by themselves; all else the school may give again.
            Command::Approve(_) if self.closed == Some(Closed::Withdrawn(Left)) => return false,
            Command::Approve(cause) => *self = Self::approving(self.approved.unwrap_or(*cause)),
            Command::Reject(_) => match (self.approved, self.closed) {
                (Some(_), _) | (_, Some(Closed::Expired | Closed::Withdrawn(_))) => return false,
                _ => *self = Self::closing(Closed::Rejected),
            },
            Command::Hold(_) if self.approved.is_some() => {}
            Command::Hold(reason) => {
                *self = Self::holding(self.held.unwrap_or(*reason).max(*reason));
            }
            Command::Expire => match (self.closed, self.held) {
                (None, Some(reason)) if reason != HoldReason::BankTransfer => return false,
                (None, _) => *self = Self::closing(Closed::Expired),
                (Some(_), _) => {}
            },
            Command::Withdraw if self.closed.is_none() => {
                *self = Self::closing(Closed::Withdrawn(Left));
            }
            Command::Withdraw => {}
            Command::Refund if self.approved.is_some() || self.held.is_some() => {
                *self = Self::closing(Closed::Withdrawn(MoneyBack));
            }
            Command::Release if self.held.is_some() => *self = Self::default(),
            Command::Refund => return self.closed.is_some(),
            Command::Release => return self.closed.is_some() || self.approved.is_some(),
            Command::CloseAgain(closed) if self.held.is_some() => {
                *self = Self::closing(match closed {
                    enrollment::Closed::Rejected { .. } => Closed::Rejected,
                    enrollment::Closed::Withdrawn { why } => Closed::Withdrawn(*why),
                });
            }
            Command::CloseAgain(_) => {}
            // Money that waits is looked at first; what is closed stays as it is.
            Command::Revoke if self.held.is_some() || self.closed.is_some() => {}
            Command::Revoke => *self = Self::closing(Closed::Withdrawn(Revoked)),
            Command::Reopen if self.approved.is_some() => return false,
            Command::Reopen if self.closed == Some(Closed::Withdrawn(Revoked)) => return false,
            Command::Reopen => self.closed = None,
        }
        true
    }

    fn approving(cause: ApprovalCause) -> Self {
        Self {
            approved: Some(cause),
            ..Self::default()
        }
    }

    fn holding(reason: HoldReason) -> Self {
        Self {
            held: Some(reason),
            ..Self::default()
        }
    }

    fn closing(kind: Closed) -> Self {
        Self {
            closed: Some(kind),
            ..Self::default()
        }
    }

    fn agrees(&self, status: &Status) -> bool {
        match status {
            Status::Approved { cause } => self.approved == Some(*cause),
            Status::AwaitingApproval { reason } => self.held == Some(*reason),
            Status::AwaitingPayment => *self == Self::default(),
            Status::Rejected { .. } => self.closed == Some(Closed::Rejected),
            Status::Expired => self.closed == Some(Closed::Expired),
            Status::Withdrawn { why } => self.closed == Some(Closed::Withdrawn(*why)),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_commands_agrees_with_the_model(sequence in prop::collection::vec(commands(), 1..20)) {
        let (mut status, mut model) = (Status::AwaitingPayment, Model::default());
        for command in sequence {
            let accepted = model.take(&command);
            match status.after(&command) {
                TransitionResult::Moved(_, to) => {
                    prop_assert!(accepted && to != status, "{command:?} moves {status} to {to}");
                    status = to;
                    prop_assert!(
                        matches!(status.after(&command), TransitionResult::Unchanged(_) | TransitionResult::Moved(..)) || matches!(command, Command::Refund | Command::Release),
                        "{command:?} cannot be repeated in {status}"
                    );
                }
                TransitionResult::Unchanged(_) => prop_assert!(accepted, "{command:?} stays in {status}"),
                TransitionResult::Rejected(refusal) => prop_assert!(!accepted, "{refusal} to {command:?} in {status}"),
            }
            prop_assert!(model.agrees(&status), "{model:?} against {status}");
        }
    }

    #[test]
    fn holds_and_confirmations_commute(mut facts in prop::collection::vec(commands(), 2..6), seed in any::<u64>()) {
        facts.retain(|kind| matches!(kind, Command::Hold(_) | Command::PaymentConfirmed(_) | Command::PaymentFailed | Command::Approve(_)));
        // One person's word: the first of two would win.
        let mut approved = false;
        facts.retain(|kind| !matches!(kind, Command::Approve(_)) || !std::mem::replace(&mut approved, true));
        let run = |facts: &[Command]| facts.iter().fold(Status::AwaitingPayment, |status, kind| match status.after(kind) {
            TransitionResult::Moved(_, to) => to,
            TransitionResult::Unchanged(_) | TransitionResult::Rejected(_) => status,
        });
        let expected = run(&facts);
        let turns = usize::try_from(seed % 7).unwrap();
        let length = facts.len().max(1);
        facts.rotate_left(turns % length);
        prop_assert_eq!(run(&facts), expected);
    }
}

#[test]
fn every_pair_is_named_and_the_printed_table_is_the_law() {
    let table = render_table();
    for (line, status) in table.lines().skip(2).zip(StatusKind::ALL) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells[0], format!("**{status}**"));
        assert_eq!(cells.len(), CommandKind::ALL.len() + 1);
        assert!(cells.iter().all(|cell| !cell.is_empty()));
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/enrollment/table.md");
    if std::env::var_os("COURSEGATE_WRITE_TABLE").is_some() {
        std::fs::write(path, &table).unwrap();
    }
    let printed = std::fs::read_to_string(path).unwrap();
    assert_eq!(
        printed, table,
        "run the test once with COURSEGATE_WRITE_TABLE=1 to print it anew"
    );
}

#[test]
fn wire_words_are_unique_and_read_back() {
    let words: HashSet<&str> = HoldReason::ALL.iter().map(HoldReason::as_str).collect();
    assert_eq!(words.len(), HoldReason::ALL.len());
    for reason in HoldReason::ALL {
        assert_eq!(reason.as_str().parse::<HoldReason>().unwrap(), *reason);
        assert!(!reason.advice().is_empty());
    }
    let status = Status::Approved {
        cause: ApprovalCause::AutomaticCardPayment,
    };
    let json = serde_json::to_string(&status).unwrap();
    assert_eq!(
        json,
        r#"{"state":"approved","cause":"automatic_card_payment"}"#
    );
    assert_eq!(serde_json::from_str::<Status>(&json).unwrap(), status);
    assert_eq!(status.wire(), "approved");
}

#[test]
fn paid_is_only_left_by_money_going_back() {
    for event in AttemptEvent::ALL {
        let step = AttemptStatus::Paid.after(*event);
        match event {
            AttemptEvent::Refunded => assert_eq!(step, AttemptStep::Moved(AttemptStatus::Refunded)),
            AttemptEvent::Reversed => assert_eq!(step, AttemptStep::Moved(AttemptStatus::Reversed)),
            _ => assert_eq!(step, AttemptStep::Unchanged),
        }
    }
    // Money that went back comes again only when the school wins it; and that the bank took it is
    // kept beside that it was given back.
    for event in AttemptEvent::ALL {
        let refunded = AttemptStatus::Refunded.after(*event);
        match event {
            AttemptEvent::Reversed => {
                assert_eq!(refunded, AttemptStep::Moved(AttemptStatus::Reversed));
            }
            AttemptEvent::Reinstated => assert_eq!(refunded, AttemptStep::Rejected),
            _ => assert_eq!(refunded, AttemptStep::Unchanged),
        }
        let reversed = AttemptStatus::Reversed.after(*event);
        match event {
            AttemptEvent::Reinstated => {
                assert_eq!(reversed, AttemptStep::Moved(AttemptStatus::Paid));
            }
            _ => assert_eq!(reversed, AttemptStep::Unchanged),
        }
    }
    for unpaid in [
        AttemptStatus::Started,
        AttemptStatus::LinkReady,
        AttemptStatus::Failed,
        AttemptStatus::Abandoned,
    ] {
        assert_eq!(
            unpaid.after(AttemptEvent::Paid),
            AttemptStep::Moved(AttemptStatus::Paid),
            "a link stays payable"
        );
    }
}
