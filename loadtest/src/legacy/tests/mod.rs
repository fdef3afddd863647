//! The simulated backend over its sockets: right with every fault off, harmful in the reported way with each one on.

mod client;
mod harm;
mod jobs;
mod paper;
mod storm;
mod throughput;
mod transport;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::{Running, World, WorldConfig, serve};

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

async fn served(config: WorldConfig) -> (Arc<World>, Running) {
    let world = World::new(config);
    let running = serve(Arc::clone(&world), ANY, ANY).await.unwrap();
    (world, running)
}
