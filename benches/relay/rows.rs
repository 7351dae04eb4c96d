//! The rows: a usual outbox with a JSON payload of about 220 bytes as Kafka gets it.

use std::fmt::Write;

/// DDL of the outbox table, as Debezium's documentation has it.
pub(crate) const COLUMNS: &str = "id CHAR(36) NOT NULL PRIMARY KEY, aggregatetype VARCHAR(255) NOT NULL, \
     aggregateid VARCHAR(255) NOT NULL, type VARCHAR(255) NOT NULL, payload JSON";

/// Keys are `ord-00000` to `ord-19999`.
pub(crate) const KEYS: usize = 20_000;

/// Sessions that write at the same time. Row n is written by session n mod this; because it divides [`KEYS`] and
/// [`key`]'s factor is odd, all rows of a key come from one session, so that their order is the order of n.
pub(crate) const SESSIONS: usize = 8;

fn key(n: u64) -> u64 {
    n * 7919 % KEYS as u64
}

/// Pseudo-random numbers (xorshift64): the same rows in every run.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(0x9E37_79B9_7F4A_7C15 ^ (seed + 1).wrapping_mul(0x0139_408D_CBBF_7A44))
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Appends row `n` to the values of an INSERT.
pub(crate) fn write_values(n: u64, random: &mut Random, sql: &mut String) {
    let key = key(n);
    let mut r = |limit| random.below(limit);
    let id = (r(1 << 32), n & 0xffff, n >> 16 & 0xfff, r(1 << 16), r(1 << 48));
    // Unique, since it holds the 28 low bits of n.
    let written = write!(
        sql,
        "('{:08x}-{:04x}-7{:03x}-{:04x}-{:012x}','Order','ord-{key:05}','OrderCreated','{{\"n\":{n},\"ts\":0,\
         \"orderId\":\"ord-{key:05}\",\"customer\":\"cust-{:07}\",\"currency\":\"EUR\",\"amount\":{}.{:02},\
         \"items\":[{{\"sku\":\"SKU-{:06}\",\"qty\":{}}},{{\"sku\":\"SKU-{:06}\",\"qty\":{}}}],\"seg\":\"bench\",\
         \"note\":\"{:015x}{:015x}\"}}')",
        id.0,
        id.1,
        id.2,
        id.3,
        id.4,
        r(10_000_000),
        1 + r(998),
        r(100),
        r(1_000_000),
        1 + r(8),
        r(1_000_000),
        1 + r(8),
        r(1 << 60),
        r(1 << 60),
    );
    written.unwrap_or_else(|_| unreachable!("a String takes everything"));
}

/// The `n` of a record's value.
pub(crate) fn number(value: &[u8]) -> Option<u64> {
    const NAME: &[u8] = b"\"n\":";
    let start = value.windows(NAME.len()).position(|window| window == NAME)? + NAME.len();
    let digits = value[start..].iter().take_while(|byte| byte.is_ascii_digit());
    let mut digits = digits.peekable();
    digits.peek()?;
    Some(digits.fold(0, |n, digit| n * 10 + u64::from(digit - b'0')))
}
