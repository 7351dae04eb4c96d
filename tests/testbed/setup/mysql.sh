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

# A one-line source for another suite of the machine's own mirror, checked with the machine's own key.
debian_source() {
    local suite=$1 file uri key
    file=/etc/apt/sources.list.d/debian.sources
    if [ -r $file ]; then
        uri=$(awk '$1 == "URIs:" { print $2; exit }' $file)
        key=$(awk '$1 == "Signed-By:" { print $2; exit }' $file)
    elif [ -r /etc/apt/sources.list ]; then
        uri=$(awk '$1 == "deb" { for (i = 2; i <= NF; i++) if ($i ~ /^[a-z+]+:/) { print $i; exit } }' /etc/apt/sources.list)
        key=$(sed -n 's/^deb .*signed-by=\([^] ]*\).*/\1/p' /etc/apt/sources.list | head -n 1)
    fi
    [ -n "${uri:-}" ] || die "no package mirror found in /etc/apt; set OUTBOXD_MYSQLD to a mysqld of your own"
    case ${key:-} in /*) key="[signed-by=$key] " ;; *) key= ;; esac
    echo "deb $key$uri $suite main"
}

# Downloads and extracts packages with an apt state of its own: nothing is installed and neither the machine's
# package lists nor its sources change. apt checks the signatures as always.
# $1: suite of Debian's to use, or empty for the machine's own sources; the rest: package names.
extract_packages() {
    local suite=$1 apt=$tree.apt.partial root=$tree.partial deb
    shift
    rm -rf "$apt" "$root"
    mkdir -p "$apt/state/lists/partial" "$apt/archives/partial" "$root"
    : >"$apt/status"
    local options=(
        -o "Dir::State=$apt/state" -o "Dir::State::lists=$apt/state/lists" -o "Dir::State::status=$apt/status"
        -o "Dir::Cache=$apt" -o "Dir::Cache::archives=$apt/archives"
        -o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::Retries=3 -o Debug::NoLocking=1
    )
    if [ -n "$suite" ]; then
        debian_source "$suite" >"$apt/sources.list"
        options+=(-o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null)
    fi
    say "reading the package list"
    apt-get "${options[@]}" -qq update
    say "downloading $* and the libraries they need"
    apt-get "${options[@]}" -qq -y --download-only --no-install-recommends install "$@"
    say "extracting"
    for deb in "$apt"/archives/*.deb; do
        case $deb in */*perl*) continue ;; esac
        dpkg -x "$deb" "$root"
    done
    rm -rf "$apt"
}

# The extracted programs run with the extracted loader and libraries, whatever libc the machine has.
write_launchers() {
    local root=$tree.partial loader triplet tool program
    loader=$(find "$root" -name 'ld-linux*' -path '*lib*' \( -type f -o -type l \) | sort | head -n 1)
    [ -n "$loader" ] || die "no program loader among the extracted packages"
    triplet=$(basename "$(dirname "$(find "$root" -name 'libc.so.6' | head -n 1)")")
    mkdir -p "$root/run"
    for tool in mysqld mysql mysqlbinlog; do
        program=$(find "$root/usr" -path "*bin/$tool" | head -n 1)
        [ -n "$program" ] || die "no $tool among the extracted packages"
        cat >"$root/run/$tool" <<END
#!/bin/sh
root=\$(dirname "\$0")/..
exec "\$root${loader#"$root"}" --library-path "\$root/usr/lib/$triplet:\$root/lib/$triplet" \\
    "\$root${program#"$root"}" "\$@"
END
        chmod +x "$root/run/$tool"
    done
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
        write_launchers
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
