//! Webhooks to receivers of every kind, on real sockets.

use super::*;
use crate::client::ClientSettings;
use crate::client::receiver::{Behaviour, Names, Receiver, header};
use crate::trust;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::dns::Resolve;
use rustls::RootCertStore;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn settings(allowed: &[&str]) -> ClientSettings {
    ClientSettings {
        allowed_networks: allowed
            .iter()
            .map(|network| network.parse().unwrap())
            .collect(),
        ..ClientSettings::default()
    }
}

fn local_sender() -> HttpClient {
    HttpClient::new(settings(&["127.0.0.0/8"])).unwrap()
}

fn named_sender(settings: ClientSettings, resolver: Arc<dyn Resolve>) -> HttpClient {
    HttpClient::within(settings, resolver, RootCertStore::empty()).unwrap()
}

fn impatient_sender() -> HttpClient {
    HttpClient::new(ClientSettings {
        timeout: Duration::from_millis(200),
        ..settings(&["127.0.0.0/8"])
    })
    .unwrap()
}

fn request(url: &str) -> WebhookRequest {
    // A stock library checks the timestamp against the system's clock.
    let now = smarttasks_model::Clock::system().now();
    WebhookRequest {
        delivery_id: DeliveryId::derived(now, &[b"delivery"]),
        url: url.parse().unwrap(),
        headers: HeaderSet::default(),
        secret: SECRET.parse().unwrap(),
        retiring_secrets: Vec::new(),
        body: payload(
            "task.created",
            now,
            &serde_json::json!({ "title": "Grüße" }),
        ),
        traceparent: None,
        attempted_at: now,
    }
}

fn reason(attempt: &Attempt) -> &Reason {
    attempt.error.as_ref().expect("a failure").reason()
}

/// HMAC-SHA256 from its definition (RFC 2104), for keys of at most a block.
fn hmac_by_hand(key: &[u8], message: &[u8]) -> Vec<u8> {
    let pad = |with: u8| {
        let mut block = [with; 64];
        block.iter_mut().zip(key).for_each(|(b, k)| *b ^= k);
        block
    };
    let inner = Sha256::new()
        .chain_update(pad(0x36))
        .chain_update(message)
        .finalize();
    Sha256::new()
        .chain_update(pad(0x5c))
        .chain_update(inner)
        .finalize()
        .to_vec()
}

#[tokio::test]
async fn a_webhook_is_signed_so_that_a_stock_library_verifies_it() {
    let mut receiver =
        Receiver::that_answers("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let request = request(&receiver.url());
    let attempt = local_sender().send_webhook(&request).await;
    assert!(attempt.succeeded(), "{attempt:?}");
    assert_eq!(
        (attempt.status_code, attempt.response.as_deref()),
        (Some(200), Some("ok"))
    );

    let seen = receiver.seen.recv().await.unwrap();
    assert!(
        seen.head.starts_with("POST /hook?x=1 HTTP/1.1\r\n"),
        "{}",
        seen.head
    );
    assert_eq!(header(&seen.head, "content-type"), Some("application/json"));
    assert_eq!(header(&seen.head, "accept-encoding"), None);
    assert_eq!(
        header(&seen.head, "user-agent"),
        Some(concat!("SmartTasks/", env!("CARGO_PKG_VERSION")))
    );
    assert_eq!(seen.body, request.body);

    let id = header(&seen.head, "webhook-id").unwrap();
    let timestamp = header(&seen.head, "webhook-timestamp").unwrap();
    let signature = header(&seen.head, "webhook-signature").unwrap();
    assert_eq!(id, request.delivery_id.to_string());
    let key = BASE64.decode(&SECRET["whsec_".len()..]).unwrap();
    let signed = [format!("{id}.{timestamp}.").as_bytes(), &seen.body].concat();
    assert_eq!(
        signature,
        format!("v1,{}", BASE64.encode(hmac_by_hand(&key, &signed)))
    );

    let mut headers = HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        headers.insert(name, header(&seen.head, name).unwrap().parse().unwrap());
    }
    let library = standardwebhooks::Webhook::new(SECRET).unwrap();
    library.verify(&seen.body, &headers).unwrap();
    let mut tampered = seen.body.clone();
    tampered[10] ^= 1;
    assert!(library.verify(&tampered, &headers).is_err());
}

