//! The reasons for closing sessions. Their names are stored and logged, and never change.

/// Why a session was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Its owner logged out.
    Logout,
    /// A used refresh token of the session was presented (RFC 9700 §4.14.2).
    Replay,
    /// The password of its account was changed.
    PasswordChanged,
    /// Its account was disabled.
    AccountDisabled,
    /// An operator closed it.
    Operator,
    /// It was closed for one of the other reasons, and the database lost the closure.
    Recovered,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 6] = [
        Self::Logout,
        Self::Replay,
        Self::PasswordChanged,
        Self::AccountDisabled,
        Self::Operator,
        Self::Recovered,
    ];

    /// The name that is stored and logged.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::Replay => "replay",
            Self::PasswordChanged => "password_changed",
            Self::AccountDisabled => "account_disabled",
            Self::Operator => "operator",
            Self::Recovered => "recovered",
        }
    }
}
