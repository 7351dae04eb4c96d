//! The differential suite: one corpus of SQL, run on a real server; its log decoded by outboxd (through Kafka) and by two
//! decoders that are not ours (`mysqlbinlog -v` and the crate `mysql_cdc`), and all of it compared with what SELECT shows.
//!
//! The corpus is in parts: [`common`] for every server, [`mysql`] and [`mariadb`] for one of them alone.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::ending::end;
use super::{Outbox, reader};
use testbed::{Kafka, Mysql, Product};

pub(crate) mod common;
pub(crate) mod form;
mod json;
mod known;
pub(crate) mod mariadb;
pub(crate) mod mysql;
mod mysql_cdc;
mod mysqlbinlog;

use form::Form;

/// A column and the values that are stored in it.
pub(crate) struct Case {
    /// What follows the column's name in CREATE TABLE.
    pub(crate) declaration: String,
    /// How its values are shown.
    pub(crate) form: Form,
    /// What is stored.
    pub(crate) values: Values,
}

/// The values of a case.
pub(crate) enum Values {
    /// SQL expressions.
    Listed(Vec<String>),
    /// A query for pairs of a number and a value; it may use the table `numbers (i)`, 0 to 65535.
    Queried(String),
}

impl Case {
    pub(crate) fn new<S: Into<String>>(
        declaration: impl Into<String>,
        form: Form,
        values: impl IntoIterator<Item = S>,
    ) -> Self {
        let values = Values::Listed(values.into_iter().map(Into::into).collect());
        Self { declaration: declaration.into(), form, values }
    }

    fn is_nullable(&self) -> bool {
        !self.declaration.contains("NOT NULL")
    }

    /// Creates and fills the table `c{nth}`; ids are `{nth}/{n}`.
    fn statements(&self, nth: usize) -> String {
        let mut sql = format!(
            "CREATE TABLE c{nth} (id VARCHAR(20) CHARACTER SET ascii NOT NULL, t CHAR(1) NOT NULL DEFAULT 't', \
             k CHAR(1) NOT NULL DEFAULT 'k', e CHAR(1) NOT NULL DEFAULT 'e', v {});\n",
            self.declaration
        );
        if self.is_nullable() {
            let _ = writeln!(sql, "INSERT INTO c{nth} (id, v) VALUES ('{nth}/null', NULL);");
        }
        match &self.values {
            Values::Listed(values) => {
                // An event for each: what another decoder cannot read spoils no other value.
                for (n, value) in values.iter().enumerate() {
                    let _ = writeln!(sql, "INSERT INTO c{nth} (id, v) VALUES ('{nth}/{n}', {value});");
                }
            }
            Values::Queried(query) => {
                let _ = writeln!(sql, "INSERT INTO c{nth} (id, v) SELECT CONCAT('{nth}/', n), v FROM ({query}) AS q;");
            }
        }
        sql
    }
}

/// What is known of one value, by id.
pub(crate) type ById<T> = BTreeMap<String, T>;

/// Bytes, or NULL.
pub(crate) type Bytes = Option<Vec<u8>>;

/// What the server shows of a value.
struct Shown {
    /// In our form.
    ours: Bytes,
    /// In the form in which other decoders print it.
    plain: Bytes,
}

/// What outboxd published of a value.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) key: Bytes,
    pub(crate) value: Bytes,
    pub(crate) header: Bytes,
}

/// How much was compared.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    pub(crate) ours: usize,
    pub(crate) mysqlbinlog: usize,
    pub(crate) mysql_cdc: usize,
}

const SESSION: &str = "SET sql_mode = '', time_zone = '+00:00', group_concat_max_len = 1000000;";

/// Sixteen to the fourth numbers, on any server.
const NUMBERS: &str = "CREATE TABLE numbers (i INT NOT NULL PRIMARY KEY); \
     INSERT INTO numbers WITH d AS (SELECT 0 AS n UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION \
     SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9 UNION SELECT 10 UNION SELECT 11 UNION SELECT 12 \
     UNION SELECT 13 UNION SELECT 14 UNION SELECT 15) SELECT a.n + 16 * b.n + 256 * c.n + 4096 * d.n FROM d a, d b, d c, d;";

/// Runs the corpus and compares; `name` is unique among the tests.
///
/// # Panics
/// With all differences that are not known.
pub(crate) fn run(name: &str, mysql: &Mysql, kafka: &Kafka, corpus: &[Case]) -> Compared {
    let published = publish(name, mysql, kafka, corpus);
    let shown = shown(name, mysql, corpus);
    let mut compared = Compared::default();
    let mut differences = Vec::new();
    compared.ours = compare_ours(&published, &shown, corpus, &mut differences);
    // MariaDB's prints quotes and backslashes of a text as they are: what it means by them cannot be told.
    if mysql.product() == Product::Mysql {
        compared.mysqlbinlog = mysqlbinlog::compare(name, mysql, corpus, &shown, &mut differences);
    }
    compared.mysql_cdc = mysql_cdc::compare(name, mysql, corpus, &shown, &mut differences);
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
    compared
}

