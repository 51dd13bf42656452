# Alpine in two stages: musl, with compilers in the builder only and runtime libraries in the runtime stage only.
# Build secrets, both optional: `ca` (PEM bundle with a company's own CA) and `pip` (a pip.conf).
ARG PYTHON_VERSION=3.13
ARG BASE_IMAGE=python:${PYTHON_VERSION}-alpine

FROM ${BASE_IMAGE} AS builder
ARG BASE_IMAGE
ARG PYTHON_VERSION
# What has no musl wheel is compiled here: compilers, the C library's and the kernel's headers, OpenSSL's and libffi's
# headers. They are in the builder only, so they cost time and no bytes of the image.
RUN --mount=type=cache,id=apk-${BASE_IMAGE}-${PYTHON_VERSION},target=/etc/apk/cache,sharing=locked \
    --mount=type=secret,id=ca,target=/etc/apk/ca.pem \
    apk add --update-cache gcc g++ musl-dev linux-headers openssl-dev libffi-dev
ARG REQUIREMENTS=dockerfiles/deps/fastapi.txt
COPY ${REQUIREMENTS} /tmp/requirements.txt
# pip stays outside of the environment: the runtime stage has no use for a second one.
RUN --mount=type=cache,id=pip-${BASE_IMAGE}-${PYTHON_VERSION},target=/root/.cache/pip \
    --mount=type=secret,id=ca \
    --mount=type=secret,id=pip,target=/etc/pip.conf \
    if [ -f /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi; \
    python3 -m venv --without-pip /venv \
    && python3 -m pip --python /venv/bin/python install --disable-pip-version-check --requirement /tmp/requirements.txt

# The same base as the builder's: an environment holds links to its Python and code compiled for this very version.
FROM ${BASE_IMAGE} AS runtime
ARG BASE_IMAGE
ARG PYTHON_VERSION
# libstdc++ and libgcc stay: C++ extensions, from a musl wheel or compiled above, link to them, and only the builder's
# compilers brought them along. The base has no time zone data either.
RUN --mount=type=cache,id=apk-${BASE_IMAGE}-${PYTHON_VERSION},target=/etc/apk/cache,sharing=locked \
    --mount=type=secret,id=ca,target=/etc/apk/ca.pem \
    apk add --update-cache libstdc++ libgcc tzdata
ARG GIT_REVISION
ARG TZ=Etc/UTC
COPY --from=builder /venv /venv
COPY dockerfiles/app /srv/app
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 TZ=${TZ}
LABEL org.opencontainers.image.title="matrix-app" \
      org.opencontainers.image.description="The service under test on Alpine" \
      org.opencontainers.image.base.name="${BASE_IMAGE}" \
      org.opencontainers.image.revision="${GIT_REVISION}"
WORKDIR /srv
# A number instead of a name: it means the same on every base, whatever tool the base has to add users.
USER 65532:65532
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s --start-interval=1s --retries=3 \
    CMD ["python", "-m", "app.healthcheck"]
CMD ["python", "-m", "app.start"]
