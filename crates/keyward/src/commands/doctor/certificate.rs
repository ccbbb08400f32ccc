//! The certificate: whether it can be presented, and for how long.

use std::time::Duration;

use keyward_core::clock::{Clock, SystemClock};
use keyward_core::error::chain;

use super::Finding;
use crate::settings::Settings;

/// How long before its end a certificate should have been renewed.
const SOON: Duration = Duration::from_secs(14 * 86_400);

/// What there is to say of the certificate, where there is one.
pub(super) fn examine(settings: &Settings) -> Option<Finding> {
    let files = settings.tls.as_ref()?;
    let certificate = match files.read() {
        Ok(certificate) => certificate,
        Err(error) => {
            let advice = "write the certificate and its private key as PEM to tls.certificate_file and tls.key_file, \
                readable by the user who runs Keyward";
            let found = format!("{}: {}", error.code(), chain(&error));
            return Some(Finding::fail("certificate", found, advice));
        }
    };
    let now = SystemClock::new().now();
    let (begins, ends) = (
        certificate.begins.rfc3339_millis(),
        certificate.ends.rfc3339_millis(),
    );
    let found = format!("it is valid from {begins} to {ends}");
    Some(if !certificate.is_valid(now) {
        let advice = "renew it, or set the clock: clients refuse it";
        Finding::fail("certificate", found, advice)
    } else if !certificate.is_valid(now.plus(SOON)) {
        let advice = "renew it; a running server takes the new one by itself";
        Finding::warn("certificate", found, advice)
    } else {
        Finding::ok("certificate", found)
    })
}
