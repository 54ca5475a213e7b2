#!/usr/bin/env bash
# Prints the folder of PostgreSQL's programs, for AFTERCHAT_POSTGRES, and installs Debian's package first where it is
# absent. Where that cannot be done it prints nothing and says so; the tests are skipped then.
set -euo pipefail

programs() {
  local newest=""
  for folder in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V); do
    if [[ -x $folder/initdb && -x $folder/postgres && -x $folder/pg_isready ]]; then newest=$folder; fi
  done
  if [[ -z $newest ]] && command -v pg_config >/dev/null && [[ -x $(pg_config --bindir)/initdb ]]; then
    newest=$(pg_config --bindir)
  fi
  echo "$newest"
}

skip() {
  echo "postgresql: $1; its tests will be skipped" >&2
  [[ ${CI:-} != true ]] || exit 1 # there nothing may be left out quietly
  exit 0
}

if [[ -n ${AFTERCHAT_POSTGRES:-} ]]; then
  echo "$AFTERCHAT_POSTGRES"
  exit 0
fi
if [[ -z $(programs) ]]; then
  command -v apt-get >/dev/null || skip "not installed, and there is no apt-get to install it"
  [[ $(id -u) == 0 ]] || skip "not installed, and only root can install it"
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  export DEBIAN_FRONTEND=noninteractive
  # The tests start servers of their own; the package need not make one.
  mkdir -p /etc/postgresql-common
  [[ -e /etc/postgresql-common/createcluster.conf ]] || echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
  apt-get update -qq >"$log" 2>&1 || { cat "$log" >&2; skip "the lists of packages cannot be updated"; }
  echo "postgresql: installing Debian's package" >&2
  apt-get install -y -qq --no-install-recommends postgresql >"$log" 2>&1 || { cat "$log" >&2; skip "the package cannot be installed"; }
fi
[[ -n $(programs) ]] || skip "no programs in /usr/lib/postgresql"
programs
