//! Stands between relay and MySQL, knows MySQL's packets, and harms the stream: cuts it inside a source transaction, holds it
//! without closing it, ends it by an EOF packet, changes a byte, or leads to another server.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

/// Event types that begin a group: GTID, anonymous GTID, tagged GTID, MariaDB's GTID.
const GROUP_STARTS: [u8; 4] = [33, 34, 42, 162];

/// Event types that carry inserted rows.
const ROW_EVENTS: [u8; 2] = [23, 30];

/// A proxy for plain (not encrypted) connections. It lives as long as the test's process.
#[derive(Clone)]
pub(crate) struct Proxy {
    /// Where it listens.
    pub(crate) port: u16,
    state: Arc<State>,
}

struct State {
    /// Events of a group to let through before the cut; negative: no cut.
    cut_after: AtomicI64,
    cuts: AtomicU64,
    /// The next event is replaced by an EOF packet.
    end: AtomicBool,
    /// The next row event has a byte changed.
    flip: AtomicBool,
    /// Nothing passes.
    held: Mutex<bool>,
    released: Condvar,
    /// The server's port.
    target: AtomicU16,
}

impl Proxy {
    /// Listens, and forwards to the server at `target`.
    pub(crate) fn start(target: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            cut_after: AtomicI64::new(-1),
            cuts: AtomicU64::new(0),
            end: AtomicBool::new(false),
            flip: AtomicBool::new(false),
            held: Mutex::new(false),
            released: Condvar::new(),
            target: AtomicU16::new(target),
        });
        let proxy = Self { port, state };
        let accepting = proxy.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let target = accepting.state.target.load(Ordering::SeqCst);
                if let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)) {
                    accepting.connect(client, server);
                }
            }
        });
        proxy
    }

    /// Cuts the connection once in the next group that has more than `events` events: in the middle of the event behind
    /// so many.
    pub(crate) fn cut_after(&self, events: u32) {
        self.state.cut_after.store(events.into(), Ordering::SeqCst);
    }

    /// Ends the dump by an EOF packet instead of the next event.
    pub(crate) fn end_stream(&self) {
        self.state.end.store(true, Ordering::SeqCst);
    }

    /// Changes a byte of the next row event.
    pub(crate) fn flip(&self) {
        self.state.flip.store(true, Ordering::SeqCst);
    }

    /// Lets nothing through any more, or everything again; connections stay open.
    pub(crate) fn hold(&self, held: bool) {
        *self.state.held.lock().unwrap() = held;
        self.state.released.notify_all();
    }

    /// Leads new connections to another server.
    pub(crate) fn lead_to(&self, target: u16) {
        self.state.target.store(target, Ordering::SeqCst);
    }

    /// Harm done so far.
    pub(crate) fn cuts(&self) -> u64 {
        self.state.cuts.load(Ordering::SeqCst)
    }

    fn connect(&self, client: TcpStream, server: TcpStream) {
        let (mut up_from, mut up_to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let holding = Arc::clone(&self.state);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = up_from.read(&mut bytes) {
                holding.wait_while_held();
                if up_to.write_all(&bytes[..read]).is_err() {
                    break;
                }
            }
            let _ = up_to.shutdown(Shutdown::Both);
        });
        let state = Arc::clone(&self.state);
        std::thread::spawn(move || {
            let _ = state.forward(&server, &client);
            let _ = client.shutdown(Shutdown::Both);
            let _ = server.shutdown(Shutdown::Both);
        });
    }
}

impl State {
    fn wait_while_held(&self) {
        let held = self.held.lock().unwrap();
        drop(self.released.wait_while(held, |held| *held).unwrap());
    }

    /// Packets of the server, one by one; an error or a cut ends it.
    fn forward(&self, mut server: &TcpStream, mut client: &TcpStream) -> std::io::Result<()> {
        // Events since the start of a group. No harm is done to the first group, which is read again to compare histories.
        let (mut groups, mut in_group) = (0, 0_i64);
        loop {
            let mut packet = vec![0; 4];
            server.read_exact(&mut packet)?;
            let length = usize::from(packet[0]) | usize::from(packet[1]) << 8 | usize::from(packet[2]) << 16;
            packet.resize(4 + length, 0);
            server.read_exact(&mut packet[4..])?;
            // OK byte, then the event's header: four bytes of time, one of type.
            let event = (packet.len() > 23 && packet[4] == 0).then(|| packet[9]);
            if event.is_some_and(|kind| GROUP_STARTS.contains(&kind)) {
                (groups, in_group) = (groups + 1, 0);
            }
            let cut_after = self.cut_after.load(Ordering::SeqCst);
            if groups > 1 && cut_after >= 0 && in_group == cut_after {
                self.cut_after.store(-1, Ordering::SeqCst);
                self.cuts.fetch_add(1, Ordering::SeqCst);
                return client.write_all(&packet[..packet.len() / 2]);
            }
            self.wait_while_held();
            if groups > 1 && event.is_some() && self.end.swap(false, Ordering::SeqCst) {
                self.cuts.fetch_add(1, Ordering::SeqCst);
                return client.write_all(&[5, 0, 0, packet[3], 0xFE, 0, 0, 2, 0]);
            }
            let rows = groups > 1 && event.is_some_and(|kind| ROW_EVENTS.contains(&kind));
            if rows && self.flip.swap(false, Ordering::SeqCst) {
                self.cuts.fetch_add(1, Ordering::SeqCst);
                let middle = packet.len() / 2;
                packet[middle] ^= 1;
            }
            client.write_all(&packet)?;
            in_group += i64::from(event.is_some());
        }
    }
}
