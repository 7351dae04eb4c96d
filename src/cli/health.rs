//! `outboxd health`: one HTTP request, for containers that have no shell and no HTTP client.

use super::ConfigArguments;
use clap::Args;
use outboxd::config;
use outboxd::error::exit;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// Probes are repeated every few seconds; a relay that needs longer than this is not well.
const PATIENCE: Duration = Duration::from_secs(2);
const DEFAULT_ADDRESS: &str = "127.0.0.1:9464";
const NOT_WELL: u8 = 1;

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// What to ask [default: http://ADDRESS/readyz with http.listen of the configuration, else 127.0.0.1:9464]
    #[arg(long)]
    url: Option<String>,
    #[command(flatten)]
    config: ConfigArguments,
}

/// Asks, and prints the answer's first line.
pub(super) fn health(arguments: &Arguments) -> u8 {
    let url = arguments.url.clone().unwrap_or_else(|| default_url(&arguments.config));
    match probe(&url) {
        Ok(status) => {
            println!("{url}: {status}");
            if (200..300).contains(&status) { exit::OK } else { NOT_WELL }
        }
        Err(error) => {
            eprintln!("{url}: {error}");
            NOT_WELL
        }
    }
}

/// A configuration with mistakes does not keep a running relay from being well, so they are no concern here.
fn default_url(arguments: &ConfigArguments) -> String {
    let listen = config::load(&arguments.sources()).ok().and_then(|loaded| loaded.config.http.listen);
    listen.map_or_else(
        || format!("http://{DEFAULT_ADDRESS}/readyz"),
        |address| format!("http://{}/readyz", reachable(address)),
    )
}

/// "Any address" is one to listen on, not one to connect to.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

fn probe(url: &str) -> io::Result<u16> {
    let (authority, path) = split_url(url).ok_or_else(|| invalid("the URL must be http://HOST:PORT/PATH"))?;
    let address = authority.to_socket_addrs()?.next().ok_or_else(|| invalid("the host has no address"))?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    // Formatted first, so that it leaves as one packet.
    stream.write_all(request.as_bytes())?;
    // `HTTP/1.1 200`: all that is needed.
    let mut start = [0; 12];
    stream.read_exact(&mut start)?;
    let status = std::str::from_utf8(&start).ok().filter(|text| text.starts_with("HTTP/1."));
    status.and_then(|text| text.get(9..)?.parse().ok()).ok_or_else(|| invalid("the answer is not HTTP"))
}

fn split_url(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("http://")?;
    let (authority, path) = rest.find('/').map_or((rest, "/"), |i| rest.split_at(i));
    let plain = !url.chars().any(|c| c.is_control() || c.is_whitespace());
    (plain && authority.contains(':')).then_some((authority, path))
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;

    /// Answers one request with `answer`.
    fn answering(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/readyz", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let (mut request, mut lines) = (String::new(), BufReader::new(&stream));
            while !request.ends_with("\r\n\r\n") {
                assert_ne!(lines.read_line(&mut request).unwrap(), 0);
            }
            assert!(request.starts_with("GET /readyz HTTP/1.1\r\nHost: 127.0.0.1:"));
            stream.write_all(answer.as_bytes()).unwrap();
        });
        url
    }

    fn ask(url: String) -> u8 {
        health(&Arguments { url: Some(url), config: ConfigArguments::default() })
    }

    #[test]
    fn the_status_decides() {
        assert_eq!(ask(answering("HTTP/1.1 200 OK\r\n\r\n")), 0);
        assert_eq!(ask(answering("HTTP/1.1 503 Service Unavailable\r\n\r\n")), 1);
        assert_eq!(ask(answering("SSH-2.0-OpenSSH_9\r\n")), 1);
        assert_eq!(ask(answering("")), 1);
    }

    #[test]
    fn unusable_urls_are_not_well() {
        for url in ["https://a:1/", "http://a/", "http://a:1/\r\nX: y", "127.0.0.1:9464"] {
            assert_eq!(ask(url.to_owned()), 1, "{url}");
        }
    }

    #[test]
    fn any_address_is_asked_on_loopback() {
        assert_eq!(reachable("0.0.0.0:80".parse().unwrap()), "127.0.0.1:80".parse().unwrap());
        assert_eq!(reachable("[::]:80".parse().unwrap()), "[::1]:80".parse().unwrap());
    }
}
