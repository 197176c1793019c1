//! `smarttasks healthcheck`: is the service that runs with this configuration well?
//!
//! Two GET requests by hand: a container's check must be small, quick and depend on nothing.

use crate::Error;
use crate::config::Http;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// How long each step of a request may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// How much of an answer is read.
const LONGEST_ANSWER: u64 = 16 * 1024;

/// Asks the service at its own listener whether it lives and is ready.
///
/// # Errors
/// It does not answer, or says that it is not well, with what fails.
pub fn run(http: &Http, out: &mut dyn Write) -> Result<(), Error> {
    let address = reachable(http.listen);
    for path in ["/livez", "/readyz"] {
        ask(address, path)
            .map_err(|why| Error::Unhealthy(format!("http://{address}{path} {why}")))?;
    }
    writeln!(out, "healthy")?;
    Ok(())
}

/// The listener's address as a client on this machine reaches it.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

fn ask(address: SocketAddr, path: &str) -> Result<(), String> {
    let answer = get(address, path).map_err(|error| format!("does not answer: {error}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).unwrap_or_default();
    if status == "200" {
        Ok(())
    } else {
        Err(format!("answered {status}: {}", body.trim()))
    }
}

/// HTTP/1.0, so that the server closes the connection and never sends chunks.
fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(LONGEST_ANSWER).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Flag, Sources, load};
    use std::net::TcpListener;

    /// A listener that gives each request the next of `answers`, and the configuration to reach it.
    fn service(answers: &'static [&'static str]) -> Http {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).unwrap();
                write!(stream, "HTTP/1.1 {answer}").unwrap();
            }
        });
        http_at(address)
    }

    fn http_at(address: SocketAddr) -> Http {
        let sources = Sources {
            flags: vec![Flag {
                flag: "--listen".to_owned(),
                key: "http.listen".to_owned(),
                value: address.to_string(),
            }],
            ..Sources::default()
        };
        load(&sources).unwrap().config.http
    }

    #[test]
    fn a_service_that_lives_and_is_ready_is_healthy() {
        let http = service(&["200 OK\r\n\r\nok", "200 OK\r\n\r\nok"]);
        let mut out = Vec::new();
        run(&http, &mut out).unwrap();
        assert_eq!(out, b"healthy\n");
    }

    #[test]
    fn a_service_that_is_not_ready_says_why() {
        let http = service(&[
            "200 OK\r\n\r\nok",
            "503 Service Unavailable\r\n\r\ndatabase: gone",
        ]);
        let error = run(&http, &mut Vec::new()).unwrap_err().to_string();
        assert!(
            error.contains("/readyz answered 503: database: gone"),
            "{error}"
        );
    }

    #[test]
    fn a_service_that_does_not_run_is_not_healthy() {
        let unused = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let error = run(&http_at(unused), &mut Vec::new()).unwrap_err();
        assert!(
            error.to_string().contains("/livez does not answer"),
            "{error}"
        );
    }

    #[test]
    fn a_listener_on_every_address_is_asked_on_loopback() {
        let asked = |listen: &str| reachable(listen.parse().unwrap()).to_string();
        assert_eq!(asked("0.0.0.0:80"), "127.0.0.1:80");
        assert_eq!(asked("[::]:80"), "[::1]:80");
        assert_eq!(asked("10.1.2.3:80"), "10.1.2.3:80");
    }
}
