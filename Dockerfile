# One container: the server with its embedded PostgreSQL, or with a database of yours
# (LOCSHARE_DATABASE_URL). docs/guides/deploy.md says how to run it.
FROM python:3.13-slim-bookworm AS build
WORKDIR /build
# For the send loop, which is compiled. Without it the image works too.
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev
COPY pyproject.toml constraints.txt README.md LICENSE hatch_build.py ./
COPY src src
COPY web web
RUN python -m venv /opt/locshare \
 && PIP_CONSTRAINT=constraints.txt /opt/locshare/bin/pip install --no-cache-dir --disable-pip-version-check '.[embedded]' \
 && /opt/locshare/bin/python -m compileall -q /opt/locshare/lib

FROM python:3.13-slim-bookworm
# The same paths as in the first stage: a virtual environment does not move.
COPY --from=build /opt/locshare /opt/locshare
RUN useradd --system --uid 10001 --home-dir /var/lib/locshare --create-home locshare \
 && install -d -m 700 -o locshare -g locshare /var/lib/locshare/data
USER locshare
ENV PATH=/opt/locshare/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    LOCSHARE_DATA_DIR=/var/lib/locshare/data \
    PORT=8080 \
    LOCSHARE_LOG_FORMAT=json \
    LOCSHARE_ENVIRONMENT=production
VOLUME /var/lib/locshare/data
# One port for everything. A hosting platform sets another PORT; LOCSHARE_HTTP_BIND and
# LOCSHARE_WS_BIND make two of it.
EXPOSE 8080
# Longer than LOCSHARE_DRAIN_DEADLINE_S, so that everyone is told to come back.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/health/ready', timeout=2)"]
ENTRYPOINT ["locshare"]
CMD ["serve"]
