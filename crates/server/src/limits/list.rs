//! The list of limits. Each has one row here, from which the enum and the policy are generated, and one setting of the
//! same name in section `limits`.

/// The key by which a limit counts, and whether all servers share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// By account, or by a name without an account; shared among servers.
    Account,
    /// By the client's network; shared among servers.
    Network,
    /// By the client's network, on this server alone. Such a limit protects the processor, and must not wait for Redis.
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

            /// The name of the setting, which is also the name in Redis.
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

        /// The limits, in requests a minute. Each allows a burst of the same size, and 0 turns it off.
        #[derive(Clone, Debug)]
        pub struct Policy {
            /// Whether rate limits are on.
            pub enabled: bool,
            $( $(#[doc = $doc])+ pub $name: u32, )+
            /// How many keys one limiter stores. Further keys share buckets.
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
