//! A receiver of webhooks.

use super::{Inbox, listen};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::net::TcpStream;

/// An HTTP server that keeps every request.
pub struct Webhooks {
    /// What came.
    pub inbox: Inbox<ReceivedWebhook>,
    address: SocketAddr,
    answers: Arc<Mutex<Answers>>,
}

/// What a receiver does once it has read a request.
#[derive(Clone, Copy, Debug)]
pub enum Answers {
    /// Answers with this status.
    Status(StatusCode),
    /// Answers with this JSON.
    Json(&'static str),
    /// Never answers.
    Silence,
    /// Closes the connection.
    HangsUp,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct ReceivedWebhook {
    /// The method.
    pub method: Method,
    /// The path.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// When all of it had come.
    pub at: Instant,
}

impl Webhooks {
    /// A receiver on a free port, content with everything.
    pub async fn start() -> Self {
        let listener = listen().await;
        let receiver = Self {
            inbox: Inbox::new(),
            address: listener.local_addr().unwrap(),
            answers: Arc::new(Mutex::new(Answers::Status(StatusCode::NO_CONTENT))),
        };
        let (inbox, answers) = (receiver.inbox.clone(), Arc::clone(&receiver.answers));
        receiver.inbox.serve(listener, move |stream| {
            serve(stream, inbox.clone(), Arc::clone(&answers))
        });
        receiver
    }

    /// Its URL with this path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What it does with requests from now on.
    pub fn from_now_on(&self, answers: Answers) {
        *self.answers.lock().unwrap() = answers;
    }
}

impl ReceivedWebhook {
    /// The `webhook-id`: the same in every repeat.
    ///
    /// # Panics
    /// It has none.
    pub fn id(&self) -> &str {
        self.headers["webhook-id"].to_str().unwrap()
    }

    /// The body.
    ///
    /// # Panics
    /// It is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Verifies the signature as receivers do, with the library of Standard Webhooks.
    ///
    /// # Errors
    /// The signature is not by this secret, or is too old.
    pub fn verify(&self, secret: &str) -> Result<(), standardwebhooks::WebhookError> {
        standardwebhooks::Webhook::new(secret)?.verify(&self.body, &self.headers)
    }
}

async fn serve(
    stream: TcpStream,
    inbox: Inbox<ReceivedWebhook>,
    answers: Arc<Mutex<Answers>>,
) -> io::Result<()> {
    let service = service_fn(|request| receive(request, &inbox, &answers));
    http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await
        .map_err(io::Error::other)
}

async fn receive(
    request: Request<Incoming>,
    inbox: &Inbox<ReceivedWebhook>,
    answers: &Mutex<Answers>,
) -> io::Result<Response<Full<Bytes>>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    inbox.put(ReceivedWebhook {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        headers: parts.headers,
        body,
        at: Instant::now(),
    });
    let answers = *answers.lock().unwrap();
    match answers {
        Answers::Status(status) => {
            let mut response = Response::new(Full::default());
            *response.status_mut() = status;
            Ok(response)
        }
        Answers::Json(json) => {
            let mut response = Response::new(Full::from(json));
            let kind = HeaderValue::from_static("application/json");
            response.headers_mut().insert(CONTENT_TYPE, kind);
            Ok(response)
        }
        Answers::Silence => std::future::pending().await,
        Answers::HangsUp => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const POST: &[u8] = b"POST /hook HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\
        connection: close\r\n\r\nhi";

    async fn post(receiver: &Webhooks) -> String {
        let mut stream = TcpStream::connect(receiver.address).await.unwrap();
        stream.write_all(POST).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn a_receiver_of_webhooks_keeps_what_comes_and_does_as_it_is_told() {
        let receiver = Webhooks::start().await;
        assert!(post(&receiver).await.starts_with("HTTP/1.1 204"));
        receiver.from_now_on(Answers::Status(StatusCode::INTERNAL_SERVER_ERROR));
        assert!(post(&receiver).await.starts_with("HTTP/1.1 500"));
        receiver.from_now_on(Answers::HangsUp);
        assert_eq!(post(&receiver).await, "");
        receiver.inbox.until_deserted().await;
        let received = receiver.inbox.take();
        assert_eq!(received.len(), 3);
        assert!(
            received
                .iter()
                .all(|one| one.body == "hi" && one.path == "/hook")
        );
    }
}
