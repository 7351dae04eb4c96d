//! The one audited module: direct calls into librdkafka. `unsafe` is denied everywhere else.
//!
//! Why not the wrapper's methods: its `commit_transaction` flushes by polling in steps of 100 ms that do not return
//! early, and its `send` allocates a topic name and a header list for each record. The calls here are the library's own,
//! with borrowed arguments that it copies before it returns (`RD_KAFKA_MSG_F_COPY`). ADR 0004 has the argument.
//!
//! What the safety of this module rests on:
//! - a [`TopicHandle`] is destroyed before its producer, which it keeps alive;
//! - every pointer handed over lives until the call returns, and librdkafka keeps none of them;
//! - an error object returned by librdkafka is read and destroyed exactly once, in `take_error`;
//! - the client handle is thread-safe (librdkafka `INTRODUCTION.md`, "Threads and callbacks").
#![expect(unsafe_code, reason = "the audited calls into librdkafka; see the module documentation")]

use std::ffi::{CStr, CString, c_void};
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::bindings as native;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{Producer, ProducerContext, ThreadedProducer};

use crate::record::Record;
use crate::record::headers::MAX_HEADERS;

/// Arguments of one produce call besides headers: topic, partition, flags, timestamp, key, value.
const FIXED_ARGUMENTS: usize = 6;

/// Length of one wait for acknowledgements.
const FLUSH_STEP: Duration = Duration::from_millis(2);

/// A failure as librdkafka reports it.
#[derive(Clone, Debug)]
pub struct NativeError {
    /// Its code.
    pub code: RDKafkaErrorCode,
    /// Its text.
    pub message: String,
    /// The producer is unusable for good.
    pub fatal: bool,
    /// The call may be repeated.
    pub retriable: bool,
    /// librdkafka wants the transaction aborted.
    pub requires_abort: bool,
}

impl std::fmt::Display for NativeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}: {}", self.code, self.message)
    }
}

/// A topic of one producer, which it keeps alive.
pub struct TopicHandle<C: ProducerContext + 'static> {
    topic: NonNull<native::rd_kafka_topic_t>,
    producer: Arc<NativeProducer<C>>,
}

// SAFETY: topic objects are reference-counted and locked inside librdkafka; any thread may use them.
unsafe impl<C: ProducerContext + 'static> Send for TopicHandle<C> {}
// SAFETY: as above.
unsafe impl<C: ProducerContext + 'static> Sync for TopicHandle<C> {}

impl<C: ProducerContext + 'static> Drop for TopicHandle<C> {
    fn drop(&mut self) {
        // SAFETY: the pointer came from `rd_kafka_topic_new` and is destroyed once, before its producer.
        unsafe { native::rd_kafka_topic_destroy(self.topic.as_ptr()) };
    }
}

impl<C: ProducerContext + 'static> TopicHandle<C> {
    /// Opens a topic of `producer`.
    ///
    /// # Errors
    /// librdkafka's refusal of the name.
    pub fn open(producer: &Arc<NativeProducer<C>>, name: &str) -> Result<Self, NativeError> {
        let illegal = || NativeError::local(RDKafkaErrorCode::InvalidTopic, "topic name");
        let name = CString::new(name).map_err(|_| illegal())?;
        // SAFETY: the client lives as long as the handle; the name is copied; a null configuration means defaults.
        let topic = unsafe { native::rd_kafka_topic_new(producer.client(), name.as_ptr(), std::ptr::null_mut()) };
        Ok(Self { topic: NonNull::new(topic).ok_or_else(illegal)?, producer: Arc::clone(producer) })
    }

    /// Enqueues a record. Never blocks; the bytes are copied.
    ///
    /// # Errors
    /// The local refusal: a full queue, a fatal state, too many headers.
    pub fn enqueue(&self, record: &Record<'_>) -> Result<(), NativeError> {
        let headers = record.headers();
        if headers.len() > MAX_HEADERS {
            return Err(NativeError::local(RDKafkaErrorCode::InvalidArgument, "too many headers"));
        }
        let mut arguments = [no_argument(); FIXED_ARGUMENTS + MAX_HEADERS];
        let mut used = 0;
        let mut push = |argument| {
            arguments[used] = argument;
            used += 1;
        };
        push(self.argument());
        push(partition_argument(record.partition));
        push(flags_argument());
        push(timestamp_argument(record.timestamp_ms));
        push(bytes_argument(native::rd_kafka_vtype_t::RD_KAFKA_VTYPE_KEY, record.key));
        push(bytes_argument(native::rd_kafka_vtype_t::RD_KAFKA_VTYPE_VALUE, record.value));
        for (name, value) in headers {
            push(header_argument(name, value));
        }
        // SAFETY: the first `used` arguments are initialised and point into `record` and `self`, which outlive the call.
        let error = unsafe { native::rd_kafka_produceva(self.producer.client(), arguments.as_ptr(), used) };
        take_error(error)
    }

    fn argument(&self) -> Argument {
        argument(native::rd_kafka_vtype_t::RD_KAFKA_VTYPE_RKT, ArgumentValue { rkt: self.topic.as_ptr() })
    }
}

impl<C: ProducerContext + 'static> std::fmt::Debug for TopicHandle<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TopicHandle").finish_non_exhaustive()
    }
}

/// A producer whose event queue is served by the wrapper's own thread.
pub struct NativeProducer<C: ProducerContext + 'static>(ThreadedProducer<C>);

