//! Stands between the gateway and Redis, and fails as networks and servers do.

use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

/// How the proxy behaves.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Mode {
    /// As if it were not there.
    Pass,
    /// Every connection ends, and new ones at once.
    Cut,
    /// Connections are made, and nothing comes through.
    Hang,
    /// Every answer comes so much later.
    Slow(Duration),
}

pub(super) struct Proxy {
    url: Url,
    mode: watch::Sender<Mode>,
    _task: AbortOnDropHandle<()>,
}

impl Proxy {
    /// In front of the Redis at `url`.
    pub(super) async fn start(url: &SecretString) -> Self {
        let mut url = Url::parse(url.expose_secret()).unwrap();
        let host = url.host_str().unwrap().to_owned();
        let redis = (host, url.port().unwrap_or(6379));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        url.set_ip_host(address.ip()).unwrap();
        url.set_port(Some(address.port())).unwrap();
        let mode = watch::Sender::new(Mode::Pass);
        let of_connections = mode.clone();
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let server = TcpStream::connect(redis.clone()).await.unwrap();
                tokio::spawn(serve(client, server, of_connections.subscribe()));
            }
        });
        Self {
            url,
            mode,
            _task: AbortOnDropHandle::new(task),
        }
    }

    /// Where the gateway is to look for Redis.
    pub(super) fn url(&self) -> SecretString {
        self.url.to_string().into()
    }

    pub(super) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

async fn serve(mut client: TcpStream, mut server: TcpStream, mut mode: watch::Receiver<Mode>) {
    let (mut asked, mut answered) = ([0; 4096], [0; 4096]);
    loop {
        let present = *mode.borrow_and_update();
        match present {
            Mode::Cut => return,
            Mode::Hang => {
                if mode.changed().await.is_err() {
                    return;
                }
                continue;
            }
            Mode::Pass | Mode::Slow(_) => {}
        }
        let passed = tokio::select! {
            changed = mode.changed() => changed.is_ok(),
            read = client.read(&mut asked) => match read {
                Ok(read) if read > 0 => server.write_all(&asked[..read]).await.is_ok(),
                _ => false,
            },
            read = server.read(&mut answered) => match read {
                Ok(read) if read > 0 => {
                    if let Mode::Slow(by) = present {
                        tokio::time::sleep(by).await;
                    }
                    client.write_all(&answered[..read]).await.is_ok()
                }
                _ => false,
            },
        };
        if !passed {
            return;
        }
    }
}
