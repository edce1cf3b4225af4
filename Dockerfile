# Plaza without engines: name MongoDB, Redis and the secret by PLAZA_… (docs/operations.md).
# The core and the side-car are the same image: `serve`, `serve --only realtime`, `serve --only rest`, `migrate`.
ARG PYTHON=3.11

FROM python:${PYTHON}-slim-bookworm AS build
COPY requirements/runtime.txt /tmp/runtime.txt
RUN python -m venv --without-pip /opt/plaza \
 && pip --python /opt/plaza/bin/python install --no-cache-dir --disable-pip-version-check \
      --require-hashes --only-binary :all: --no-compile -r /tmp/runtime.txt \
 && /opt/plaza/bin/python -m compileall -q -j 0 /opt/plaza/lib
COPY common /srv/plaza/common
COPY documents /srv/plaza/documents
COPY media /srv/plaza/media
COPY realtime /srv/plaza/realtime
COPY rest /srv/plaza/rest
RUN /opt/plaza/bin/python -m compileall -q -j 0 /srv/plaza

FROM python:${PYTHON}-slim-bookworm
RUN useradd --system --no-create-home --uid 10001 --user-group --shell /usr/sbin/nologin plaza \
 && install -d -o plaza -g plaza -m 0700 /var/lib/plaza
COPY --from=build /opt/plaza /opt/plaza
COPY --from=build /srv/plaza /srv/plaza
ENV PATH=/opt/plaza/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PLAZA_ENVIRONMENT=production \
    PLAZA_HOST=0.0.0.0 \
    PLAZA_PORT=8001 \
    PLAZA_DATA_DIR=/var/lib/plaza
WORKDIR /srv/plaza
USER 10001:10001
EXPOSE 8001
# SIGTERM drains: give it PLAZA_TIMEOUTS__DRAIN (20 s) and some seconds to finish.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as web; web.urlopen(f\"http://127.0.0.1:{os.environ['PLAZA_PORT']}/livez\", timeout=2)"]
ENTRYPOINT ["python", "-m", "realtime"]
CMD ["serve"]
