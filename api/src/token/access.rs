//! Access tokens: JWT signed with Ed25519 (RFC 8037), checked more strictly than the crate does
//! by itself: it accepts missing claims and reads the system's clock.

use jsonwebtoken::jwk::{Jwk, JwkSet, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::{ExposeSecret, SecretBox};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use smarttasks_model::{SessionId, Timestamp, UserId};
use std::collections::HashMap;
use std::fmt::Write;
use std::time::Duration;

/// How long an access token is good for.
pub const ACCESS_LIFETIME: Duration = Duration::from_mins(15);

/// For clocks of replicas that differ a little.
const LEEWAY_SECONDS: i64 = 5;

/// Ours have some 450 bytes; what is longer is not even looked at.
const MAX_TOKEN_BYTES: usize = 2048;

const AUDIENCE: &str = "smarttasks";

/// The start of a PKCS #8 document for an Ed25519 key (RFC 8410, section 7): the seed follows.
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// Why a token or key was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Not a token, or not signed by one of our keys.
    #[error("the token is not one of ours")]
    Foreign,
    /// A token of ours for something else, or with something missing.
    #[error("the token is not meant for this")]
    Unfit,
    /// Past its time.
    #[error("the token has expired")]
    Expired,
    /// Before its time.
    #[error("the token is not valid yet")]
    Early,
    /// A key that cannot be used.
    #[error("the signing key cannot be used")]
    Key(#[source] jsonwebtoken::errors::Error),
    /// The operating system gave no random bytes.
    #[error("no random bytes for a signing key")]
    Random(#[from] getrandom::Error),
}

/// What an access token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessClaims {
    /// Who is asking.
    pub user: UserId,
    /// From which login.
    pub session: SessionId,
    /// When the token was made.
    pub issued_at: Timestamp,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: UserId,
    sid: SessionId,
    iat: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
    exp: i64,
}

/// An Ed25519 key pair, made from the 32 random bytes that are to be kept, encrypted.
#[derive(Debug)]
pub struct SigningKey {
    kid: String,
    seed: SecretBox<[u8; 32]>,
    private: EncodingKey,
    public: Jwk,
}

impl SigningKey {
    /// A new key.
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn generate() -> Result<Self, TokenError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        Self::from_seed(seed)
    }

    /// The key that was made from `seed`.
    ///
    /// # Errors
    /// When no key can be made of it.
    pub fn from_seed(seed: [u8; 32]) -> Result<Self, TokenError> {
        let pkcs8 = [&PKCS8_PREFIX[..], &seed[..]].concat();
        let private = EncodingKey::from_ed_der(&pkcs8);
        let mut public =
            Jwk::from_encoding_key(&private, Algorithm::EdDSA).map_err(TokenError::Key)?;
        let kid = kid_of(&public)?;
        public.common.key_id = Some(kid.clone());
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        public.common.key_operations = Some(vec![KeyOperations::Verify]);
        Ok(Self {
            kid,
            seed: SecretBox::new(Box::new(seed)),
            private,
            public,
        })
    }

    /// What names the key in tokens: follows from the public key.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The bytes to keep, sealed.
    pub fn seed(&self) -> &[u8; 32] {
        self.seed.expose_secret()
    }
}

/// Half of the SHA-256 of the public key, in hexadecimal.
fn kid_of(public: &Jwk) -> Result<String, TokenError> {
    let key = DecodingKey::from_jwk(public).map_err(TokenError::Key)?;
    let digest = Sha256::digest(key.try_get_as_bytes().map_err(TokenError::Key)?);
    Ok(digest[..16].iter().fold(String::new(), |mut kid, byte| {
        // Writing to a string cannot fail.
        let _ = write!(kid, "{byte:02x}");
        kid
    }))
}

/// The keys of the moment: one signs, all verify, so that a new key can take over while tokens
/// of the old one are still about.
#[derive(Debug)]
pub struct KeyRing {
    issuer: String,
    kid: String,
    signing: EncodingKey,
    verifying: HashMap<String, DecodingKey>,
    published: JwkSet,
    validation: Validation,
}

