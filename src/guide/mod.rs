//! Pages to read, each in a few minutes.
//!
//! | page | about |
//! |---|---|
//! | [`going_live`] | From the simulator to real money: the settings, the report that has to be clean, and the start. |
//! | [`operations`] | What the worker does by itself, who may do what, whom alerts reach, and where to look when something is wrong. |
//! | [`offers`] | Each attempt to pay has an offer of its own: price, access terms and title. |
//! | [`payment_exceptions`] | Payments that arrived and do not fit what was asked: late, duplicate, underpayment, overpayment, unmatched. |
//! | [`bank_statements`] | Reading the bank's export, and settling the transfers that are waited for. |
//! | [`detection_rules`] | How card and EFT are told apart by weighted rules, and how to write your own. |
//! | [`live_updates`] | Open pages of learners and admins that change by themselves. |
//! | [`audit_log`] | Who approved what, why, and how anybody can check that it was not changed since. |
//! | [`privacy`] | What is kept of a learner, how long, and how it is exported and erased. |
//! | [`threats`] | What an attacker may try, and what stands against it. |
//! | [`performance`] | Measured figures, each with the command that gives it. |
//! | [`examples`] | Servers to try out, and to copy from. |

#[doc = include_str!("going_live.md")]
pub mod going_live {}

#[doc = include_str!("operations.md")]
pub mod operations {}

#[doc = include_str!("offers.md")]
pub mod offers {}

#[doc = include_str!("payment_exceptions.md")]
pub mod payment_exceptions {}

#[doc = include_str!("bank_statements.md")]
pub mod bank_statements {}

#[doc = include_str!("detection_rules.md")]
pub mod detection_rules {}

#[doc = include_str!("live_updates.md")]
pub mod live_updates {}

#[doc = include_str!("audit_log.md")]
pub mod audit_log {}

#[doc = include_str!("privacy.md")]
pub mod privacy {}

#[doc = include_str!("threats.md")]
pub mod threats {}

#[doc = include_str!("performance.md")]
pub mod performance {}

#[doc = include_str!("examples.md")]
pub mod examples {}
