//! TLS to the database, with rustls on aws-lc-rs.

use std::error::Error as StdError;
use std::io;
use std::path::Path;
use std::sync::Arc;

use keyward_core::error::Source;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, ClientConfig, RootCertStore};

use super::address::Trust;
use crate::tls::unverified_client;

/// The TLS configuration of a connection, which decides what servers it accepts.
pub(super) fn client_config(trust: &Trust) -> Result<ClientConfig, Source> {
    let roots = match trust {
        // As libpq does for every `sslmode` that does not verify.
        Trust::Any => return Ok(unverified_client()?),
        Trust::System => system_roots()?,
        Trust::File(path) => file_roots(path)?,
    };
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    Ok(config.with_no_client_auth())
}

/// What to do if the certificate of the server was refused.
pub(super) fn advice(error: &(dyn StdError + 'static)) -> Option<&'static str> {
    let mut causes = std::iter::successors(Some(error), |&error| error.source());
    let refused = causes.find_map(|cause| {
        let within = cause
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        let within = within.and_then(|cause| cause.downcast_ref());
        cause.downcast_ref().or(within)
    });
    let Some(rustls::Error::InvalidCertificate(refused)) = refused else {
        return None;
    };
    Some(match refused {
        // The second: an authority was made anew under its old name.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "name the authority that issued the certificate of the database server with sslrootcert, or add it to those of \
             the operating system"
        }
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => {
            "renew the certificate of the database server, or set the clock of this machine"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "name the host in the URL as the certificate of the database server does, or issue one for this name"
        }
        _ => "issue a new certificate for the database server",
    })
}

fn system_roots() -> Result<RootCertStore, Source> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(
            "the operating system has no certificate authorities: install them (on Debian, the \
             package ca-certificates) or name a file with sslrootcert"
                .into(),
        );
    }
    Ok(roots)
}

fn file_roots(path: &Path) -> Result<RootCertStore, Source> {
    let refused = |why: &dyn std::fmt::Display| {
        Source::from(format!(
            "sslrootcert {} cannot be used: {why}",
            path.display()
        ))
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| refused(&error))? {
        let certificate = certificate.map_err(|error| refused(&error))?;
        roots.add(certificate).map_err(|error| refused(&error))?;
    }
    if roots.is_empty() {
        return Err(refused(&"it holds no certificate in PEM form"));
    }
    Ok(roots)
}
