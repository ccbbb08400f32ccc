//! Who may sign up, as it is written.

use keyward_core::accounts::SignUps;

use super::{Raw, Value};

impl Value for SignUps {
    fn expected() -> String {
        "\"open\", \"invited\" or \"closed\"".into()
    }

    fn read(raw: &Raw) -> Option<Self> {
        match raw.text()? {
            "open" => Some(Self::Open),
            "invited" => Some(Self::Invited),
            "closed" => Some(Self::Closed),
            _ => None,
        }
    }
}

impl Value for Option<SignUps> {
    fn expected() -> String {
        format!("{}, or empty", SignUps::expected())
    }

    fn read(raw: &Raw) -> Option<Self> {
        match raw.text()? {
            "" => Some(None),
            _ => SignUps::read(raw).map(Some),
        }
    }
}
