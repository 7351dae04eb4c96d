# Sourced by setup.sh. Which tools the build and the testbed need, and the package each is in.

# Prints the missing packages. Tested by what is usable rather than by package names, so that a compiler or a
# JDK from elsewhere counts.
missing_packages() {
    command -v cc >/dev/null && command -v gcc >/dev/null || echo gcc
    command -v g++ >/dev/null || echo g++ # librdkafka's build wants a C++ compiler
    command -v make >/dev/null || echo make
    command -v pkg-config >/dev/null || echo pkg-config
    pkg-config --exists openssl 2>/dev/null || echo libssl-dev
    command -v flock >/dev/null && command -v setpriv >/dev/null || echo util-linux
    java_is_new_enough || java_package
    command -v mvn >/dev/null || echo maven
    [ -e /etc/ssl/certs/ca-certificates.crt ] || echo ca-certificates
}

java_is_new_enough() {
    local major
    major=$(java -XshowSettings:properties -version 2>&1 | sed -n 's/ *java.specification.version = //p') || return 1
    [ "${major%%.*}" -ge 17 ] 2>/dev/null
}

# The default JRE of Ubuntu 22.04 is Java 11, too old for Kafka 4, though the suite has newer ones.
java_package() {
    local v
    for v in 17 21 25; do
        if [ -n "$(apt-cache policy "openjdk-$v-jre-headless" 2>/dev/null | sed -n 's/ *Candidate: \([0-9]\)/\1/p')" ]; then
            echo "openjdk-$v-jre-headless"
            return
        fi
    done
    echo default-jre-headless
}

ensure_packages() {
    local missing
    mapfile -t missing < <(missing_packages)
    [ ${#missing[@]} -eq 0 ] && return
    command -v apt-get >/dev/null || die "missing: ${missing[*]} (Debian's names); install them and run this again"
    [ "$(id -u)" -eq 0 ] || die "missing packages; run this, then setup.sh again:
    sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}"
    say "apt-get update"
    apt-get update -qq
    # Asked again: which JRE there is can only be known now.
    mapfile -t missing < <(missing_packages)
    say "installing ${missing[*]}"
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
    mapfile -t missing < <(missing_packages)
    [ ${#missing[@]} -eq 0 ] || die "installed, but still not usable: ${missing[*]}"
}

ensure_rust() {
    if command -v cargo >/dev/null || [ -x "$HOME/.cargo/bin/cargo" ]; then return; fi
    die "no cargo found. Install Rust with rustup, see https://rustup.rs:
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
}
