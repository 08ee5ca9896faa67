# Sourced by the scripts that start servers.
# shellcheck shell=bash

# free_port [OFFSET]...: a port on which nothing listens, nor on the ports so many above it.
free_port() {
  local port offset
  for port in $(shuf -i 20000-30000 -n 50); do
    for offset in 0 "$@"; do
      if (: <"/dev/tcp/127.0.0.1/$((port + offset))") 2>/dev/null; then continue 2; fi
    done
    echo "$port"
    return
  done
  echo "no free port" >&2
  return 1
}
