#!/bin/bash
# Whether the server in this container answers: asks /livez on the port of FLETCHING_HTTP. bash speaks
# TCP by itself, so the image needs no client.
set -eu
port="${FLETCHING_HTTP##*:}"
exec 3<>"/dev/tcp/127.0.0.1/$port"
# It does not speak TLS: then a door that is open has to do.
[[ -z ${FLETCHING_SECURITY_TLS_CERT:-} ]] || exit 0
printf 'GET /livez HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
read -r -t 2 status <&3
[[ $status == "HTTP/1."?" 200 "* ]]
