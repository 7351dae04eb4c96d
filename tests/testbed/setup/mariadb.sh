# Sourced by setup.sh. Sets mariadbd, mariadb, mariadb_binlog, mariadb_basedir and mariadb_version; paths inside the cache
# are relative to it, so that the cache may be moved.

# Prints the version if it is a MariaDB of 10.11 or later.
accepted_mariadb() {
    local line version
    line=$("$1" --no-defaults --version 2>/dev/null) || return 1
    version=$(sed -n 's/.*Ver \([0-9][0-9.]*\)-MariaDB.*/\1/p' <<<"$line")
    [ -n "$version" ] || return 1
    [ "$(printf '%s\n' 10.11 "$version" | sort -V | head -n 1)" = 10.11 ] || return 1
    echo "$version"
}

# $1: a mariadbd that the machine already has, in its usual place.
use_own_mariadb() {
    local dir
    mariadb_version=$(accepted_mariadb "$1") || die "$1 is not MariaDB 10.11 or later"
    dir=$(dirname "$(dirname "$(readlink -f "$1")")")
    mariadb=$dir/bin/mariadb
    mariadb_binlog=$dir/bin/mariadb-binlog
    [ -x "$mariadb" ] && [ -x "$mariadb_binlog" ] || die "$1 has no mariadb and mariadb-binlog in $dir/bin"
    mariadbd=$1
    mariadb_basedir=$dir
}

fetch_mariadb() {
    local id codename name suite=
    id=$(. /etc/os-release && echo "${ID:-}")
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    case $id in
        debian) name=mariadb-bookworm suite=bookworm ;;
        ubuntu) name=mariadb-$codename ;;
        *) die "cannot fetch MariaDB on '$id'; set OUTBOXD_MARIADBD to a mariadbd (10.11 or later) of your own" ;;
    esac
    tree=$cache/$name
    if [ ! -d "$tree" ]; then
        # mariadb-binlog and the server's plugins are in the full packages, whose scripts and Perl are not needed.
        extract_packages "$suite" mariadb-server-core mariadb-client-core mariadb-common -- mariadb-client mariadb-server
        write_launchers mariadbd mariadb mariadb-binlog
        accepted_mariadb "$tree.partial/run/mariadbd" >/dev/null || die "the fetched mariadbd does not run, or is too old"
        mv "$tree.partial" "$tree"
    fi
    mariadbd=$name/run/mariadbd
    mariadb=$name/run/mariadb
    mariadb_binlog=$name/run/mariadb-binlog
    mariadb_basedir=$name/usr
    mariadb_version=$(accepted_mariadb "$cache/$mariadbd")
}

ensure_mariadb() {
    if [ -n "${OUTBOXD_MARIADBD:-}" ]; then use_own_mariadb "$OUTBOXD_MARIADBD"; else fetch_mariadb; fi
    say "MariaDB $mariadb_version"
}
