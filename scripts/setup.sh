# shellcheck shell=bash
# Functions that demo, test, lint and bench need at their start; they source this file.
#
#   need_root WHY            ends the script with one line where root does not run it
#   need_packages NAME...    installs the Debian packages that are missing, without their services
#   want_packages NAME...    does so with those that can be had
#   unpack_package NAME DIR  unpacks a Debian package that conflicts with one that is installed
#   clone_sources URL TAG COMMIT DIR  gets the sources of a tag, which have to be that commit
#   make_venv DIR EXTRAS     makes a virtual environment with a copy of this checkout, as it is now
#   make_develop DIR EXTRAS  makes one that runs this checkout's files, so that edits count at once
#   make_peers DIR FILE      makes one with the packages of a file of requirements
#
# ANYCAST_CACHE in the environment names another directory for these environments, so that a second
# checkout has its own.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if [ "$(id -u)" = 0 ]; then
    CACHE=/var/cache
else
    CACHE=${XDG_CACHE_HOME:-$HOME/.cache}
fi
CACHE=$(realpath -m "${ANYCAST_CACHE:-$CACHE/anycast-lab}")
# The interpreter of all environments; scripts/pythons tries others.
PYTHON=/usr/bin/python3
# The lab runs a copy, because its hosts' users may not be able to read a checkout in a home.
# shellcheck disable=SC2034
VENV=$CACHE/venv
# The tests and lint run the checkout itself.
# shellcheck disable=SC2034
DEVELOP=$CACHE/develop
# shellcheck disable=SC2034
LAB_PACKAGES=(
    frr bird2 ifupdown unbound openssh-server openssh-client sudo
    icinga2-bin icinga2-common monitoring-plugins-basic monitoring-plugins-standard
    nginx-light chrony nagios-nrpe-server nagios-nrpe-plugin
    bind9 nsd dnsmasq-base nftables haproxy postfix liburiparser1 libyaml-0-2
    nagios4-core
    bind9-dnsutils iproute2 openssl procps python3-venv busybox
)
# What not every release of Debian has, or what conflicts with the packages above and is unpacked
# beside them. The tests that need one of them are skipped where it cannot be had.
# shellcheck disable=SC2034
OPTIONAL_PACKAGES=(knot-resolver)
# shellcheck disable=SC2034
UNPACKED_PACKAGES=(
    ntpsec ipcalc-ng ifupdown2
    network-manager libbluetooth3 libmm-glib0 libndp0 libnewt0.52 libnm0 libteamdctl0
)
# Debian 13 has netplan's program in another package, and a second sudo.
if grep -qs '^VERSION_ID="12"' /etc/os-release; then
    UNPACKED_PACKAGES+=(netplan.io libnetplan0)
    # `netplan apply` needs these besides.
    UNPACKED_PACKAGES+=(udev libkmod2 python3-dbus python3-yaml python3-netifaces)
    UNPACKED_PACKAGES+=(python3-rich python3-markdown-it python3-mdurl python3-pygments)
else
    OPTIONAL_PACKAGES+=(sudo-rs)
    UNPACKED_PACKAGES+=(netplan-generator libnetplan1)
fi
# network-scripts of RHEL 7 and 8, which Debian has not: tag and commit. The tests that need them are
# skipped where they cannot be had.
# shellcheck disable=SC2034
NETWORK_SCRIPTS=https://github.com/fedora-sysv/initscripts
# shellcheck disable=SC2034
NETWORK_SCRIPTS_7=(9.49.54 34310f3442b69d38799e4cb76220b984458438b8)
# shellcheck disable=SC2034
NETWORK_SCRIPTS_8=(10.00.19 cae5fc885035e26cd08b7bb26a1109cfdb1374ca)
# The programs that the benchmark measures beside ours, `time`, which measures, and what lets a
# resolver hold as much memory as is wanted.
# shellcheck disable=SC2034
BENCH_PACKAGES=(keepalived python3-unbound time)
# What the tests of the watcher's page look at it with.
# shellcheck disable=SC2034
BROWSER_PACKAGES=(chromium)
POLICY=/usr/sbin/policy-rc.d
POLICY_MARK="written by anycast-checks for the time of an installation"

