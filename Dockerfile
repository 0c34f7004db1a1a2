# The action's image: the binary from dist/, and the programs of others that it starts. It compiles nothing.
# GitHub's runner builds it with `docker build` alone: no build arguments, no BuildKit to rely on.

FROM debian:trixie-slim AS program
# By this builders find what is left of earlier builds.
LABEL org.opencontainers.image.title="example-validator"
COPY dist/ /dist/
# A release has one binary for each architecture, a work tree has the one that `.ci/dist` made.
WORKDIR /dist
RUN set -eu; \
    for file in "example-validator-linux-$(dpkg --print-architecture)" example-validator; do \
        if [ -f "$file" ]; then \
            [ ! -f SHA256SUMS ] || sha256sum --check --strict --ignore-missing SHA256SUMS; \
            install -m 755 "$file" /example-validator; \
            /example-validator --version; \
            exit; \
        fi; \
    done; \
    echo "dist/ has no example-validator for $(dpkg --print-architecture). Build it with: .ci/dist    (releases have it)" >&2; \
    exit 1

FROM debian:trixie-slim
LABEL org.opencontainers.image.title="example-validator" \
      org.opencontainers.image.description="Do the examples that a Kubernetes project ships still work, on every Kubernetes version that it supports?" \
      org.opencontainers.image.source="https://github.com/org/example-validator" \
      org.opencontainers.image.licenses="Apache-2.0"
# Not pinned: Debian's archive keeps only the newest of a stable release, so a pinned one can't be built any more after its next fix.
# Left out: documentation, translations, git's servers, and the Perl library, which of git only `add --patch` and `send-email` would use.
# hadolint ignore=DL3008
RUN printf 'path-exclude %s\n' '/usr/share/doc/*' '/usr/share/info/*' '/usr/share/locale/*' '/usr/share/man/*' '/usr/share/perl/*' \
        '/usr/lib/*-linux-gnu/perl/*' '/usr/lib/git-core/git-daemon' '/usr/lib/git-core/git-http-backend' \
        '/usr/lib/git-core/git-http-push' '/usr/lib/git-core/git-imap-send' >/etc/dpkg/dpkg.cfg.d/small \
    && apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        ca-certificates docker-buildx docker-cli git kind kubectl \
    && apt-get clean \
    && rm -rf /var/lib/apt/lists/* /var/cache/debconf/* /var/log/*
COPY --from=program /example-validator /usr/local/bin/example-validator
# The name says what to do: the action's post step starts it by this one. See action.yml.
RUN ln -s example-validator /usr/local/bin/example-validator-clean
# Root: GitHub's runner mounts the workspace and the Docker socket for it. No shell between: signals must reach the program.
ENTRYPOINT ["/usr/local/bin/example-validator"]
