# One container: the server with its embedded PostgreSQL, or with a database of yours
# (LOCSHARE_DATABASE_URL). docs/guides/deploy.md says how to run it.
FROM python:3.13-slim-bookworm AS build
WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
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
    LOCSHARE_HTTP_BIND=0.0.0.0:8080 \
    LOCSHARE_WS_BIND=0.0.0.0:8081 \
    LOCSHARE_LOG_FORMAT=json \
    LOCSHARE_ENVIRONMENT=production
VOLUME /var/lib/locshare/data
EXPOSE 8080 8081
# Longer than LOCSHARE_DRAIN_DEADLINE_S, so that everyone is told to come back.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/health/ready', timeout=2)"]
ENTRYPOINT ["locshare"]
CMD ["serve"]
