# The worker: `docker build -t tidemill:0.1.0 .`
#
# Everything but glibc and libgcc is linked in (librdkafka, OpenSSL, zlib, zstd, the allocator). These stay outside: they
# are what the tests run on and what was measured; with musl the image would hold a binary that nobody has tested.

FROM rust:1.95-trixie AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
# Members of the workspace: Cargo reads them, and builds none of them.
COPY bench bench
# Parts of the binary: the demo's pipeline and its flights.
COPY config/flights.yaml config/flights.yaml
COPY data data
COPY src src
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --locked --release --bin tidemill && cp target/release/tidemill /tidemill

FROM debian:trixie-slim
# For brokers whose certificates come from a public authority; librdkafka looks here by itself.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /tidemill /usr/local/bin/tidemill
# A number, so that Kubernetes sees that it is not root. It owns no file: the only thing written is a lock in /tmp.
USER 65532:65532
EXPOSE 9640
# The shell is all that the image has to ask with. /livez, not /readyz: a worker that waits for Kafka is healthy.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/9640 && printf 'GET /livez HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && read -r line <&3 && [[ $line == *' 200 '* ]]"]
ENTRYPOINT ["tidemill"]
CMD ["run", "/etc/tidemill/flights.yaml"]