impl KeyRing {
    /// A ring that signs with `signing` and verifies that and `others`; `issuer` is the server's
    /// public URL.
    ///
    /// # Errors
    /// When a key cannot be used.
    pub fn new(
        issuer: &str,
        signing: SigningKey,
        others: impl IntoIterator<Item = SigningKey>,
    ) -> Result<Self, TokenError> {
        let (kid, private) = (signing.kid.clone(), signing.private.clone());
        let mut verifying = HashMap::new();
        let mut keys = Vec::new();
        for key in std::iter::once(signing).chain(others) {
            let public = DecodingKey::from_jwk(&key.public).map_err(TokenError::Key)?;
            if verifying.insert(key.kid, public).is_none() {
                keys.push(key.public);
            }
        }
        Ok(Self {
            issuer: issuer.to_owned(),
            kid,
            signing: private,
            verifying,
            published: JwkSet { keys },
            validation: validation(issuer),
        })
    }

    /// The public keys (RFC 7517), for `/.well-known/jwks.json`.
    pub fn jwks(&self) -> &impl Serialize {
        &self.published
    }

    /// A token for `user` from the login `session`, good for [`ACCESS_LIFETIME`].
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn issue(
        &self,
        user: UserId,
        session: SessionId,
        now: Timestamp,
    ) -> Result<String, TokenError> {
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: AUDIENCE.to_owned(),
            sub: user,
            sid: session,
            iat: now.unix_seconds(),
            nbf: None,
            exp: (now + ACCESS_LIFETIME).unix_seconds(),
        };
        let header = Header {
            kid: Some(self.kid.clone()),
            ..Header::new(Algorithm::EdDSA)
        };
        jsonwebtoken::encode(&header, &claims, &self.signing).map_err(TokenError::Key)
    }

    /// What `token` says, if it is ours, for this and for now.
    ///
    /// # Errors
    /// Says only which of these it is not.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<AccessClaims, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::Foreign);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Foreign)?;
        // `crit` names extensions without which a token must not be accepted; we know none.
        if header.crit.is_some() {
            return Err(TokenError::Unfit);
        }
        let key = header
            .kid
            .and_then(|kid| self.verifying.get(&kid))
            .ok_or(TokenError::Foreign)?;
        let claims = jsonwebtoken::decode::<Claims>(token, key, &self.validation)
            .map_err(|error| unfit(&error))?
            .claims;
        check_times(&claims, now)?;
        Ok(AccessClaims {
            user: claims.sub,
            session: claims.sid,
            issued_at: from_seconds(claims.iat),
            expires_at: from_seconds(claims.exp),
        })
    }
}

/// What the crate checks: signature, algorithm, issuer, audience, and what must be there. Times
/// are checked by us, by our clock.
fn validation(issuer: &str) -> Validation {
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
    validation.set_audience(&[AUDIENCE]);
    validation.set_issuer(&[issuer]);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation
}

fn unfit(error: &jsonwebtoken::errors::Error) -> TokenError {
    use jsonwebtoken::errors::ErrorKind;
    match error.kind() {
        ErrorKind::MissingRequiredClaim(_)
        | ErrorKind::InvalidIssuer
        | ErrorKind::InvalidAudience
        | ErrorKind::InvalidSubject
        | ErrorKind::InvalidClaimFormat(_)
        | ErrorKind::Json(_) => TokenError::Unfit,
        _ => TokenError::Foreign,
    }
}

fn check_times(claims: &Claims, now: Timestamp) -> Result<(), TokenError> {
    let now = now.unix_seconds();
    if claims.exp.saturating_add(LEEWAY_SECONDS) <= now {
        return Err(TokenError::Expired);
    }
    let begins = claims.nbf.unwrap_or(i64::MIN);
    if begins.saturating_sub(LEEWAY_SECONDS) > now {
        return Err(TokenError::Early);
    }
    Ok(())
}

fn from_seconds(seconds: i64) -> Timestamp {
    Timestamp::from_unix_millis(seconds.saturating_mul(1000))
}

#[cfg(test)]
mod tests;
