//! Integer ids. Each kind has a type of its own, so that an account id cannot be passed as a session id.

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

ids! {
    /// The id of an account, in any realm. Never reused.
    AccountId;
    /// The id of a session. Never reused.
    SessionId;
    /// The id of a customer. Never reused.
    CustomerId;
}
