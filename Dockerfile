# syntax=docker/dockerfile:1.7
# Images of Ballast: docker build --target ballast -t ballast/ballast:0.1.0 .
#
#   ballast           coordinator, trainer, controller, and diffusion workers on the CPU
#   ballast-cuda      diffusion workers on NVIDIA cards, by ONNX Runtime (CUDA 12, cuDNN 9)
#   ballast-tfjs-gpu  the same by @tensorflow/tfjs-node-gpu (TensorFlow 2.9, CUDA 11, cuDNN 8)
#
# Base images are those of k8s/versions.env; scripts/release-images.sh prints the digests of the built images. All run
# as user 10001 with a read-only root: /tmp, /dev/shm and the folders that flags name must be writable (k8s/chart).

ARG NODE_IMAGE=node:24.22.3-bookworm
ARG DEBIAN_IMAGE=debian:bookworm-20260918-slim
ARG CUDA12_IMAGE=nvidia/cuda:12.8.1-cudnn-runtime-ubuntu24.04
ARG CUDA11_IMAGE=nvidia/cuda:11.8.0-cudnn8-runtime-ubuntu22.04

# ---- built here, with compilers
FROM ${NODE_IMAGE} AS build
RUN apt-get update && apt-get install -y --no-install-recommends tini libvulkan1 libxext6 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY . .
RUN npm run build

FROM build AS root-cpu
RUN scripts/image-root.sh cpu /opt/ballast

FROM build AS root-cuda
RUN scripts/image-root.sh cuda /opt/ballast

FROM build AS root-tfjs-gpu
RUN scripts/image-root.sh tfjs-gpu /opt/ballast

# ---- on the processor
FROM ${DEBIAN_IMAGE} AS ballast
COPY --from=build /usr/bin/tini-static /usr/local/bin/tini
COPY --from=build /usr/local/bin/node /usr/local/bin/node
COPY --from=root-cpu /opt/ballast /opt/ballast
RUN ln -s /opt/ballast/dist/bundle/cli/main.js /usr/local/bin/ballast
ENV NODE_ENV=production HOME=/tmp
USER 10001:10001
WORKDIR /tmp
EXPOSE 4700 4701 4800 9464
ENTRYPOINT ["tini", "--", "ballast"]
CMD ["--help"]

# ---- on NVIDIA cards
FROM ${CUDA12_IMAGE} AS ballast-cuda
COPY --from=build /usr/bin/tini-static /usr/local/bin/tini
COPY --from=build /usr/local/bin/node /usr/local/bin/node
COPY --from=root-cuda /opt/ballast /opt/ballast
RUN ln -s /opt/ballast/dist/bundle/cli/main.js /usr/local/bin/ballast
# For `device: webgpu`: the Vulkan loader, and what NVIDIA's driver links to. `graphics` lets the runtime mount that driver.
COPY --from=build /usr/lib/*-linux-gnu/libvulkan.so.1 /usr/lib/*-linux-gnu/libX11.so.6 \
  /usr/lib/*-linux-gnu/libXext.so.6 /usr/lib/*-linux-gnu/libxcb.so.1 /usr/lib/*-linux-gnu/libXau.so.6 \
  /usr/lib/*-linux-gnu/libXdmcp.so.6 /usr/lib/*-linux-gnu/libbsd.so.0 /usr/lib/*-linux-gnu/libmd.so.0 /usr/local/lib/
RUN ldconfig
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility,graphics
ENV NODE_ENV=production HOME=/tmp
USER 10001:10001
WORKDIR /tmp
EXPOSE 4700 4701 9464
ENTRYPOINT ["tini", "--", "ballast"]
CMD ["node", "--help"]

FROM ${CUDA11_IMAGE} AS ballast-tfjs-gpu
COPY --from=build /usr/bin/tini-static /usr/local/bin/tini
COPY --from=build /usr/local/bin/node /usr/local/bin/node
COPY --from=root-tfjs-gpu /opt/ballast /opt/ballast
RUN ln -s /opt/ballast/dist/bundle/cli/main.js /usr/local/bin/ballast
ENV NODE_ENV=production HOME=/tmp
USER 10001:10001
WORKDIR /tmp
EXPOSE 4700 4701 9464
ENTRYPOINT ["tini", "--", "ballast"]
CMD ["node", "--help"]
