//! Frames of Kafka's protocol, as far as a script needs to know them. Source: the Kafka protocol guide.

use std::io::{self, Read, Write};
use std::net::TcpStream;

/// A request's kind, by its api key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// 0
    Produce,
    /// 1
    Fetch,
    /// 3
    Metadata,
    /// 10
    FindCoordinator,
    /// 22
    InitProducerId,
    /// 24
    AddPartitionsToTxn,
    /// 26
    EndTxn,
}

impl Api {
    /// Its kind, and the first version whose strings have compact lengths.
    fn of(key: i16) -> Option<(Self, i16)> {
        Some(match key {
            0 => (Self::Produce, 9),
            1 => (Self::Fetch, 12),
            3 => (Self::Metadata, 9),
            10 => (Self::FindCoordinator, 3),
            22 => (Self::InitProducerId, 2),
            24 => (Self::AddPartitionsToTxn, 3),
            26 => (Self::EndTxn, 3),
            _ => return None,
        })
    }

    /// Whether its body begins with the transactional id; a coordinator is asked for with it as the key.
    fn names_producer(self) -> bool {
        !matches!(self, Self::Fetch | Self::Metadata)
    }
}

/// What a request says of itself, if it is of a kind that scripts know.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) api: Api,
    pub(super) correlation: i32,
    /// The transactional id, if the request has one.
    pub(super) producer: Option<String>,
    flexible: bool,
}

impl Request {
    /// None for a request of another kind.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let key = i16::from_be_bytes(take(&mut rest)?);
        let version = i16::from_be_bytes(take(&mut rest)?);
        let correlation = i32::from_be_bytes(take(&mut rest)?);
        let (api, compact_from) = Api::of(key)?;
        let flexible = version >= compact_from;
        let producer = if api.names_producer() { producer(rest, flexible) } else { None };
        Some(Self { api, correlation, producer, flexible })
    }

    /// The answer to an EndTxn request with an error code.
    pub(super) fn told(&self, code: i16) -> Vec<u8> {
        let mut answer = self.correlation.to_be_bytes().to_vec();
        let tags: &[u8] = if self.flexible { &[0] } else { &[] };
        answer.extend(tags);
        answer.extend([0; 4]);
        answer.extend(code.to_be_bytes());
        answer.extend(tags);
        answer
    }
}

/// The client's id comes first, then, in flexible versions, an empty list of tags; then the transactional id.
fn producer(mut rest: &[u8], flexible: bool) -> Option<String> {
    skip_string(&mut rest)?;
    let length = if flexible {
        let [_tags] = take(&mut rest)?;
        let [length] = take::<1>(&mut rest)?;
        usize::from(length).checked_sub(1).filter(|length| *length < 127)?
    } else {
        usize::try_from(i16::from_be_bytes(take(&mut rest)?)).ok()?
    };
    String::from_utf8(rest.get(..length)?.to_vec()).ok()
}

fn skip_string(rest: &mut &[u8]) -> Option<()> {
    let length = i16::from_be_bytes(take(rest)?);
    *rest = rest.get(usize::try_from(length).unwrap_or(0)..)?;
    Some(())
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*first)
}

/// The error code of an answer that begins with the throttle time, as those of EndTxn and InitProducerId do.
pub(super) fn error_code(request: &Request, answer: &[u8]) -> Option<i16> {
    let at = 4 + usize::from(request.flexible) + 4;
    Some(i16::from_be_bytes(*answer.get(at..)?.first_chunk()?))
}

/// The correlation id that an answer begins with.
pub(super) fn correlation(answer: &[u8]) -> Option<i32> {
    Some(i32::from_be_bytes(*answer.first_chunk()?))
}

/// The next frame without its length; none at the end of the stream.
pub(super) fn read(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match stream.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        result => result?,
    }
    let length = usize::try_from(i32::from_be_bytes(length)).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes)?;
    Ok(Some(bytes))
}

pub(super) fn write(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    let length = i32::try_from(bytes.len()).map_err(io::Error::other)?;
    let frame = [&length.to_be_bytes(), bytes].concat();
    stream.write_all(&frame)
}
