#!/usr/bin/env bash
# `npm run setup`: installs, where missing, what the build and the tests need from the system. Debian and Ubuntu by
# apt-get (root or sudo); elsewhere it says what to install. Changes nothing when everything is there.
# `-- --verify` adds what `npm run verify:native` needs in its long form: clang with its fuzzer and sanitizers.
# `-- --bench` adds nats-server, a reference in bench/oona.ts.
set -euo pipefail

# command -> Debian package. redis-server is only the program: the tests start their own, on loopback. openssl makes the
# certificates of those that speak TLS. promtool tests the alert rules; its package's server is not started.
declare -A package_of=(
  [g++]=g++ [make]=make [cmake]=cmake [python3]=python3 [redis-server]=redis-server [spin]=spin [clang++]=clang
  [openssl]=openssl [nats-server]=nats-server [promtool]=prometheus
)
commands=(g++ make cmake python3 redis-server openssl promtool spin)
verify=false
for option in "$@"; do
  case "$option" in
    --verify) verify=true && commands+=(clang++) ;;
    --bench) commands+=(nats-server) ;;
    *) echo "setup: unknown option $option (--verify, --bench)" >&2 && exit 2 ;;
  esac
done

missing=()
for command in "${commands[@]}"; do
  command -v "$command" >/dev/null 2>&1 || missing+=("${package_of[$command]}")
done
# Debian keeps clang's sanitizers and fuzzer in a package of their own.
if $verify && ! ls /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-* >/dev/null 2>&1; then
  missing+=(libclang-rt-14-dev)
fi
# Debian's own nodejs keeps the headers that an addon compiles against in a package of its own; the builds of
# nodejs.org and NodeSource carry them beside node.
node_prefix=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")
if [ ! -e "$node_prefix/include/node/uv.h" ] && [ "$node_prefix" = /usr ]; then
  missing+=(libnode-dev)
fi

if [ ${#missing[@]} -eq 0 ]; then
  echo "setup: everything is there (${commands[*]})"
  exit 0
fi
echo "setup: missing: ${missing[*]}"

if ! command -v apt-get >/dev/null 2>&1; then
  echo "setup: there is no apt-get here. Install these with your system's package manager: ${missing[*]}" >&2
  exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null 2>&1 || { [ ! -t 0 ] && ! sudo -n true 2>/dev/null; }; then
    echo "setup: needs root, or sudo without a password. As root: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi

# Debian's redis-server package starts a system service on installing. A policy that answers "do not start" (101)
# prevents it; one that is there already is somebody's decision and stays.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap '"${as_root[@]}" rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod 755 "$policy"
fi

echo "setup: apt-get install ${missing[*]} (starts no service)"
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null

# Not started now, and not at the next boot either.
for service in redis-server nats-server prometheus; do
  if [[ " ${missing[*]} " == *" $service "* ]] && [ -d /run/systemd/system ]; then
    "${as_root[@]}" systemctl disable "$service.service"
  fi
done
echo "setup: done"
