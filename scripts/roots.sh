# shellcheck shell=bash
# Functions for the roots of Debian's releases; scripts that want one source this file after setup.sh.
#
#   make_root RELEASE PLACE FORMAT PACKAGE...  makes a clean root with some packages: a directory, a tar
#   clean_root RELEASE PACKAGE...       makes a tar of one, and keeps it for a week: ROOT_OF_RELEASE
#   in_root ROOT COMMAND...             runs a command in a root, without a network
#   in_release RELEASE COMMAND...       runs a command of the checkout in the root that is kept for
#                                       the tests of that release
#
# Nothing that is run in a root outlives it or is left mounted, however the script ends: processes
# and mounts are in namespaces of their own.

RELEASES=(bookworm trixie)
# The machine of a person who runs the tests has these packages anyway.
RELEASE_PACKAGES=(ca-certificates dbus git iputils-ping login man-db passwd systemd)

make_root() {
    local release=$1 place=$2 format=$3 includes
    shift 3
    includes=$(IFS=, && echo "$*")
    mmdebstrap --variant=apt --include="$includes" --format="$format" "$release" "$place"
}

clean_root() {
    local release=$1
    shift
    # shellcheck disable=SC2034
    ROOT_OF_RELEASE=$CACHE/root-$release-$(echo "$*" | _digest | cut -c-12).tar
    [ -z "$(find "$ROOT_OF_RELEASE" -mtime -7 2>/dev/null)" ] || return 0
    mkdir -p "$CACHE"
    make_root "$release" "$ROOT_OF_RELEASE.new" tar "$@" && mv "$ROOT_OF_RELEASE.new" "$ROOT_OF_RELEASE"
}

in_root() {
    local root=$1
    shift
    unshare --mount --net --pid --fork --kill-child sh -c \
        'mount -t proc proc "$1/proc"; root=$1; shift; exec chroot "$root" "$@"' \
        sh "$root" "$@"
}

# The command sees the checkout as /checkout, and keeps what it installs and caches in the root.
in_release() {
    local release=$1 root=$CACHE/release-$1 child status
    shift
    [[ " ${RELEASES[*]} " = *" $release "* ]] || {
        echo "$(basename "$0"): $release is none of the releases ${RELEASES[*]}" >&2
        exit 3
    }
    need_root "it makes a root of Debian"
    _keep_release "$release" "$root"
    # Ctrl-C reaches the command, which ends its own in order. bash would have it ignore SIGINT,
    # since bash does not wait for it; and bash must not wait, because it would not hear SIGTERM.
    env --default-signal=INT,QUIT -u ANYCAST_CACHE -u ANYCAST_VENV -u TMPDIR \
        HOME=/root LC_ALL=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin \
        setpriv --pdeathsig KILL \
        unshare --mount --pid --fork --kill-child sh -euc "$BE_THE_RELEASE" sh "$root" "$ROOT" "$@" <&0 &
    child=$!
    trap : INT QUIT
    trap 'kill -s KILL $child' TERM HUP
    while true; do
        status=0
        wait "$child" 2>/dev/null || status=$?
        kill -s 0 "$child" 2>/dev/null || exit "$status"
    done
}

# Process 1 of the root, which lasts as long as the command and reaps what that leaves behind. The
# root is pivoted to, because nsenter, by which the lab enters its hosts, leaves a mere chroot.
# shellcheck disable=SC2016 # the variables are those of the inner shell
BE_THE_RELEASE='
root=$1 checkout=$2
shift 2
mount --bind "$root" "$root"
cd "$root"
mkdir -p checkout
mount --bind "$checkout" checkout
mount -t proc -o nosuid,nodev,noexec proc proc
mount --rbind /sys sys
mount -t tmpfs -o nosuid,nodev,mode=755 tmpfs run
mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs tmp
mount -t tmpfs -o nosuid,mode=755 tmpfs dev
for device in full null random tty urandom zero; do
    touch dev/$device
    mount --bind /dev/$device dev/$device
done
if [ -e /dev/net/tun ]; then
    mkdir dev/net
    touch dev/net/tun
    mount --bind /dev/net/tun dev/net/tun
fi
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs dev/shm
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr
# Names and certificates are those by which the machine reaches the registries.
for file in resolv.conf hosts ssl/certs/ca-certificates.crt; do
    [ ! -e /etc/$file ] || {
        touch etc/$file
        mount --bind -o ro /etc/$file etc/$file
    }
done
pivot_root . mnt
umount --lazy /mnt
cd /checkout
"$@"
'

_keep_release() (
    need_packages mmdebstrap
    mkdir -p "$CACHE"
    exec 9>"$2.lock"
    flock 9
    [ ! -d "$2" ] || exit 0
    trap 'rm -rf "$2.new"' EXIT
    trap 'exit 130' INT TERM HUP
    rm -rf "$2.new"
    echo "Making a root of $1, which takes some minutes: $2"
    make_root "$1" "$2.new" directory "${RELEASE_PACKAGES[@]}" >"$2.log" 2>&1 || {
        tail -n 40 "$2.log" >&2
        exit 2
    }
    mv "$2.new" "$2"
)
