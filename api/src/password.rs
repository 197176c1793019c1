//! Passwords: hashed with Argon2id, slowly on purpose, and therefore few at a time and never on
//! the threads that answer requests.

use crate::problem::ApiError;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use secrecy::{ExposeSecret, SecretString};
use smarttasks_model::Invalid;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const SHORTEST: usize = 8;
const LONGEST: usize = 256;

/// Each takes 19 MiB and a core for 19 ms, so two leave room for everything else.
const AT_ONCE: usize = 2;

/// Beyond these, about a second of work, a login is told to come back.
const WAITING: usize = 64;

/// The hash of no password, compared with when there is no such user: same parameters, same time.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$c21hcnR0YXNrcy1ub25l$\
                      bm8gcGFzc3dvcmQgaGFzaGVzIHRvIHRoaXMgdmFsdWU";

/// A password that may be set: from 8 to 256 characters.
#[derive(Debug)]
pub struct NewPassword(SecretString);

impl NewPassword {
    /// Checks the length, the only rule (NIST SP 800-63B, section 3.1.1: no composition rules).
    ///
    /// # Errors
    /// Says at `pointer` what would be long or short enough.
    pub fn parse(pointer: &str, text: &str) -> Result<Self, Invalid> {
        let length = text.chars().count();
        if (SHORTEST..=LONGEST).contains(&length) {
            return Ok(Self(SecretString::from(text)));
        }
        Err(Invalid::at(
            pointer,
            format!(
                "is {length} characters long; a password has from {SHORTEST} to {LONGEST} characters"
            ),
        ))
    }
}

/// Hashes and compares passwords, two at a time.
#[derive(Clone, Debug)]
pub struct Passwords {
    hashing: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self::new()
    }
}

impl Passwords {
    /// One for the process: the bound on how many hash at a time is its own.
    pub fn new() -> Self {
        Self {
            hashing: Arc::new(Semaphore::new(AT_ONCE)),
            waiting: Arc::new(Semaphore::new(WAITING)),
        }
    }

    /// The hash to keep, as a PHC string.
    ///
    /// # Errors
    /// 503 when too many wait already.
    pub async fn hash(&self, password: NewPassword) -> Result<String, ApiError> {
        self.on_a_blocking_thread(move || hash(&password.0)).await?
    }

    /// Whether `password` is the one of `hash`. Takes as long without a hash, so that nobody
    /// learns from the time which addresses have an account.
    ///
    /// # Errors
    /// 503 when too many wait already.
    pub async fn verify(
        &self,
        password: SecretString,
        hash: Option<String>,
    ) -> Result<bool, ApiError> {
        self.on_a_blocking_thread(move || verify(&password, hash.as_deref()))
            .await?
    }

    async fn on_a_blocking_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let _waiting = self.waiting.try_acquire().map_err(|_| {
            ApiError::unavailable(
                "Too many people are logging in at once.",
                Duration::from_secs(1),
            )
        })?;
        let hashing = Arc::clone(&self.hashing);
        let turn: OwnedSemaphorePermit =
            hashing.acquire_owned().await.map_err(ApiError::internal)?;
        // The turn goes along: a request that is given up does not stop its hashing.
        let work = move || {
            let _turn = turn;
            work()
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(ApiError::internal)
    }
}

fn hash(password: &SecretString) -> Result<String, ApiError> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(ApiError::internal)?;
    // The crate's default is Argon2id with the parameters of `NOBODY`, which a test holds.
    let hash: PasswordHash = Argon2::default()
        .hash_password_with_salt(password.expose_secret().as_bytes(), &salt)
        .map_err(ApiError::internal)?;
    Ok(hash.to_string())
}

fn verify(password: &SecretString, hash: Option<&str>) -> Result<bool, ApiError> {
    let parsed = PasswordHash::new(hash.unwrap_or(NOBODY)).map_err(ApiError::internal)?;
    let same = Argon2::default()
        .verify_password(password.expose_secret().as_bytes(), &parsed)
        .is_ok();
    Ok(same && hash.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Code;

    #[tokio::test]
    async fn a_password_is_known_again_and_another_is_not() {
        let passwords = Passwords::new();
        let password = NewPassword::parse("/password", "correct horse").unwrap();
        let hash = passwords.hash(password).await.unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        let verify = |password: &str| {
            let (passwords, hash) = (passwords.clone(), hash.clone());
            let password = SecretString::from(password);
            async move { passwords.verify(password, Some(hash)).await.unwrap() }
        };
        assert!(verify("correct horse").await);
        assert!(!verify("correct horsf").await);
        assert!(!verify("").await);
    }

    #[tokio::test]
    async fn two_hashes_of_one_password_differ() {
        let passwords = Passwords::new();
        let password = || NewPassword::parse("/password", "correct horse").unwrap();
        let first = passwords.hash(password()).await.unwrap();
        assert_ne!(first, passwords.hash(password()).await.unwrap());
    }

    #[tokio::test]
    async fn nobody_is_compared_with_the_same_cost_and_never_matches() {
        let nobody = PasswordHash::new(NOBODY).unwrap();
        let fresh = hash(&SecretString::from("correct horse")).unwrap();
        let fresh = PasswordHash::new(&fresh).unwrap();
        assert_eq!(nobody.algorithm, fresh.algorithm);
        assert_eq!(nobody.version, fresh.version);
        assert_eq!(nobody.params.to_string(), fresh.params.to_string());
        let length = |hash: &PasswordHash| hash.hash.as_ref().map(|hash| hash.len());
        assert_eq!(length(&nobody), length(&fresh));
        assert!(!verify(&SecretString::from("correct horse"), None).unwrap());
    }

    #[test]
    fn a_password_has_from_8_to_256_characters() {
        for good in ["12345678", "äöüßéèêñ", &"x".repeat(256)] {
            assert!(NewPassword::parse("/password", good).is_ok(), "{good}");
        }
        for bad in ["", "1234567", &"x".repeat(257)] {
            let error = NewPassword::parse("/password", bad).unwrap_err();
            assert_eq!(error.pointer, "/password");
            assert!(bad.is_empty() || !error.detail.contains(bad));
        }
    }

    #[tokio::test]
    async fn more_than_can_wait_are_told_to_come_back() {
        let passwords = Passwords::new();
        let _all = passwords.waiting.try_acquire_many(64).unwrap();
        let error = passwords
            .verify(SecretString::from("x"), None)
            .await
            .unwrap_err();
        assert_eq!(error.code(), Code::Unavailable);
    }

    #[tokio::test]
    async fn a_broken_hash_in_the_database_is_our_fault() {
        let error = verify(&SecretString::from("x"), Some("not a hash")).unwrap_err();
        assert_eq!(error.code(), Code::Internal);
    }
}
