//! The balance behind each row, where a file only says those before the first and behind the last.

/// Sums of a file, as far as it is read.
#[derive(Debug, Default)]
pub(super) struct Running {
    open: Option<i64>,
    close: Option<i64>,
    /// All sums so far, whichever way the money went.
    total: i64,
    /// The total behind each row of money that arrived.
    behind: Vec<i64>,
    /// Whether it cannot be told any more.
    lost: bool,
}

impl Running {
    pub(super) fn open(&mut self, sum: i64) {
        // A second one is of another account.
        self.lost |= self.open.replace(sum).is_some() || !self.behind.is_empty();
    }

    pub(super) fn close(&mut self, sum: i64) {
        self.lost |= self.close.replace(sum).is_some();
    }

    pub(super) fn add(&mut self, sum: i64) {
        match self.total.checked_add(sum) {
            Some(total) => self.total = total,
            None => self.lost = true,
        }
    }

    /// The last sum was money that arrived.
    pub(super) fn arrived(&mut self) {
        self.behind.push(self.total);
    }

    /// The balance behind each row, if what was there at first and all sums are what is there at
    /// last.
    pub(super) fn proven(self) -> Option<impl Iterator<Item = i64>> {
        let (open, close) = (self.open?, self.close?);
        let adds_up = !self.lost && open.checked_add(self.total) == Some(close);
        adds_up.then(|| {
            self.behind
                .into_iter()
                .map(move |sum| open.saturating_add(sum))
        })
    }
}
