//! A connection to the product that is kept open from request to request, with as little of its
//! own in the way as can be: benchmarks use it too.

use crate::harness::{Answer, PASSWORD};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::io;
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// A connection of somebody who is logged in.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: HeaderValue,
    authorization: HeaderValue,
}

impl Connection {
    /// Connects; each request carries `token`, unless it is empty.
    ///
    /// # Errors
    /// Nobody listens there.
    pub async fn open(address: SocketAddr, token: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        // How it ends, the next request tells.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self {
            sender,
            host: HeaderValue::try_from(address.to_string()).map_err(io::Error::other)?,
            authorization: HeaderValue::try_from(format!("Bearer {token}"))
                .map_err(io::Error::other)?,
        })
    }

    /// Sends a request.
    ///
    /// # Errors
    /// The connection ended before the whole answer had come.
    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        kind: &'static str,
        body: Bytes,
    ) -> hyper::Result<Answer> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().expect("a path");
        let headers = request.headers_mut();
        headers.insert(HOST, self.host.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        if self.authorization.len() > "Bearer ".len() {
            headers.insert(AUTHORIZATION, self.authorization.clone());
        }
        self.sender.ready().await?;
        let (parts, body) = self.sender.send_request(request).await?.into_parts();
        let bytes = body.collect().await?.to_bytes();
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&bytes).into_owned()));
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        })
    }

    /// Posts JSON that may be lost on the way.
    ///
    /// # Errors
    /// The connection ended before the whole answer had come.
    pub async fn try_post(&mut self, path: &str, body: &Value) -> hyper::Result<Answer> {
        let body = body.to_string().into();
        self.send(Method::POST, path, "application/json", body)
            .await
    }

    /// Posts JSON.
    ///
    /// # Panics
    /// There is no answer.
    pub async fn post(&mut self, path: &str, body: &Value) -> Answer {
        self.try_post(path, body).await.unwrap()
    }

    /// Changes something.
    ///
    /// # Panics
    /// There is no answer.
    pub async fn patch(&mut self, path: &str, body: &Value) -> Answer {
        let body = body.to_string().into();
        let sent = self.send(Method::PATCH, path, "application/json", body);
        sent.await.unwrap()
    }

    /// Reads what may be lost on the way.
    ///
    /// # Errors
    /// The connection ended before the whole answer had come.
    pub async fn try_get(&mut self, path: &str) -> hyper::Result<Answer> {
        self.send(Method::GET, path, "application/json", Bytes::new())
            .await
    }

    /// Reads.
    ///
    /// # Panics
    /// There is no answer.
    pub async fn get(&mut self, path: &str) -> Answer {
        self.try_get(path).await.unwrap()
    }

    /// Makes something, and returns it.
    ///
    /// # Panics
    /// It is not made.
    pub async fn create(&mut self, path: &str, body: &Value) -> Value {
        let created = self.post(path, body).await;
        assert_eq!(created.status, 201, "{}", created.body);
        created.body
    }

    /// Registers `<name>@example.com`, logs in, and returns the access token.
    ///
    /// # Panics
    /// It cannot.
    pub async fn register(&mut self, name: &str) -> String {
        let email = format!("{name}@example.com");
        let account = json!({ "name": name, "email": email, "password": PASSWORD });
        self.create("/api/v1/users", &account).await;
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "password")
            .append_pair("username", &email)
            .append_pair("password", PASSWORD)
            .finish();
        let kind = "application/x-www-form-urlencoded";
        let asked = self.send(Method::POST, "/api/v1/auth/token", kind, form.into());
        let tokens = asked.await.unwrap();
        assert_eq!(tokens.status, 200, "{}", tokens.body);
        tokens.text("access_token")
    }

    /// The whole of a list, page by page.
    ///
    /// # Panics
    /// It cannot be read.
    pub async fn list(&mut self, path: &str) -> Vec<Value> {
        let joint = if path.contains('?') { '&' } else { '?' };
        let first = format!("{path}{joint}limit=250");
        let (mut all, mut next) = (Vec::new(), Some(first.clone()));
        while let Some(page) = next {
            let mut answer = self.get(&page).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            let cursor = answer.body["next_cursor"].as_str();
            next = cursor.map(|cursor| format!("{first}&cursor={cursor}"));
            if let Some(data) = answer.body["data"].as_array_mut() {
                all.append(data);
            }
        }
        all
    }
}
