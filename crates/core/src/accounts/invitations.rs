//! Sign-up: open to everybody, by invitation, or closed, in each realm.
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

/// Who may sign up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignUps {
    /// Everybody.
    #[default]
    Open,
    /// People with an invitation.
    Invited,
    /// Nobody: the person who runs the server adds accounts.
    Closed,
}

/// Who may sign up, in each realm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignUpPolicy {
    /// Sign-up in realm `default`.
    pub default: SignUps,
    /// Sign-up in realm `ops`.
    pub ops: SignUps,
    /// Sign-up in realm `client`.
    pub client: SignUps,
}

impl SignUpPolicy {
    /// The rule of a realm.
    #[must_use]
    pub const fn of(self, realm: Realm) -> SignUps {
        match realm {
            Realm::Default => self.default,
            Realm::Ops => self.ops,
            Realm::Client => self.client,
        }
    }
}

/// The SHA-256 of an invitation's code. The code is random, so a fast hash is enough.
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
    /// The realm of the account.
    pub realm: Realm,
    /// The prepared name of the account, if the invitation is for one name.
    pub name: Option<String>,
    /// When the invitation was created.
    pub created_at: Timestamp,
    /// When the invitation expires.
    pub expires_at: Timestamp,
}

/// An unused invitation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Its id; never reused.
    pub id: i64,
    /// The realm of the account.
    pub realm: Realm,
    /// The prepared name of the account, if the invitation is for one name.
    pub name: Option<String>,
    /// When the invitation was created.
    pub created_at: Timestamp,
    /// When the invitation expires.
    pub expires_at: Timestamp,
}

impl Accounts {
    /// Creates an invitation that expires after `span`, for the account `name` or for any account. Returns its code, of
    /// which only the hash is stored.
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

    /// The unused invitations by id, including expired ones.
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

    /// Revokes an invitation. Returns `false` if no unused invitation has that id.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn revoke_invitation(&self, id: i64) -> Result<bool, Error> {
        Ok(self.store.revoke_invitation(id).await?)
    }
}
