//! Refresh tokens: `base64url(session ‖ generation ‖ HMAC-SHA256)`.
//!
//! The database holds only the session's generation, so nothing there can be used to log in,
//! and the successor that a client lost with a broken connection can be made again. Each use
//! moves the generation on; an older token that turns up again was copied, and ends the session.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretBox};
use sha2::Sha256;
use smarttasks_model::{SessionId, Timestamp};
use std::time::Duration;
use uuid::Uuid;

/// How long the token before the present one still yields the present one: a client whose
/// connection broke, or two of its threads at once, are no thieves.
pub const GRACE: Duration = Duration::from_secs(30);

const BODY_BYTES: usize = 16 + 8;
const TOKEN_BYTES: usize = BODY_BYTES + 32;
/// 56 bytes in base64 without padding.
const TOKEN_CHARS: usize = 75;

/// The key of refresh tokens, derived from the server's secret key.
#[derive(Debug)]
pub struct RefreshKey(SecretBox<[u8; 32]>);

impl RefreshKey {
    /// The key that follows from the server's secret: a key of its own for this one purpose.
    pub fn derive(server_secret: &[u8; 32]) -> Self {
        let derived = mac(server_secret, b"smarttasks refresh token 1").finalize();
        Self(SecretBox::new(Box::new(derived.into_bytes().into())))
    }

    fn mac_of(&self, body: &[u8]) -> Hmac<Sha256> {
        mac(self.0.expose_secret(), body)
    }
}

fn mac(key: &[u8; 32], message: &[u8]) -> Hmac<Sha256> {
    // A key shorter than a block is filled up with zeros (RFC 2104, section 2).
    let mut block = [0; 64];
    block[..32].copy_from_slice(key);
    let mut mac = Hmac::<Sha256>::new(&block.into());
    mac.update(message);
    mac
}

/// What a genuine refresh token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshToken {
    /// The login it belongs to.
    pub session: SessionId,
    /// How many times it was exchanged before.
    pub generation: i64,
}

impl RefreshToken {
    /// The text of the token.
    pub fn issue(self, key: &RefreshKey) -> String {
        let body = self.body();
        let mac = key.mac_of(&body).finalize().into_bytes();
        BASE64_URL_SAFE_NO_PAD.encode([&body[..], &mac[..]].concat())
    }

    /// What `text` says, if it was issued with `key`. Compares in constant time.
    pub fn verify(text: &str, key: &RefreshKey) -> Option<Self> {
        if text.len() != TOKEN_CHARS {
            return None;
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let bytes: [u8; TOKEN_BYTES] = bytes.try_into().ok()?;
        let (body, mac) = bytes.split_at(BODY_BYTES);
        key.mac_of(body).verify_slice(mac).ok()?;
        let (session, generation) = body.split_at(16);
        Some(Self {
            session: SessionId(Uuid::from_slice(session).ok()?),
            generation: i64::from_be_bytes(generation.try_into().ok()?),
        })
    }

    fn body(self) -> [u8; BODY_BYTES] {
        let mut body = [0; BODY_BYTES];
        body[..16].copy_from_slice(self.session.as_bytes());
        body[16..].copy_from_slice(&self.generation.to_be_bytes());
        body
    }
}

/// What becomes of a session when one of its refresh tokens is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// Exchange it: the session moves on to this generation.
    Next(i64),
    /// It was exchanged a moment ago: give the same successor again, change nothing.
    SameSuccessor(i64),
    /// It was exchanged long ago, so somebody has a copy: end the session.
    Reuse,
}

/// Decides on a genuine token of generation `presented`, in a session that is in generation
/// `stored` since `rotated_at`.
pub fn rotate(stored: i64, rotated_at: Timestamp, presented: i64, now: Timestamp) -> Rotation {
    if presented == stored {
        return stored
            .checked_add(1)
            .map_or(Rotation::Reuse, Rotation::Next);
    }
    let just_exchanged = presented.checked_add(1) == Some(stored);
    if just_exchanged && now.since(rotated_at) <= GRACE {
        Rotation::SameSuccessor(stored)
    } else {
        Rotation::Reuse
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> RefreshKey {
        RefreshKey::derive(&[1; 32])
    }

    fn token() -> RefreshToken {
        RefreshToken {
            session: SessionId(Uuid::from_u128(0x0123_4567_89ab_cdef)),
            generation: 7,
        }
    }

    #[test]
    fn a_token_reads_what_it_writes() {
        let text = token().issue(&key());
        assert_eq!(text.len(), TOKEN_CHARS);
        assert_eq!(RefreshToken::verify(&text, &key()), Some(token()));
        assert_eq!(
            text,
            token().issue(&key()),
            "the successor can be made again"
        );
    }

    #[test]
    fn a_token_that_was_changed_or_made_elsewhere_is_refused() {
        let text = token().issue(&key());
        let other = RefreshKey::derive(&[2; 32]);
        assert_eq!(RefreshToken::verify(&token().issue(&other), &key()), None);
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&text).unwrap();
        for index in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[index] ^= 1;
            let changed = BASE64_URL_SAFE_NO_PAD.encode(changed);
            assert_eq!(RefreshToken::verify(&changed, &key()), None, "{index}");
        }
        for bad in [
            "",
            "x",
            &text[1..],
            &format!("{text}="),
            &"a".repeat(1_000_000),
        ] {
            assert_eq!(RefreshToken::verify(bad, &key()), None);
        }
    }

    #[test]
    fn the_key_does_not_show_the_secret_it_comes_from() {
        assert_ne!(key().0.expose_secret(), &[1; 32]);
        assert!(!format!("{:?}", key()).contains("1, 1"));
    }

    #[test]
    fn a_token_is_exchanged_once_and_its_successor_given_again_for_a_moment() {
        let then = Timestamp::from_unix_millis(1_000_000);
        let after = |seconds| then + Duration::from_secs(seconds);
        assert_eq!(rotate(4, then, 4, after(86_400)), Rotation::Next(5));
        assert_eq!(rotate(5, then, 4, after(0)), Rotation::SameSuccessor(5));
        assert_eq!(rotate(5, then, 4, after(30)), Rotation::SameSuccessor(5));
        assert_eq!(rotate(5, then, 4, after(31)), Rotation::Reuse);
        assert_eq!(rotate(5, then, 3, after(0)), Rotation::Reuse);
        assert_eq!(rotate(5, then, 0, after(0)), Rotation::Reuse);
        assert_eq!(rotate(5, then, 6, after(0)), Rotation::Reuse);
        assert_eq!(rotate(i64::MAX, then, i64::MAX, then), Rotation::Reuse);
        assert_eq!(rotate(0, then, i64::MAX, then), Rotation::Reuse);
    }
}
