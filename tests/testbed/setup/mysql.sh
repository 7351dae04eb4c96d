# Sourced by setup.sh. Sets mysqld, mysql, mysqlbinlog, mysql_basedir and mysql_version; paths inside the
# cache are relative to it, so that the cache may be moved.

# Prints the version if it is a MySQL (not a MariaDB) of 8.0 or later.
accepted_version() {
    local line version
    line=$("$1" --no-defaults --version 2>/dev/null) || return 1
    case $line in *MariaDB*) return 1 ;; esac
    version=$(sed -n 's/.*Ver \([0-9][0-9.]*\).*/\1/p' <<<"$line")
    [ "${version%%.*}" -ge 8 ] 2>/dev/null || return 1
    echo "$version"
}

# A mysqld may be unable to use a folder of ours: Ubuntu's AppArmor profile confines /usr/sbin/mysqld.
can_initialize() {
    local dir=$cache/probe.partial user=()
    rm -rf "$dir" && mkdir -p "$dir"
    [ "$(id -u)" -eq 0 ] && user=(--user=root)
    "$1" --no-defaults --initialize-insecure "${user[@]}" --datadir="$dir/data" >"$dir/log" 2>&1 || {
        tail -n 3 "$dir/log" >&2
        return 1
    }
    rm -rf "$dir"
}

# $1: a mysqld that the machine already has.
use_own_mysql() {
    local dir tool found
    mysql_version=$(accepted_version "$1") || { say "$1 is not MySQL 8.0 or later"; return 1; }
    dir=$(dirname "$(readlink -f "$1")")
    for tool in mysql mysqlbinlog; do
        found=
        for candidate in "$dir/$tool" "$dir/../bin/$tool" "$(command -v $tool || true)"; do
            [ -x "$candidate" ] && found=$candidate && break
        done
        [ -n "$found" ] || { say "$1 has no $tool beside it or on the PATH"; return 1; }
        printf -v "$tool" %s "$found"
    done
    say "trying $1 ($mysql_version)"
    can_initialize "$1" || { say "$1 cannot make a data folder in $cache"; return 1; }
    mysqld=$1
    mysql_basedir=
}

fetch_mysql() {
    local id codename name found
    id=$(. /etc/os-release && echo "${ID:-}")
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    case $id in
        debian) name=mysql-sid ;;
        ubuntu) name=mysql-$codename ;;
        *) die "cannot fetch MySQL on '$id'; set OUTBOXD_MYSQLD to a mysqld (8.0 or later) of your own" ;;
    esac
    tree=$cache/$name
    if [ ! -d "$tree" ]; then
        if [ "$id" = debian ]; then
            extract_packages sid mysql-server-core mysql-client mysql-server-
        else
            found=$(apt-cache search --names-only '^mysql-server-core-8' | sed 's/ .*//;s/.*-//' | sort -V | tail -n 1)
            [ -n "$found" ] || die "this Ubuntu's package lists have no mysql-server-core-8; run 'apt-get update' first"
            # mysqlbinlog is in the full packages; they are extracted, not installed
            extract_packages '' "mysql-server-core-$found" "mysql-client-core-$found" "mysql-client-$found" "mysql-server-$found"
        fi
        write_launchers mysqld mysql mysqlbinlog
        accepted_version "$tree.partial/run/mysqld" >/dev/null || die "the fetched mysqld does not run"
        mv "$tree.partial" "$tree"
    fi
    mysqld=$name/run/mysqld
    mysql=$name/run/mysql
    mysqlbinlog=$name/run/mysqlbinlog
    mysql_basedir=$name/usr
    mysql_version=$(accepted_version "$cache/$mysqld")
    say "MySQL $mysql_version"
}

ensure_mysql() {
    local own
    if [ -n "${OUTBOXD_MYSQLD:-}" ]; then
        use_own_mysql "$OUTBOXD_MYSQLD" || die "OUTBOXD_MYSQLD=$OUTBOXD_MYSQLD cannot be used"
        return
    fi
    own=$(command -v mysqld || true)
    if [ -n "$own" ] && use_own_mysql "$own"; then return; fi
    fetch_mysql
}
