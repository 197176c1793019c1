//! A network that can be cut, and that can hang: a proxy between us and a broker.

use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, watch};

/// What happens to the broker's words.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Network {
    /// They arrive.
    Up,
    /// They get lost.
    Hanging,
    /// Nobody can connect.
    Down,
}

pub(super) struct Proxy {
    port: u16,
    network: watch::Sender<Network>,
    cuts: watch::Sender<u64>,
    frames: broadcast::Sender<Vec<u8>>,
}

/// What each connection needs.
#[derive(Clone)]
struct Wires {
    network: watch::Receiver<Network>,
    cuts: watch::Receiver<u64>,
    frames: broadcast::Sender<Vec<u8>>,
}

impl Proxy {
    pub(super) async fn before(broker: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            port: listener.local_addr().unwrap().port(),
            network: watch::Sender::new(Network::Up),
            cuts: watch::Sender::new(0),
            frames: broadcast::Sender::new(16),
        };
        let wires = Wires {
            network: proxy.network.subscribe(),
            cuts: proxy.cuts.subscribe(),
            frames: proxy.frames.clone(),
        };
        let mut cuts = wires.cuts.clone();
        tokio::spawn(async move {
            // The proxy ends with its handle.
            while let Ok(client) = tokio::select! {
                client = listener.accept() => client,
                Err(_) = closed(&mut cuts) => return,
            } {
                if *wires.network.borrow() != Network::Down {
                    tokio::spawn(connection(client.0, broker, wires.clone()));
                }
            }
        });
        proxy
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn set(&self, network: Network) {
        self.network.send_replace(network);
    }

    /// Ends every connection.
    pub(super) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Makes the broker say that it takes no messages, for this reason, or that it does again.
    pub(super) fn block(&self, reason: Option<&str>) {
        const CONNECTION: u16 = 10;
        const BLOCKED: u16 = 60;
        const UNBLOCKED: u16 = 61;
        let mut method = CONNECTION.to_be_bytes().to_vec();
        match reason {
            Some(reason) => {
                method.extend(BLOCKED.to_be_bytes());
                method.push(u8::try_from(reason.len()).unwrap());
                method.extend(reason.as_bytes());
            }
            None => method.extend(UNBLOCKED.to_be_bytes()),
        }
        // A method (1) on channel 0, and the mark of a frame's end.
        let mut frame = vec![1, 0, 0];
        frame.extend(u32::try_from(method.len()).unwrap().to_be_bytes());
        frame.extend(method);
        frame.push(0xce);
        self.frames.send(frame).unwrap();
    }
}

/// Returns an error once the sender is gone.
async fn closed(cuts: &mut watch::Receiver<u64>) -> Result<(), watch::error::RecvError> {
    loop {
        cuts.changed().await?;
    }
}

async fn connection(client: TcpStream, broker: SocketAddr, wires: Wires) {
    let Ok(broker) = TcpStream::connect(broker).await else {
        return;
    };
    client.set_nodelay(true).unwrap();
    broker.set_nodelay(true).unwrap();
    let mut cuts = wires.cuts.clone();
    cuts.mark_unchanged();
    let (mut from_client, to_client) = client.into_split();
    let (from_broker, mut to_broker) = broker.into_split();
    tokio::select! {
        _ = copy(&mut from_client, &mut to_broker) => {}
        () = replies(from_broker, to_client, wires) => {}
        _ = cuts.changed() => {}
    }
}

/// Passes the broker's words on, a frame at a time.
async fn replies(mut broker: OwnedReadHalf, mut client: OwnedWriteHalf, wires: Wires) {
    let mut injected = wires.frames.subscribe();
    let mut read = Vec::new();
    loop {
        tokio::select! {
            more = broker.read_buf(&mut read) => match more {
                Ok(more) if more > 0 => {}
                _ => return,
            },
            frame = injected.recv() => {
                let Ok(frame) = frame else { return };
                if client.write_all(&frame).await.is_err() {
                    return;
                }
            }
        }
        while let Some(length) = frame_length(&read).filter(|length| *length <= read.len()) {
            let frame: Vec<u8> = read.drain(..length).collect();
            if *wires.network.borrow() != Network::Hanging
                && client.write_all(&frame).await.is_err()
            {
                return;
            }
        }
    }
}

/// Type, channel and length before, the end's mark behind.
fn frame_length(read: &[u8]) -> Option<usize> {
    let length = read.get(3..7)?.try_into().ok()?;
    Some(7 + usize::try_from(u32::from_be_bytes(length)).ok()? + 1)
}
