//! Seals what is secret at rest: signing keys, endpoint secrets, stored answers.

use crate::{Error, Result};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};
use std::fmt;

/// Encrypts with XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha) under one key.
///
/// What is sealed is bound to a context, so that a value copied into another column or row does
/// not open there.
#[derive(Clone)]
pub struct Vault {
    cipher: XChaCha20Poly1305,
    key: [u8; 32],
}

const NONCE: usize = 24;

impl Vault {
    /// A vault of the installation's 32-byte secret key.
    pub fn new(key: [u8; 32]) -> Self {
        Self {
            cipher: XChaCha20Poly1305::new(&Key::from(key)),
            key,
        }
    }

    /// A key for another purpose, derived from the installation's.
    pub fn derive_key(&self, purpose: &str) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"smarttasks/");
        hash.update((purpose.len() as u64).to_be_bytes());
        hash.update(purpose);
        hash.update(self.key);
        hash.finalize().into()
    }

    /// Encrypts `plain` for `context`.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn seal(&self, context: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
        let mut sealed = vec![0; NONCE];
        getrandom::fill(&mut sealed)
            .map_err(|error| Error::Unreadable("randomness", error.to_string()))?;
        let nonce = nonce(&sealed).ok_or_else(|| unreadable("nonce"))?;
        let cipher_text = self
            .cipher
            .encrypt(
                &nonce,
                Payload {
                    msg: plain,
                    aad: context,
                },
            )
            .map_err(|_| unreadable("plain text"))?;
        sealed.extend_from_slice(&cipher_text);
        Ok(sealed)
    }

    /// Decrypts what [`Vault::seal`] made for the same context.
    ///
    /// # Errors
    /// When it was sealed with another key or for another context, or was tampered with.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>> {
        let nonce = nonce(sealed).ok_or_else(|| unreadable("it is too short"))?;
        self.cipher
            .decrypt(
                &nonce,
                Payload {
                    msg: &sealed[NONCE..],
                    aad: context,
                },
            )
            .map_err(|_| {
                unreadable("it was sealed with another secret key (SMARTTASKS_SECRET_KEY)")
            })
    }
}

fn nonce(sealed: &[u8]) -> Option<XNonce> {
    sealed
        .get(..NONCE)
        .and_then(|bytes| XNonce::try_from(bytes).ok())
}

fn unreadable(why: &str) -> Error {
    Error::Unreadable("secret", why.to_owned())
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_only_with_its_key_and_context() {
        let vault = Vault::new([7; 32]);
        let sealed = vault.seal(b"endpoint/1", b"whsec_secret").unwrap();
        assert_eq!(vault.open(b"endpoint/1", &sealed).unwrap(), b"whsec_secret");
        assert!(vault.open(b"endpoint/2", &sealed).is_err());
        assert!(Vault::new([8; 32]).open(b"endpoint/1", &sealed).is_err());
        assert!(vault.open(b"endpoint/1", &sealed[..10]).is_err());
        assert!(!sealed.windows(5).any(|window| window == b"whsec"));
    }
}
