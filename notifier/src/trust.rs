//! Whose certificates are trusted: Mozilla's roots, which are built in, and the system's.
//!
//! The built-in roots make TLS work in an image that has no certificates installed; the system's
//! add the authorities that an operator has installed for internal receivers and mail servers.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

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
