//! Who is asking: access tokens that any replica can check without the database, and refresh
//! tokens that only this server can make and that are worth nothing to whoever reads the
//! database.

mod access;
mod refresh;

pub use access::{ACCESS_LIFETIME, AccessClaims, KeyRing, SigningKey, TokenError};
pub use refresh::{GRACE, RefreshKey, RefreshToken, Rotation, rotate};

use crate::problem::{ApiError, Code};
use http::{HeaderMap, header};

/// The token of an `Authorization: Bearer` header (RFC 6750, section 2.1).
///
/// # Errors
/// 401 `unauthenticated` when there is none.
pub fn bearer(headers: &HeaderMap) -> Result<&str, ApiError> {
    headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"))
        .map(|(_, token)| token.trim())
        .filter(|token| !token.is_empty())
        .ok_or_else(|| {
            ApiError::new(
                Code::Unauthenticated,
                "Send `Authorization: Bearer <token>` with an access token from \
                 POST /api/v1/auth/token.",
            )
        })
}

impl From<TokenError> for ApiError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Key(_) | TokenError::Random(_) => Self::internal(error),
            refused => Self::new(
                Code::InvalidToken,
                format!("The access token was not accepted: {refused}."),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> HeaderMap {
        [(header::AUTHORIZATION, value.parse().unwrap())]
            .into_iter()
            .collect()
    }

    #[test]
    fn a_bearer_token_is_found_or_asked_for() {
        for good in ["Bearer abc", "bearer abc", "BEARER  abc"] {
            assert_eq!(bearer(&headers(good)).unwrap(), "abc");
        }
        for bad in ["", "Bearer", "Bearer ", "Basic abc", "abc"] {
            let error = bearer(&headers(bad)).unwrap_err();
            assert_eq!(error.code(), Code::Unauthenticated, "{bad}");
        }
        assert!(bearer(&HeaderMap::new()).is_err());
    }

    #[test]
    fn a_refused_token_is_401_and_a_broken_key_500() {
        let expired = ApiError::from(TokenError::Expired);
        assert_eq!(expired.code(), Code::InvalidToken);
        let key = jsonwebtoken::errors::ErrorKind::InvalidEddsaKey.into();
        assert_eq!(ApiError::from(TokenError::Key(key)).code(), Code::Internal);
    }
}
