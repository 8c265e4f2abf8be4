# The wheel is built in one image and installed in another, which has neither compiler nor sources.
FROM python:3.13-slim AS build
WORKDIR /src
RUN pip install --no-cache-dir build
COPY pyproject.toml requirements.lock README.md CHANGELOG.md LICENSE ./
COPY client client
COPY server server
COPY migrations migrations
RUN python -m build --wheel --outdir /dist

FROM python:3.13-slim
COPY requirements.lock /tmp/requirements.lock
RUN --mount=from=build,source=/dist,target=/dist \
    python -m venv /opt/tpeak \
    && /opt/tpeak/bin/pip install --no-cache-dir --constraint /tmp/requirements.lock "$(echo /dist/*.whl)[server]" scikit-learn \
    && rm /tmp/requirements.lock \
    && useradd --system --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin tpeak
ENV PATH=/opt/tpeak/bin:$PATH PYTHONUNBUFFERED=1
USER 10001
EXPOSE 8765
# Alive, not ready: a server that waits for its database must not be replaced for it.
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s --retries=5 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8765/healthz', timeout=2)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["tpeak"]
CMD ["server", "--host", "0.0.0.0"]