need_root() {
    if [ "$(id -u)" != 0 ]; then
        echo "$(basename "$0") needs root: $1" >&2
        exit 1
    fi
}

need_packages() {
    local missing=() package
    for package in "$@"; do
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
            missing+=("$package")
    done
    [ ${#missing[@]} = 0 ] && return
    need_root "it has to install ${missing[*]}"
    echo "Installing Debian packages (their services are not started): ${missing[*]}"
    _install "${missing[@]}"
}

want_packages() {
    local package
    for package in "$@"; do
        need_packages "$package" || echo "There is no $package to test with"
    done
}

unpack_package() (
    [ ! -e "$2" ] || return 0
    echo "Unpacking the Debian package $1"
    mkdir -p "$(dirname "$2")"
    directory=$(mktemp -d "$2.XXXXXX")
    trap 'rm -rf "$directory"' EXIT
    cd "$directory"
    apt-get download -qq "$1" 2>/dev/null ||
        { apt-get update -qq && apt-get download -qq "$1" 2>/dev/null; } || exit 1
    dpkg -x ./*.deb unpacked
    chmod 755 unpacked
    mv unpacked "$2"
)

clone_sources() (
    [ ! -e "$4" ] || return 0
    echo "Getting $1, $2"
    mkdir -p "$(dirname "$4")"
    directory=$(mktemp -d "$4.XXXXXX")
    trap 'rm -rf "$directory"' EXIT
    GIT_TERMINAL_PROMPT=0 timeout 60 git -c advice.detachedHead=false clone -q --depth 1 --branch "$2" \
        "$1" "$directory/sources" 2>/dev/null || exit 1
    [ "$(git -C "$directory/sources" rev-parse HEAD)" = "$3" ] || exit 1
    mv "$directory/sources" "$4"
)

# The function runs in a subshell, so that its traps are its own.
_install() (
    trap _restore_policy EXIT
    trap 'exit 130' INT TERM HUP
    _forbid_services
    before=$(_installed)
    export DEBIAN_FRONTEND=noninteractive
    install=(apt-get install -y -qq --no-install-recommends "$@")
    # The lists are updated only where they are too old, or there are none.
    "${install[@]}" >/dev/null 2>&1 ||
        { apt-get update -qq && "${install[@]}" >/dev/null; } || exit 1
    comm -13 <(echo "$before") <(_installed) | _disable_units
)

_installed() {
    dpkg-query -W -f='${binary:Package} ${db:Status-Status}\n' |
        sed -n 's/ installed$//p' | LC_ALL=C sort
}

_forbid_services() {
    # A policy with this mark was left by an installation that was killed.
    if [ -e $POLICY ] && ! grep -qs "$POLICY_MARK" $POLICY; then
        mv $POLICY $POLICY.anycast-lab
    fi
    printf '#!/bin/sh\n# %s\nexit 101\n' "$POLICY_MARK" >$POLICY
    chmod 755 $POLICY
}

_restore_policy() {
    rm -f $POLICY
    if [ -e $POLICY.anycast-lab ]; then
        mv $POLICY.anycast-lab $POLICY
    fi
}

# Services that were installed for the lab must not start at the next boot either.
_disable_units() {
    local package file unit
    command -v systemctl >/dev/null || return 0
    while read -r package; do
        for file in $(dpkg -L "$package" | grep -E '/lib/systemd/system/[^/@]+\.[a-z]+$'); do
            unit=$(basename "$file")
            if [ "$(systemctl --root=/ is-enabled "$unit" 2>/dev/null)" = enabled ]; then
                systemctl --root=/ disable "$unit" >/dev/null 2>&1 ||
                    echo "could not disable $unit" >&2
            fi
        done
    done
}

make_venv() (
    _open_venv "$@"
    sources=$(cd "$copy" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 cat | _digest)
    # An environment that was made with extras also serves where none are asked for.
    [ -n "$extras" ] || for noted in "$dir"/.anycast-needs-*; do
        _noted "${noted##*/.anycast-}" "$needs" && extras=${noted##*needs-}
    done
    _noted "needs-$extras" "$needs" && _noted sources "$sources" && return
    _install_needs
    "${pip[@]}" --no-deps --force-reinstall "$copy"
    echo "$sources" >"$dir/.anycast-sources"
)

make_develop() (
    _open_venv "$@"
    _install_needs
    _link_checkout "$dir"
)

# Called in a subshell: sets dir, extras, copy (of the checkout), needs (their digest) and pip.
_open_venv() {
    set -euo pipefail
    dir=$1 extras=${2:-}
    unset PYTHONPATH PYTHONHOME
    export PIP_DISABLE_PIP_VERSION_CHECK=1
    # The users of the lab's hosts must be able to read it, whatever the caller's umask.
    umask 022
    mkdir -p "$(dirname "$dir")"
    exec 9>"$dir.lock"
    flock 9
    copy=$(mktemp -d)
    trap 'rm -rf "$copy"' EXIT
    # A build in the checkout would leave build/ and *.egg-info there.
    # Status 1 of tar is a directory that has changed meanwhile: Python puts its __pycache__ there.
    {
        tar -C "$ROOT" --exclude='./.*' --exclude=__pycache__ --exclude='*.egg-info' \
            --exclude=./ansible --exclude=./build --exclude=./dist --exclude=./tests --exclude=./lab \
            --exclude=./scripts --exclude=./docs -cf - . || [ $? = 1 ]
    } | tar -C "$copy" -xf - --no-same-owner
    chmod -R a+rX "$copy"

    if [ "$(readlink -f "$dir/bin/python3")" != "$(readlink -f "$PYTHON")" ] ||
        ! "$dir/bin/python3" -c 'import pip, wheel' 2>/dev/null; then
        echo "Making the virtual environment $dir"
        rm -rf "$dir"
        "$PYTHON" -m venv "$dir"
        "$dir/bin/pip" install -q 'setuptools >= 77' wheel
    fi
    needs=$(_digest "$copy"/setup.cfg "$copy"/pyproject.toml)
    pip=("$dir/bin/pip" install -q --no-build-isolation)
}

_install_needs() {
    _noted "needs-$extras" "$needs" && return
    "${pip[@]}" "$copy${extras:+[$extras]}"
    echo "$needs" >"$dir/.anycast-needs-$extras"
}

# The links are outside site-packages, since pip writes and deletes there, through a link too.
_link_checkout() {
    local links=$1/checkout site
    site=$("$1/bin/python3" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    mkdir -p "$links"
    ln -sfn "$ROOT/anycast_checks" "$links/anycast_checks"
    ln -sfn "$ROOT/handlers" "$links/anycast_handlers"
    # The file is written only once, since a test that runs meanwhile reads it.
    [ -s "$site/anycast-checkout.pth" ] || echo "$links" >"$site/anycast-checkout.pth"
    rm -rf "$site/anycast_checks" "$site/anycast_handlers"
}

make_peers() (
    umask 022
    mkdir -p "$(dirname "$1")"
    # Several files of tests may want it at once.
    exec 9>"$1.lock"
    flock 9
    cmp -s "$2" "$1/requirements.txt" && return
    rm -rf "$1"
    echo "Installing what is tried or measured beside: $(grep -v '^#' "$2" | paste -s -d ' ')"
    /usr/bin/python3 -m venv "$1"
    "$1/bin/pip" install -qq --disable-pip-version-check 'setuptools >= 77' wheel
    "$1/bin/pip" install -qq --disable-pip-version-check -r "$2"
    cp "$2" "$1/requirements.txt"
)

_digest() {
    cat "$@" | sha256sum | cut -d' ' -f1
}

_noted() {
    [ "$(cat "$dir/.anycast-$1" 2>/dev/null)" = "$2" ]
}
