#!/bin/bash
# One order a second, and its event, in one transaction; every fifth is rolled back and must never reach Kafka.
# For docker-compose.yml: the statements go to one mysql client.
set -euo pipefail
# Bash waits for foreground commands before it looks at signals: hence the `wait` at the end.
trap 'exit 0' TERM INT

orders() {
    local n end
    for ((n = 1; ; n++)); do
        ((n % 5)) && end=COMMIT || end=ROLLBACK
        cat <<END
START TRANSACTION;
INSERT INTO shop.orders (state) VALUES ('placed');
SET @id = LAST_INSERT_ID();
INSERT INTO shop.outbox VALUES
  (UUID(), 'Order', @id, 'OrderPlaced', JSON_OBJECT('order', @id, 'state', 'placed', 'ends_in', '$end'));
$end;
END
        sleep 1
    done
}

orders | mysql --host=mysql --user=shop --password=shop &
wait $!
