use super::command::{Command, CommandKind};
use super::transition::TransitionResult;
use crate::vocabulary::reason::{ApprovalCause, HoldReason, WithdrawReason};
use crate::vocabulary::{Closed, Note, Status, StatusKind};

/// Renders the law as a Markdown table, one row per status. Cells that depend on
/// the data name each answer.
pub fn render_table() -> String {
    let mut out = String::from("| |");
    for command in CommandKind::ALL {
        out.push_str(&format!(" {command} |"));
    }
    out.push_str("\n|---|");
    out.push_str(&"---|".repeat(CommandKind::ALL.len()));
    out.push('\n');
    for kind in StatusKind::ALL {
        out.push_str(&format!("| **{kind}** |"));
        for command in CommandKind::ALL {
            let mut cells: Vec<String> = Vec::new();
            for (status, command) in samples(*kind, *command) {
                let cell = match status.after(&command) {
                    TransitionResult::Moved(name, to) => format!("**{name}** &rarr; {}", to.kind()),
                    TransitionResult::Unchanged(name) => format!("*{name}*"),
                    TransitionResult::Rejected(name) => name.to_string(),
                };
                if !cells.contains(&cell) {
                    cells.push(cell);
                }
            }
            out.push_str(&format!(" {} |", cells.join(" or ")));
        }
        out.push('\n');
    }
    out
}

/// Every (status, command) of the given kinds, over all reasons and causes.
fn samples(status: StatusKind, command: CommandKind) -> Vec<(Status, Command)> {
    let note = Note::new("");
    let statuses: Vec<Status> = match status {
        StatusKind::AwaitingPayment => vec![Status::AwaitingPayment],
        StatusKind::AwaitingApproval => HoldReason::ALL
            .iter()
            .map(|reason| Status::AwaitingApproval { reason: *reason })
            .collect(),
        StatusKind::Approved => ApprovalCause::ALL
            .iter()
            .map(|cause| Status::Approved { cause: *cause })
            .collect(),
        StatusKind::Rejected => vec![Status::Rejected {
            reason: note.clone(),
        }],
        StatusKind::Expired => vec![Status::Expired],
        StatusKind::Withdrawn => WithdrawReason::ALL
            .iter()
            .map(|why| Status::Withdrawn { why: *why })
            .collect(),
    };
    let causes = |automatic| {
        ApprovalCause::ALL
            .iter()
            .copied()
            .filter(move |cause| cause.is_automatic() == automatic)
    };
    let commands: Vec<Command> = match command {
        CommandKind::PaymentConfirmed => causes(true).map(Command::PaymentConfirmed).collect(),
        CommandKind::PaymentFailed => vec![Command::PaymentFailed],
        CommandKind::Approve => causes(false).map(Command::Approve).collect(),
        CommandKind::Reject => vec![Command::Reject(note)],
        CommandKind::Hold => HoldReason::ALL.iter().copied().map(Command::Hold).collect(),
        CommandKind::Expire => vec![Command::Expire],
        CommandKind::Withdraw => vec![Command::Withdraw],
        CommandKind::Refund => vec![Command::Refund],
        CommandKind::Release => vec![Command::Release],
        CommandKind::CloseAgain => std::iter::once(Closed::Rejected { reason: note })
            .chain(
                WithdrawReason::ALL
                    .iter()
                    .map(|why| Closed::Withdrawn { why: *why }),
            )
            .map(Command::CloseAgain)
            .collect(),
        CommandKind::Revoke => vec![Command::Revoke],
        CommandKind::Reopen => vec![Command::Reopen],
    };
    let pairs = |status: &Status| {
        commands
            .iter()
            .map(move |command| (status.clone(), command.clone()))
            .collect::<Vec<_>>()
    };
    statuses.iter().flat_map(pairs).collect()
}
