//! The catalogue of error codes: number, title, reason, fix, disposition, exit status.
//!
//! Numbers are part of the interface: never reuse or renumber one. Ranges: 10xx configuration, 20xx source connection,
//! 21xx source settings, 22xx position and history, 23xx binlog stream, 30xx outbox rows, 40xx Kafka connection,
//! 41xx topics, 42xx Kafka transactions, 43xx checkpoint, 90xx defects.

use super::{Disposition, exit};
use std::fmt;

macro_rules! catalogue {
    ($($name:ident = $number:literal, $disposition:ident, $exit:ident, $title:literal, why $why:literal, fix $fix:literal;)*) => {
        /// A stable error code, written `OBX-nnnn`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = $title] $name,)*
        }

        impl Code {
            /// Every code, in catalogue order.
            pub const ALL: &'static [Code] = &[$(Code::$name),*];

            /// The number behind `OBX-`.
            pub fn number(self) -> u16 {
                match self { $(Code::$name => $number,)* }
            }

            /// A short title.
            pub fn title(self) -> &'static str {
                match self { $(Code::$name => $title,)* }
            }

            /// Why it matters: what would go wrong if the relay went on.
            pub fn why(self) -> &'static str {
                match self { $(Code::$name => $why,)* }
            }

            /// The general way to mend it; an error may carry a more exact one.
            pub fn fix(self) -> &'static str {
                match self { $(Code::$name => $fix,)* }
            }

            /// What the supervisor does about it.
            pub fn disposition(self) -> Disposition {
                match self { $(Code::$name => Disposition::$disposition,)* }
            }

            /// The process's exit status if an error of this code ends it.
            pub fn exit_code(self) -> u8 {
                match self { $(Code::$name => exit::$exit,)* }
            }
        }
    };
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OBX-{:04}", self.number())
    }
}

