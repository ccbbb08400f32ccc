//! The list of limits: one row each, from which the enum and the policy are made. A limit has one more row, the setting
//! of the same name in section `limits`.

/// What a limit counts by, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// By account, or by a name that no account has; with all servers that share limits.
    Account,
    /// By the client's network; with all servers that share limits.
    Network,
    /// By the client's network, on this server alone: it guards the processor, and asks no other server first.
    NetworkHere,
}

macro_rules! limits {
    ($( $(#[doc = $doc:literal])+ $Limit:ident = $name:ident: $default:literal, $Scope:ident; )+) => {
        /// A limit.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Limit {
            $( $(#[doc = $doc])+ $Limit, )+
        }

        impl Limit {
            /// Every limit.
            pub const ALL: &[Self] = &[$(Self::$Limit),+];

            /// The name of its setting, and the name that servers use among themselves.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$Limit => stringify!($name)),+
                }
            }

            pub(super) const fn scope(self) -> Scope {
                match self {
                    $(Self::$Limit => Scope::$Scope),+
                }
            }
        }

        /// The limits, each in requests a minute with a burst of the same size; 0 switches one off.
        #[derive(Clone, Debug)]
        pub struct Policy {
            /// Whether anything is limited at all.
            pub enabled: bool,
            $( $(#[doc = $doc])+ pub $name: u32, )+
            /// Keys that one limiter remembers; further ones share buckets.
            pub table: usize,
        }

        impl Default for Policy {
            fn default() -> Self {
                Self {
                    enabled: true,
                    $( $name: $default, )+
                    table: 100_000,
                }
            }
        }

        impl Policy {
            /// The requests a minute that `limit` allows.
            pub fn rate(&mut self, limit: Limit) -> &mut u32 {
                match limit {
                    $(Limit::$Limit => &mut self.$name),+
                }
            }
        }
    };
}

limits! {
    /// Logins to one account, by any of its names.
    LoginsPerAccount = logins_per_account: 10, Account;
    /// Logins from one address. An IPv6 /64 network counts as one address; its /48 network has 16 times as many.
    LoginsPerAddress = logins_per_address: 60, Network;
    /// Sign-ups from one address.
    SignUpsPerAddress = sign_ups_per_address: 20, Network;
    /// Sign-ups with one account name.
    SignUpsPerAccountName = sign_ups_per_account_name: 20, Account;
    /// Token refreshes from one address.
    RefreshesPerAddress = refreshes_per_address: 600, Network;
    /// Requests to /generate_array by one account.
    ArraysPerAccount = arrays_per_account: 120, Account;
    /// All other requests with a token of one account.
    GuardedPerAccount = requests_per_account: 3000, Account;
    /// Requests to the notary from one address. Each server counts them alone, also with a Redis.
    NotaryPerAddress = notary_per_address: 6000, NetworkHere;
}