#[test]
fn the_signature_is_the_one_of_the_specification() {
    let request = WebhookRequest {
        attempted_at: Timestamp::from_unix_millis(1_614_265_330_999),
        delivery_id: id_of_ones(),
        body: Bytes::from_static(br#"{"test": 2432232314}"#),
        ..request("https://example.com/")
    };
    let signed = br#"11111111-1111-1111-1111-111111111111.1614265330.{"test": 2432232314}"#;
    let key = BASE64.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let expected = format!("v1,{}", BASE64.encode(hmac_by_hand(&key, signed)));
    assert_eq!(sign::signatures(&request), expected);
}

fn id_of_ones() -> DeliveryId {
    "11111111-1111-1111-1111-111111111111".parse().unwrap()
}

#[tokio::test]
async fn during_a_rotation_both_secrets_sign() {
    let mut receiver = Receiver::that_answers("HTTP/1.1 204 No Content\r\n\r\n").await;
    let old = SigningSecret::generate();
    let request = WebhookRequest {
        retiring_secrets: vec![old.clone()],
        ..request(&receiver.url())
    };
    assert!(local_sender().send_webhook(&request).await.succeeded());
    let seen = receiver.seen.recv().await.unwrap();
    let mut headers = HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        headers.insert(name, header(&seen.head, name).unwrap().parse().unwrap());
    }
    for secret in [SECRET.to_owned(), old.reveal()] {
        let library = standardwebhooks::Webhook::new(&secret).unwrap();
        library.verify(&seen.body, &headers).unwrap();
    }
    let stranger = standardwebhooks::Webhook::new(&SigningSecret::generate().reveal()).unwrap();
    assert!(stranger.verify(&seen.body, &headers).is_err());
}

#[tokio::test]
async fn the_owners_headers_and_the_trace_go_along() {
    let mut receiver = Receiver::that_answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let own = BTreeMap::from([("Authorization".to_owned(), "Bearer s3cret".to_owned())]);
    let trace = TraceParent::start();
    let request = WebhookRequest {
        headers: HeaderSet::parse("", &own).unwrap(),
        traceparent: Some(trace),
        ..request(&receiver.url())
    };
    assert!(local_sender().send_webhook(&request).await.succeeded());
    let seen = receiver.seen.recv().await.unwrap();
    assert_eq!(header(&seen.head, "authorization"), Some("Bearer s3cret"));
    assert_eq!(header(&seen.head, "traceparent"), Some(&*trace.to_string()));
    assert_eq!(
        header(&seen.head, "host"),
        Some(&*receiver.address.to_string())
    );
}

#[tokio::test]
async fn private_addresses_are_refused_in_every_form_and_under_every_name() {
    let private = [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "2002:a00:1::",
        "fe80::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
    ];
    let lists: Vec<[&[&str]; 1]> = private.iter().map(|a| [std::slice::from_ref(a)]).collect();
    let names: Vec<String> = (0..private.len())
        .map(|n| format!("name-{n}.example.com"))
        .collect();
    let names: Vec<&'static str> = names.into_iter().map(|name| &*name.leak()).collect();
    let entries: Vec<_> = names
        .iter()
        .zip(&lists)
        .map(|(n, l)| (*n, &l[..]))
        .collect();
    let resolver = Names::of(&entries);
    let sender = named_sender(settings(&["192.168.7.0/24"]), resolver);

    let literals = [
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0xa9fea9fe",
        "[::ffff:7f00:1]",
    ];
    let bracketed = private.iter().map(|a| match a.contains(':') {
        true => format!("[{a}]"),
        false => (*a).to_owned(),
    });
    let hosts: Vec<String> = bracketed
        .chain(literals.map(str::to_owned))
        .chain(names.iter().map(|name| (*name).to_owned()))
        .collect();
    assert!(hosts.len() > 30);
    for host in hosts {
        for scheme in ["https", "http"] {
            let attempt = sender
                .send_webhook(&request(&format!("{scheme}://{host}:9/")))
                .await;
            let error = attempt.error.unwrap();
            assert!(
                matches!(error, SendError::Permanent(Reason::AddressRefused { .. })),
                "{scheme}://{host}: {error}"
            );
        }
    }
}

#[tokio::test]
async fn a_refusal_does_not_tell_what_a_name_resolves_to() {
    let resolver = Names::of(&[("internal.example.com", &[&["10.1.2.3"]])]);
    let sender = named_sender(settings(&[]), resolver);
    let attempt = sender
        .send_webhook(&request("https://internal.example.com/"))
        .await;
    let text = attempt.error.unwrap().to_string();
    assert!(
        text.contains("internal.example.com") && !text.contains("10.1.2.3"),
        "{text}"
    );
}

