//! What a query event means for event groups, and whether it names an outbox table.
//!
//! The server writes the control statements itself, in a fixed form (`BEGIN`, `COMMIT`, ``SAVEPOINT `name` ``, …); only
//! those are taken apart. Other statements are searched for table names, with false alarms preferred to misses.

use super::xa::Xid;

/// A query event's role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// `BEGIN`, `XA START`, `XA BEGIN`
    Begin,
    /// `COMMIT`
    Commit,
    /// `ROLLBACK`
    Rollback,
    /// `SAVEPOINT name`, unquoted
    Savepoint(Vec<u8>),
    /// `ROLLBACK TO [SAVEPOINT] name`, unquoted
    RollbackTo(Vec<u8>),
    /// `RELEASE SAVEPOINT name`
    ReleaseSavepoint,
    /// `XA END`
    XaEnd,
    /// `XA COMMIT`, a group of its own; without an id if its form is not the server's
    XaCommit(Option<Xid>),
    /// `XA ROLLBACK`, likewise
    XaRollback(Option<Xid>),
    /// `CREATE TABLE … SELECT` as one transaction: its rows follow as row events (WL#13355)
    CreateTable,
    /// What a MariaDB sends in place of an event that it thinks we do not know
    Dummy,
    /// Anything else
    Other,
}

/// Classifies the text of a query event.
pub fn classify(text: &[u8]) -> Statement {
    if text.starts_with(b"# Dum") && !text.contains(&b'\n') {
        return Statement::Dummy;
    }
    let mut words = Words(text);
    match words.next_upper().as_slice() {
        b"BEGIN" if words.is_empty() => Statement::Begin,
        b"COMMIT" if words.is_empty() => Statement::Commit,
        b"ROLLBACK" if words.is_empty() => Statement::Rollback,
        b"ROLLBACK" => rollback_to(words),
        b"SAVEPOINT" => Statement::Savepoint(unquote(words.rest())),
        b"RELEASE" => Statement::ReleaseSavepoint,
        b"CREATE" if text.trim_ascii_end().to_ascii_uppercase().ends_with(b"START TRANSACTION") => {
            Statement::CreateTable
        }
        b"XA" => match words.next_upper().as_slice() {
            b"START" | b"BEGIN" => Statement::Begin,
            b"END" => Statement::XaEnd,
            b"COMMIT" => Statement::XaCommit(Xid::parse(words.rest())),
            b"ROLLBACK" => Statement::XaRollback(Xid::parse(words.rest())),
            _ => Statement::Other,
        },
        _ => Statement::Other,
    }
}

fn rollback_to(mut words: Words<'_>) -> Statement {
    if words.next_upper() != b"TO" {
        return Statement::Other;
    }
    let name = words.rest();
    let mut after = Words(name);
    if after.next_upper() == b"SAVEPOINT" && !after.is_empty() {
        return Statement::RollbackTo(unquote(after.rest()));
    }
    Statement::RollbackTo(unquote(name))
}

/// The outbox table that a logged DML statement may have written: its name stands in the text, or the statement ran
/// with the outbox's schema as default and is not plainly about other tables.
pub fn written_table(text: &[u8], schema: &[u8], tables: &[(String, String)]) -> Option<String> {
    if is_create_select(text) {
        return None;
    }
    named_table(text, tables).or_else(|| {
        tables
            .iter()
            .find(|(database, _)| database.as_bytes() == schema)
            .map(|(database, table)| format!("{database}.{table}"))
    })
}

/// `CREATE TABLE … SELECT` in row format: the server writes the definition with this end, and then the rows as row events
/// (MySQL 8.0.21, WL#13355).
fn is_create_select(text: &[u8]) -> bool {
    Words(text).next_upper() == b"CREATE" && text.ends_with(b" START TRANSACTION")
}

/// What a DDL statement does to outbox tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableStatement {
    /// `TRUNCATE`, `DROP`, `RENAME` or `ALTER`.
    pub verb: &'static str,
    /// Which outbox tables, by their place in the configuration.
    pub tables: Vec<usize>,
}

