use serde::Serialize;

/// A page to read: what comes after a key, in the list's own order.
///
/// ```
/// use coursegate::store::PageRequest;
///
/// let first: PageRequest<u64> = PageRequest::first(50);
/// assert_eq!(first.size(), 50);
/// let next = PageRequest::after(4711_u64, 50); // the key that the first page gave
/// assert_eq!(next.after, Some(4711));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest<K> {
    /// The last key of the page before; `None` for the first page.
    pub after: Option<K>,
    /// How many at most; 1 to 500, anything else is brought into range.
    pub limit: usize,
}

impl<K> PageRequest<K> {
    /// The first page.
    pub fn first(limit: usize) -> Self {
        Self { after: None, limit }
    }

    /// The page after a key.
    pub fn after(key: K, limit: usize) -> Self {
        Self {
            after: Some(key),
            limit,
        }
    }

    /// The limit, in range.
    pub fn size(&self) -> usize {
        self.limit.clamp(1, 500)
    }
}

/// A page that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Page<T, K> {
    /// What is on it.
    pub items: Vec<T>,
    /// The key to ask for the next page with; `None` on the last.
    pub next: Option<K>,
}

impl<T, K> Page<T, K> {
    /// Cuts a page off a list that holds one item more than asked for, if there is more.
    pub fn cut(mut items: Vec<T>, size: usize, key: impl Fn(&T) -> K) -> Self {
        let more = items.len() > size;
        items.truncate(size);
        let next = if more { items.last().map(key) } else { None };
        Self { items, next }
    }
}
