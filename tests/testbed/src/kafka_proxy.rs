//! A proxy before a Kafka cluster that knows requests by their api and loses, keeps back or repeats the ones that a
//! script names.
//!
//! A [`Script`] has the two columns of any table of unknown outcomes: what happens [`AtBroker`], and what the client is
//! shown ([`AtClient`]). The cluster advertises the proxy's addresses, so no client of `EXTERNAL` gets past it; brokers and
//! the testbed's own tools talk over `INTERNAL`, undisturbed.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};

use crate::{Kafka, KafkaOptions};

mod connection;
mod frame;
mod script;
#[cfg(test)]
mod tests;

pub use frame::Api;
pub use script::{AtBroker, AtClient, Moment, Script, Scripted};

use connection::Connection;
use script::Stage;

/// Listens once for each broker. It lives as long as the process that started it.
#[derive(Debug, Clone)]
pub struct KafkaProxy {
    ports: Vec<u16>,
    shared: Arc<Shared>,
}

/// What all connections share.
#[derive(Debug, Default)]
struct Shared {
    stage: Mutex<Stage>,
    /// Where the brokers listen; empty until they do.
    upstream: Mutex<Vec<SocketAddr>>,
    open: Mutex<Vec<std::sync::Weak<Connection>>>,
}

impl KafkaProxy {
    /// Starts a cluster that can only be reached through the proxy.
    pub fn start(options: KafkaOptions) -> Result<(Kafka, Self)> {
        let proxy = Self::listen(options.brokers)?;
        let kafka = Kafka::start(KafkaOptions { advertised: Some(proxy.addresses()), ..options })?;
        let brokers = (0..proxy.ports.len()).map(|node| Ok((Ipv4Addr::LOCALHOST, kafka.port(node)?).into()));
        proxy.connect_to(brokers.collect::<Result<_>>()?);
        Ok((kafka, proxy))
    }

    fn listen(brokers: usize) -> Result<Self> {
        let listeners: Vec<TcpListener> =
            (0..brokers).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<std::io::Result<_>>()?;
        let ports = listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect::<Result<_>>()?;
        let proxy = Self { ports, shared: Arc::default() };
        for (node, listener) in listeners.into_iter().enumerate() {
            let shared = Arc::clone(&proxy.shared);
            std::thread::spawn(move || {
                for client in listener.incoming().map_while(std::io::Result::ok) {
                    // A broker that is down refuses; so does its proxy, by closing.
                    let _ = shared.accept(node, client);
                }
            });
        }
        Ok(proxy)
    }

    fn connect_to(&self, brokers: Vec<SocketAddr>) {
        *lock(&self.shared.upstream) = brokers;
    }

    /// What the brokers advertise.
    fn addresses(&self) -> Vec<String> {
        self.ports.iter().map(|port| format!("127.0.0.1:{port}")).collect()
    }

    /// Arms a script. Scripts are looked at in the order in which they were armed; the first that fits decides.
    pub fn arm(&self, script: Script) -> Scripted {
        lock(&self.shared.stage).arm(script)
    }

    /// Lets go of every request that was kept back until [`Moment::Asked`].
    pub fn release(&self) -> Result<()> {
        self.shared.release(Moment::Asked, None)
    }

    /// Cuts every connection.
    pub fn cut_all(&self) {
        for connection in lock(&self.shared.open).drain(..) {
            if let Some(connection) = connection.upgrade() {
                connection.cut();
            }
        }
    }
}

impl Shared {
    fn accept(self: &Arc<Self>, node: usize, client: TcpStream) -> Result<()> {
        let connection = Arc::new(Connection::new(node, client, self.dial(node)?)?);
        let mut open = lock(&self.open);
        open.retain(|other| other.strong_count() > 0);
        open.push(Arc::downgrade(&connection));
        drop(open);
        connection.run(self)
    }

    fn dial(&self, node: usize) -> Result<TcpStream> {
        let broker = lock(&self.upstream).get(node).copied().context("the broker is not up yet")?;
        let stream = TcpStream::connect(broker)?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Sends what was kept back until this moment, each request on a connection of its own, and notes the answers.
    fn release(&self, moment: Moment, producer: Option<&str>) -> Result<()> {
        let kept = lock(&self.stage).take_kept(moment, producer);
        for kept in kept {
            let mut broker = self.dial(kept.node)?;
            frame::write(&mut broker, &kept.bytes)?;
            let answer = frame::read(&mut broker)?.context("the broker closed the connection")?;
            let code = frame::error_code(&kept.request, &answer).context("an answer that is too short")?;
            kept.scripted.note_answer(code);
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
