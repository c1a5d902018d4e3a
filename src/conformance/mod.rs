//! The suite every [`Store`] must pass, with its [`Queries`].
//!
//! An author of a store calls [`store`] from a test of their own:
//!
//! ```
//! # use coursegate::adapter::memory::MemoryStore;
//! # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! # runtime.block_on(async {
//! coursegate::conformance::store(|| async { MemoryStore::new() }).await
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod audit_log;
mod commits;
mod fields;
mod harness;
mod lists;
mod notices;
mod offers;
mod once;
mod personal;
mod queues;
mod reads;
mod samples;
mod sharing;
mod statements;
mod timers;

use std::fmt;

use crate::store::{Queries, Store};

use audit_log::{every_event_is_sealed_in_the_same_form, the_chain_holds_every_event_once};
use commits::{
    a_reference_belongs_to_one_enrollment, a_settled_delivery_is_a_duplicate,
    a_stale_version_writes_nothing, finds_what_was_written, grants_apart_from_enrollments,
    one_enrollment_per_learner_and_course, one_grant_per_payment, the_timeline_only_grows,
};
use fields::every_field_of_a_case_is_kept;
use lists::{
    a_concern_stands_until_its_enrollment_changes, everything_can_be_walked_through,
    money_that_goes_back_is_kept, one_approval_of_two_is_kept,
};
use notices::{notices_are_claimed_by_themselves, notices_are_listed_and_read};
use offers::{
    a_grant_stays_its_learners, a_payment_is_brought_over, each_attempt_keeps_its_offer,
    grants_of_every_source,
};
use once::{
    a_change_is_committed_once, a_delivery_is_decided_as_it_was_found,
    a_grant_apart_is_given_once_and_ends_once,
};
use personal::{
    a_learner_is_erased_and_the_chain_holds, an_erasure_empties_its_own_events_only,
    bodies_go_once_they_are_settled,
};
use queues::{
    a_claim_is_no_larger_than_asked, held_money_stays_in_sight, parked_deliveries_wake,
    the_inbox_is_leased, the_outbox_keeps_order, the_queue_is_paged,
};
use reads::{figures_add_up, payments_are_found};
use sharing::{an_alert_is_raised_once_and_ends_once, processes_tell_one_another};
use statements::{
    a_doubtful_row_waits_beside_the_one_it_resembles, a_row_is_imported_once_and_decided_once,
    an_erasure_reaches_rows_like_the_learners, rows_are_found_by_what_they_say,
};
use timers::{a_timer_is_settled_as_it_was_claimed, timers_fall_due_and_are_leased};

/// A promise the store does not keep.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{check}: {what}")]
pub struct Failure {
    /// Which check.
    pub check: &'static str,
    /// What went wrong.
    pub what: String,
}

/// Every promise that a store does not keep, in the order of the checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failures(pub Vec<Failure>);

impl std::error::Error for Failures {}

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} promises are not kept", self.0.len())?;
        for failure in &self.0 {
            write!(f, "\n- {failure}")?;
        }
        Ok(())
    }
}

/// Runs every check, each on a fresh store.
///
/// # Errors
/// [`Failures`] names each promise that is not kept, and what went wrong.
pub async fn store<S, F, M>(make: M) -> Result<(), Failures>
where
    S: Store + Queries,
    F: Future<Output = S>,
    M: Fn() -> F,
{
    let mut failures = Vec::new();
    macro_rules! run {
        ($($check:ident),+ $(,)?) => {$(
            if let Err(what) = $check(&make().await).await {
                failures.push(Failure { check: stringify!($check), what: what.to_string() });
            }
        )+};
    }
    run!(
        finds_what_was_written,
        every_field_of_a_case_is_kept,
        one_enrollment_per_learner_and_course,
        a_stale_version_writes_nothing,
        a_settled_delivery_is_a_duplicate,
        a_delivery_is_decided_as_it_was_found,
        a_change_is_committed_once,
        a_grant_apart_is_given_once_and_ends_once,
        a_reference_belongs_to_one_enrollment,
        one_grant_per_payment,
        grants_apart_from_enrollments,
        the_timeline_only_grows,
        the_queue_is_paged,
        held_money_stays_in_sight,
        the_inbox_is_leased,
        parked_deliveries_wake,
        a_claim_is_no_larger_than_asked,
        the_outbox_keeps_order,
        timers_fall_due_and_are_leased,
        a_timer_is_settled_as_it_was_claimed,
        money_that_goes_back_is_kept,
        one_approval_of_two_is_kept,
        each_attempt_keeps_its_offer,
        grants_of_every_source,
        a_payment_is_brought_over,
        a_grant_stays_its_learners,
        a_concern_stands_until_its_enrollment_changes,
        a_row_is_imported_once_and_decided_once,
        a_doubtful_row_waits_beside_the_one_it_resembles,
        rows_are_found_by_what_they_say,
        an_erasure_reaches_rows_like_the_learners,
        everything_can_be_walked_through,
        notices_are_listed_and_read,
        notices_are_claimed_by_themselves,
        the_chain_holds_every_event_once,
        every_event_is_sealed_in_the_same_form,
        bodies_go_once_they_are_settled,
        a_learner_is_erased_and_the_chain_holds,
        an_erasure_empties_its_own_events_only,
        processes_tell_one_another,
        an_alert_is_raised_once_and_ends_once,
        payments_are_found,
        figures_add_up,
    );
    match failures.is_empty() {
        true => Ok(()),
        false => Err(Failures(failures)),
    }
}
