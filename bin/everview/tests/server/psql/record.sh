#!/usr/bin/env bash
# Writes expected.txt and clients.txt: what psql prints for commands.txt and for clients.sql over objects.sql on
# PostgreSQL 15.
#     record.sh "host=127.0.0.1 port=5432 user=everview"
# The server's superuser must be called everview; its database everview is dropped and made anew.
set -eu
cd "$(dirname "$0")"
psql -X -q -c 'DROP DATABASE IF EXISTS everview' -c 'CREATE DATABASE everview' "$1 dbname=postgres"
psql -X -q -v ON_ERROR_STOP=1 -f objects.sql "$1 dbname=everview"
while IFS= read -r command; do
    printf '== %s\n' "$command"
    printf '%s\n' "$command" | psql -X "$1 dbname=everview" 2>&1
done <commands.txt >expected.txt
grep -v '^-- [^=]' clients.sql | while IFS= read -r name && IFS= read -r statement; do
    printf '%s\n' "${name#-- }"
    printf '%s;\n' "$statement" | psql -X -A -t "$1 dbname=everview" 2>&1
done >clients.txt
