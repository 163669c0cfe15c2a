# The image of the family transfer25: what the Dockerfile of cosmos-transfer2.5 installs, with the source inside.
# BASE_IMAGE, SOURCE_URL and SOURCE_COMMIT are set above.
FROM ghcr.io/astral-sh/uv:0.8.12 AS uv

FROM ${BASE_IMAGE} AS source
ARG SOURCE_URL
ADD ${SOURCE_URL} /source.tar.gz
RUN mkdir /source && tar -xzf /source.tar.gz --strip-components=1 -C /source

FROM ${BASE_IMAGE}
ENV DEBIAN_FRONTEND=noninteractive
RUN apt-get update && \
    apt-get install -y --no-install-recommends ca-certificates curl ffmpeg git libgl1 libglib2.0-0 libxcb1 && \
    rm -rf /var/lib/apt/lists/*
COPY --from=uv /uv /uvx /usr/local/bin/
# Python and the cache lie where those who are no root can read them.
ENV UV_LINK_MODE=copy UV_PYTHON_INSTALL_DIR=/opt/uv-python UV_CACHE_DIR=/opt/uv-cache GIT_LFS_SKIP_SMUDGE=1
COPY --from=source /source /workspace
WORKDIR /workspace
# The images of CUDA say their version; the extra of 12.8.1 is cu128. The cache goes in the same step, or it stays in the image.
RUN extra="cu$(echo "$CUDA_VERSION" | cut -d. -f1,2 | tr -d .)" && \
    uv sync --locked --no-progress --extra="$extra" && rm -rf "$UV_CACHE_DIR"
ENV PATH=/workspace/.venv/bin:$PATH
# The program asks `uvx hf` for each model file, also without a network; what that needs stays in the cache.
RUN uvx "hf>=1.3.5" version && chmod -R a+rwX "$UV_CACHE_DIR"
ARG SOURCE_COMMIT
LABEL org.opencontainers.image.revision=${SOURCE_COMMIT}
RUN chmod -R a+rX /workspace /opt/uv-python && test -f examples/inference.py && python -c "import cosmos_transfer2, torch"
