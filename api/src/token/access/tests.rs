//! Every token that must not be accepted.

use super::*;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use uuid::Uuid;

const ISSUER: &str = "https://tasks.example.com";
const SEED: [u8; 32] = [7; 32];

fn key() -> SigningKey {
    SigningKey::from_seed(SEED).unwrap()
}

fn ring() -> KeyRing {
    KeyRing::new(ISSUER, key(), []).unwrap()
}

fn now() -> Timestamp {
    "2026-12-01T09:00:00Z".parse().unwrap()
}

fn user() -> UserId {
    UserId(Uuid::from_u128(1))
}

fn session() -> SessionId {
    SessionId(Uuid::from_u128(2))
}

fn good_claims() -> Value {
    json!({
        "iss": ISSUER,
        "aud": "smarttasks",
        "sub": user(),
        "sid": session(),
        "iat": now().unix_seconds(),
        "exp": now().unix_seconds() + 900,
    })
}

fn good_header() -> Value {
    json!({ "typ": "JWT", "alg": "EdDSA", "kid": key().kid })
}

fn encoded(value: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A token signed with our very key, whatever it says.
fn signed(header: &Value, claims: &Value) -> String {
    let message = format!("{}.{}", encoded(header), encoded(claims));
    let key = key();
    let signature =
        jsonwebtoken::crypto::sign(message.as_bytes(), &key.private, Algorithm::EdDSA).unwrap();
    format!("{message}.{signature}")
}

fn refused(token: &str) -> TokenError {
    ring().verify(token, now()).unwrap_err()
}

fn with(mut value: Value, key: &str, to: Value) -> Value {
    value[key] = to;
    value
}

fn without(mut value: Value, key: &str) -> Value {
    value.as_object_mut().unwrap().remove(key);
    value
}

#[test]
fn a_token_of_ours_says_who_is_asking() {
    let ring = ring();
    let token = ring.issue(user(), session(), now()).unwrap();
    let claims = ring.verify(&token, now()).unwrap();
    let expected = AccessClaims {
        user: user(),
        session: session(),
        issued_at: now(),
        expires_at: now() + ACCESS_LIFETIME,
    };
    assert_eq!(claims, expected);
    let by_hand = signed(&good_header(), &good_claims());
    assert_eq!(ring.verify(&by_hand, now()).unwrap(), expected);
}

#[test]
fn a_token_ends_at_its_time_by_the_given_clock() {
    let ring = ring();
    let token = ring.issue(user(), session(), now()).unwrap();
    let at = |seconds| ring.verify(&token, now() + Duration::from_secs(seconds));
    assert!(at(900 + 4).is_ok());
    assert!(matches!(at(900 + 5), Err(TokenError::Expired)));
    assert!(matches!(at(900 + 59), Err(TokenError::Expired)));
}

#[test]
fn the_algorithm_none_is_refused() {
    for alg in ["none", "None", "NONE", ""] {
        let header = with(good_header(), "alg", json!(alg));
        let message = format!("{}.{}", encoded(&header), encoded(&good_claims()));
        for token in [
            format!("{message}."),
            message.clone(),
            signed(&header, &good_claims()),
        ] {
            assert!(matches!(refused(&token), TokenError::Foreign), "{token}");
        }
    }
}

#[test]
fn the_public_key_is_no_hmac_secret() {
    let jwk = key().public;
    let public = DecodingKey::from_jwk(&jwk).unwrap();
    let secret = EncodingKey::from_secret(public.try_get_as_bytes().unwrap());
    for (name, algorithm) in [
        ("HS256", Algorithm::HS256),
        ("HS384", Algorithm::HS384),
        ("HS512", Algorithm::HS512),
    ] {
        let header = with(good_header(), "alg", json!(name));
        let message = format!("{}.{}", encoded(&header), encoded(&good_claims()));
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &secret, algorithm).unwrap();
        assert!(matches!(
            refused(&format!("{message}.{signature}")),
            TokenError::Foreign
        ));
    }
}

#[test]
fn a_required_claim_that_is_absent_is_refused() {
    for claim in ["aud", "iss", "sub", "exp", "sid", "iat"] {
        let token = signed(&good_header(), &without(good_claims(), claim));
        assert!(matches!(refused(&token), TokenError::Unfit), "{claim}");
        let token = signed(&good_header(), &with(good_claims(), claim, Value::Null));
        assert!(matches!(refused(&token), TokenError::Unfit), "{claim}");
    }
}

#[test]
fn a_claim_of_another_kind_or_for_another_is_refused() {
    for (claim, value) in [
        ("exp", json!("1796115600")),
        ("exp", json!(1e300)),
        ("exp", json!(1_796_116_500.5)),
        ("exp", json!([1_796_116_500])),
        ("exp", json!(true)),
        ("exp", json!(-1)),
        ("nbf", json!("soon")),
        ("nbf", json!(1e300)),
        ("aud", json!("another")),
        ("aud", json!(["another"])),
        ("aud", json!([])),
        ("iss", json!("https://evil.example.com")),
        ("iss", json!(["https://evil.example.com"])),
        ("sub", json!("ann")),
        ("sub", json!(1)),
        ("sid", json!("x")),
    ] {
        let token = signed(&good_header(), &with(good_claims(), claim, value.clone()));
        assert!(
            matches!(refused(&token), TokenError::Unfit),
            "{claim}: {value}"
        );
    }
    let ended = with(good_claims(), "exp", json!(0));
    assert!(matches!(
        refused(&signed(&good_header(), &ended)),
        TokenError::Expired
    ));
}