impl<C: ProducerContext + 'static> NativeProducer<C> {
    /// Takes over a wrapped producer.
    pub fn new(producer: ThreadedProducer<C>) -> Self {
        Self(producer)
    }

    /// The wrapped producer.
    pub fn wrapper(&self) -> &ThreadedProducer<C> {
        &self.0
    }

    /// Why the producer is unusable for good, if it is.
    pub fn fatal_error(&self) -> Option<RDKafkaErrorCode> {
        self.0.client().fatal_error().map(|(code, _)| code)
    }

    /// Waits until every enqueued record is acknowledged or has failed.
    ///
    /// # Errors
    /// `OperationTimedOut`-like codes when the time is up first.
    pub fn flush(&self, timeout: Duration) -> Result<(), NativeError> {
        let deadline = Instant::now() + timeout;
        loop {
            // Each call wakes the broker threads, but only at its start, when the partitions may not have joined the
            // transaction yet: records would then wait for `linger.ms` and more.
            // SAFETY: the client lives as long as self.
            let code = unsafe { native::rd_kafka_flush(self.client(), millis(FLUSH_STEP)) };
            match RDKafkaErrorCode::from(code) {
                RDKafkaErrorCode::NoError => return Ok(()),
                RDKafkaErrorCode::OperationTimedOut if Instant::now() < deadline => {}
                code => return Err(NativeError::local(code, "waiting for acknowledgements")),
            }
        }
    }

    /// Commits the open transaction (EndTxn). Blocks until the outcome is known or the time is up.
    ///
    /// # Errors
    /// Any error leaves the outcome unknown; see `classify`.
    pub fn commit_transaction(&self, timeout: Duration) -> Result<(), NativeError> {
        // SAFETY: the client lives as long as self.
        take_error(unsafe { native::rd_kafka_commit_transaction(self.client(), millis(timeout)) })
    }

    /// Begins a transaction. A local state change.
    ///
    /// # Errors
    /// A fatal or fenced producer.
    pub fn begin_transaction(&self) -> Result<(), NativeError> {
        // SAFETY: the client lives as long as self.
        take_error(unsafe { native::rd_kafka_begin_transaction(self.client()) })
    }

    /// Gets a producer id and epoch: fences every older producer of this transactional id and decides its last
    /// transaction. Blocks.
    ///
    /// # Errors
    /// Retriable ones may be repeated on the same producer.
    pub fn init_transactions(&self, timeout: Duration) -> Result<(), NativeError> {
        // SAFETY: the client lives as long as self.
        take_error(unsafe { native::rd_kafka_init_transactions(self.client(), millis(timeout)) })
    }

    fn client(&self) -> *mut native::rd_kafka_t {
        self.0.client().native_ptr()
    }
}

impl<C: ProducerContext + 'static> std::fmt::Debug for NativeProducer<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NativeProducer").finish_non_exhaustive()
    }
}

impl NativeError {
    fn local(code: RDKafkaErrorCode, message: &str) -> Self {
        Self { code, message: message.to_owned(), fatal: false, retriable: false, requires_abort: false }
    }
}

/// Reads and frees an error object; null means success.
fn take_error(error: *mut native::rd_kafka_error_t) -> Result<(), NativeError> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: the pointer is a live error object that nobody else holds; it is freed once, after everything was read.
    unsafe {
        let result = NativeError {
            code: native::rd_kafka_error_code(error).into(),
            message: CStr::from_ptr(native::rd_kafka_error_string(error)).to_string_lossy().into_owned(),
            fatal: native::rd_kafka_error_is_fatal(error) != 0,
            retriable: native::rd_kafka_error_is_retriable(error) != 0,
            requires_abort: native::rd_kafka_error_txn_requires_abort(error) != 0,
        };
        native::rd_kafka_error_destroy(error);
        Err(result)
    }
}

type Argument = native::rd_kafka_vu_t;
type ArgumentValue = native::rd_kafka_vu_s__bindgen_ty_1;

fn argument(kind: native::rd_kafka_vtype_t, u: ArgumentValue) -> Argument {
    Argument { vtype: kind, u }
}

fn no_argument() -> Argument {
    argument(native::rd_kafka_vtype_t::RD_KAFKA_VTYPE_END, ArgumentValue { i32_: 0 })
}

fn partition_argument(partition: i32) -> Argument {
    argument(native::rd_kafka_vtype_t::RD_KAFKA_VTYPE_PARTITION, ArgumentValue { i32_: partition })
}

fn flags_argument() -> Argument {
    argument(native::rd_kafka_vtype_t::RD_KAFKA_VTYPE_MSGFLAGS, ArgumentValue { i: native::RD_KAFKA_MSG_F_COPY })
}

fn timestamp_argument(timestamp_ms: i64) -> Argument {
    argument(native::rd_kafka_vtype_t::RD_KAFKA_VTYPE_TIMESTAMP, ArgumentValue { i64_: timestamp_ms })
}

/// A null pointer is a null key or value; an empty one is a dangling pointer with size 0.
fn bytes_argument(kind: native::rd_kafka_vtype_t, bytes: Option<&[u8]>) -> Argument {
    let (ptr, size) = bytes.map_or((std::ptr::null(), 0), |b| (b.as_ptr(), b.len()));
    let mem = native::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 { ptr: ptr as *mut c_void, size };
    argument(kind, ArgumentValue { mem })
}

fn header_argument(name: &CStr, value: Option<&[u8]>) -> Argument {
    let (val, size) = value.map_or((std::ptr::null(), 0), |v| (v.as_ptr(), v.len()));
    let header = native::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_2 {
        name: name.as_ptr(),
        val: val.cast(),
        size: isize::try_from(size).unwrap_or(isize::MAX),
    };
    argument(native::rd_kafka_vtype_t::RD_KAFKA_VTYPE_HEADER, ArgumentValue { header })
}

fn millis(timeout: Duration) -> i32 {
    i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX)
}
