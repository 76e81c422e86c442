#!/bin/sh
# The same node on every host that is named, over ssh: ./install.sh 10.0.0.1 10.0.0.2 10.0.0.3
#
# Wants the .deb of `make package` (DEB, default: the newest in ../../dist) and ssh to the hosts as
# root, or as a user with sudo (REMOTE, default: ssh). Run it again after a change: it changes nothing
# that is already so. The first host makes the cluster key, the others get a copy of it.
set -eu

if [ $# -eq 0 ]; then
    echo "usage: $0 HOST..." >&2
    exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
deb=${DEB:-$(find "$here/../../dist" -name 'eagle-node_*.deb' | sort | tail -n 1)}
if [ ! -f "$deb" ]; then
    echo "$0: no .deb; build it with make package-deb, or name it: DEB=/path/to/file.deb $0 ..." >&2
    exit 1
fi
remote=${REMOTE:-ssh}
first=$1

# on HOST: run the shell script of standard input there, as root
on() {
    $remote "$1" 'if [ "$(id -u)" = 0 ]; then exec sh -eu; else exec sudo sh -eu; fi'
}

config() {
    echo 'data-dir = "/var/lib/eagle-node"'
    echo 'role = "auto"'
    echo "advertise = \"$1\""
    if [ "$1" != "$first" ]; then
        echo "join = [\"$first\"]"
    else
        echo "join = [$(printf '"%s", ' "$@" | sed 's/^[^ ]* //; s/, $//')]"
    fi
    echo 'cluster-key-file = "/etc/eagle-node/cluster.key"'
    echo 'cache-size = "20GiB"'
}

key=
for host in "$@"; do
    echo "== $host"
    # A directory of its own, which nobody on that host can have prepared; apt's user has to read it.
    package=$($remote "$host" 'umask 022; dir=$(mktemp -d) && chmod 0755 "$dir" && echo "$dir"')/eagle-node.deb
    # shellcheck disable=SC2002
    cat "$deb" | $remote "$host" "cat > $package"
    {
        echo "export DEBIAN_FRONTEND=noninteractive"
        echo "apt-get install -qq -y --allow-downgrades -o Dpkg::Options::=--force-confold $package"
        echo "rm -r $(dirname "$package")"
    } | on "$host"
    if [ -z "$key" ]; then
        key=$(on "$host" <<'END'
file=/etc/eagle-node/cluster.key
[ -s "$file" ] || (umask 077; head -c 32 /dev/urandom | base64 >"$file")
cat "$file"
END
        )
    fi
    others=$host
    [ "$host" = "$first" ] && others=$*
    {
        echo "cat >/etc/eagle-node/cluster.key <<'END'"
        echo "$key"
        echo "END"
        echo "chown root:eagle-node /etc/eagle-node/cluster.key"
        echo "chmod 0640 /etc/eagle-node/cluster.key"
        echo "cat >/etc/eagle-node/config.toml <<'END'"
        # shellcheck disable=SC2086
        config $others
        echo "END"
        echo "systemctl enable --quiet eagle-node"
        echo "systemctl restart eagle-node"
    } | on "$host"
done
echo "== all hosts"
for host in "$@"; do
    on "$host" <<'END'
tries=0
until eagle-node status; do
    tries=$((tries + 1))
    [ "$tries" -lt 30 ]
    sleep 1
done
END
done
