#!/usr/bin/env bash
# Installs Request Tracker 5 from Debian's packages for TestE2ERequestTracker. Where that cannot be done it says so and
# changes nothing; the test is skipped then, but with CI=true that is a failure.
set -euo pipefail

packages=(request-tracker5 rt5-standalone rt5-db-sqlite dbconfig-no-thanks msmtp-mta libdbd-sqlite3-perl)

skip() {
  echo "request-tracker: $1; TestE2ERequestTracker will be skipped" >&2
  [[ ${CI:-} != true ]] || exit 1
  exit 0
}

if [[ -x /usr/share/request-tracker5/libexec/rt-server ]] && command -v rt-setup-database-5 >/dev/null; then
  exit 0
fi
command -v apt-get >/dev/null || skip "not installed, and there is no apt-get to install it"
[[ $(id -u) == 0 ]] || skip "not installed, and only root can install it"

log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq >"$log" 2>&1 || { cat "$log" >&2; skip "the lists of packages cannot be updated"; }
apt-cache show "${packages[@]}" >/dev/null 2>&1 || skip "this system has no package for it"
echo "request-tracker: installing ${packages[*]}"
apt-get install -y -qq --no-install-recommends "${packages[@]}" >"$log" 2>&1 || { cat "$log" >&2; skip "the packages cannot be installed"; }
