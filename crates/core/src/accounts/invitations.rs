//! Who may make an account for themselves: everybody, whoever has an invitation, or nobody.
//!
//! Invariant: an invitation makes one account at most, and its code is stored only as a hash.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64_simd::URL_SAFE_NO_PAD;

use super::names::Name;
use super::{Accounts, Error, Realm};
use crate::clock::Timestamp;
use crate::page::{Listed, Page};
use crate::random::Random;

/// Whether people may sign up by themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignUps {
    /// Everybody may.
    #[default]
    Open,
    /// Whoever has an invitation may.
    Invited,
    /// Nobody may: an operator of the server adds accounts.
    Closed,
}

/// Whether people may sign up by themselves, in each realm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignUpPolicy {
    /// In realm `default`.
    pub default: SignUps,
    /// As operators of the file exchange.
    pub ops: SignUps,
    /// As clients of the file exchange.
    pub client: SignUps,
}

impl SignUpPolicy {
    /// What holds in a realm.
    #[must_use]
    pub const fn of(self, realm: Realm) -> SignUps {
        match realm {
            Realm::Default => self.default,
            Realm::Ops => self.ops,
            Realm::Client => self.client,
        }
    }
}

/// The SHA-256 of an invitation's code. The code is random, so that nothing slower is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeHash(pub [u8; 32]);

impl CodeHash {
    /// The hash of a code.
    #[must_use]
    pub fn of(code: &str) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, code.as_bytes()).as_ref());
        Self(hash)
    }
}

/// An invitation about to be stored.
#[derive(Clone, Debug)]
pub struct NewInvitation {
    /// The hash of its code.
    pub code: CodeHash,
    /// The realm in which it makes an account.
    pub realm: Realm,
    /// The prepared name that the account must have, where it is for one person.
    pub name: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

/// An invitation that was not used yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Its id; never reused.
    pub id: i64,
    /// The realm in which it makes an account.
    pub realm: Realm,
    /// The prepared name that the account must have, where it is for one person.
    pub name: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

impl Accounts {
    /// Makes an invitation that is good for `span`, for whoever will have `name` or for anybody. Gives its code, which is
    /// kept nowhere.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn invite(
        &self,
        realm: Realm,
        name: Option<Name>,
        span: Duration,
        random: &dyn Random,
    ) -> Result<String, Error> {
        let mut bytes = [0; 32];
        random.fill(&mut bytes);
        let code = URL_SAFE_NO_PAD.encode_to_string(bytes);
        let created_at = self.clock.now();
        let invitation = NewInvitation {
            code: CodeHash::of(&code),
            realm,
            name: name.map(|name| name.key),
            created_at,
            expires_at: created_at.plus(span),
        };
        self.store.create_invitation(invitation).await?;
        Ok(code)
    }

    /// The invitations that were not used, by id, those that have expired included.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn list_invitations(&self, page: Page) -> Result<Listed<Invitation>, Error> {
        let surplus = Page {
            limit: page.limit.saturating_add(1),
            ..page
        };
        let items = self.store.list_invitations(surplus).await?;
        Ok(Listed::from_surplus(items, page.limit, |found| found.id))
    }

    /// Revokes an invitation; `false` when there is none of that id, or it was used.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn revoke_invitation(&self, id: i64) -> Result<bool, Error> {
        Ok(self.store.revoke_invitation(id).await?)
    }
}
