//! Each fault, between a client and a broker that are both made here: the broker answers every request with error code 0
//! and counts what arrives.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Api, AtBroker, AtClient, KafkaProxy, Moment, Script, frame, lock};

const PRODUCE: i16 = 0;
const INIT: i16 = 22;
const END: i16 = 26;
/// PRODUCER_FENCED
const TOLD: i16 = 90;

struct Stand {
    proxy: KafkaProxy,
    client: TcpStream,
    arrived: Arc<Mutex<Vec<(i16, i32)>>>,
}

impl Stand {
    fn new() -> Self {
        let broker = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = broker.local_addr().expect("an address");
        let arrived = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&arrived);
        std::thread::spawn(move || {
            for stream in broker.incoming().map_while(Result::ok) {
                let seen = Arc::clone(&seen);
                std::thread::spawn(move || serve(stream, &seen));
            }
        });
        let proxy = KafkaProxy::listen(1).expect("a proxy");
        proxy.connect_to(vec![address]);
        let client = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.ports[0])).expect("a connection");
        client.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
        Self { proxy, client, arrived }
    }

    /// What the broker has got of an api: the correlation ids.
    fn arrived(&self, key: i16) -> Vec<i32> {
        lock(&self.arrived).iter().filter(|(api, _)| *api == key).map(|(_, correlation)| *correlation).collect()
    }

    fn ask(&mut self, key: i16, correlation: i32) -> Seen {
        frame::write(&mut self.client, &request(key, correlation, "tx")).expect("a request");
        match frame::read(&mut self.client) {
            Ok(Some(answer)) => {
                assert_eq!(frame::correlation(&answer), Some(correlation));
                Seen::Answer(i16::from_be_bytes([answer[8], answer[9]]))
            }
            Ok(None) => Seen::Cut,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Seen::Cut,
            Err(_) => Seen::Silence,
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Answer(i16),
    Silence,
    Cut,
}

fn serve(mut stream: TcpStream, seen: &Mutex<Vec<(i16, i32)>>) {
    while let Ok(Some(bytes)) = frame::read(&mut stream) {
        let correlation = frame::correlation(&bytes[4..]).expect("a correlation id");
        lock(seen).push((i16::from_be_bytes([bytes[0], bytes[1]]), correlation));
        let answer = [&correlation.to_be_bytes()[..], &[0; 6]].concat();
        if frame::write(&mut stream, &answer).is_err() {
            return;
        }
    }
}

fn request(key: i16, correlation: i32, producer: &str) -> Vec<u8> {
    let string = |text: &str| [&i16::try_from(text.len()).expect("short").to_be_bytes(), text.as_bytes()].concat();
    let mut bytes = [key.to_be_bytes(), 1_i16.to_be_bytes()].concat();
    bytes.extend(correlation.to_be_bytes());
    bytes.extend(string("client"));
    bytes.extend(string(producer));
    bytes
}

#[test]
fn without_a_script_everything_passes() {
    let mut stand = Stand::new();
    assert_eq!(stand.ask(END, 1), Seen::Answer(0));
    // A kind that no script knows.
    assert_eq!(stand.ask(18, 2), Seen::Answer(0));
    assert_eq!((stand.arrived(END), stand.arrived(18)), (vec![1], vec![2]));
}

#[test]
fn the_nth_request_of_that_kind_and_producer_is_lost() {
    let mut stand = Stand::new();
    let end = || Script::on(Api::EndTxn).at_broker(AtBroker::Never);
    let other = stand.proxy.arm(end().of("other"));
    let second = stand.proxy.arm(end().of("t").nth(2));
    assert_eq!(stand.ask(PRODUCE, 1), Seen::Answer(0));
    assert_eq!(stand.ask(END, 2), Seen::Answer(0));
    assert_eq!(stand.ask(END, 3), Seen::Silence);
    assert_eq!(stand.ask(END, 4), Seen::Answer(0));
    assert_eq!(stand.arrived(END), [2, 4]);
    assert_eq!((other.hits(), second.hits()), (0, 1));
}

#[test]
fn a_lost_answer_is_silence_a_cut_or_another_answer() {
    for (at_client, seen) in
        [(AtClient::Silence, Seen::Silence), (AtClient::Cut, Seen::Cut), (AtClient::Told(TOLD), Seen::Answer(TOLD))]
    {
        let mut stand = Stand::new();
        stand.proxy.arm(Script::on(Api::EndTxn).at_client(at_client));
        assert_eq!(stand.ask(END, 1), seen);
        assert_eq!(stand.arrived(END), [1], "{at_client:?}");
    }
}

#[test]
fn a_lost_request_is_a_cut_or_another_answer_too() {
    for (at_client, seen) in [(AtClient::Cut, Seen::Cut), (AtClient::Told(TOLD), Seen::Answer(TOLD))] {
        let mut stand = Stand::new();
        stand.proxy.arm(Script::on(Api::EndTxn).at_broker(AtBroker::Never).at_client(at_client));
        assert_eq!(stand.ask(END, 1), seen);
        assert!(stand.arrived(END).is_empty(), "{at_client:?}");
    }
}

#[test]
fn a_repeated_request_arrives_twice_and_is_answered_once() {
    let mut stand = Stand::new();
    stand.proxy.arm(Script::on(Api::EndTxn).at_broker(AtBroker::Twice));
    assert_eq!(stand.ask(END, 1), Seen::Answer(0));
    assert_eq!(stand.ask(END, 2), Seen::Answer(0));
    assert_eq!(stand.arrived(END), [1, 1, 2]);
}

#[test]
fn a_delayed_request_is_answered_later() {
    let mut stand = Stand::new();
    stand.client.set_read_timeout(None).expect("no timeout");
    let delay = Duration::from_millis(300);
    stand.proxy.arm(Script::on(Api::EndTxn).at_broker(AtBroker::Delayed(delay)));
    let start = std::time::Instant::now();
    assert_eq!(stand.ask(END, 1), Seen::Answer(0));
    assert!(start.elapsed() >= delay);
}

#[test]
fn a_request_that_is_kept_back_arrives_at_its_moment_and_copies_of_it_never() {
    for (moment, order) in [
        (Moment::BeforeInit, [(END, 1), (INIT, 3), (PRODUCE, 4)]),
        (Moment::AfterInit, [(INIT, 3), (END, 1), (PRODUCE, 4)]),
        (Moment::NextTransaction, [(INIT, 3), (PRODUCE, 4), (END, 1)]),
    ] {
        let mut stand = Stand::new();
        let late =
            Script::on(Api::EndTxn).until_init().at_broker(AtBroker::Late(moment)).at_client(AtClient::Told(TOLD));
        let scripted = stand.proxy.arm(late);
        assert_eq!(stand.ask(END, 1), Seen::Answer(TOLD));
        assert_eq!(stand.ask(END, 2), Seen::Answer(TOLD));
        assert_eq!(stand.ask(INIT, 3), Seen::Answer(0));
        assert_eq!(stand.ask(PRODUCE, 4), Seen::Answer(0));
        // Initialised: the script is at its end.
        assert_eq!(stand.ask(END, 5), Seen::Answer(0));
        assert_eq!(*lock(&stand.arrived), [order.as_slice(), &[(END, 5)]].concat(), "{moment:?}");
        assert_eq!((scripted.hits(), scripted.late_answers()), (2, vec![0]));
    }
}

#[test]
fn a_request_that_is_kept_back_arrives_when_the_test_says_so() {
    let mut stand = Stand::new();
    let scripted =
        stand.proxy.arm(Script::on(Api::EndTxn).at_broker(AtBroker::Late(Moment::Asked)).at_client(AtClient::Cut));
    assert_eq!(stand.ask(END, 1), Seen::Cut);
    assert!(stand.arrived(END).is_empty());
    stand.proxy.release().expect("a broker");
    assert_eq!((stand.arrived(END), scripted.late_answers()), (vec![1], vec![0]));
}

#[test]
fn all_connections_are_cut() {
    let mut stand = Stand::new();
    assert_eq!(stand.ask(END, 1), Seen::Answer(0));
    stand.proxy.cut_all();
    assert_eq!(stand.ask(END, 2), Seen::Cut);
}
