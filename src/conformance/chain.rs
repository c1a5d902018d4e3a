//! The chain of records.

use super::{Checked, ensure, open, samples, start};
use crate::enrollment::{Change, StepOutcome};
use crate::event::chain::{ChainCheck, ChainLink, Checkpoint, verify_lines};
use crate::event::form::RecordText;
use crate::payment::PaymentMethod;
use crate::port::{PageRequest, Records, Store};

async fn links<S: Store + Records>(
    store: &S,
) -> Result<Vec<ChainLink>, Box<dyn std::error::Error + Send + Sync>> {
    let (mut links, mut request) = (Vec::new(), PageRequest::first(2));
    loop {
        let page = store.chain(request).await?;
        links.extend(page.items);
        match page.next {
            Some(after) => request = PageRequest::after(after, 2),
            None => return Ok(links),
        }
    }
}

pub(super) async fn the_chain_holds_every_record_once<S: Store + Records>(store: &S) -> Checked {
    ensure!(links(store).await?.is_empty(), "a new store has links");
    let later = start() + chrono::Duration::hours(1);
    let mut expected = 0;
    for number in 0..3 {
        let name = format!("learner-{number}");
        let StepOutcome { change, .. } =
            open(&name, &format!("REF-{number}"), PaymentMethod::BankTransfer)?;
        expected += change.records.len();
        store.commit(change).await?;
        let left = store.unsealed(later).await?;
        ensure!(left > 0, "what is not sealed is not counted");
        // A few at a time; and what is sealed is not sealed again.
        let mut added = 0;
        loop {
            match store.seal(None, 2).await? {
                0 => break,
                some => added += some,
            }
        }
        ensure!(
            added as u64 == left,
            "{added} of {left} records were sealed"
        );
        ensure!(store.unsealed(later).await? == 0, "something is left out");
    }
    ensure!(
        store.seal(Some(start()), 10).await? == 0,
        "a record is sealed twice"
    );
    let links = links(store).await?;
    ensure!(
        links.len() == expected,
        "the chain has {} links",
        links.len()
    );
    let mut check = ChainCheck::new(None);
    for link in &links {
        check.next(link)?;
        let record = store.record(link.record).await?.ok_or("a record is gone")?;
        ensure!(
            link.text == Some(RecordText::of(&record)),
            "a link holds another record, or another form of it: {link:?}"
        );
    }
    let newest = check.end()?;
    let anchor = Checkpoint {
        position: links[2].position,
        hash: links[2].hash.clone(),
    };
    let lines: Vec<String> = links.iter().map(ChainLink::line).collect();
    ensure!(
        verify_lines(&lines, Some(anchor.clone()))? == newest,
        "what is exported does not hold"
    );
    let short = verify_lines(&lines[..2], Some(anchor));
    ensure!(short.is_err(), "a chain that was cut off passes");
    // A record that is too late for the usual look is found by the whole one.
    let StepOutcome { change, .. } = open("late", "REF-LATE", PaymentMethod::Card)?;
    let late = change.records.len();
    store.commit(change).await?;
    ensure!(
        store.seal(Some(later), 10).await? == 0,
        "what is older than was asked is sealed"
    );
    ensure!(store.seal(None, 10).await? == late, "it is left out");
    Ok(())
}

/// What is sealed of each record is the same in every store: so a chain may move from one
/// to another.
pub(super) async fn every_record_is_sealed_in_the_same_form<S: Store + Records>(
    store: &S,
) -> Checked {
    let records = samples::records()?;
    store.commit(Change::records_only(records.clone())).await?;
    while store.seal(None, 17).await? > 0 {}
    let links = links(store).await?;
    ensure!(links.len() == records.len(), "{} are sealed", links.len());
    let mut check = ChainCheck::new(None);
    for link in &links {
        check.next(link)?;
        let written = records.iter().find(|record| record.id == link.record);
        let written = RecordText::of(written.ok_or("a link holds no record of ours")?);
        let read = store.record(link.record).await?.ok_or("a record is gone")?;
        let read = RecordText::of(&read);
        let sealed = link.text.as_ref().ok_or("a record is gone")?;
        ensure!(
            *sealed == written,
            "{sealed:?} is sealed, and {written:?} was written"
        );
        ensure!(read == written, "{read:?} is read, {written:?} was written");
    }
    let lines: Vec<String> = links.iter().map(ChainLink::line).collect();
    ensure!(
        verify_lines(&lines, None)? == check.end()?,
        "what is exported does not hold"
    );
    Ok(())
}
