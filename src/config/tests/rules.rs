//! Mistakes that the rules of each section find: the file, and exactly what is reported.

use super::mistakes::check;
use super::*;

mod kafka;
mod outboxes;
mod source;

#[test]
fn http_and_log() {
    check(&[
        (
            and("[http]\nlisten = \"localhost:80\""),
            r#"
t.toml:12:10: error: http.listen = "localhost:80" must be ip:port, e.g. "127.0.0.1:9464", or "off"
   12 | listen = "localhost:80"
      |          ^^^^^^^^^^^^^^
"#,
        ),
        (
            and("[http]\nlisten = \"0.0.0.0:9464\""),
            r#"
t.toml:12:10: warning: health and metrics can be read by everyone who reaches this address: they carry no password
   12 | listen = "0.0.0.0:9464"
      |          ^^^^^^^^^^^^^^
"#,
        ),
        (
            and("[log]\nlevel = \"inf\"\nformat = \"jsn\""),
            r#"
t.toml:12:9: error: log.level = "inf" must be a level (off, error, warn, info, debug, trace) or TARGET=LEVEL; did you mean "info"?
   12 | level = "inf"
      |         ^^^^^
t.toml:13:10: error: log.format = "jsn" must be one of auto, text, json; did you mean "json"?
   13 | format = "jsn"
      |          ^^^^^
"#,
        ),
        (
            and("[log]\nlevel = \"outboxd=loud\""),
            r#"
t.toml:12:9: error: log.level = "outboxd=loud" is not a list of filter directives, e.g. "outboxd=debug,info"
   12 | level = "outboxd=loud"
      |         ^^^^^^^^^^^^^^
"#,
        ),
    ]);
}
