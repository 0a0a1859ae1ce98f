#!/bin/sh
# Installs on an endpoint what `anycast-handler gate --install` sends.
#
# Root runs it there, in a new directory that has the files, and a plan that says where each goes:
#
#   needs PROGRAM                    says so where that program is missing
#   account NAME                     makes the account where it is missing
#   directory PATH MODE ACCOUNT      makes the directory, and gives it to the account
#   file NAME PATH MODE GROUP        writes a file that belongs to root
#   key NAME ACCOUNT                 puts a line into the authorized_keys of the account
#
# Nothing is in its place before all of it could be written and visudo has read the sudoers files.
# With the argument `dry` it only says what it would change.
set -eu
umask 022
PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
dry=${1-}
be=${dry:+would be }
cd "$(dirname "$0")"
changed='' staged='' accounts='' borrowed=''

fail() {
    echo "$1" >&2
    exit 1
}

say() {
    changed=yes
    echo "$1"
}

clean_up() {
    for path in $staged; do
        rm -f "$path.new"
    done
    # shellcheck disable=SC2086
    set -- $borrowed
    while [ $# -gt 0 ]; do
        chown "$1" "$2"
        shift 2
    done
}
trap clean_up EXIT

home_of() {
    found=$(getent passwd "$1") || { echo "/home/$1" && return; }
    echo "$found" | cut -d: -f6
}

needs() {
    [ -x "$1" ] || echo "note: there is no $1 yet"
}

account() {
    accounts="$accounts $1"
    if found=$(getent passwd "$1"); then
        case $found in
        *:/bin/sh | *:/bin/bash | *:/bin/dash | *:/usr/bin/sh | *:/usr/bin/bash) ;;
        *) echo "note: account $1 has the login shell ${found##*:}: usermod --shell /bin/sh $1" ;;
        esac
        return
    fi
    command -v useradd >/dev/null || fail "there is no account $1, and no useradd to make it with"
    # "*" means that no password is right; "!" would lock the account, and sshd might refuse its key.
    [ -n "$dry" ] || useradd --system --no-create-home --home-dir "/home/$1" --user-group \
        --shell /bin/sh --password '*' "$1" </dev/null >/dev/null
    say "account $1: ${be}made"
}

directory() {
    [ ! -L "$1" ] || fail "$1 is a link, and not a directory"
    [ "$(stat -c '%a %U' "$1" 2>&1)" != "$2 $3" ] || return 0
    [ -n "$dry" ] || {
        mkdir -p "$1"
        chmod "$2" "$1"
        chown "$3:" "$1"
    }
    say "$1: ${be}made $3's, mode $2"
}

# Lets the account through to a file that only its group may read. On a monitoring host the
# directory is the engine's, which nobody else enters until then.
let_through() {
    [ "$2" != root ] && mode=$(stat -c %A "$1" 2>/dev/null) || return 0
    case $mode in *x | *t) return 0 ;; esac
    # Nobody else has come to what is below until now, so its own modes may let everybody read it.
    readable=$(find "$1" -mindepth 1 -type d ! -perm -o=x -prune -o \
        -type f -perm -o=r ! -name '*.pub' ! -name known_hosts -print | sort | head -n 1)
    [ -z "$readable" ] || {
        below=${readable#"$1"/}
        below=$1/${below%%/*}
        fail "everybody could read $readable then: chgrp $(stat -c %G "$1") $below; chmod g=rX,o= $below"
    }
    [ -n "$dry" ] || chmod o+x "$1"
    say "$1: ${be}opened for the accounts to pass, chmod o+x"
}

file() {
    let_through "$(dirname "$2")" "$4"
    if [ ! -L "$2" ] && cmp -s "$1" "$2" && [ "$(stat -c '%a %U %G' "$2")" = "$3 root $4" ]; then
        return
    fi
    [ -n "$dry" ] || {
        getent group "$4" >/dev/null || fail "there is no group $4, which has to read $2"
        mkdir -p "$(dirname "$2")"
        staged="$staged $2"
        install -T -o root -g "$4" -m "$3" "$1" "$2.new"
    }
    case $2 in
    /etc/sudoers.d/*) visudo -cf "$1" >/dev/null 2>&1 || fail "visudo refuses the new $2" ;;
    esac
    say "$2: ${be}written"
}

# Makes a home root's as long as this runs: its owner could exchange .ssh for a link at any moment,
# and root would follow it.
borrow() {
    owner=$(stat -c %U "$1" 2>&1) || return 0
    [ "$owner" != root ] || return 0
    echo "note: $1 belongs to $owner, who can exchange .ssh there: chown root $1"
    [ -n "$dry" ] || {
        borrowed="$borrowed $owner $1"
        chown root "$1"
    }
}

key() {
    home=$(home_of "$2")
    blob=$(cut -d' ' -f3 "$1")
    file=$home/.ssh/authorized_keys
    borrow "$home"
    # Where the account could write the file it could give itself another key.
    [ -e "$home" ] || directory "$home" 755 root
    directory "$home/.ssh" 755 root
    # Root would make the text behind a link readable by everybody.
    [ ! -L "$file" ] || fail "$file is a link, and not a file"
    [ ! -e "$file" ] || [ -f "$file" ] || fail "$file is not a file"
    grep -vF -e "$blob" "$file" 2>/dev/null >"$1.others" || :
    others=$(grep -v -e '^#' -e '^ *$' "$1.others" | grep -c -v 'command="') || :
    [ "$others" = 0 ] || echo "note: $file has other keys without a forced command: $others"
    cat "$1.others" "$1" >"$1.all"
    # Each of two monitoring hosts would put its own key last, and so change the file each time.
    if grep -qxF -e "$(cat "$1")" "$file" 2>/dev/null && [ "$(grep -cF -e "$blob" "$file")" = 1 ]; then
        cat "$file" >"$1.all"
    fi
    file "$1.all" "$file" 644 root
}

leave_group() {
    case " $(id -nG "$1" 2>/dev/null) " in *" $2 "*) ;; *) return 0 ;; esac
    [ -n "$dry" ] || gpasswd -d "$1" "$2" >/dev/null
    say "account $1: ${be}taken out of the group $2, which may configure the routing daemon"
}

[ "$(id -u)" = 0 ] || fail "only root can install there, and this login is $(id -un)"
command -v visudo >/dev/null || fail "there is no visudo: install sudo first"
while read -r what arguments; do
    # The arguments are words without blanks, which the handler has made sure of.
    # shellcheck disable=SC2086
    "$what" $arguments </dev/null
done <plan
for path in $staged; do
    mv -f "$path.new" "$path"
done
staged=''
for account in $accounts; do
    leave_group "$account" frrvty
    leave_group "$account" quaggavty
    leave_group "$account" bird
done
[ -n "$changed" ] || echo "nothing ${be:-was }changed"
