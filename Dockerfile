# The grader's image: a GPU server's whole installation, and the container that student code runs in.
# With EXTRA=gpu it holds JAX with CUDA 13, which evaluates and trains (driver 580 or newer), and the
# same TensorFlow for processors as with EXTRA=cpu, in which student code is traced.
#
#   docker build -t densenet-grader --build-arg EXTRA=gpu .     (or cpu, which is the default)
#   docker run --rm --gpus all -v "$PWD:/work" densenet-grader submission.zip
#
# The report is printed; to keep the results beside the submission, be yourself in the container:
#
#   docker run --rm --gpus all --user "$(id -u):$(id -g)" -v "$PWD:/work" -v grader-cache:/cache \
#     densenet-grader submissions/ --results results --data /cache
#
# BASE is any Debian-like image with Python 3.11 to 3.13 and pip. Nothing but pip is used.
ARG BASE=python:3.11-slim

FROM ${BASE} AS wheel
COPY locks/dev.txt /src/locks/dev.txt
# The build backend, by hash: what `uv lock` chose for the extra dev.
RUN python -c "import re, sys; lock = open('/src/locks/dev.txt').read(); \
      print(*(re.search(rf'(?ms)^{name}==.*?[^\\\\]$', lock)[0] for name in sys.argv[1:]), sep='\n')" \
      hatchling packaging pathspec pluggy tomlkit trove-classifiers > /build.txt \
 && python -m pip install --quiet --no-cache-dir --disable-pip-version-check --root-user-action ignore \
      --require-hashes --only-binary :all: -r /build.txt
COPY pyproject.toml README.md LICENSE CHANGELOG.md /src/
COPY locks/cpu.txt /src/locks/cpu.txt
COPY grader /src/grader
COPY assignment /src/assignment
COPY student_template /src/student_template
COPY reference_solution /src/reference_solution
RUN python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /dist /src

FROM ${BASE}
ARG EXTRA=cpu
ARG REVISION=unknown
ARG VERSION=0.1.0
COPY locks/${EXTRA}.txt /tmp/locks.txt
RUN python -m pip install --quiet --no-cache-dir --disable-pip-version-check --root-user-action ignore \
      --require-hashes --only-binary :all: -r /tmp/locks.txt
COPY --from=wheel /dist /tmp/dist
# Student code can read all of this image: the reference solutions are not for it, and where student
# code runs, an empty file system lies over the grader's package (its self-test has right networks).
RUN python -m pip install --quiet --no-cache-dir --disable-pip-version-check --root-user-action ignore \
      --no-deps --no-index /tmp/dist/*.whl \
 && python -c "import grader, os, shutil; \
      package = os.path.dirname(grader.__file__); \
      shutil.rmtree(os.path.join(package, '_data/reference_solution')); \
      units = os.path.join(package, '_data/assignment/units'); \
      [shutil.rmtree(os.path.join(units, unit, 'reference'), True) for unit in os.listdir(units)]; \
      os.makedirs('/opt/grader/package'); \
      shutil.move(package, '/opt/grader/package/grader'); \
      os.symlink('/opt/grader/package/grader', package); \
      os.mkdir('/cache'); os.chmod('/cache', 0o1777)"
COPY grader/inside /opt/grader/inside
LABEL org.opencontainers.image.title="densenet-grader" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="MIT"
# What JAX and the driver compile, the data set, the course key and the results of a run that names
# no folder are kept in /cache: mount a volume there to keep them from one container to the next. An
# image for a GPU asks for one: where none is visible it says so and grades nothing.
ENV HOME=/tmp \
    GRADER_DEVICE=${EXTRA} \
    GRADER_KEY_FILE=/cache/course.key \
    GRADER_RESULTS=/cache/results \
    KERAS_HOME=/cache/keras \
    CUDA_CACHE_PATH=/cache/cuda \
    JAX_COMPILATION_CACHE_DIR=/cache/jax \
    TF_CPP_MIN_LOG_LEVEL=2 \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /work
USER 65532:65532
ENTRYPOINT ["grade"]
CMD ["--help"]