impl TableStatement {
    /// Whether the rows are gone.
    pub fn empties(&self) -> bool {
        matches!(self.verb, "TRUNCATE" | "DROP")
    }
}

/// The outbox tables that a DDL statement empties, drops, renames or alters.
pub fn table_statement(text: &[u8], schema: &[u8], tables: &[(String, String)]) -> Option<TableStatement> {
    let mut words = Words(text);
    let verb = match words.next_upper().as_slice() {
        b"TRUNCATE" => "TRUNCATE",
        b"DROP" => "DROP",
        b"RENAME" => "RENAME",
        b"ALTER" => "ALTER",
        _ => return None,
    };
    let whole_schema = matches!(words.next_upper().as_slice(), b"DATABASE" | b"SCHEMA");
    let is_meant = |(database, table): &(String, String)| {
        let in_schema = contains_word(text, database.as_bytes());
        if whole_schema {
            return in_schema && verb == "DROP";
        }
        contains_word(text, table.as_bytes()) && (in_schema || database.as_bytes() == schema)
    };
    let tables: Vec<usize> = (0..tables.len()).filter(|&i| tables.get(i).is_some_and(is_meant)).collect();
    (!tables.is_empty()).then_some(TableStatement { verb, tables })
}

fn named_table(text: &[u8], tables: &[(String, String)]) -> Option<String> {
    tables
        .iter()
        .find(|(_, table)| contains_word(text, table.as_bytes()))
        .map(|(database, table)| format!("{database}.{table}"))
}

/// Whether `word` stands in `text` with no identifier character on either side, whatever its case.
fn contains_word(text: &[u8], word: &[u8]) -> bool {
    let is_word = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$'));
    !word.is_empty()
        && text.windows(word.len()).enumerate().any(|(at, window)| {
            window.eq_ignore_ascii_case(word)
                && !is_word(at.checked_sub(1).and_then(|before| text.get(before)))
                && !is_word(text.get(at + word.len()))
        })
}

/// Strips backticks (doubled inside) and surrounding space from an identifier.
fn unquote(name: &[u8]) -> Vec<u8> {
    let name = name.trim_ascii();
    match name.strip_prefix(b"`").and_then(|n| n.strip_suffix(b"`")) {
        None => name.to_vec(),
        Some(quoted) => {
            let mut out = Vec::with_capacity(quoted.len());
            let mut bytes = quoted.iter();
            while let Some(byte) = bytes.next() {
                out.push(*byte);
                if *byte == b'`' {
                    bytes.next();
                }
            }
            out
        }
    }
}

/// A cursor over the words of a statement; leading comments are skipped.
struct Words<'a>(&'a [u8]);

impl<'a> Words<'a> {
    fn next_upper(&mut self) -> Vec<u8> {
        self.skip_space();
        let end = self.0.iter().position(|b| !b.is_ascii_alphabetic()).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        self.0 = rest;
        word.to_ascii_uppercase()
    }

    fn skip_space(&mut self) {
        loop {
            self.0 = self.0.trim_ascii_start();
            let Some(comment) = self.0.strip_prefix(b"/*") else { return };
            // Version comments (`/*!`) hold code, not remarks.
            if comment.starts_with(b"!") {
                return;
            }
            let Some(end) = comment.windows(2).position(|pair| pair == b"*/") else { return };
            self.0 = comment.get(end + 2..).unwrap_or_default();
        }
    }

