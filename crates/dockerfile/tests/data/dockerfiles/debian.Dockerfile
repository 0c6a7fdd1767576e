FROM debian:trixie-slim
MAINTAINER Some One <some.one@example.org>
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]

# Several lines, with comments between them.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        ca-certificates \
        # for the tests
        curl \
    && rm -rf /var/lib/apt/lists/*

ENV LANG C.UTF-8
env PATH=/opt/app/bin:$PATH
add --chown=app:app https://example.org/a.tar.gz /opt/
Copy ["with space.txt", "/opt/"]
VOLUME ["/data", "/logs"]
VOLUME /cache /tmp
ONBUILD COPY . /opt/app
ONBUILD RUN make -C /opt/app
WORKDIR /opt/app
CMD echo "hello $USER" | tr a-z A-Z
