# The service: docker build -t workorder-sync . ; docs/install.md tells how it is run.
ARG PYTHON=3.13-slim-bookworm

FROM python:${PYTHON} AS built
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY deploy/requirements.txt /
# Only files that the lock knows, and only wheels: nothing of a package is run here.
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --require-hashes --no-deps --only-binary :all: -r /requirements.txt \
    && /opt/venv/bin/pip check \
    && /opt/venv/bin/pip uninstall --yes pip
COPY pipeline /app/pipeline
COPY deploy/ready.py /app/
RUN /opt/venv/bin/python -m compileall -q /app /opt/venv

FROM python:${PYTHON}
# No HOME, no login, and nothing of the program is its own: it can write to /data alone.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin workorder-sync \
    && install --directory --owner=10001 --group=10001 /data
COPY --from=built /opt/venv /opt/venv
COPY --from=built /app /app
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONSAFEPATH=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SERVE_HOST=0.0.0.0 \
    SERVE_PORT=8080
# The places of settings and tables are relative to here: data/inbound is /data/inbound.
WORKDIR /
USER 10001:10001
VOLUME /data
EXPOSE 8080
# `serve` answers; where the image runs another command, there is nothing to ask, and --no-healthcheck says so.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["python", "/app/ready.py"]
ENTRYPOINT ["python", "-m", "pipeline"]
CMD ["serve"]
