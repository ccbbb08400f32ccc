//! Paging by key. A page begins after an id, so a later page costs no more than the first.

/// How many entries of a long list are read at once.
pub const BATCH: u32 = 128;

/// Which part of a list to return, ordered by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Only entries with a greater id.
    pub after: i64,
    /// At most this many.
    pub limit: u32,
}

impl Page {
    /// This page and one more entry, which shows whether another page follows: see [`Listed::from_surplus`].
    #[must_use]
    pub fn with_surplus(self) -> Self {
        Self {
            limit: self.limit.saturating_add(1),
            ..self
        }
    }
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    /// The entries, by id.
    pub items: Vec<T>,
    /// The `after` of the next page, if there is one.
    pub next: Option<i64>,
}

impl<T> Listed<T> {
    /// Makes a page of at most `limit` entries from up to `limit + 1` fetched ones. The extra entry only shows that more
    /// follow.
    #[must_use]
    pub fn from_surplus(mut items: Vec<T>, limit: u32, id: impl Fn(&T) -> i64) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(id) } else { None };
        Self { items, next }
    }
}

/// Whether a batch has as many entries as were asked for, so that more may follow.
pub(crate) fn is_full<T>(batch: &[T], limit: u32) -> bool {
    u32::try_from(batch.len()).is_ok_and(|length| length >= limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_last_page_has_no_next() {
        assert_eq!(Listed::from_surplus(vec![1, 2], 2, |id| *id).next, None);
        let page = Listed::from_surplus(vec![1, 2, 3], 2, |id| *id);
        assert_eq!((page.items, page.next), (vec![1, 2], Some(2)));
    }
}
