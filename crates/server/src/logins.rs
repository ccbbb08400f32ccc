//! Counts logins, for the metrics.

use keyward_core::accounts::Realm;
use keyward_core::metrics::{Metric, counter};
use metrics::Counter;

/// The metric of logins.
pub(crate) const LOGINS: Metric = counter(
    "keyward_logins_total",
    &["realm", "result"],
    "Logins with a password.",
);

/// The outcome of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A session was opened.
    LoggedIn,
    /// No account has the name.
    UnknownName,
    /// The account is disabled, whatever the password.
    Disabled,
    /// The password is wrong.
    WrongPassword,
    /// A rate limit refused it.
    Limited,
    /// The server could not decide: too many hashes were waiting, or the database failed.
    Failed,
}

impl Outcome {
    /// In the order of the enum.
    const NAMES: [&str; 6] = [
        "ok",
        "unknown_name",
        "disabled",
        "wrong_password",
        "limited",
        "failed",
    ];
}

/// The counters of logins.
pub(crate) struct Logins([[Counter; Outcome::NAMES.len()]; Realm::ALL.len()]);

impl Logins {
    pub(crate) fn new() -> Self {
        let of_realm =
            |realm: Realm| Outcome::NAMES.map(|name| LOGINS.counter([realm.name(), name]));
        Self(Realm::ALL.map(of_realm))
    }

    /// Counts a login.
    pub(crate) fn count(&self, realm: Realm, outcome: Outcome) {
        self.0[realm as usize][outcome as usize].increment(1);
    }
}
