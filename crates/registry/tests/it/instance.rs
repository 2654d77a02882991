//! A registry on a port of its own.

use net::server::{HostPolicy, Listener, Server, ServerConfig};
use registry::{Config, Registry};
use runtime::clock::Clock;
use runtime::disk::{RealDisk, SharedDisk};
use runtime::instrument;
use runtime::shutdown::Shutdown;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub(crate) struct Instance {
    pub(crate) address: SocketAddr,
    shutdown: Shutdown,
    clock: Clock,
}

impl Instance {
    pub(crate) async fn start(config: Config) -> Instance {
        Instance::start_on(config, Arc::new(RealDisk)).await
    }

    pub(crate) async fn start_on(config: Config, disk: SharedDisk) -> Instance {
        let clock = Clock::system();
        let instruments = instrument::Registry::new(clock.clone());
        let registry = Registry::open(config, disk, clock.clone(), &instruments).await.expect("registry opens");
        let server = ServerConfig { hosts: HostPolicy::default(), ..ServerConfig::new("registry", "127.0.0.1:0") };
        let listener = Listener::bind(&server).await.expect("a free port");
        let address = listener.local_addr();
        let shutdown = Shutdown::new();
        let server = Server::new(listener, server, registry.routes(), &clock, &instruments);
        let until = shutdown.clone();
        shutdown.spawn("http", async move { server.run(&until).await });
        let until = shutdown.clone();
        shutdown.spawn("checks", async move { registry.run(&until).await });
        Instance { address, shutdown, clock }
    }

    pub(crate) async fn stop(self) {
        self.shutdown.stop();
        self.shutdown.join(&self.clock, Duration::from_secs(15)).await.expect("everything ends");
    }
}
