//! `SMTP_URL`: which server, how encrypted, as whom.

use super::relay::Server;
use crate::{SetupError, trust};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use percent_encoding::percent_decode_str;
use std::net::IpAddr;
use url::{Host, Url};

/// Reads `smtp[s]://[user:password@]host[:port][/ehlo-name][?tls=required|opportunistic|none]`.
///
/// Ports by default: 465 for `smtps`, 587 with a password, 25 otherwise.
pub(super) fn parse(text: &str) -> Result<Server, SetupError> {
    let url = Url::parse(text).map_err(|_| SetupError::SmtpUrl("it is not a URL"))?;
    let host = host(&url)?;
    let credentials = credentials(&url)?;
    let tls = match mode(&url, &host, credentials.is_some())? {
        Mode::Wrapped => Tls::Wrapper(parameters(&host)?),
        Mode::Required => Tls::Required(parameters(&host)?),
        Mode::Opportunistic => Tls::Opportunistic(parameters(&host)?),
        Mode::Plain => Tls::None,
    };
    let default_port = match (&tls, &credentials) {
        (Tls::Wrapper(_), _) => 465,
        (_, Some(_)) => 587,
        (_, None) => 25,
    };
    Ok(Server {
        port: url.port().unwrap_or(default_port),
        host,
        tls,
        credentials,
        hello: hello(&url)?,
    })
}

#[derive(Debug, PartialEq, Eq)]
enum Mode {
    Wrapped,
    Required,
    Opportunistic,
    Plain,
}

fn mode(url: &Url, host: &str, has_password: bool) -> Result<Mode, SetupError> {
    let mut asked = None;
    for (key, value) in url.query_pairs() {
        match &*key {
            "tls" => asked = Some(value),
            _ => return Err(SetupError::SmtpUrl("the only parameter it takes is tls")),
        }
    }
    match (url.scheme(), asked.as_deref()) {
        ("smtps", None | Some("required")) => Ok(Mode::Wrapped),
        ("smtps", _) => Err(SetupError::SmtpUrl(
            "smtps is always encrypted: leave tls off",
        )),
        ("smtp", Some("required")) => Ok(Mode::Required),
        ("smtp", Some("none")) => Ok(Mode::Plain),
        ("smtp", None) if is_loopback(host) => Ok(Mode::Plain),
        // A password must not depend on what someone on the way makes of the server's offer.
        ("smtp", None | Some("opportunistic")) => match has_password {
            true => Ok(Mode::Required),
            false => Ok(Mode::Opportunistic),
        },
        ("smtp", Some(_)) => Err(SetupError::SmtpUrl(
            "tls is required, opportunistic or none",
        )),
        _ => Err(SetupError::SmtpUrl("its scheme is neither smtps nor smtp")),
    }
}

fn host(url: &Url) -> Result<String, SetupError> {
    match url.host() {
        Some(Host::Domain(name)) if !name.is_empty() => decoded(name),
        Some(Host::Ipv4(address)) => Ok(address.to_string()),
        Some(Host::Ipv6(address)) => Ok(address.to_string()),
        _ => Err(SetupError::SmtpUrl("it names no host")),
    }
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn credentials(url: &Url) -> Result<Option<Credentials>, SetupError> {
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        ("", Some(_)) => Err(SetupError::SmtpUrl("it has a password but no user")),
        (_, None) => Err(SetupError::SmtpUrl("it has a user but no password")),
        (user, Some(password)) => Ok(Some(Credentials::new(decoded(user)?, decoded(password)?))),
    }
}

/// Our name in EHLO: the path, or the machine's.
fn hello(url: &Url) -> Result<ClientId, SetupError> {
    let name = decoded(url.path().trim_matches('/'))?;
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._[]:".contains(&b);
    match name.is_empty() {
        true => Ok(ClientId::default()),
        false if name.bytes().all(fits) => Ok(ClientId::Domain(name)),
        false => Err(SetupError::SmtpUrl("its path is not a name for EHLO")),
    }
}