    fn rest(&mut self) -> &'a [u8] {
        self.skip_space();
        self.0
    }

    fn is_empty(&mut self) -> bool {
        self.rest().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables() -> Vec<(String, String)> {
        vec![("shop".into(), "outbox".into())]
    }

    #[test]
    fn control_statements_are_recognised_in_the_forms_the_server_writes() {
        assert_eq!(classify(b"BEGIN"), Statement::Begin);
        assert_eq!(classify(b"COMMIT"), Statement::Commit);
        assert_eq!(classify(b"ROLLBACK"), Statement::Rollback);
        assert_eq!(classify(b"SAVEPOINT `a``b`"), Statement::Savepoint(b"a`b".to_vec()));
        assert_eq!(classify(b"ROLLBACK TO `s p`"), Statement::RollbackTo(b"s p".to_vec()));
        assert_eq!(classify(b"rollback to savepoint x"), Statement::RollbackTo(b"x".to_vec()));
        assert_eq!(classify(b"ROLLBACK TO `savepoint`"), Statement::RollbackTo(b"savepoint".to_vec()));
        assert_eq!(classify(b"XA START X'61',X'',1"), Statement::Begin);
        assert_eq!(classify(b"XA END X'61',X'',1"), Statement::XaEnd);
        let xid = Xid::parse(b"X'61',X'',1");
        assert!(xid.is_some());
        assert_eq!(classify(b"XA COMMIT X'61',X'',1"), Statement::XaCommit(xid.clone()));
        assert_eq!(classify(b"XA ROLLBACK X'61',X'',1"), Statement::XaRollback(xid));
        assert_eq!(classify(b"XA COMMIT 'a'"), Statement::XaCommit(None));
        assert_eq!(classify(b"/* ApplicationName=x */ BEGIN"), Statement::Begin);
        assert_eq!(classify(b"# Dummy event replacing event type 160 that slave cannot handle."), Statement::Dummy);
        assert_eq!(classify(b"# Dummy\nINSERT INTO t VALUES (1)"), Statement::Other);
        assert_eq!(classify(b"BEGINNING"), Statement::Other);
        assert_eq!(classify(b"CREATE TABLE t (a INT)"), Statement::Other);
        assert_eq!(classify(b"CREATE TABLE `t` (\n `a` int\n) START TRANSACTION"), Statement::CreateTable);
    }

    #[test]
    fn a_statement_that_may_write_an_outbox_is_found() {
        let named = Some("shop.outbox".to_string());
        assert_eq!(written_table(b"INSERT INTO outbox VALUES (1)", b"other", &tables()), named);
        assert_eq!(written_table(b"insert into SHOP.`Outbox` values (1)", b"", &tables()), named);
        assert_eq!(written_table(b"CALL p()", b"shop", &tables()), named);
        assert_eq!(written_table(b"INSERT INTO heartbeat VALUES (1)", b"mysql", &tables()), None);
        assert_eq!(written_table(b"INSERT INTO my_outbox VALUES (1)", b"other", &tables()), None);
        assert_eq!(written_table(b"CREATE TABLE `t` (\n  `a` int\n) START TRANSACTION", b"shop", &tables()), None);
        assert_eq!(written_table(b"CREATE TEMPORARY TABLE t SELECT f()", b"shop", &tables()), named);
    }

    #[test]
    fn statements_that_change_an_outbox_table_are_named() {
        let tables: Vec<_> = ["outbox", "outbox_b"].map(|table| ("shop".to_owned(), table.to_owned())).into();
        let found = |text: &str, schema: &str| {
            table_statement(text.as_bytes(), schema.as_bytes(), &tables).map(|found| (found.verb, found.tables))
        };
        assert_eq!(found("TRUNCATE TABLE outbox", "shop"), Some(("TRUNCATE", vec![0])));
        assert_eq!(found("TRUNCATE TABLE outbox", "other"), None);
        assert_eq!(found("truncate shop.`outbox_b`", "other"), Some(("TRUNCATE", vec![1])));
        assert_eq!(
            found("DROP TABLE `outbox`,`outbox_b` /* generated by server */", "shop"),
            Some(("DROP", vec![0, 1]))
        );
        assert_eq!(found("DROP DATABASE shop", ""), Some(("DROP", vec![0, 1])));
        assert_eq!(found("DROP SCHEMA IF EXISTS `outbox`", "shop"), None);
        assert_eq!(found("ALTER DATABASE shop READ ONLY = 1", "shop"), None);
        assert_eq!(found("RENAME TABLE outbox TO old", "shop"), Some(("RENAME", vec![0])));
        assert_eq!(found("INSERT INTO outbox VALUES (1)", "shop"), None);
    }
}
