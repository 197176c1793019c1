# syntax=docker/dockerfile:1

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
# Names of functions stay for backtraces, the rest of the debug information does not.
ENV CARGO_PROFILE_RELEASE_STRIP=debuginfo
# The target directory is a cache and gone after this step, hence the copy.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package smarttasks && \
    install -D target/release/smarttasks /image/usr/local/bin/smarttasks && \
    install -d -m 0700 /image/data

# glibc, libgcc, the certificates of public authorities, and the user 65532; no shell, no packages.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /image/usr/local/bin/smarttasks /usr/local/bin/smarttasks
COPY --from=build --chown=65532:65532 /image/data /data
USER 65532:65532
WORKDIR /data
ENV SMARTTASKS_DATA_DIR=/data
ENV SMARTTASKS_HTTP__LISTEN=0.0.0.0:8080
VOLUME ["/data"]
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=10s --start-period=30s CMD ["smarttasks", "healthcheck"]
ENTRYPOINT ["smarttasks"]
CMD ["serve"]
