#!/bin/bash
# Starts PostgreSQL; on an empty data folder makes the cluster first. It reads what the registry's image reads:
# POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB (each also as NAME_FILE) and /docker-entrypoint-initdb.d.
# The cluster itself is a copy of the one made when the image was: initdb costs two seconds, a copy a tenth.
set -euo pipefail

seed=/usr/local/share/postgres-seed
scripts=/docker-entrypoint-initdb.d
unfinished="$PGDATA/initialising"

fail() { echo "postgres entry: $*" >&2; exit 1; }

setting() {  # setting NAME DEFAULT: the value of NAME, or what the file named by NAME_FILE holds
    local name=$1 file="$1_FILE"
    if [[ -n ${!name:-} && -n ${!file:-} ]]; then fail "both $name and $file are set: unset one of them"; fi
    if [[ -n ${!file:-} ]]; then cat -- "${!file}"; else printf '%s' "${!name:-$2}"; fi
}

literal() { printf "'%s'" "${1//\'/\'\'}"; }
identifier() { printf '"%s"' "${1//\"/\"\"}"; }

make_role_and_database() {
    local role database secret
    role=$(identifier "$user")
    secret=$(literal "$password")
    database=$(identifier "$db")
    {
        if [[ $user != postgres ]]; then
            printf 'CREATE ROLE %s SUPERUSER CREATEDB CREATEROLE REPLICATION BYPASSRLS LOGIN;\n\n' "$role"
        fi
        printf 'ALTER ROLE %s PASSWORD %s;\n\n' "$role" "$secret"
        if [[ $db != postgres ]]; then printf 'CREATE DATABASE %s OWNER %s;\n\n' "$database" "$role"; fi
    } | postgres --single -j -D "$PGDATA" -c fsync=off -c exit_on_error=on postgres >/dev/null
}

run_scripts() {
    local script query=(psql -X -v ON_ERROR_STOP=1 -h /tmp -U "$user" -d "$db")
    # no TCP while the scripts run, so that nobody takes the half-made database for a ready one
    pg_ctl -s -w -t 60 -D "$PGDATA" -o "-c listen_addresses='' -c unix_socket_directories=/tmp" start
    for script in "$scripts"/*; do
        case $script in
            *.sql) "${query[@]}" -f "$script" ;;
            *.sql.gz) gunzip -c "$script" | "${query[@]}" ;;
            *.sh) PGHOST=/tmp PGUSER=$user PGDATABASE=$db bash "$script" ;;
            *) echo "postgres entry: $script is neither .sql, .sql.gz nor .sh: skipped" >&2 ;;
        esac
    done
    pg_ctl -s -w -t 60 -D "$PGDATA" -m fast stop
}

initialise() {
    local user password db
    user=$(setting POSTGRES_USER postgres)
    password=$(setting POSTGRES_PASSWORD '')
    db=$(setting POSTGRES_DB "$user")
    if [[ -z $password ]]; then
        fail "POSTGRES_PASSWORD is empty: set it (or POSTGRES_PASSWORD_FILE) for the first start"
    fi
    find "$PGDATA" -mindepth 1 -delete
    : > "$unfinished"
    cp -a "$seed/." "$PGDATA"
    make_role_and_database
    if compgen -G "$scripts/*" > /dev/null; then run_scripts; fi
    rm "$unfinished"
}

if [[ ${1:-} == -* ]]; then set -- postgres "$@"; fi
if [[ ${1:-} != postgres ]]; then exec "$@"; fi

if [[ -e $unfinished || -z $(find "$PGDATA" -mindepth 1 -print -quit) ]]; then
    initialise
elif [[ ! -e $PGDATA/PG_VERSION ]]; then
    fail "$PGDATA holds files but no cluster: mount an empty volume there"
fi
unset POSTGRES_PASSWORD
exec "$@" -D "$PGDATA"