catalogue! {
    // 10xx configuration
    ConfigInvalid = 1001, Halt, CONFIG, "the configuration has mistakes",
        why "A key that is misspelt or contradictory would be ignored or guessed.",
        fix "Mend each line that is marked; `outboxd validate -c FILE` checks again without starting.";
    HttpListen = 1002, Halt, CONFIG, "the HTTP address cannot be listened on",
        why "Without the endpoints nobody would see whether the relay works.",
        fix "Choose a free address for `http.listen`; another instance on this host may hold it.";

    // 20xx source connection
    SourceUnavailable = 2001, Restart, UNAVAILABLE, "MySQL cannot be reached",
        why "Rows stay in the binary log until the connection is back.",
        fix "Check `source.host` (or `source.hosts`), `source.port`, the network, and that the server is up; outboxd tries again by itself.";
    SourceLost = 2002, Restart, TEMPORARY, "the connection to MySQL was lost",
        why "The binlog stream ended; outboxd resumes from the last checkpoint.",
        fix "Nothing, if it is rare; otherwise look at the server's error log and at `net_write_timeout`.";
    SourceSilent = 2003, Restart, TEMPORARY, "MySQL went silent",
        why "No event and no heartbeat arrived for three heartbeat periods: the connection may be half open.",
        fix "Check firewalls and NAT between outboxd and MySQL; outboxd reconnects by itself.";
    SourceAccessDenied = 2004, Halt, PERMISSION, "MySQL refused the user",
        why "Without a valid account nothing can be read.",
        fix "Check `source.user` and the password; the account needs REPLICATION SLAVE and REPLICATION CLIENT.";
    SourcePrivilege = 2005, Halt, PERMISSION, "a MySQL privilege is missing",
        why "The binary log can be read with REPLICATION SLAVE only, its status with REPLICATION CLIENT only.",
        fix "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO the account in `source.user`.";
    SourceTls = 2006, Halt, CONFIG, "TLS to MySQL failed",
        why "Without a verified server anyone on the path could read or forge the change stream.",
        fix "Set `source.tls.ca` to the authority that signed the server's certificate (MySQL's own is DATADIR/ca.pem), and `source.tls.mode` to what the certificate allows.";
    ServerIdTaken = 2007, Restart, CONFIG, "another replica uses the same server id",
        why "MySQL serves only one replica for each server id; two would push each other out.",
        fix "Give each relay its own `name`, or set `source.server_id` to an unused number (SHOW REPLICAS lists the used ones); after three times in a minute outboxd stops.";

    // 21xx source settings
    SourceSettings = 2101, Halt, CONFIG, "MySQL is not set up for an outbox relay",
        why "With these settings committed rows would be missing from the log, or could not be read with certainty.",
        fix "Run the statements shown with each finding, then start again.";

    SourceVersion = 2102, Halt, CONFIG, "the server is not supported",
        why "outboxd reads MySQL 8.0 and later and MariaDB 10.5 and later; other servers lack settings that it has to check.",
        fix "Read from MySQL 8.0 or later, or from MariaDB 10.5 or later.";

    // 22xx position and history
    HistoryChanged = 2201, Halt, DATA, "source history changed",
        why "The binary log does not continue the one that the checkpoint belongs to: it was reset, restored or truncated. Going on could skip or repeat rows.",
        fix "Find out what happened to the server. To start over from its present state on purpose, give the relay a new `name` and run it once with `--first-start`.";
    CheckpointAhead = 2202, Halt, DATA, "the checkpoint is ahead of the server",
        why "Transactions that were already published are not on this server: a failover or a restore lost them, or it is another server.",
        fix "Connect to the server that has them, or decide what their consumers should do before starting over under a new `name` with `--first-start`.";
    PositionPurged = 2203, Halt, DATA, "needed binary logs are purged",
        why "Committed rows between the checkpoint and the oldest log cannot be read from this server any more.",
        fix "Restore the logs or read from a replica that still has them; raise `binlog_expire_logs_seconds`. To go on without the missing rows, start over under a new `name` with `--first-start`.";
    OtherServer = 2204, Halt, DATA, "another server answers at the source's address",
        why "File positions mean nothing on another server.",
        fix "Connect to the server named in the checkpoint, or turn GTIDs on (`gtid_mode=ON`) so that a relay can follow a failover.";
    PositionMode = 2205, Halt, CONFIG, "the position mode of the server changed",
        why "The checkpoint was taken with another `gtid_mode` or `source.positions`; positions of one mode cannot be found in the other.",
        fix "Set `gtid_mode` and `source.positions` back to what they were when the checkpoint was taken.";
    StartPosition = 2206, Halt, CONFIG, "the start position cannot be used",
        why "`source.start` names a place that this server does not have.",
        fix "Use `now`, `earliest`, `gtid:SET` or `file:NAME:POSITION` with values from SHOW BINARY LOGS.";

    PositionUnreachable = 2207, Halt, DATA, "the position cannot be asked for",
        why "MySQL's dump by file position takes 32 bits only.",
        fix "Turn GTIDs on (`gtid_mode=ON`), and keep `max_binlog_size` at its default of 1 GiB.";

    GroupWithoutGtid = 2208, Halt, DATA, "the log holds transactions without GTIDs",
        why "GTIDs were off for a while: what was committed then cannot be asked for by GTID, and would be left out.",
        fix "Decide what the consumers should do about the rows of that time, then start over behind it: a new `name`, `source.start` and `outboxd run --first-start`.";

    // 23xx binlog stream
    EventCorrupt = 2301, Restart, TEMPORARY, "a binlog event is corrupt",
        why "Its checksum or structure is wrong: it was damaged on the way or on disk.",
        fix "If it happens at the same position again, check the server's disk with `mysqlbinlog --verify-binlog-checksum`.";
    EventUndecodable = 2302, Halt, DATA, "a binlog event cannot be decoded",
        why "I7: an event that may hold outbox rows is never skipped.",
        fix "Report the position and the server's version; nothing was lost, the relay resumes there.";
    EventUnsupported = 2303, Halt, DATA, "a binlog event is not supported",
        why "This version cannot tell which rows of it were committed, so it stops rather than guess.",
        fix "See docs/guarantees.md for what is supported; nothing was lost, the relay resumes there.";
    StatementLogged = 2304, Halt, DATA, "a change to an outbox table was logged as a statement",
        why "A statement does not carry the rows that it wrote.",
        fix "Set `binlog_format=ROW` for the session named, and write the rows again.";
    CompressedPayload = 2305, Restart, TEMPORARY, "a compressed transaction does not decompress",
        why "Its rows would be missing.",
        fix "If it happens at the same position again, check the server's disk with `mysqlbinlog --verify-binlog-checksum`.";
    SourceTransactionTooLarge = 2306, Halt, DATA, "a source transaction is too large",
        why "Its records become visible together, in one Kafka transaction.",
        fix "Raise `batch.max_stream_bytes`, and `transaction.timeout.ms` if need be. Or write fewer outbox rows in one transaction; or give up that they become visible together: `batch.oversize = \"split\"` (an XA transaction is never split).";
    SplitSelection = 2307, Halt, CONFIG, "the outboxes changed in the middle of a source transaction",
        why "Some of its records are published (`batch.oversize = \"split\"`). With other tables, or with `on_update = \"emit\"` set or unset, other rows of it become records, and its ordinals mean others.",
        fix "Set the tables and `on_update` of all outboxes as they were until the source transaction is published; then change them.";

    // 30xx outbox rows
    ColumnMissing = 3001, Halt, CONFIG, "a configured column is not in the outbox table",
        why "The record's key, value or headers would be wrong.",
        fix "Correct the column name in `[outbox.NAME]`, or add the column.";
    ColumnAbsent = 3002, Halt, DATA, "a configured column is not in the row image",
        why "The row was logged with `binlog_row_image` MINIMAL or NOBLOB, or `binlog_row_value_options=PARTIAL_JSON`; an absent column is not NULL.",
        fix "Set `binlog_row_image=FULL` and `binlog_row_value_options=''`, also for sessions that set their own.";
    ColumnType = 3003, Halt, CONFIG, "a configured column has a type that cannot be shown",
        why "Its value has no documented text or bytes form.",
        fix "Use another column, or change its type.";
    ColumnNames = 3004, Halt, CONFIG, "the binary log carries no column names",
        why "With `binlog_row_metadata=MINIMAL` a renamed or moved column cannot be noticed.",
        fix "SET PERSIST binlog_row_metadata = 'FULL'; with `source.column_names = \"information_schema\"`, GRANT SELECT on the outbox table to the account.";
    RowUpdated = 3005, Halt, DATA, "an outbox row was updated",
        why "An outbox row is an event that may already be published; changing it changes nothing downstream.",
        fix "Insert a new row instead (also instead of REPLACE and ON DUPLICATE KEY UPDATE), or set `on_update` to \"warn\" or \"emit\" for the outbox.";
    TopicName = 3006, Halt, DATA, "a row names a topic that is not legal",
        why "Kafka allows letters, digits, `.`, `_` and `-`, at most 249 characters; internal topics and the checkpoint topic are never written to.",
        fix "Correct the value that the application writes; `topic` in `[outbox.NAME]` decides which column it comes from.";
    RecordTooLarge = 3007, Halt, DATA, "a record is larger than its topic allows",
        why "Kafka would refuse it; leaving it out would lose a committed row.",
        fix "Raise `max.message.bytes` of the topic to at least the size shown, then start again: nothing was lost.";
    TimestampInvalid = 3008, Halt, DATA, "a row's timestamp cannot be used",
        why "Kafka refuses negative record timestamps, and by default those more than an hour ahead.",
        fix "Correct the value, or drop `timestamp` from `[outbox.NAME]` to use the commit's time. If the time is right, raise `message.timestamp.after.max.ms` of the topic.";

    RecordRefused = 3009, Halt, DATA, "Kafka refuses a record",
        why "The topic does not take records of this form, e.g. one without a key on a compacted topic, or with a time too far from now; leaving it out would lose a committed row.",
        fix "Change the topic's `cleanup.policy` or `message.timestamp.after.max.ms`, or write rows that fit, then start again: nothing was lost.";
    ValueUnshown = 3010, Halt, DATA, "a value has no form in which it could be published",
        why "It is a day that the calendar lacks, or a text with a code that its character set has no character for; any form of it would be a guess.",
        fix "Look at the table of forms in docs/values.md, and correct what the application writes.";
    ColumnsDiffer = 3011, Halt, DATA, "the outbox table differs from the rows in the log",
        why "With `source.column_names = \"information_schema\"` a row can be read only if it was logged with the columns that the table has now; reading it with other names would be a guess.",
        fix "SET PERSIST binlog_row_metadata = 'FULL'; for rows to come. For the rows in the log, give the table the columns back that it had then. docs/values.md says how to change a table in this mode.";
    ColumnsChanged = 3012, Restart, TEMPORARY, "the outbox table was changed",
        why "With `source.column_names = \"information_schema\"` the names are those that the table had when the run began.",
        fix "Nothing: the next run asks for the columns anew, and stops with OBX-3011 if the rows in the log do not agree with them.";

    // 40xx Kafka connection
    KafkaUnavailable = 4001, Restart, UNAVAILABLE, "Kafka cannot be reached",
        why "Rows stay in MySQL's binary log until Kafka is back; nothing is held in memory beyond the limit.",
        fix "Check `kafka.brokers` and the brokers; outboxd tries again by itself.";
    KafkaConfig = 4002, Halt, CONFIG, "librdkafka refused the configuration",
        why "The producer or consumer could not be created.",
        fix "Correct the property named, under `[kafka]` or `[kafka.librdkafka]`.";
    KafkaAuth = 4003, Halt, PERMISSION, "Kafka refused the client",
        why "Authentication or TLS failed.",
        fix "Check the `sasl.*`, `ssl.*` and `security.protocol` properties under `[kafka.librdkafka]`.";
    KafkaAcl = 4004, Halt, PERMISSION, "a Kafka permission is missing",
        why "outboxd needs Write and Describe on output topics and its transactional id, Read and Write on the checkpoint topic.",
        fix "Grant the permission named; docs/operations.md lists all of them as commands.";

    KafkaVersion = 4005, Halt, CONFIG, "the brokers are too old",
        why "They do not know a request that outboxd needs: transactions and idempotent producers came with Kafka 0.11.",
        fix "Use Kafka 2.5 or later; docs/operations.md says which versions are tested.";

    SessionTimeout = 4006, Halt, CONFIG, "the brokers refuse the session time-out",
        why "Without a membership in the relay's group this instance could never lead.",
        fix "Set `ha.session_timeout` between the brokers' `group.min.session.timeout.ms` and `group.max.session.timeout.ms`.";

    // 41xx topics
    TopicMissing = 4101, Halt, CONFIG, "an output topic does not exist",
        why "outboxd does not create topics by accident.",
        fix "Create the topic, or set `kafka.create_topics = true`.";
    TopicCreate = 4102, Restart, CONFIG, "a topic could not be created",
        why "Records for it have nowhere to go.",
        fix "Create it by hand, or grant Create on the topic.";

    TopicBatchSize = 4103, Halt, CONFIG, "an output topic takes only small batches",
        why "librdkafka would put records together into batches that the topic refuses.",
        fix "Raise `max.message.bytes` of the topic, or set `batch.size` under `[kafka.librdkafka]` to at most the number shown.";

    TopicRefused = 4104, Halt, CONFIG, "Kafka refuses to create a topic",
        why "The brokers' policy, or the number of partitions asked for, does not allow it; asking again would not help.",
        fix "Create the topic by hand, or correct `kafka.partitions` and `kafka.replication_factor`.";

    // 42xx Kafka transactions
    DeliveryFailed = 4201, Restart, TEMPORARY, "a Kafka transaction did not complete",
        why "Its outcome is decided by the checkpoint that Kafka holds; outboxd fences the old producer, reads it and goes on from there.",
        fix "Nothing, if it is rare; otherwise look at the brokers.";
    ProducerRenewed = 4202, Restart, TEMPORARY, "the producer is renewed after a slow commit",
        why "A commit request may have been sent twice; a new producer epoch makes a late copy harmless (KAFKA-17754).",
        fix "Nothing, if it is rare; frequent renewals mean that the brokers answer slowly.";
    Fenced = 4203, Fenced, FENCED, "another instance took over",
        why "Two writers of one relay name would publish every row twice; Kafka lets only the newest write.",
        fix "Run one instance for each `name`.";
    TransactionTimeout = 4204, Halt, CONFIG, "the brokers refuse the transaction timeout",
        why "`transaction.timeout.ms` is above the brokers' `transaction.max.timeout.ms`.",
        fix "Lower `transaction.timeout.ms` under `[kafka.librdkafka]`, or raise the brokers' limit.";

    Replaced = 4205, Halt, FENCED, "the instance that replaced this one still works",
        why "It took over from the instance at this place. Taking over from it in turn would end it, and its supervisor would start it again: a ping-pong without end.",
        fix "Run one instance for each `name`, or set `ha.standby = true` for all of them. To move the relay back here: `outboxd run --take-over`, once.";
    TransactionTooLong = 4206, Halt, CONFIG, "a source transaction takes too long for one Kafka transaction",
        why "Its records become visible together, so they travel in one Kafka transaction, which Kafka aborts after its timeout; trying again would take as long.",
        fix "Raise `transaction.timeout.ms` under `[kafka.librdkafka]` (at most the brokers' `transaction.max.timeout.ms`), then start again: nothing of it was published. Or give up that its records become visible together: lower `batch.max_stream_bytes` and set `batch.oversize = \"split\"`.";

    // 43xx checkpoint
    CheckpointTopic = 4301, Halt, CONFIG, "the checkpoint topic is not set up safely",
        why "A checkpoint that Kafka may delete is a relay that starts from nowhere.",
        fix "Set `cleanup.policy=compact` (only) on the checkpoint topic.";
    CheckpointMissing = 4302, Halt, DATA, "there is no checkpoint, but this relay has published before",
        why "Starting from `source.start` would skip or repeat rows.",
        fix "Restore the checkpoint topic. To begin at `source.start` all the same: `outboxd run --first-start`.";
    CheckpointUnreadable = 4303, Halt, CONFIG, "the checkpoint cannot be used by this binary",
        why "It was written by a newer version, for another Kafka cluster, or is damaged.",
        fix "Run the version that wrote it, or start over on purpose under a new `name`.";
    CheckpointBlocked = 4304, Restart, TEMPORARY, "a foreign transaction is open on the checkpoint partition",
        why "The newest checkpoint cannot be known before it ends.",
        fix "Find it with Kafka's TransactionsCommand; set `kafka.checkpoint_topic` to a topic of this relay alone.";
    CheckpointElsewhere = 4305, Halt, CONFIG, "the checkpoint stands in another partition",
        why "The partition count of the checkpoint topic was changed.",
        fix "Set `kafka.checkpoint_partition` to the partition shown.";

    // 90xx defects
    Internal = 9001, Bug, BUG, "a defect of outboxd",
        why "An invariant did not hold; going on could break the guarantee.",
        fix "Report it with the log around it; the relay resumes from the last checkpoint.";
    TaskPanicked = 9002, Restart, BUG, "a task panicked",
        why "A library gave up on its input or a bug was hit; the run is torn down and resumed from the last checkpoint.",
        fix "Report it with the log around it.";
}
