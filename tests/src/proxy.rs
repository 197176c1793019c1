//! The network between a process and a server, to be cut, hung and slowed: a listener that passes on
//! what comes, for as long as it is told to.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use url::Url;

/// Below those that the kernel gives to outgoing connections, and apart from those of
/// `script/servers`: while it refuses, nobody else may take its port.
const PORTS: std::ops::Range<u16> = 10_000..15_000;

/// Stands in front of one server. Dropped, it is gone.
pub struct Proxy {
    address: SocketAddr,
    network: watch::Sender<Network>,
    serving: JoinHandle<()>,
}

/// What becomes of what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Network {
    /// It arrives.
    Up,
    /// Connections are closed, new ones refused.
    Cut,
    /// Connections stay, also new ones are accepted, and nothing arrives.
    Hung,
    /// Whatever arrives together arrives so much later, in each direction.
    Slow(Duration),
}

impl Proxy {
    /// In front of the server at this address.
    ///
    /// # Panics
    /// No port is free.
    pub async fn start(server: SocketAddr) -> Self {
        let listener = listen().await;
        let address = listener.local_addr().unwrap();
        let network = watch::Sender::new(Network::Up);
        let serving = tokio::spawn(serve(listener, server, network.subscribe()));
        Self {
            address,
            network,
            serving,
        }
    }

    /// In front of the server that this URL names; returns the URL to reach it through here, too.
    ///
    /// # Panics
    /// The URL has no address and port, or no port is free.
    pub async fn before(url: &str) -> (Self, String) {
        let mut url: Url = url.parse().unwrap();
        let server = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        let proxy = Self::start(server.parse().unwrap()).await;
        url.set_port(Some(proxy.address.port())).unwrap();
        (proxy, url.into())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes all connections, and refuses new ones.
    pub fn cut(&self) {
        self.network.send_replace(Network::Cut);
    }

    /// Keeps all connections, accepts new ones, and lets nothing through.
    pub fn hang(&self) {
        self.network.send_replace(Network::Hung);
    }

    /// Delays what comes, in each direction.
    pub fn slow(&self, delay: Duration) {
        self.network.send_replace(Network::Slow(delay));
    }

    /// Passes on everything again, also what has waited in a hung connection.
    pub fn heal(&self) {
        self.network.send_replace(Network::Up);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
        // Ends the connections.
        self.network.send_replace(Network::Cut);
    }
}

async fn listen() -> TcpListener {
    let count = u32::from(PORTS.end - PORTS.start);
    // Those that start in the same process begin at different ports, too.
    let (first, _) = uuid::Uuid::new_v4().as_u64_pair();
    for step in 0..count {
        let offset = (first % u64::from(count)) as u32 + step;
        let port = PORTS.start + u16::try_from(offset % count).unwrap();
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)).await {
            return listener;
        }
    }
    panic!("no port of {PORTS:?} is free");
}

async fn serve(
    mut listener: TcpListener,
    server: SocketAddr,
    mut network: watch::Receiver<Network>,
) {
    let address = listener.local_addr().unwrap();
    let each = network.clone();
    loop {
        tokio::select! {
            () = until_cut(&mut network, true) => {
                drop(listener);
                until_cut(&mut network, false).await;
                listener = TcpListener::bind(address).await.unwrap();
            }
            accepted = listener.accept() => {
                let (client, _) = accepted.unwrap();
                tokio::spawn(connect(client, server, each.clone()));
            }
        }
    }
}

/// Returns once the network is cut, or no longer is.
async fn until_cut(network: &mut watch::Receiver<Network>, cut: bool) {
    // It fails when the proxy is dropped, which ends everything.
    let _ = network
        .wait_for(|state| (*state == Network::Cut) == cut)
        .await;
}

/// Passes on one connection until an end closes it or it is cut.
async fn connect(client: TcpStream, server: SocketAddr, mut network: watch::Receiver<Network>) {
    let (towards, back) = (network.clone(), network.clone());
    let mut waiting = network.clone();
    let passing = async move {
        arrival(&mut waiting).await?;
        let upstream = TcpStream::connect(server).await?;
        client.set_nodelay(true)?;
        upstream.set_nodelay(true)?;
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = upstream.into_split();
        tokio::select! {
            ended = pass(from_client, to_server, towards) => ended,
            ended = pass(from_server, to_client, back) => ended,
        }
    };
    tokio::select! {
        // How it ended, both ends see.
        _ = passing => {}
        () = until_cut(&mut network, true) => {}
    }
}

async fn pass(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut network: watch::Receiver<Network>,
) -> io::Result<()> {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let count = from.read(&mut bytes).await?;
        arrival(&mut network).await?;
        if count == 0 {
            return Ok(());
        }
        to.write_all(&bytes[..count]).await?;
    }
}

/// Returns when what was sent arrives.
async fn arrival(network: &mut watch::Receiver<Network>) -> io::Result<()> {
    let state = network.wait_for(|state| *state != Network::Hung).await;
    let state = *state.map_err(io::Error::other)?;
    if let Network::Slow(delay) = state {
        tokio::time::sleep(delay).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    /// A server that says again what it hears.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (mut from, mut to) = stream.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut from, &mut to).await });
            }
        });
        address
    }

    async fn say(stream: &mut TcpStream, word: &str) -> io::Result<String> {
        stream.write_all(word.as_bytes()).await?;
        let mut heard = vec![0; word.len()];
        stream.read_exact(&mut heard).await?;
        Ok(String::from_utf8(heard).unwrap())
    }

    #[tokio::test]
    async fn a_network_that_is_cut_closes_and_refuses_until_it_is_healed() {
        let proxy = Proxy::start(echo().await).await;
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(say(&mut stream, "one").await.unwrap(), "one");
        proxy.cut();
        assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
        while TcpStream::connect(proxy.address()).await.is_ok() {
            tokio::task::yield_now().await;
        }
        proxy.heal();
        let mut stream = loop {
            match TcpStream::connect(proxy.address()).await {
                Ok(stream) => break stream,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        assert_eq!(say(&mut stream, "two").await.unwrap(), "two");
    }

    #[tokio::test]
    async fn a_network_that_hangs_is_silent_and_loses_nothing() {
        let proxy = Proxy::start(echo().await).await;
        let mut old = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(say(&mut old, "one").await.unwrap(), "one");
        proxy.hang();
        let mut new = TcpStream::connect(proxy.address()).await.unwrap();
        let silence = Duration::from_millis(200);
        for stream in [&mut old, &mut new] {
            stream.write_all(b"two").await.unwrap();
            let heard = tokio::time::timeout(silence, stream.read(&mut [0])).await;
            assert!(heard.is_err(), "a hung network said something");
        }
        proxy.heal();
        for stream in [&mut old, &mut new] {
            let mut heard = [0; 3];
            stream.read_exact(&mut heard).await.unwrap();
            assert_eq!(&heard, b"two");
        }
    }

    #[tokio::test]
    async fn a_slow_network_delays_in_both_directions() {
        let proxy = Proxy::start(echo().await).await;
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(say(&mut stream, "one").await.unwrap(), "one");
        let delay = Duration::from_millis(50);
        proxy.slow(delay);
        let started = Instant::now();
        assert_eq!(say(&mut stream, "two").await.unwrap(), "two");
        assert!(started.elapsed() >= 2 * delay);
    }
}
