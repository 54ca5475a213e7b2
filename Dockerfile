# A static binary on an empty image: no shell, no package manager, not root, a read-only root file system will do.
# Only /data is written; mount a volume there.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=devel
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false \
      -ldflags "-s -w -X github.com/afterchat/afterchat/cmd.version=${VERSION}" -o /out/afterchat ./cmd/afterchat \
 && mkdir -p /out/data /out/etc/afterchat

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/afterchat /afterchat
COPY --from=build --chown=65532:65532 /out/data /data
COPY --from=build /out/etc/afterchat /etc/afterchat
USER 65532:65532
WORKDIR /data
VOLUME /data
EXPOSE 8080 9080
ENV AFTERCHAT_CONFIG=/etc/afterchat/afterchat.yaml
HEALTHCHECK --interval=15s --timeout=5s --start-period=5s CMD ["/afterchat", "health"]
ENTRYPOINT ["/afterchat"]
CMD ["serve"]
