//! Whose certificates are trusted: Mozilla's roots, which are built in, and the system's.
//!
//! The built-in roots make TLS work in an image that has no certificates installed; the system's
//! add the authorities that an operator has installed for internal receivers and mail servers.

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;

/// TLS for a client that trusts the built-in roots and the system's.
///
/// # Errors
/// The library of ciphers offers no version of TLS.
pub fn client_tls() -> Result<ClientConfig, rustls::Error> {
    tls_trusting(all_roots())
}

/// TLS for a client that trusts `roots`.
pub(crate) fn tls_trusting(roots: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// The roots that the system trusts and that can be read (`SSL_CERT_FILE`, `SSL_CERT_DIR`, or the
/// usual places); none is fine.
pub(crate) fn system_roots() -> Vec<CertificateDer<'static>> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!(%error, "some of the system's certificates cannot be read");
    }
    let mut store = RootCertStore::empty();
    let mut roots = found.certs;
    roots.retain(|root| store.add(root.clone()).is_ok());
    roots
}

/// The built-in roots and the system's.
pub(crate) fn all_roots() -> RootCertStore {
    let mut store = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    store.add_parsable_certificates(system_roots());
    store
}
