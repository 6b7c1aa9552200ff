//! Dockerfiles as people write them.

pub(super) const CORPUS: &[&str] = &[
    // A service image of this project.
    r#"# syntax=docker/dockerfile:1
ARG BASE=kollaglue/openstack-base:latest
FROM ${BASE} AS keystone
LABEL org.opencontainers.image.title="keystone" \
      org.opencontainers.image.description="OpenStack identity service"
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked \
    --mount=type=tmpfs,target=/tmp \
    apt-get update \
    # the web server and its module
    && apt-get install -y --no-install-recommends \
        apache2 \
        libapache2-mod-wsgi-py3 \
    && rm -rf /var/lib/apt/lists/*
COPY --chown=keystone:keystone --chmod=0640 keystone.conf /etc/keystone/
COPY files/ /usr/local/share/kolla/
USER keystone
EXPOSE 5000/tcp
STOPSIGNAL SIGWINCH
HEALTHCHECK --interval=30s --timeout=5s --retries=3 CMD curl -fsS http://127.0.0.1:5000/v3 || exit 1
ENTRYPOINT ["kolla-start"]
CMD ["apache2", "-DFOREGROUND"]
"#,
    // A Go program in stages.
    r#"FROM --platform=$BUILDPLATFORM golang:1.22-alpine AS build
ARG TARGETOS TARGETARCH
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -o /out/app ./cmd/app

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/app /app
USER 65532:65532
ENTRYPOINT ["/app"]
"#,
    // Heredocs of all kinds.
    r##"FROM debian:13
RUN <<EOF
set -e
# not a comment of the Dockerfile
apt-get update
EOF
COPY <<-"END" /etc/motd
	hello $USER
	END
COPY <<a.conf <<b.conf /etc/app/
key = ${VALUE}
a.conf
other = 1
b.conf
RUN <<SCRIPT
#!/usr/bin/env python3
print("x")
SCRIPT
CMD ["cat", "/etc/motd"]
"##,
    // Old habits.
    "FROM ubuntu:12.04\nMAINTAINER Somebody <somebody@example.org>\nENV DEBIAN_FRONTEND noninteractive\n\
     ENV PATH /opt/bin:$PATH\nADD http://example.org/a.tar.gz /tmp/\nADD rootfs.tar.xz /\n\
     VOLUME [\"/data\"]\nEXPOSE 80 443\nCMD /usr/sbin/httpd -D FOREGROUND\n",
    // Windows, with a backtick.
    "# escape=`\r\nFROM mcr.example.org/windows/servercore:ltsc2022\r\nSHELL [\"powershell\", \"-Command\"]\r\n\
     RUN Invoke-WebRequest https://example.org/x.zip -OutFile C:\\x.zip ; `\r\n    Expand-Archive C:\\x.zip C:\\x\r\n\
     COPY app\\ C:\\app\\\r\nWORKDIR C:\\app\r\nCMD [\"app.exe\"]\r\n",
    // Python with a virtual environment.
    r#"FROM python:3.12-slim AS base
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR="1"

FROM base AS builder
RUN python -m venv /venv
COPY requirements.txt .
RUN /venv/bin/pip install -r requirements.txt

FROM base
COPY --from=builder /venv /venv
COPY . /app
WORKDIR /app
ENV PATH="/venv/bin:$PATH"
CMD ["gunicorn", "--bind", "0.0.0.0:8000", "app:app"]
"#,
    // Node.
    r#"FROM node:20 AS deps
WORKDIR /app
COPY ["package.json", "package-lock.json*", "./"]
RUN npm ci --omit=dev

FROM node:20-alpine
RUN addgroup -S app && adduser -S app -G app
WORKDIR /app
COPY --from=deps --chown=app:app /app/node_modules ./node_modules
COPY --chown=app:app . .
USER app
EXPOSE 3000
HEALTHCHECK CMD wget -q --spider http://localhost:3000/ || exit 1
CMD ["node", "server.js"]
"#,
    // Rust with mounts.
    r#"FROM rust:1.80 AS build
WORKDIR /src
RUN --mount=type=bind,source=Cargo.toml,target=Cargo.toml \
    --mount=type=bind,source=src,target=src \
    --mount=type=cache,target=/usr/local/cargo/registry \
    cargo build --release
FROM scratch
COPY --from=build /src/target/release/app /
ENTRYPOINT ["/app"]
"#,
    // Arguments everywhere.
    r#"ARG REGISTRY=docker.io
ARG IMAGE=library/debian
ARG TAG=13
FROM ${REGISTRY}/${IMAGE}:${TAG:-13} AS base
ARG VERSION=1.0
ARG EMPTY
ENV VERSION=${VERSION:-unknown} NAME="the name" OTHER='single quoted'
LABEL version=$VERSION maintainer="A \"B\" C"
FROM base AS final
"#,
    "FROM alpine\nRUN echo \"hello\" && \\\n\n  echo 'x' && \\\n  # why\n  echo done\n",
    "from alpine as One\nrun echo a\nfrom alpine\nCopy --from=0 /a /b\n",
    "FROM alpine:3.20@sha256:0123456789012345678901234567890123456789012345678901234567890123\n\
     WORKDIR /a b/c\nUSER root:root\nSTOPSIGNAL 9\n",
    // Onbuild.
    r#"FROM ruby:3.3
RUN bundle config --global frozen 1
WORKDIR /usr/src/app
ONBUILD COPY Gemfile Gemfile.lock /usr/src/app/
ONBUILD RUN bundle install
ONBUILD COPY . /usr/src/app
"#,
    "FROM busybox\nHEALTHCHECK NONE\nSHELL [\"/bin/ash\", \"-eo\", \"pipefail\", \"-c\"]\nENTRYPOINT exec top -b\nCMD []\n",
    // A database.
    r#"FROM debian:bookworm-slim
RUN groupadd -r mysql --gid=42434 && useradd -r -g mysql --uid=42434 mysql
RUN set -eux; \
	apt-get update; \
	apt-get install -y --no-install-recommends gnupg; \
	rm -rf /var/lib/apt/lists/*
ENV MARIADB_VERSION 1:11.8.2+maria~deb13
VOLUME /var/lib/mysql
COPY docker-entrypoint.sh /usr/local/bin/
ENTRYPOINT ["docker-entrypoint.sh"]
EXPOSE 3306
CMD ["mariadbd"]
"#,
    "FROM debian\nCOPY --link --parents ./a/./b/*.txt /dst/\nADD --checksum=sha256:24454f830cdb571e2c4ad15481119c43b3cafd48dd869a9b2945d1036d1dc68d https://example.org/x /\n\
     ADD --keep-git-dir=true https://github.com/moby/buildkit.git#v0.10.1 /buildkit\n\
     ADD git@example.org:x/y.git /y\nCOPY --exclude=*.md --exclude=docs . /src\n",
    "FROM debian\nRUN --network=none --security=sandbox true\nRUN [\"/bin/bash\", \"-c\", \"echo hello\"]\nRUN if [ -f x ]; then echo $HOME ${x:-y}; fi\n",
    "FROM a AS a1\nFROM b AS b1\nCOPY --from=a1 /x /x\nFROM c\nCOPY --from=b1 /x /x\nCOPY --from=0 /y /y\nCOPY --from=docker.io/library/nginx:latest /etc/nginx /etc/nginx\n",
    "#!/usr/bin/env docker build\n\n# comment\nFROM x\n\t# indented comment\n\tRUN\ta\n",
    "\u{feff}FROM x\nENV GRÜSSE=schön\nLABEL 名前=\"値 値\"\nRUN echo 'ünï' \\\n  && echo 😀\nCOPY dätä/ /d/\n",
    "FROM x\nENV A=1 B=2 \\\n    C=3\\ 4 \\\n    D=\"5 6\"\nENV E x\nLABEL a.b.c=\"multi \\\nline\"\n",
    "FROM x\nEXPOSE 80/tcp 443/udp 8000-8010\nEXPOSE $PORT\nVOLUME /a /b\nVOLUME [\"/c\", \"/d e\"]\n",
    "FROM x\nRUN --mount=type=secret,id=token,required=true cat /run/secrets/token\nRUN --mount=type=ssh git clone git@example.org:x\n",
    "# syntax=docker/dockerfile:1.7-labs\n# check=skip=JSONArgsRecommended;error=true\n# escape=\\\nFROM x\nCMD echo a\n",
    // A page server.
    r#"FROM nginx:1.27-alpine
RUN rm -rf /usr/share/nginx/html/* \
 && sed -i 's|listen .*|listen 8080;|' /etc/nginx/conf.d/default.conf \
 && printf '%s\n' "$(date -u)" > /built
COPY --from=ghcr.io/example/site:2024.1 /site /usr/share/nginx/html
"#,
    // A compiler, with a long shell loop.
    r#"FROM gcc:14 AS toolchain
RUN for p in binutils gcc; do \
      curl -fsSLO "https://ftp.example.org/$p.tar.xz" && \
      tar xf "$p.tar.xz" || { echo "failed: $p" >&2; exit 1; }; \
    done
RUN case "$(uname -m)" in x86_64) a=amd64 ;; *) a=${b%%-*} ;; esac; echo "$a"
FROM toolchain
RUN make -j"$(nproc)" CFLAGS='-O2 -g0'
"#,
    "FROM x\nCOPY a b c /d\nADD [\"a b\", \"c\"]\nCOPY . .\nCOPY --chown=1:2 a/ b/\n",
    "FROM --platform=linux/amd64 x AS y\nFROM --platform=linux/arm64/v8 y\n",
    "ARG A=1\nARG B\nARG C=\"x y\" D='z'\nFROM x\nARG A\nARG E=$A\nRUN echo $A\n",
    "FROM x\nRUN echo a; \\\n    echo b   \\  \n    && echo c\nUSER \"me\"\nWORKDIR $HOME/x\n",
    "FROM quay.io/centos/centos:stream9\nRUN dnf -y install python3 && dnf clean all && rm -rf /var/cache/dnf\nCMD [ \"bash\" ]\n",
    "FROM rabbitmq:4.0\nENV RABBITMQ_LOGS=-\nCOPY --chmod=644 enabled_plugins /etc/rabbitmq/enabled_plugins\nEXPOSE 4369 5671 5672 15672\nENTRYPOINT [\"docker-entrypoint.sh\"]\nCMD [\"rabbitmq-server\"]\n",
];
