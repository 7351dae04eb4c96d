//! Just enough of Kafka's protocol to ask a port whether a broker serves clients there.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

const TIMEOUT: Duration = Duration::from_secs(2);
const CLIENT: &str = "testbed";
const METADATA: i16 = 3;
const API_VERSIONS: i16 = 18;

/// How many live brokers the broker at `port` tells of.
pub(super) fn live_brokers(port: u16) -> Result<usize> {
    let address = (Ipv4Addr::LOCALHOST, port).into();
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let versions = ask(&mut stream, API_VERSIONS, 0, &[])?;
    ensure!(versions.starts_with(&[0, 0]), "ApiVersions was refused");
    // version 1, an empty list of topics: brokers only
    let metadata = ask(&mut stream, METADATA, 1, &0_i32.to_be_bytes())?;
    let count = metadata.first_chunk().context("a short answer")?;
    Ok(usize::try_from(i32::from_be_bytes(*count))?)
}

fn ask(stream: &mut TcpStream, api: i16, version: i16, body: &[u8]) -> Result<Vec<u8>> {
    let correlation = 1_i32;
    let mut request = Vec::new();
    request.extend(api.to_be_bytes());
    request.extend(version.to_be_bytes());
    request.extend(correlation.to_be_bytes());
    request.extend(i16::try_from(CLIENT.len())?.to_be_bytes());
    request.extend(CLIENT.as_bytes());
    request.extend(body);
    stream.write_all(&i32::try_from(request.len())?.to_be_bytes())?;
    stream.write_all(&request)?;

    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; usize::try_from(i32::from_be_bytes(length))?];
    stream.read_exact(&mut answer)?;
    let rest = answer.strip_prefix(&correlation.to_be_bytes()[..]);
    Ok(rest.context("another request's answer")?.to_vec())
}
