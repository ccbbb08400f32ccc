//! Which budget a login is counted against: that of the account, whichever of its names was typed, and for a
//! name that is nobody's one of its own, so that it behaves as an account's does.

use keyward_core::accounts::names::Name;
use keyward_core::accounts::{Accounts, Realm};

use super::{Limit, Limits};
use crate::error::Failure;

/// Counts a login in `realm` under `typed`, whose prepared form is `name` where it can be an account's.
///
/// # Errors
/// When the budget is spent; the store's.
pub(crate) async fn count(
    limits: &Limits,
    accounts: &Accounts,
    realm: Realm,
    name: Option<&Name>,
    typed: &str,
) -> Result<(), Failure> {
    let found = match name {
        Some(name) => accounts.find_by_name(realm, name).await?,
        None => None,
    };
    match found {
        Some(account) => limits.count(Limit::LoginsPerAccount, account.id).await?,
        None => {
            let key = name.map_or(typed, |name| &name.key);
            limits.count(Limit::LoginsPerAccount, (realm, key)).await?;
        }
    }
    Ok(())
}
