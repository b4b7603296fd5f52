# docker build -t asyncrun .
# docker run --rm --read-only --user "$(id -u):$(id -g)" --volume "$PWD:/work" asyncrun run jobs.yaml
FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY man man
COPY asyncrun asyncrun
# Without pip, which nothing needs afterwards; compiled now, because a read-only image cannot be compiled later.
RUN python -m venv --without-pip /opt/asyncrun && \
    pip --python /opt/asyncrun/bin/python install --no-cache-dir .

FROM python:3.13-slim
COPY --from=build /opt/asyncrun /opt/asyncrun
ENV PATH=/opt/asyncrun/bin:$PATH PYTHONDONTWRITEBYTECODE=1
# A folder of yours is mounted here; beside it nothing is written.
WORKDIR /work
USER 65532:65532
HEALTHCHECK --interval=60s --timeout=10s CMD ["asyncrun", "--version"]
ENTRYPOINT ["asyncrun"]
CMD ["--help"]
