//! Integer ids, a type each, so that no account's id is ever taken for a session's.

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

ids! {
    /// An account, in whichever realm; never reused.
    AccountId;
    /// A session: one login and everything that descends from it; never reused.
    SessionId;
    /// A row of the customers table; never reused.
    CustomerId;
}
