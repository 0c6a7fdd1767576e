# syntax=docker/dockerfile:1.4
# escape=\

FROM alpine:3 AS scripts

RUN <<EOF
set -e
apk add --no-cache bash
# FROM is text here
FROM=here
EOF

RUN <<-'SCRIPT'
	#!/usr/bin/env bash
	echo "$HOME"
	SCRIPT

COPY <<-nginx.conf <<"index.html" /srv/
	server { listen ${PORT:-80}; }
	nginx.conf
<p>It costs $5</p>
index.html

FROM scripts
COPY --from=scripts /srv /srv
RUN ["/bin/ls", "<<EOF"]