fn decoded(text: &str) -> Result<String, SetupError> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded
        .map(|text| text.into_owned())
        .map_err(|_| SetupError::SmtpUrl("it is not UTF-8 once decoded"))
}

fn parameters(host: &str) -> Result<TlsParameters, SetupError> {
    let mut tls =
        TlsParameters::builder(host.to_owned()).certificate_store(CertificateStore::WebpkiRoots);
    for root in trust::system_roots() {
        tls = tls.add_root_certificate(Certificate::from_der(root.to_vec())?);
    }
    Ok(tls.build()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tls(server: &Server) -> &'static str {
        match server.tls {
            Tls::Wrapper(_) => "wrapped",
            Tls::Required(_) => "required",
            Tls::Opportunistic(_) => "opportunistic",
            Tls::None => "none",
        }
    }

    #[test]
    fn a_url_says_how_mail_is_sent() {
        for (text, host, port, encrypted, signs_in) in [
            (
                "smtps://mail.example.com",
                "mail.example.com",
                465,
                "wrapped",
                false,
            ),
            (
                "smtps://u:p@mail.example.com:2465",
                "mail.example.com",
                2465,
                "wrapped",
                true,
            ),
            (
                "smtp://mail.example.com",
                "mail.example.com",
                25,
                "opportunistic",
                false,
            ),
            (
                "smtp://mail.example.com?tls=required",
                "mail.example.com",
                25,
                "required",
                false,
            ),
            (
                "smtp://u:p@mail.example.com",
                "mail.example.com",
                587,
                "required",
                true,
            ),
            (
                "smtp://u:p@mail.example.com?tls=opportunistic",
                "mail.example.com",
                587,
                "required",
                true,
            ),
            (
                "smtp://u:p@mail.example.com:25?tls=none",
                "mail.example.com",
                25,
                "none",
                true,
            ),
            ("smtp://localhost:1025", "localhost", 1025, "none", false),
            ("smtp://127.0.0.1:1025", "127.0.0.1", 1025, "none", false),
            ("smtp://[::1]:1025", "::1", 1025, "none", false),
            (
                "smtp://mailpit:1025?tls=none",
                "mailpit",
                1025,
                "none",
                false,
            ),
            (
                "smtp://localhost?tls=required",
                "localhost",
                25,
                "required",
                false,
            ),
        ] {
            let server = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(
                (
                    &*server.host,
                    server.port,
                    tls(&server),
                    server.credentials.is_some()
                ),
                (host, port, encrypted, signs_in),
                "{text}"
            );
        }
    }

    #[test]
    fn a_password_is_decoded_and_never_told() {
        let server = parse("smtps://ann%40example.com:p%40s%2Fs+s@mail.example.com/me.example.com");
        let server = server.unwrap();
        let expected = Credentials::new("ann@example.com".to_owned(), "p@s/s+s".to_owned());
        assert_eq!(server.credentials, Some(expected));
        assert_eq!(server.hello.to_string(), "me.example.com");
        for bad in [
            "s3cret",
            "s3cret@mail.example.com",
            "http://u:s3cret@mail.example.com",
            "smtp://u:s3cret@",
            "smtp://:s3cret@mail.example.com",
            "smtp://s3cret@mail.example.com",
            "smtp://u:s3cret@mail.example.com?tls=maybe",
            "smtps://u:s3cret@mail.example.com?tls=none",
            "smtp://u:s3cret@mail.example.com?verify=no",
            "smtp://u:s3cret%ff@mail.example.com",
            "smtp://u:s3cret@mail.example.com/a%0d%0aMAIL",
        ] {
            let error = parse(bad)
                .err()
                .unwrap_or_else(|| panic!("{bad}"))
                .to_string();
            assert!(error.starts_with("SMTP_URL: "), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
