#!/usr/bin/env bash
# Prints the program of Chromium, for AFTERCHAT_CHROMIUM, and installs Debian's package first where it is absent. Where
# that cannot be done it prints nothing and says so; the tests in a browser are skipped then.
set -euo pipefail

skip() {
  echo "chromium: $1; the tests in a browser will be skipped" >&2
  [[ ${CI:-} != true ]] || exit 1 # there nothing may be left out quietly
  exit 0
}

if [[ -n ${AFTERCHAT_CHROMIUM:-} ]]; then
  echo "$AFTERCHAT_CHROMIUM"
  exit 0
fi
if ! command -v chromium >/dev/null; then
  command -v apt-get >/dev/null || skip "not installed, and there is no apt-get to install it"
  [[ $(id -u) == 0 ]] || skip "not installed, and only root can install it"
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq >"$log" 2>&1 || { cat "$log" >&2; skip "the lists of packages cannot be updated"; }
  echo "chromium: installing Debian's package, and letters for pages" >&2
  apt-get install -y -qq --no-install-recommends chromium fonts-noto-core >"$log" 2>&1 || { cat "$log" >&2; skip "the package cannot be installed"; }
fi
command -v chromium