#[tokio::test]
async fn plain_http_to_a_public_address_is_refused() {
    let resolver = Names::of(&[("hooks.example.com", &[&["93.184.216.34"]])]);
    let sender = named_sender(settings(&["127.0.0.0/8"]), resolver);
    for url in ["http://93.184.216.34/", "http://hooks.example.com/"] {
        let attempt = sender.send_webhook(&request(url)).await;
        let error = attempt.error.unwrap();
        assert!(
            matches!(error, SendError::Permanent(Reason::HttpsRequired { .. })),
            "{error}"
        );
    }
}

#[tokio::test]
async fn of_a_names_addresses_only_the_permitted_are_connected_to() {
    let receiver = Receiver::that_answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let resolver = Names::of(&[("hooks.example.com", &[&["10.0.0.1", "127.0.0.1", "::1"]])]);
    let sender = named_sender(settings(&["127.0.0.0/8"]), resolver);
    let url = format!("http://hooks.example.com:{}/", receiver.address.port());
    assert!(sender.send_webhook(&request(&url)).await.succeeded());
}

#[tokio::test]
async fn a_name_that_changes_its_address_is_checked_at_every_connection() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let receiver = Receiver::that_answers(answer).await;
    let resolver = Names::of(&[("hooks.example.com", &[&["127.0.0.1"], &["10.0.0.1"]])]);
    let sender = named_sender(settings(&["127.0.0.0/8"]), resolver);
    let url = format!("http://hooks.example.com:{}/", receiver.address.port());
    assert!(sender.send_webhook(&request(&url)).await.succeeded());
    let again = sender.send_webhook(&request(&url)).await;
    assert_eq!(reason(&again).label(), "address_refused");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let mut target = Receiver::that_answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    for code in [301, 302, 303, 307, 308] {
        let to = target.url();
        let answer =
            format!("HTTP/1.1 {code} Moved\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
        let receiver = Receiver::that_answers(&answer).await;
        let attempt = local_sender().send_webhook(&request(&receiver.url())).await;
        assert_eq!(attempt.status_code, Some(code));
        assert!(
            matches!(&attempt.error, Some(SendError::Permanent(Reason::Redirected(c))) if *c == code)
        );
    }
    assert!(target.seen.try_recv().is_err());
}

#[tokio::test]
async fn a_receiver_without_an_answer_is_given_up() {
    for behaviour in [
        Behaviour::StaysSilent,
        Behaviour::DripsABytePerTick("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        Behaviour::NeverEnds("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX: "),
    ] {
        let receiver = Receiver::that(behaviour).await;
        let attempt = impatient_sender()
            .send_webhook(&request(&receiver.url()))
            .await;
        assert!(attempt.is_transient_failure(), "{attempt:?}");
        assert_eq!(attempt.status_code, None);
    }
}

#[tokio::test]
async fn the_status_counts_when_the_body_does_not_end() {
    let endless = "HTTP/1.1 200 OK\r\n\r\n";
    let receiver = Receiver::that(Behaviour::NeverEnds(endless)).await;
    let attempt = local_sender().send_webhook(&request(&receiver.url())).await;
    assert!(attempt.succeeded(), "{attempt:?}");
    assert_eq!(attempt.response.unwrap().len(), 4_096);

    let cut = "HTTP/1.1 500 Oops\r\nContent-Length: 9\r\n\r\nsorry";
    let receiver = Receiver::that_answers(cut).await;
    let attempt = impatient_sender()
        .send_webhook(&request(&receiver.url()))
        .await;
    assert_eq!(attempt.status_code, Some(500));
    assert_eq!(attempt.response.as_deref(), Some("sorry"));
    assert_eq!(*reason(&attempt), Reason::Status(500));
}

#[tokio::test]
async fn a_compressed_answer_is_left_alone() {
    // The head of a gzip member, and what would be its data.
    let packed = [
        0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, b'p', b'a', b'c', b'k', b'e', b'd',
    ];
    let mut answer =
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 16\r\n\r\n".to_vec();
    answer.extend(packed);
    let receiver = Receiver::that(Behaviour::Answers(answer)).await;
    let attempt = local_sender().send_webhook(&request(&receiver.url())).await;
    assert!(attempt.succeeded());
    assert_eq!(attempt.response.as_deref(), Some("\u{fffd}packed"));
}

#[tokio::test]
async fn a_receiver_that_is_gone_says_so_and_a_busy_one_when_to_come_back() {
    let receiver = Receiver::that_answers("HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n").await;
    let attempt = local_sender().send_webhook(&request(&receiver.url())).await;
    assert!(attempt.endpoint_is_gone() && !attempt.is_transient_failure());

    let busy = "HTTP/1.1 429 Slow down\r\nRetry-After: 999999999999\r\nContent-Length: 0\r\n\r\n";
    let receiver = Receiver::that_answers(busy).await;
    let attempt = local_sender().send_webhook(&request(&receiver.url())).await;
    assert!(attempt.is_transient_failure());
    let wait = attempt.error.unwrap().retry_after();
    assert_eq!(wait, Some(Duration::from_secs(86_400)));
}

#[tokio::test]
async fn a_receiver_that_is_down_or_not_http_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = format!("http://{}/?token=s3cret", listener.local_addr().unwrap());
    drop(listener);
    let attempt = local_sender().send_webhook(&request(&closed)).await;
    assert_eq!(reason(&attempt).label(), "connection");
    assert!(!format!("{attempt:?}").contains("s3cret"));

    let hangs_up = Receiver::that(Behaviour::HangsUp).await;
    let nonsense = Receiver::that_answers("SSH-2.0-OpenSSH_9.6\r\n\r\n").await;
    for receiver in [hangs_up, nonsense] {
        let attempt = local_sender().send_webhook(&request(&receiver.url())).await;
        assert_eq!(reason(&attempt).label(), "interrupted");
        assert!(attempt.is_transient_failure());
    }

    let resolver = Names::of(&[]);
    let sender = named_sender(settings(&[]), resolver);
    let attempt = sender
        .send_webhook(&request("https://nowhere.example.com/"))
        .await;
    assert_eq!(
        *reason(&attempt),
        Reason::Connection("no such name".to_owned())
    );
    assert!(attempt.is_transient_failure());
}

