#!/usr/bin/env bash
# Makes this machine able to build outboxd and to run it against real servers:
#   1. checks the build and run tools; installs the missing ones when root, names them when not;
#   2. gets MySQL (yours, or Debian's/Ubuntu's own package, extracted, not installed);
#   3. gets MariaDB the same way;
#   4. gets Kafka's jars with Maven.
# Everything lands in one folder, ${OUTBOXD_CACHE:-<repository>/.cache}; delete it to undo. Safe to run
# again, to interrupt and to run twice at once.
#
#   OUTBOXD_CACHE     where the servers are kept
#   OUTBOXD_MYSQLD    a mysqld (8.0 or later) to use instead of a fetched one
#   OUTBOXD_MARIADBD  a mariadbd (10.11 or later) to use instead of a fetched one
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repo=$(cd "$here/../.." && pwd)
cache=${OUTBOXD_CACHE:-$repo/.cache}
kafka_version=$(sed -n 's|.*<kafka.version>\(.*\)</kafka.version>.*|\1|p' "$here/kafka-pom.xml")

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# shellcheck source=tests/testbed/setup/packages.sh
. "$here/setup/packages.sh"
# shellcheck source=tests/testbed/setup/extract.sh
. "$here/setup/extract.sh"
# shellcheck source=tests/testbed/setup/mysql.sh
. "$here/setup/mysql.sh"
# shellcheck source=tests/testbed/setup/mariadb.sh
. "$here/setup/mariadb.sh"
# shellcheck source=tests/testbed/setup/kafka.sh
. "$here/setup/kafka.sh"

ensure_packages
ensure_rust

mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
exec 9>"$cache/setup.lock"
if ! flock -n 9; then
    say "another setup is running; waiting for it"
    flock 9
fi

# Whatever an interrupted run left; the lock says that nobody is using it.
rm -rf "$cache"/*.partial

ensure_mysql
ensure_mariadb
ensure_kafka

cat >"$cache/servers.env.partial" <<END
mysqld=$mysqld
mysql=$mysql
mysqlbinlog=$mysqlbinlog
mysql_basedir=$mysql_basedir
mysql_version=$mysql_version
mariadbd=$mariadbd
mariadb=$mariadb
mariadb_binlog=$mariadb_binlog
mariadb_basedir=$mariadb_basedir
mariadb_version=$mariadb_version
kafka_libs=kafka-$kafka_version/libs
kafka_version=$kafka_version
END
mv "$cache/servers.env.partial" "$cache/servers.env"
say "ready: MySQL $mysql_version, MariaDB $mariadb_version, Kafka $kafka_version in $cache"
