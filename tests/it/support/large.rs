//! Source transactions of many rows.

use testbed::{Mysql, Product};

/// A statement that inserts so many rows of about 1 kB; run it by [`run`].
pub(crate) fn rows(prefix: &str, count: u64) -> String {
    format!(
        "INSERT INTO outbox WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) \
         SELECT CONCAT('{prefix}-', i), 'Order', i % 50, 'Happened', JSON_OBJECT('n', i, 'text', REPEAT('x', 900)) FROM n"
    )
}

/// Runs statements in a schema, in a session of their own.
pub(crate) fn run(mysql: &Mysql, schema: &str, statements: &str) {
    let depth = match mysql.product() {
        Product::Mysql => "cte_max_recursion_depth",
        Product::Mariadb => "max_recursive_iterations",
    };
    mysql.sql(&format!("USE {schema}; SET SESSION {depth} = 100000; {statements}")).unwrap();
}
