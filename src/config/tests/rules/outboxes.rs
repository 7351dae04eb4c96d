//! Of the outboxes.

use super::*;

#[test]
fn outboxes() {
    check(&[
        (
            BASE.split("[outbox").next().unwrap().to_owned(),
            r#"
t.toml: error: there is no [outbox.NAME] table: nothing to relay
"#,
        ),
        (
            and("[outbox.other]\ntable = \"shop.outbox\""),
            r#"
t.toml:12:9: error: shop.outbox is already the table of [outbox.orders]
   12 | table = "shop.outbox"
      |         ^^^^^^^^^^^^^
"#,
        ),
        (
            and("[outbox.\"a.b\"]\ntable = \"s.t\""),
            r#"
t.toml:11:9: error: the outbox name "a.b" must be 1 to 64 letters, digits, `_` or `-`
   11 | [outbox."a.b"]
      |         ^^^^^
"#,
        ),
        (
            with("table", "table = \"outbox\""),
            r#"
t.toml:10:9: error: outbox.orders.table = "outbox" must be schema.table
   10 | table = "outbox"
      |         ^^^^^^^^
"#,
        ),
        (
            with("table", "table = \"shop.%\""),
            r#"
t.toml:10:9: error: outbox.orders.table = "shop.%" has the wildcard '%'; patterns also match the copies of a schema change: name the table exactly
   10 | table = "shop.%"
      |         ^^^^^^^^
"#,
        ),
        (
            with("table", "table = \"`shop`.`outbox`\""),
            r#"
t.toml:10:9: error: outbox.orders.table = "`shop`.`outbox`" must be schema.table without quotes
   10 | table = "`shop`.`outbox`"
      |         ^^^^^^^^^^^^^^^^^
"#,
        ),
        (
            and("topic = \"{typ}\""),
            r#"
t.toml:11:9: error: outbox.orders.topic = "{typ}" uses the unknown field {typ}; the fields are {aggregate_type} and {event_type}
   11 | topic = "{typ}"
      |         ^^^^^^^
"#,
        ),
        (
            and("topic = \"a b\""),
            r#"
t.toml:11:9: error: outbox.orders.topic = "a b" has the character ' '; Kafka allows letters, digits, `.`, `_` and `-` in a topic name
   11 | topic = "a b"
      |         ^^^^^
"#,
        ),
        (
            and(&format!("topic = \"{}\"", "x".repeat(250))),
            r#"
t.toml:11:9: error: outbox.orders.topic = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"… is 250 characters long; Kafka allows 249
   11 | topic = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
      |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
"#,
        ),
        (
            and("topic = \"{event_type}\""),
            r#"
t.toml:11:9: error: outbox.orders.topic uses {event_type}, but outbox.orders.event_type is not set
   11 | topic = "{event_type}"
      |         ^^^^^^^^^^^^^^
"#,
        ),
        (
            and("topic = \"outboxd.checkpoints\""),
            r#"
t.toml:11:9: error: outbox.orders.topic = "outboxd.checkpoints" is the checkpoint topic: records would overwrite checkpoints
   11 | topic = "outboxd.checkpoints"
      |         ^^^^^^^^^^^^^^^^^^^^^
"#,
        ),
        (
            and("on_update = \"publish\"\nid = \"\"\nsource_header = 1"),
            r#"
t.toml:11:13: error: outbox.orders.on_update = "publish" must be one of stop, warn, emit
   11 | on_update = "publish"
      |             ^^^^^^^^^
t.toml:12:6: error: outbox.orders.id = "" is empty
   12 | id = ""
      |      ^^
t.toml:13:17: error: outbox.orders.source_header must be true or false without quotes, not a number
   13 | source_header = 1
      |                 ^
"#,
        ),
        (
            and("[outbox.orders.headers]\nid = \"id\"\nx = \"\"\ny = 3"),
            r#"
t.toml:12:1: error: the header "id" is written by outboxd itself
   12 | id = "id"
      | ^^
t.toml:13:5: error: outbox.orders.headers.x = "" is empty; it names the column of the header
   13 | x = ""
      |     ^^
t.toml:14:5: error: outbox.orders.headers.y must be text in quotes, not a number
   14 | y = 3
      |     ^
"#,
        ),
    ]);
}
