#!/bin/sh
# Writes what three machines need in /etc/headway: DIRECTORY/HOST for each of them, with passwords that are made once.
# Run it again with the same directory to write the same again.
#
#   deployments/systemd/prepare.sh DIRECTORY HOST HOST HOST
set -eu
[ $# -eq 4 ] || { echo "usage: prepare.sh DIRECTORY HOST HOST HOST" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
to=$1 first=$2
shift
for host in "$@"; do
  case $host in *[!A-Za-z0-9.-]*|'') echo "prepare.sh: '$host' is no host name or IPv4 address, without a port" >&2; exit 2 ;; esac
done
umask 077
"$here/../secrets.sh" "$to/secrets" >/dev/null
secrets=$to/secrets
chmod 600 "$secrets"/*
for name in cluster replica sentinel; do
  [ -s "$secrets/$name" ] || od -An -N24 -tx1 /dev/urandom | tr -d ' \n' > "$secrets/$name"
done
cluster=$(cat "$secrets/cluster") replica=$(cat "$secrets/replica") sentinel=$(cat "$secrets/sentinel")
hash() { printf %s "$1" | sha256sum | cut -d' ' -f1; }

nats= routes= sentinels=
for host in "$@"; do
  nats="$nats${nats:+,}nats://$host:4222"
  routes="$routes${routes:+, }\"nats-route://cluster:$cluster@$host:6222\""
  sentinels="$sentinels${sentinels:+,}$host"
done

for self in "$@"; do
  dir=$to/$self
  mkdir -p "$dir"
  fill() {
    sed -e "s|SENTINEL_PASSWORD|$sentinel|g; s|CLUSTER_PASSWORD|$cluster|g; s|REPLICA_PASSWORD|$replica|g; s|NATS_URL|$nats|g; s|SENTINELS|$sentinels|g; s|ROUTES|$routes|g" \
        -e "s|FIRST|$first|g; s|SELF|$self|g; s|PROGRAM|$1|g; s|^REPLICAOF$|$replicaof|"
  }
  replicaof="replicaof $first 6379"
  [ "$self" != "$first" ] || replicaof=
  for file in nats.conf redis.conf sentinel.conf; do fill '' < "$here/config/$file" > "$dir/$file"; done
  for program in ingest detector api; do
    fill "$program" < "$here/config/program.yaml" > "$dir/$program.yaml"
    cp "$secrets/redis-$program" "$secrets/nats-$program" "$dir"
  done
  echo "listen: $self:9091" >> "$dir/ingest.yaml"
  echo "listen: $self:9092" >> "$dir/detector.yaml"
  printf 'listen: %s:8080\nops-listen: %s:9090\naccess: keys\nallowed-host: [%s]\n' "$self" "$self" "$self" >> "$dir/api.yaml"
  # The relay needs no Redis. Name your Ray clusters here, on one of the machines.
  printf 'nats-url: %s\nnats-user: relay\nlisten: %s:9093\nray: []\n' "$nats" "$self" > "$dir/relay.yaml"
  cp "$secrets/nats-relay" "$here/../nats/accounts.conf" "$secrets/passwords.conf" "$dir"
  { cat "$secrets/users.acl"
    echo "user replica on #$(hash "$replica") resetkeys resetchannels -@all +psync +replconf +ping"
    echo "user sentinel on #$(hash "$sentinel") resetkeys resetchannels allchannels -@all +multi +exec +slaveof +ping +subscribe +config|rewrite +role +publish +info +client|setname +client|kill +script|kill"
  } > "$dir/users.acl"
done
echo "copy $to/HOST/* to /etc/headway of each machine, readable by root only; $secrets has the passwords of operator, producer and consumer"
