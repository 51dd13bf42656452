# Wolfi: glibc with apk's small packages. The base has no Python; the runtime stage gets it without pip.
# Build secrets, both optional: `ca` (PEM bundle with a company's own CA) and `pip` (a pip.conf).
ARG PYTHON_VERSION=3.13
ARG BASE_IMAGE=cgr.dev/chainguard/wolfi-base

FROM ${BASE_IMAGE} AS builder
ARG BASE_IMAGE
ARG PYTHON_VERSION
RUN --mount=type=cache,id=apk-${BASE_IMAGE}-${PYTHON_VERSION},target=/etc/apk/cache,sharing=locked \
    --mount=type=secret,id=ca,target=/etc/apk/ca.pem \
    apk add --update-cache python-${PYTHON_VERSION} py${PYTHON_VERSION}-pip
ARG REQUIREMENTS=dockerfiles/deps/fastapi.txt
COPY ${REQUIREMENTS} /tmp/requirements.txt
# pip stays outside of the environment: the runtime stage has no use for a second one.
RUN --mount=type=cache,id=pip-${BASE_IMAGE}-${PYTHON_VERSION},target=/root/.cache/pip \
    --mount=type=secret,id=ca \
    --mount=type=secret,id=pip,target=/etc/pip.conf \
    if [ -f /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi; \
    python3 -m venv --without-pip /venv \
    && python3 -m pip --python /venv/bin/python install --disable-pip-version-check --requirement /tmp/requirements.txt

# The same base and Python package as the builder's: an environment holds links to its Python and code compiled for
# this very version.
FROM ${BASE_IMAGE} AS runtime
ARG BASE_IMAGE
ARG PYTHON_VERSION
# C++ extensions such as grpcio's link to libstdc++, and TZ needs time zone data: the base has neither.
RUN --mount=type=cache,id=apk-${BASE_IMAGE}-${PYTHON_VERSION},target=/etc/apk/cache,sharing=locked \
    --mount=type=secret,id=ca,target=/etc/apk/ca.pem \
    apk add --update-cache python-${PYTHON_VERSION} libstdc++ tzdata
ARG GIT_REVISION
ARG TZ=Etc/UTC
COPY --from=builder /venv /venv
COPY dockerfiles/app /srv/app
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 TZ=${TZ}
LABEL org.opencontainers.image.title="matrix-app" \
      org.opencontainers.image.description="The service under test on Wolfi" \
      org.opencontainers.image.base.name="${BASE_IMAGE}" \
      org.opencontainers.image.revision="${GIT_REVISION}"
WORKDIR /srv
# A number instead of a name: it means the same on every base, whatever tool the base has to add users.
USER 65532:65532
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s --start-interval=1s --retries=3 \
    CMD ["python", "-m", "app.healthcheck"]
CMD ["python", "-m", "app.start"]
