# One small image per known problem of musl bases, and one without it: what the probes have to tell apart.
ARG MUSL=python:3.13-alpine
ARG GLIBC=python:3.13-slim

FROM ${MUSL} AS compiler
RUN --mount=type=secret,id=ca,target=/etc/apk/ca.pem apk add --no-cache gcc musl-dev
WORKDIR /build
COPY <<'END' crashing.c
#include <Python.h>
PyMODINIT_FUNC PyInit_crashing(void) { volatile int *nowhere = 0; *nowhere = 1; return NULL; }
END
COPY <<'END' sound.c
#include <Python.h>
extern int absent(void) __attribute__((weak));
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "sound"};
PyMODINIT_FUNC PyInit_sound(void) { return PyModuleDef_Init(&definition); }
END
COPY <<'END' absent.c
int absent(void) { return 0; }
END
# Packages as an installer leaves them: the module, its metadata and the list of its files.
COPY <<'END' pack.sh
set -eu
INCLUDE=$(python3 -c "import sysconfig; print(sysconfig.get_path('include'))")
gcc -shared -fPIC -Wl,-soname,libabsent.so.1 -o libabsent.so.1 absent.c
pack() {
    module=$1 package=$2 folder=/packages/$2
    shift 2
    mkdir -p "$folder/$package-1.0.dist-info"
    gcc -shared -fPIC -I"$INCLUDE" -o "$folder/$module.so" "$module.c" "$@"
    printf 'Metadata-Version: 2.1\nName: %s\nVersion: 1.0\n' "$package" >"$folder/$package-1.0.dist-info/METADATA"
    printf '%s.so,,\n%s-1.0.dist-info/METADATA,,\n' "$module" "$package" >"$folder/$package-1.0.dist-info/RECORD"
}
pack crashing crashing
pack sound sound
pack sound needy -Wl,--no-as-needed -L. -l:libabsent.so.1
END
RUN sh pack.sh

FROM ${MUSL} AS crashing
ENV PYTHONPATH=/packages
COPY --from=compiler /packages/crashing /packages

FROM ${MUSL} AS sound
ENV PYTHONPATH=/packages
COPY --from=compiler /packages/sound /packages

FROM ${MUSL} AS needy
ENV PYTHONPATH=/packages
COPY --from=compiler /packages/needy /packages

FROM needy AS supplied
COPY --from=compiler /build/libabsent.so.1 /usr/lib/

FROM ${GLIBC} AS glibc-addon
WORKDIR /srv/node_modules/grpc
RUN cp /bin/true grpc_node.node
WORKDIR /srv

FROM ${MUSL} AS musl-addon
WORKDIR /srv
COPY --from=glibc-addon /srv /srv

FROM ${MUSL} AS no-compiler
RUN --mount=type=secret,id=ca PIP_CERT=/run/secrets/ca pip install --no-cache-dir psutil==7.0.0

FROM ${GLIBC} AS wheel
RUN --mount=type=secret,id=ca PIP_CERT=/run/secrets/ca pip install --no-cache-dir psutil==7.0.0

FROM ${MUSL} AS no-roots
RUN : >/etc/ssl/certs/ca-certificates.crt

FROM ${MUSL} AS zones
RUN --mount=type=secret,id=ca,target=/etc/apk/ca.pem apk add --no-cache tzdata
