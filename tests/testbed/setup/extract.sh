# Sourced by setup.sh. Packages of the machine's own mirror, extracted into the folder $tree.partial, not installed.

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
# $1: suite of Debian's to use, or empty for the machine's own sources; the rest: package names. Those behind `--` come
# without what they depend on.
extract_packages() {
    local suite=$1 apt=$tree.apt.partial root=$tree.partial deb names=()
    shift
    while [ $# -gt 0 ] && [ "$1" != -- ]; do names+=("$1"); shift; done
    [ $# -eq 0 ] || shift
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
    say "downloading ${names[*]} $* and the libraries they need"
    apt-get "${options[@]}" -qq -y --download-only --no-install-recommends install "${names[@]}"
    [ $# -eq 0 ] || (cd "$apt/archives" && apt-get "${options[@]}" -qq download "$@")
    say "extracting"
    for deb in "$apt"/archives/*.deb; do
        case $deb in */*perl*) continue ;; esac
        dpkg -x "$deb" "$root"
    done
    rm -rf "$apt"
}

# The extracted programs named run with the extracted loader and libraries, whatever libc the machine has.
write_launchers() {
    local root=$tree.partial loader triplet tool program
    loader=$(find "$root" -name 'ld-linux*' -path '*lib*' \( -type f -o -type l \) | sort | head -n 1)
    [ -n "$loader" ] || die "no program loader among the extracted packages"
    triplet=$(basename "$(dirname "$(find "$root" -name 'libc.so.6' | head -n 1)")")
    mkdir -p "$root/run"
    for tool in "$@"; do
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
