//! The templates of the routes, by which the access log groups requests.
//!
//! Invariant: a template is text of ours, so it holds nobody's data.

use std::sync::Arc;

/// Templates such as `/customers/{id}`.
#[derive(Default)]
pub(crate) struct Templates(matchit::Router<Arc<str>>);

impl Templates {
    /// The template that `path` follows.
    pub(super) fn find(&self, path: &str) -> Option<Arc<str>> {
        self.0.at(path).ok().map(|found| Arc::clone(found.value))
    }
}

impl<'t> FromIterator<&'t str> for Templates {
    /// Of two that stand for the same paths the first counts.
    fn from_iter<I: IntoIterator<Item = &'t str>>(templates: I) -> Self {
        let mut all = matchit::Router::new();
        for template in templates {
            // The router has refused what is no template; a second one of the same paths tells nothing new.
            let _ = all.insert(template, Arc::from(template));
        }
        Self(all)
    }
}
