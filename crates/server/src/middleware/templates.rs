//! The templates of the routes, by which the access log and the metrics group requests.
//!
//! Invariant: a template is a text of the program, so it contains no personal data.

use std::sync::Arc;

use super::measured::Route;

/// Routes by templates such as `/customers/{id}`.
pub(crate) struct Templates {
    routes: matchit::Router<Arc<Route>>,
    /// For requests that follow no template.
    other: Arc<Route>,
}

impl Templates {
    /// No templates, for a site whose requests are not measured.
    pub(crate) fn unmeasured() -> Self {
        Self {
            routes: matchit::Router::new(),
            other: Arc::new(Route::unmeasured()),
        }
    }

    /// The route whose template `path` follows, else one without a template.
    pub(super) fn find(&self, path: &str) -> &Arc<Route> {
        match self.routes.at(path) {
            Ok(found) => found.value,
            Err(_) => &self.other,
        }
    }
}

impl Default for Templates {
    fn default() -> Self {
        Self::from_iter([])
    }
}

impl<'t> FromIterator<&'t str> for Templates {
    /// If two templates stand for the same paths, the first one is used.
    fn from_iter<I: IntoIterator<Item = &'t str>>(templates: I) -> Self {
        let mut routes = matchit::Router::new();
        for template in templates {
            // The router has refused malformed templates. A second template for the same paths adds nothing.
            let _ = routes.insert(template, Arc::new(Route::new(Some(template))));
        }
        Self {
            routes,
            other: Arc::new(Route::new(None)),
        }
    }
}
