# The single-file program of `make binary`, unpacked onto what it needs of Debian: a C library, zlib, a
# shell (for the watcher of the embedded PostgreSQL) and the certificates of authorities. No package
# manager, no Python. `make container` builds it; docs/guides/deploy.md says how to run it.
ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${BASE} AS build
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
# Of the base's own release, whose versions are not ours to choose.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/*
# /var/lib/dpkg/status.d is where scanners look for the packages of an image without dpkg.
RUN mkdir -p /image/usr/bin /image/usr/sbin /image/usr/lib /image/usr/lib64 \
      /image/var/lib/dpkg/status.d /image/etc/ssl/certs \
 && dpkg -L base-files dash libc6 zlib1g | grep '^/' | sort -u \
      | grep -Ev '/(gconv|doc|doc-base|man|lintian|bug|locale|info|dpkg|default|profile\.d)(/|$)' \
      | tar -c -C / --no-recursion --files-from=- \
      | tar -x -C /image --keep-directory-symlink \
 && for each in base-files dash libc6 zlib1g; do dpkg -s "$each" >"/image/var/lib/dpkg/status.d/$each"; done \
 && cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ \
 && printf 'root:x:0:0::/:/bin/sh\nlocshare:x:10001:10001::/var/lib/locshare:/bin/sh\n' >/image/etc/passwd \
 && printf 'root:x:0:\nlocshare:x:10001:\n' >/image/etc/group \
 && chmod 1777 /image/tmp \
 && install -d -m 755 /image/var/lib/locshare \
 && install -d -m 700 -o 10001 -g 10001 /image/var/lib/locshare/data
COPY dist/locshare dist/locshare.cdx.json /
RUN /locshare --unpack /image/opt/locshare \
 && install -D -m 644 /locshare.cdx.json /image/usr/share/doc/locshare/sbom.cdx.json

FROM scratch
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="locshare" \
      org.opencontainers.image.description="A group sees itself live on a map, inside a private session that ends by itself." \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="scratch"
COPY --from=build /image /
USER 10001:10001
WORKDIR /var/lib/locshare
ENV PATH=/opt/locshare:/usr/bin:/bin \
    LOCSHARE_DATA_DIR=/var/lib/locshare/data \
    PORT=8080 \
    LOCSHARE_LOG_FORMAT=json \
    LOCSHARE_ENVIRONMENT=production
# The only place that is written to: the root may be read-only.
VOLUME /var/lib/locshare/data
# One port for everything. A hosting platform sets another PORT; LOCSHARE_HTTP_BIND and
# LOCSHARE_WS_BIND make two of it.
EXPOSE 8080
# Give it longer than LOCSHARE_DRAIN_DEADLINE_S, so that everyone is told to come back.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["locshare", "health"]
ENTRYPOINT ["locshare"]
CMD ["serve"]
