//! One client's connection and the one behind it.

use std::collections::HashMap;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};

use anyhow::{Result, bail};

use super::frame::{self, Request};
use super::script::{AtBroker, AtClient, Moment, Orders};
use super::{Api, Shared, lock};

#[derive(Debug)]
pub(super) struct Connection {
    node: usize,
    client: TcpStream,
    broker: TcpStream,
    /// Answers of the proxy's own come between those of the broker.
    to_client: Mutex<TcpStream>,
    /// Requests under way that somebody wants to know the answer of.
    pending: Mutex<HashMap<i32, Pending>>,
}

#[derive(Debug)]
struct Pending {
    request: Request,
    at_client: AtClient,
    /// A second answer comes, which nobody is to see.
    twice: bool,
}

impl Connection {
    pub(super) fn new(node: usize, client: TcpStream, broker: TcpStream) -> Result<Self> {
        client.set_nodelay(true)?;
        let to_client = Mutex::new(client.try_clone()?);
        Ok(Self { node, client, broker, to_client, pending: Mutex::default() })
    }

    /// Forwards both ways until either side ends; an error on one side ends both.
    pub(super) fn run(self: Arc<Self>, shared: &Arc<Shared>) -> Result<()> {
        let (from_client, mut from_broker) = (self.client.try_clone()?, self.broker.try_clone()?);
        let (up, down) = (Arc::clone(&self), self);
        let (up_shared, down_shared) = (Arc::clone(shared), Arc::clone(shared));
        std::thread::spawn(move || {
            let _ = up.forward_requests(from_client, &up_shared);
            up.cut();
        });
        std::thread::spawn(move || {
            while let Ok(Some(answer)) = frame::read(&mut from_broker) {
                if down.forward_answer(&answer, &down_shared).is_err() {
                    break;
                }
            }
            down.cut();
        });
        Ok(())
    }

    /// Both ends see the end of the stream.
    pub(super) fn cut(&self) {
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.broker.shutdown(Shutdown::Both);
    }

    fn forward_requests(&self, mut from_client: TcpStream, shared: &Shared) -> Result<()> {
        let mut broker = self.broker.try_clone()?;
        while let Some(bytes) = frame::read(&mut from_client)? {
            match Request::parse(&bytes) {
                None => frame::write(&mut broker, &bytes)?,
                Some(request) => self.forward_request(request, &bytes, &mut broker, shared)?,
            }
        }
        Ok(())
    }

    fn forward_request(&self, request: Request, bytes: &[u8], broker: &mut TcpStream, shared: &Shared) -> Result<()> {
        if request.api == Api::InitProducerId {
            shared.release(Moment::BeforeInit, request.producer.as_deref())?;
        }
        let Orders { at_broker, at_client } = lock(&shared.stage).orders(self.node, &request, bytes);
        if matches!(at_broker, AtBroker::Never | AtBroker::Late(_)) {
            return match at_client {
                AtClient::Told(code) => Ok(frame::write(&mut lock(&self.to_client), &request.told(code))?),
                AtClient::Cut => bail!("cut by the script"),
                AtClient::Answer | AtClient::Silence => Ok(()),
            };
        }
        let twice = at_broker == AtBroker::Twice;
        lock(&self.pending).insert(request.correlation, Pending { request, at_client, twice });
        if let AtBroker::Delayed(delay) = at_broker {
            std::thread::sleep(delay);
        }
        for _ in 0..=u8::from(twice) {
            frame::write(broker, bytes)?;
        }
        Ok(())
    }

    fn forward_answer(&self, answer: &[u8], shared: &Shared) -> Result<()> {
        let Some(pending) = self.take_pending(answer) else {
            return Ok(frame::write(&mut lock(&self.to_client), answer)?);
        };
        let request = &pending.request;
        // The client goes on only when the late request has been served.
        match request.api {
            Api::Produce if request.producer.is_some() => {
                shared.release(Moment::NextTransaction, request.producer.as_deref())?;
            }
            Api::InitProducerId => shared.release(Moment::AfterInit, request.producer.as_deref())?,
            _ => {}
        }
        match pending.at_client {
            AtClient::Answer => frame::write(&mut lock(&self.to_client), answer)?,
            AtClient::Silence => {}
            AtClient::Cut => bail!("cut by the script"),
            AtClient::Told(code) => frame::write(&mut lock(&self.to_client), &request.told(code))?,
        }
        Ok(())
    }

    fn take_pending(&self, answer: &[u8]) -> Option<Pending> {
        let correlation = frame::correlation(answer)?;
        let mut all = lock(&self.pending);
        let pending = all.remove(&correlation)?;
        if pending.twice {
            let request = pending.request.clone();
            all.insert(correlation, Pending { request, at_client: AtClient::Silence, twice: false });
        }
        Some(pending)
    }
}
