//! Binds the two listeners and accepts; one task a connection.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::wire::{self, Side};
use super::world::World;

/// A served world. Dropping it stops accepting and ends every connection.
#[derive(Debug)]
pub struct Running {
    /// Where kiosks (or the gateway) reach the issuer.
    pub issuer: SocketAddr,
    /// Where the resident-record system answers.
    pub records: SocketAddr,
    accepting: [JoinHandle<()>; 2],
}

impl Drop for Running {
    fn drop(&mut self) {
        self.accepting.iter().for_each(JoinHandle::abort);
    }
}

/// Serves the world on both addresses; port 0 takes a free one.
pub async fn serve(world: Arc<World>, issuer: SocketAddr, records: SocketAddr) -> io::Result<Running> {
    let (issuer, issuing) = listen(Arc::clone(&world), issuer, Side::Issuer).await?;
    let (records, recording) = listen(world, records, Side::Records).await?;
    Ok(Running { issuer, records, accepting: [issuing, recording] })
}

async fn listen(world: Arc<World>, address: SocketAddr, side: Side) -> io::Result<(SocketAddr, JoinHandle<()>)> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let task = tokio::spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    if let Ok((stream, _)) = accepted {
                        connections.spawn(wire::serve(Arc::clone(&world), stream, side));
                    }
                }
                Some(_) = connections.join_next() => {}
            }
        }
    });
    Ok((address, task))
}
