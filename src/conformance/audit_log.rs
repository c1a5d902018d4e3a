//! The audit log.

use super::harness::{Checked, ensure, open, start};
use super::samples;
use crate::enrollment::StepOutcome;
use crate::event::audit_log::{AuditLogEntry, AuditLogVerifier, Checkpoint, verify_lines};
use crate::event::form::EventText;
use crate::payment::PaymentMethod;
use crate::store::{Change, PageRequest, Queries, Store};

async fn links<S: Store + Queries>(
    store: &S,
) -> Result<Vec<AuditLogEntry>, Box<dyn std::error::Error + Send + Sync>> {
    let (mut links, mut request) = (Vec::new(), PageRequest::first(2));
    loop {
        let page = store.audit_log(request).await?;
        links.extend(page.items);
        match page.next {
            Some(after) => request = PageRequest::after(after, 2),
            None => return Ok(links),
        }
    }
}

pub(super) async fn the_chain_holds_every_event_once<S: Store + Queries>(store: &S) -> Checked {
    ensure!(links(store).await?.is_empty(), "a new store has links");
    let later = start() + chrono::Duration::hours(1);
    let mut expected = 0;
    for number in 0..3 {
        let name = format!("learner-{number}");
        let StepOutcome { delta, .. } =
            open(&name, &format!("REF-{number}"), PaymentMethod::BankTransfer)?;
        expected += delta.events.len();
        store.commit(delta.into()).await?;
        let left = store.missing_from_audit_log(later).await?;
        ensure!(left > 0, "what is not in the audit log is not counted");
        // A few at a time; and what is in the audit log is not in the audit log again.
        let mut added = 0;
        loop {
            match store.append_audit_log(None, 2).await? {
                0 => break,
                some => added += some,
            }
        }
        ensure!(
            added as u64 == left,
            "{added} of {left} events were added to the audit log"
        );
        ensure!(
            store.missing_from_audit_log(later).await? == 0,
            "something is left out"
        );
    }
    ensure!(
        store.append_audit_log(Some(start()), 10).await? == 0,
        "an event is in the audit log twice"
    );
    let links = links(store).await?;
    ensure!(
        links.len() == expected,
        "the audit log has {} links",
        links.len()
    );
    let mut check = AuditLogVerifier::new(None);
    for link in &links {
        check.next(link)?;
        let event = store.event(link.event).await?.ok_or("an event is gone")?;
        ensure!(
            link.text == Some(EventText::of(&event)),
            "a link holds another event, or another form of it: {link:?}"
        );
    }
    let newest = check.end()?;
    let anchor = Checkpoint {
        position: links[2].position,
        hash: links[2].hash.clone(),
    };
    let lines: Vec<String> = links.iter().map(AuditLogEntry::line).collect();
    ensure!(
        verify_lines(&lines, Some(anchor.clone()))? == newest,
        "what is exported does not hold"
    );
    let short = verify_lines(&lines[..2], Some(anchor));
    ensure!(short.is_err(), "an audit log that was cut off passes");
    // An event that is too late for the usual look is found by the whole one.
    let StepOutcome { delta, .. } = open("late", "REF-LATE", PaymentMethod::Card)?;
    let late = delta.events.len();
    store.commit(delta.into()).await?;
    ensure!(
        store.append_audit_log(Some(later), 10).await? == 0,
        "what is older than was asked is in the audit log"
    );
    ensure!(
        store.append_audit_log(None, 10).await? == late,
        "it is left out"
    );
    Ok(())
}

/// What is in the audit log of each event is the same in every store: so an audit log may move from one
/// to another.
pub(super) async fn every_event_is_sealed_in_the_same_form<S: Store + Queries>(
    store: &S,
) -> Checked {
    let events = samples::events()?;
    store.commit(Change::events_only(events.clone())).await?;
    while store.append_audit_log(None, 17).await? > 0 {}
    let links = links(store).await?;
    ensure!(
        links.len() == events.len(),
        "{} are in the audit log",
        links.len()
    );
    let mut check = AuditLogVerifier::new(None);
    for link in &links {
        check.next(link)?;
        let written = events.iter().find(|event| event.id == link.event);
        let written = EventText::of(written.ok_or("a link holds no event of ours")?);
        let read = store.event(link.event).await?.ok_or("an event is gone")?;
        let read = EventText::of(&read);
        let sealed = link.text.as_ref().ok_or("an event is gone")?;
        ensure!(
            *sealed == written,
            "{sealed:?} is in the audit log, and {written:?} was written"
        );
        ensure!(read == written, "{read:?} is read, {written:?} was written");
    }
    let lines: Vec<String> = links.iter().map(AuditLogEntry::line).collect();
    ensure!(
        verify_lines(&lines, None)? == check.end()?,
        "what is exported does not hold"
    );
    Ok(())
}