/// Creates and fills the tables while a relay streams; what it published of each row.
pub(crate) fn publish(name: &str, mysql: &Mysql, kafka: &Kafka, corpus: &[Case]) -> ById<Published> {
    let mut outbox = Outbox::new(name, mysql, kafka);
    let sql: String = corpus.iter().enumerate().map(|(nth, case)| case.statements(nth)).collect();
    let of = |word: &str| sql.lines().filter(|line| line.starts_with(word)).collect::<Vec<_>>().join("\n");
    mysql.sql(&format!("USE {name}; {SESSION} {NUMBERS} {}", of("CREATE"))).unwrap();
    outbox.extra = (0..corpus.len()).map(|nth| mapping(name, nth)).collect();
    let relay = outbox.stream();
    mysql.sql(&format!("USE {name}; {SESSION} BEGIN; {} COMMIT;", of("INSERT"))).unwrap();
    let counts: String = (0..corpus.len()).map(|nth| format!("SELECT COUNT(*) FROM c{nth};\n")).collect();
    let counts = mysql.sql(&format!("USE {name}; {counts}")).unwrap();
    outbox.wait_delivered(counts.lines().map(|count| count.parse::<u64>().unwrap()).sum());
    end(relay);
    published(&outbox)
}

/// Each case is an outbox of one relay; all records go to one topic.
fn mapping(name: &str, nth: usize) -> String {
    format!(
        "[outbox.c{nth}]\ntable = \"{name}.c{nth}\"\nid = \"id\"\naggregate_type = \"t\"\naggregate_id = \"v\"\n\
         payload = \"v\"\ntopic = \"{name}.values\"\nsource_header = false\nheaders.h = \"v\"\n"
    )
}

fn shown(name: &str, mysql: &Mysql, corpus: &[Case]) -> ById<Shown> {
    let select = |(nth, case): (usize, &Case)| {
        let (ours, plain) = (case.form.shown(case.is_nullable()), case.form.plain());
        format!("SELECT id, IFNULL(HEX({ours}), 'NULL'), IFNULL(HEX({plain}), 'NULL') FROM c{nth};\n")
    };
    let selects: String = corpus.iter().enumerate().map(select).collect();
    let text = mysql.sql(&format!("USE {name}; {SESSION} {selects}")).unwrap();
    let line = |line: &str| {
        let [id, ours, plain] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        (id.to_owned(), Shown { ours: unhex(ours), plain: unhex(plain) })
    };
    text.lines().map(line).collect()
}

fn unhex(text: &str) -> Bytes {
    let byte = |i| u8::from_str_radix(&text[i..i + 2], 16).unwrap();
    (text != "NULL").then(|| (0..text.len()).step_by(2).map(byte).collect())
}

fn published(outbox: &Outbox<'_>) -> ById<Published> {
    let mut all = ById::new();
    for record in reader::read(outbox.kafka, &outbox.topic("values")) {
        let mut headers = record.headers.into_iter();
        let (id, header) = (headers.next().unwrap().1.unwrap(), headers.next().unwrap().1);
        let id = String::from_utf8(id).unwrap();
        let published = Published { key: record.key, value: record.value, header };
        assert!(all.insert(id.clone(), published).is_none(), "{id} twice");
    }
    all
}

fn case_of<'a>(id: &str, corpus: &'a [Case]) -> &'a Case {
    &corpus[id.split('/').next().unwrap().parse::<usize>().unwrap()]
}

fn compare_ours(
    published: &ById<Published>,
    shown: &ById<Shown>,
    corpus: &[Case],
    differences: &mut Vec<String>,
) -> usize {
    assert_eq!(published.len(), shown.len(), "rows published and rows shown");
    for (id, Shown { ours: shown, .. }) in shown {
        let (case, published) = (case_of(id, corpus), &published[id]);
        let agree = match (&published.value, shown) {
            (Some(ours), Some(shown)) => case.form.agrees(ours, shown),
            (ours, shown) => ours == shown,
        };
        let header = published
            .value
            .as_ref()
            .map(|value| if case.form.is_binary() { STANDARD.encode(value).into_bytes() } else { value.clone() });
        if !agree || published.key != published.value || published.header != header {
            let ours = [&published.key, &published.value, &published.header].map(show);
            differences.push(format!("{id} {}: ours {ours:?}, the server {}", case.declaration, show(shown)));
        }
    }
    shown.len()
}

fn show(bytes: &Bytes) -> String {
    bytes.as_ref().map_or("NULL".to_owned(), |bytes| bytes[..bytes.len().min(200)].escape_ascii().to_string())
}
