# The image of the family transfer1: what the Dockerfile of cosmos-transfer1 installs, with the source inside.
# Left out is apex, which only training needs. BASE_IMAGE, SOURCE_URL and SOURCE_COMMIT are set above.
FROM ${BASE_IMAGE} AS source
ARG SOURCE_URL
ADD ${SOURCE_URL} /source.tar.gz
RUN mkdir /source && tar -xzf /source.tar.gz --strip-components=1 -C /source

FROM ${BASE_IMAGE}
ENV DEBIAN_FRONTEND=noninteractive
RUN apt-get update && \
    apt-get install -y --no-install-recommends ffmpeg git libglib2.0-0 libmagic1 wget && \
    rm -rf /var/lib/apt/lists/*
# pip cannot replace what Debian installed.
RUN rm -rf /usr/lib/python3/dist-packages/blinker-*.dist-info && ln -sf /lib64/libcuda.so.1 /lib64/libcuda.so
COPY --from=source /source/requirements_docker.txt /requirements.txt
RUN pip install --no-cache-dir --progress-bar=off -r /requirements.txt && \
    pip install --no-cache-dir --progress-bar=off --upgrade --no-build-isolation --no-dependencies sam2==1.1.0 && \
    pip install --no-cache-dir --progress-bar=off "transformer-engine[pytorch]==2.5.0" && \
    pip install --no-cache-dir --progress-bar=off decord==0.6.0
RUN command -v python >/dev/null || ln -s "$(command -v python3)" /usr/local/bin/python
COPY --from=source /source /workspace
WORKDIR /workspace
ENV PYTHONPATH=/workspace
ARG SOURCE_COMMIT
LABEL org.opencontainers.image.revision=${SOURCE_COMMIT}
# Whoever runs the container is no root.
RUN chmod -R a+rX /workspace && test -f cosmos_transfer1/diffusion/inference/transfer.py && \
    python -c "import decord, sam2, torch, transformers"
