# Alpine in one stage, the naive way, kept to show what it costs: compilers are installed in one layer and deleted in a
# later one, so the image carries their bytes although nobody can see the files.
# Build secrets, both optional: `ca` (PEM bundle with a company's own CA) and `pip` (a pip.conf).
ARG PYTHON_VERSION=3.13
ARG BASE_IMAGE=python:${PYTHON_VERSION}-alpine

FROM ${BASE_IMAGE} AS runtime
ARG BASE_IMAGE
ARG PYTHON_VERSION
RUN --mount=type=cache,id=apk-${BASE_IMAGE}-${PYTHON_VERSION},target=/etc/apk/cache,sharing=locked \
    --mount=type=secret,id=ca,target=/etc/apk/ca.pem \
    apk add --update-cache --virtual .compilers gcc g++ musl-dev linux-headers openssl-dev libffi-dev
# These stay: C++ extensions link to libstdc++ and libgcc, which would go with the compilers otherwise. The base has no
# time zone data either.
RUN --mount=type=cache,id=apk-${BASE_IMAGE}-${PYTHON_VERSION},target=/etc/apk/cache,sharing=locked \
    --mount=type=secret,id=ca,target=/etc/apk/ca.pem \
    apk add --update-cache libstdc++ libgcc tzdata
ARG REQUIREMENTS=dockerfiles/deps/fastapi.txt
COPY ${REQUIREMENTS} /tmp/requirements.txt
# pip stays outside of the environment: the base has one already.
RUN --mount=type=cache,id=pip-${BASE_IMAGE}-${PYTHON_VERSION},target=/root/.cache/pip \
    --mount=type=secret,id=ca \
    --mount=type=secret,id=pip,target=/etc/pip.conf \
    if [ -f /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi; \
    python3 -m venv --without-pip /venv \
    && python3 -m pip --python /venv/bin/python install --disable-pip-version-check --requirement /tmp/requirements.txt

# A layer only adds: this hides the files of the layer above, it gives none of their bytes back.
RUN apk del .compilers

ARG GIT_REVISION
ARG TZ=Etc/UTC
COPY dockerfiles/app /srv/app
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 TZ=${TZ}
LABEL org.opencontainers.image.title="matrix-app" \
      org.opencontainers.image.description="The service under test on Alpine, in a single stage" \
      org.opencontainers.image.base.name="${BASE_IMAGE}" \
      org.opencontainers.image.revision="${GIT_REVISION}"
WORKDIR /srv
# A number instead of a name: it means the same on every base, whatever tool the base has to add users.
USER 65532:65532
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s --start-interval=1s --retries=3 \
    CMD ["python", "-m", "app.healthcheck"]
CMD ["python", "-m", "app.start"]
