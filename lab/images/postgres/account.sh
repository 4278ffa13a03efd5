#!/bin/sh
# Run on the host by mmdebstrap, before PostgreSQL is unpacked, with the new root as $1.
set -eu

# the numbers of the registry's image: a tmpfs of the manifest is owned by uid=70,gid=70 with both
echo 'postgres:x:70:70:PostgreSQL:/var/lib/postgresql:/bin/sh' >> "$1/etc/passwd"
echo 'postgres:x:70:' >> "$1/etc/group"
echo 'postgres:!::0:::::' >> "$1/etc/shadow"

mkdir -p "$1/etc/postgresql-common"
echo 'create_main_cluster = false' > "$1/etc/postgresql-common/createcluster.conf"
