//! From the bytes of the MySQL binlog to the rows of the tables that we follow.
//!
//! Decoding here is pure: slices in, values out, no I/O, no panic on any input, and work and memory bounded by the
//! length of the input.

mod bytes;
mod charset;
mod debezium;
mod decimal;
mod java_float;
mod temporal;

pub mod jsonb;
pub mod rows;
pub mod table;
pub mod value;

pub use bytes::DecodeError;
pub use charset::Charset;

#[cfg(test)]
mod tests;
