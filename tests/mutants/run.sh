#!/usr/bin/env bash
# make mutants: plants each bug beside this file in a copy of the tree, alone, and runs the test that must notice.
# What a patch says above its diff is explained in src/mutants.rs. `run.sh 07` plants only those whose names begin so.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=${CARGO_TARGET_DIR:-$root/target}/mutants
tree=$work/tree
logs=$work/logs
export CARGO_TARGET_DIR=$work/build CARGO_TERM_COLOR=never RUST_BACKTRACE=0
# Each bug costs more time to compile than to find.
export CARGO_PROFILE_DEV_OPT_LEVEL=0
export OUTBOXD_CACHE=${OUTBOXD_CACHE:-$root/.cache}
# The copy is no part of a repository around it, or git would look for the files there.
export GIT_CEILING_DIRECTORIES=$work
# So that what the simulation finds does not depend on how busy the machine is: the rarest bug shows below seed 1,000.
export OUTBOXD_SCHEDULES=4000
# Seconds after which a test counts as stuck; one of them waits 60 s for what a planted bug prevents.
limit=240

files() { # FOLDER
    (cd "$1" && find . \( -path ./target -o -path ./.cache -o -path ./.git \) -prune -o -type f -print0)
}

# Only what differs is written, so that each build goes on from the one before.
copy() {
    mkdir -p "$tree" "$logs"
    files "$tree" | while IFS= read -r -d '' file; do [ -e "$root/$file" ] || rm "$tree/$file"; done
    files "$root" | while IFS= read -r -d '' file; do
        cmp -s "$root/$file" "$tree/$file" || { mkdir -p "$(dirname "$tree/$file")"; cp "$root/$file" "$tree/$file"; }
    done
}

said() { sed -n "s/^$2: //p" "$1"; } # PATCH KEY

build() { # lib|it
    case $1 in
        lib) cargo test --lib --features failpoints --no-run ;;
        it) cargo test --test it --features failpoints --no-run ;;
        *) echo "no such kind of test: $1"; return 1 ;;
    esac
}

run() { # lib|it NAME…
    local kind=--lib
    [ "$1" = lib ] || kind=--test=it
    timeout "$limit" cargo test "$kind" --features failpoints -- --exact --test-threads=2 "${@:2}"
}

# Without any bug all of these tests pass.
sound() { # lib|it NAME…
    local name log=$logs/sound-$1.log
    [ $# -gt 1 ] || return 0
    echo "without a bug: $(($# - 1)) tests ($1)" >&2
    if build "$1" >"$log" 2>&1 && run "$@" >"$log" 2>&1; then
        for name in "${@:2}"; do
            grep -q "^test $name \.\.\. ok$" "$log" || { echo "there is no test $name" >&2; return 1; }
        done
        return 0
    fi
    tail -n 60 "$log" >&2
    echo "these tests fail without a bug: nothing would be learned from them" >&2
    return 1
}

verdict() { # PATCH KIND NAME: what became of the bug; status 0 if it was caught
    local status=0 log says
    log=$logs/$(basename "$1" .patch).log
    says=$(said "$1" Says)
    if ! git apply "$1" >"$log" 2>&1; then echo "THE PATCH DOES NOT APPLY"; return 1; fi
    if ! build "$2" >"$log" 2>&1; then
        echo "DOES NOT COMPILE"
        status=1
    else
        run "$2" "$3" >"$log" 2>&1 || status=$?
        case $status in
            0) echo "SURVIVED \`$3\`"; status=1 ;;
            124) echo "STUCK in \`$3\`"; status=1 ;;
            *)
                # A pattern a line: any of them.
                if grep -q "^test $3 \.\.\. FAILED$" "$log" && grep -qF -- "${says:-$3}" "$log"; then
                    echo "\`$3\`"
                    status=0
                    # What a failed test keeps of its servers, for a look that nobody needs here.
                    sed -n 's/^testbed: kept //p' "$log" | while IFS= read -r folder; do rm -rf -- "$folder"; done
                else
                    echo "FAILED FOR ANOTHER REASON: \`$3\`"
                    status=1
                fi
                ;;
        esac
    fi
    git apply --reverse "$1"
    return "$status"
}

copy
cd "$tree"
patches=(tests/mutants/"${1:-}"*.patch)
[ -e "${patches[0]}" ] || { echo "no such bug: $1" >&2; exit 2; }
for kind in lib it; do
    mapfile -t names < <(for patch in "${patches[@]}"; do said "$patch" "Caught by"; done | sed -n "s/^$kind //p" | sort -u)
    sound "$kind" "${names[@]}"
done
survivors=0
echo "| bug | planted as | caught by | seconds |"
echo "| --- | --- | --- | --- |"
for patch in "${patches[@]}"; do
    began=$SECONDS
    read -r kind name <<<"$(said "$patch" "Caught by")"
    found=$(verdict "$patch" "$kind" "$name") || survivors=$((survivors + 1))
    echo "| $(said "$patch" Bug) | $(said "$patch" Here) | $found | $((SECONDS - began)) |"
done
echo "make mutants: $((${#patches[@]} - survivors)) of ${#patches[@]} caught, $SECONDS s"
[ "$survivors" = 0 ] || { echo "what happened stands in $logs" >&2; exit 1; }