#[test]
fn a_token_before_its_time_is_refused() {
    let begins = |in_seconds: i64| {
        let nbf = json!(now().unix_seconds() + in_seconds);
        signed(&good_header(), &with(good_claims(), "nbf", nbf))
    };
    assert!(matches!(refused(&begins(6)), TokenError::Early));
    assert!(matches!(refused(&begins(3600)), TokenError::Early));
    assert!(ring().verify(&begins(5), now()).is_ok());
}

#[test]
fn the_key_id_is_only_looked_up() {
    for kid in [
        json!("../../../../dev/null"),
        json!("' OR '1'='1"),
        json!("http://evil.example.com/jwks.json"),
        json!("a".repeat(1_000_000)),
        json!(""),
        json!(1),
        Value::Null,
    ] {
        let token = signed(&with(good_header(), "kid", kid), &good_claims());
        assert!(matches!(refused(&token), TokenError::Foreign));
    }
    let none = signed(&without(good_header(), "kid"), &good_claims());
    assert!(matches!(refused(&none), TokenError::Foreign));
}

#[test]
fn a_key_that_the_token_brings_along_is_not_used() {
    let evil = SigningKey::from_seed([8; 32]).unwrap();
    let jwk = serde_json::to_value(&evil.public).unwrap();
    let header = with(good_header(), "jwk", jwk);
    let message = format!("{}.{}", encoded(&header), encoded(&good_claims()));
    let signature =
        jsonwebtoken::crypto::sign(message.as_bytes(), &evil.private, Algorithm::EdDSA).unwrap();
    assert!(matches!(
        refused(&format!("{message}.{signature}")),
        TokenError::Foreign
    ));
    let critical = with(good_header(), "crit", json!(["b64"]));
    assert!(matches!(
        refused(&signed(&critical, &good_claims())),
        TokenError::Unfit
    ));
}

#[test]
fn a_token_that_was_changed_is_refused() {
    let token = signed(&good_header(), &good_claims());
    let parts: Vec<&str> = token.split('.').collect();
    let other = encoded(&with(good_claims(), "sub", json!(Uuid::from_u128(9))));
    for changed in [
        format!("{}.{other}.{}", parts[0], parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}", parts[0], parts[1]),
        format!("{token}.x"),
        format!("{token}="),
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "…".to_owned(),
        "a".repeat(1_000_000),
    ] {
        assert!(
            matches!(refused(&changed), TokenError::Foreign),
            "{changed:.80}"
        );
    }
}

#[test]
fn a_new_key_takes_over_while_the_old_one_still_verifies() {
    let key = |byte| SigningKey::from_seed([byte; 32]).unwrap();
    let old = KeyRing::new(ISSUER, key(1), []).unwrap();
    let both = KeyRing::new(ISSUER, key(2), [key(1)]).unwrap();
    let new = KeyRing::new(ISSUER, key(2), []).unwrap();
    let of_old = old.issue(user(), session(), now()).unwrap();
    let of_both = both.issue(user(), session(), now()).unwrap();
    assert!(both.verify(&of_old, now()).is_ok());
    assert!(both.verify(&of_both, now()).is_ok());
    assert!(new.verify(&of_both, now()).is_ok());
    assert!(matches!(
        new.verify(&of_old, now()),
        Err(TokenError::Foreign)
    ));
}

#[test]
fn public_keys_are_published_and_private_ones_are_not() {
    // RFC 8037, appendix A.1 and A.2.
    let seed = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
    let public = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    let seed = BASE64_URL_SAFE_NO_PAD.decode(seed).unwrap();
    let seed: [u8; 32] = seed.try_into().unwrap();
    let key = SigningKey::from_seed(seed).unwrap();
    assert_eq!(key.seed(), &seed);
    assert_eq!(key.kid().len(), 32);
    let debug = format!("{key:?}");
    let ring = KeyRing::new(ISSUER, key, []).unwrap();
    let jwks = serde_json::to_value(ring.jwks()).unwrap();
    assert_eq!(
        jwks,
        json!({ "keys": [{
            "use": "sig",
            "key_ops": ["verify"],
            "alg": "EdDSA",
            "kid": ring.kid,
            "kty": "OKP",
            "crv": "Ed25519",
            "x": public,
        }] })
    );
    assert!(!debug.contains("157, 97, 177"), "{debug}");
    assert!(!format!("{ring:?}").contains("157, 97, 177"));
}

#[test]
fn generated_keys_differ() {
    let (one, other) = (
        SigningKey::generate().unwrap(),
        SigningKey::generate().unwrap(),
    );
    assert_ne!(one.kid(), other.kid());
    assert_ne!(one.seed(), other.seed());
}
