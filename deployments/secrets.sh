#!/bin/sh
# Makes a password for each program, and what NATS, Redis and the programs need of it. Run it again to replace those that are missing
# only; delete a file first to replace it. The directory is readable by its owner only; the containers get single files of it.
#
#   deployments/secrets.sh [DIRECTORY]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
to=${1:-$here/secrets}
mkdir -p "$to"
chmod 700 "$to"
umask 022
random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

: > "$to/passwords.conf.new"
for user in ingest detector api relay operator producer consumer; do
  [ -s "$to/nats-$user" ] || random > "$to/nats-$user"
  echo "${user}_password = \"$(cat "$to/nats-$user")\"" >> "$to/passwords.conf.new"
done
mv "$to/passwords.conf.new" "$to/passwords.conf"

cp "$here/redis/users.acl" "$to/users.acl.new"
for user in ingest detector api operator; do
  [ -s "$to/redis-$user" ] || random > "$to/redis-$user"
  name=$(echo "$user" | tr '[:lower:]' '[:upper:]')
  hash=$(sha256sum < "$to/redis-$user" | cut -d' ' -f1)
  sed "s/#${name}_SHA256/#$hash/" "$to/users.acl.new" > "$to/users.acl.next"
  mv "$to/users.acl.next" "$to/users.acl.new"
done
mv "$to/users.acl.new" "$to/users.acl"
echo "passwords are in $to"