#[tokio::test]
async fn tls_to_a_receiver_that_speaks_none_fails_and_sends_nothing() {
    let mut receiver = Receiver::that_answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let url = format!("https://{}/", receiver.address);
    let attempt = impatient_sender().send_webhook(&request(&url)).await;
    assert!(attempt.is_transient_failure(), "{attempt:?}");
    assert!(receiver.seen.try_recv().is_err());
}

/// A receiver with a certificate for `hooks.example.com`, and that certificate.
fn tls_receiver() -> (SocketAddr, rustls::pki_types::CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["hooks.example.com".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let tls = rustls::ServerConnection::new(Arc::new(config.clone())).unwrap();
            // Fails when the sender does not trust the certificate, which its test looks at.
            let _ = answer_over_tls(rustls::StreamOwned::new(tls, stream.unwrap()));
        }
    });
    (address, certificate)
}

fn answer_over_tls(
    mut stream: rustls::StreamOwned<rustls::ServerConnection, std::net::TcpStream>,
) -> std::io::Result<()> {
    use std::io::{Read, Write};
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret")
}

#[tokio::test]
async fn https_reaches_whom_it_trusts_under_the_right_name_only() {
    let (address, certificate) = tls_receiver();
    let local: &[&[&str]] = &[&["127.0.0.1"]];
    let resolver = Names::of(&[("hooks.example.com", local), ("other.example.com", local)]);
    let mut trusting = RootCertStore::empty();
    trusting.add(certificate).unwrap();
    let url = format!("https://hooks.example.com:{}/", address.port());
    let other = format!("https://other.example.com:{}/", address.port());
    for (roots, url, fine) in [
        (trusting.clone(), &url, true),
        (trusting, &other, false),
        (trust::all_roots(), &url, false),
    ] {
        let settings = settings(&["127.0.0.0/8"]);
        let sender = HttpClient::within(settings, resolver.clone(), roots).unwrap();
        let attempt = sender.send_webhook(&request(url)).await;
        assert_eq!(attempt.succeeded(), fine, "{attempt:?}");
        match fine {
            true => assert_eq!(attempt.response.as_deref(), Some("secret")),
            false => {
                let error = attempt.error.unwrap().to_string();
                assert!(error.contains("certificate"), "{error}");
            }
        }
    }
}

#[test]
fn a_payload_is_the_same_bytes_for_the_same_content() {
    let at = Timestamp::from_unix_millis(0);
    let data = serde_json::json!({ "b": 1, "a": [null, "ä\u{2028}"] });
    let body = payload("report.ready", at, &data);
    assert_eq!(body, payload("report.ready", at, &data));
    let read: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        read,
        serde_json::json!({ "type": "report.ready", "timestamp": "1970-01-01T00:00:00Z", "data": data })
    );
}
