# The image of the family cosmos3: what the Dockerfile of cosmos-framework installs, with the source inside.
# Left out is apex, which is optional and slow to build. BASE_IMAGE, SOURCE_URL and SOURCE_COMMIT are set above.
FROM ghcr.io/astral-sh/uv:0.12.2 AS uv

FROM ${BASE_IMAGE} AS source
ARG SOURCE_URL
ADD ${SOURCE_URL} /source.tar.gz
RUN mkdir /source && tar -xzf /source.tar.gz --strip-components=1 -C /source

FROM ${BASE_IMAGE}
ENV DEBIAN_FRONTEND=noninteractive
RUN apt-get update && \
    apt-get install -y --no-install-recommends ca-certificates curl ffmpeg git git-lfs libgl1 libglib2.0-0 libx11-dev libxcb1 && \
    rm -rf /var/lib/apt/lists/*
COPY --from=uv /uv /uvx /usr/local/bin/
# Python and the cache lie where those who are no root can read them.
ENV UV_LINK_MODE=copy UV_PYTHON_INSTALL_DIR=/opt/uv-python UV_CACHE_DIR=/opt/uv-cache GIT_LFS_SKIP_SMUDGE=1
COPY --from=source /source /workspace
WORKDIR /workspace
# The images of CUDA say their version; the group of 13.0.2 is cu130-train. The cache goes in the same step, or it stays in the
# image.
RUN group="cu$(echo "$CUDA_VERSION" | cut -d. -f1,2 | tr -d .)-train" && \
    uv sync --locked --no-progress --all-extras --group="$group" && rm -rf "$UV_CACHE_DIR"
# The program starts `hf` from this environment for each model file, also without a network.
RUN UV_PROJECT_ENVIRONMENT=/opt/hf_cli uv sync --locked --no-progress --project=cosmos_framework/utils/hf_cli && \
    chmod -R a+rwX /opt/hf_cli "$UV_CACHE_DIR"
ENV PATH=/workspace/.venv/bin:$PATH
# The one that comes with Triton does not know the newest GPUs.
ENV TRITON_PTXAS_PATH=/usr/local/cuda/bin/ptxas
ARG SOURCE_COMMIT
LABEL org.opencontainers.image.revision=${SOURCE_COMMIT}
RUN chmod -R a+rX /workspace /opt/uv-python && python -c "import cosmos_framework, torch"
