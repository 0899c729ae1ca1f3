#!/usr/bin/env bash
# Runs a command as processes on separate "hosts": network namespaces, each with an address of its own, connected by a
# link of a given delay and loss. Needs root, iproute2 and Open MPI; changes nothing outside of its namespaces.
#
#   recipes/parallel/namespaces.sh HOSTS DELAY_MS LOSS_PERCENT COMMAND…
#   recipes/parallel/namespaces.sh 2 5 1 mformer train --data english/ --steps 20
#
# Delay and loss, each way of every host, come from tc netem; where the kernel has no netem, from relay.py, which passes
# frames on between two tap devices.
set -euo pipefail
[ $# -ge 4 ] || { echo "usage: $0 HOSTS DELAY_MS LOSS_PERCENT COMMAND..." >&2; exit 2; }
hosts=$1 delay=$2 loss=$3; shift 3
here=$(cd "$(dirname "$0")" && pwd)
id=mf$$ relays=()
scratch=$(mktemp -d)

cleanup() {
  for relay in "${relays[@]}"; do kill "$relay" 2>/dev/null || true; done
  for ((i = 0; i < hosts; ++i)); do ip netns del "$id-$i" 2>/dev/null || true; done
  ip netns del "$id-switch" 2>/dev/null || true
  rm -rf "$scratch"
}
trap cleanup EXIT

inside() { local where=$1; shift; ip netns exec "$id-$where" "$@"; }

# A switch with a port for each host.
ip netns add "$id-switch"
inside switch ip link add ports type bridge
inside switch ip link set ports up
how=netem
for ((i = 0; i < hosts; ++i)); do
  ip netns add "$id-$i"
  inside "$i" ip link set lo up
  ip link add "far$$" type veth peer name "port$$"
  ip link set "far$$" netns "$id-$i" && inside "$i" ip link set "far$$" name net
  ip link set "port$$" netns "$id-switch" && inside switch ip link set "port$$" name "port$i"
  if [ "$how" = netem ] && ! inside "$i" tc qdisc add dev net root netem delay "${delay}ms" loss "$loss%" 2>/dev/null; then how=relay; fi
  if [ "$how" = netem ]; then
    inside switch tc qdisc add dev "port$i" root netem delay "${delay}ms" loss "$loss%"
    inside switch ip link set "port$i" master ports
  else  # host's tap <- relay -> switch's tap
    inside "$i" ip link del net
    python3 "$here/relay.py" "$id-$i" net "$id-switch" "tap$i" "$delay" "$loss" "$i" >"$scratch/relay-$i" 2>&1 &
    relays+=($!)
    for ((wait = 0; wait < 100; ++wait)); do [ -s "$scratch/relay-$i" ] && break; sleep 0.05; done
    inside switch ip link set "tap$i" master ports
    inside switch ip link set "tap$i" up
  fi
  inside switch ip link set "port$i" up 2>/dev/null || true
  inside "$i" ip address add "10.77.0.$((i + 1))/24" dev net
  inside "$i" ip link set net up
done
echo "namespaces: $hosts hosts, $delay ms and $loss % loss each way by $how" >&2

# Starts mpirun's helper on a "host": in its namespace, and under its name.
names=""
for ((i = 0; i < hosts; ++i)); do names+="10.77.0.$((i + 1)) host$i"$'\n'; done
printf '127.0.0.1 localhost\n%s' "$names" >"$scratch/hosts"
cat >"$scratch/agent" <<EOF
#!/bin/sh
host=\$1; shift
exec ip netns exec $id-\${host#host} unshare --uts --mount sh -c 'mount --bind $scratch/hosts /etc/hosts; hostname "\$0"; eval "\$1"' "\$host" "\$*"
EOF
chmod +x "$scratch/agent"
list=host0
for ((i = 1; i < hosts; ++i)); do list+=,host$i; done
command=(mpirun --allow-run-as-root --map-by node --bind-to none -np "$hosts" --host "$list" --mca plm_rsh_agent "$scratch/agent"
  --mca plm_rsh_no_tree_spawn 1 --mca btl tcp,self --mca btl_tcp_if_include 10.77.0.0/24 --mca oob_tcp_if_include 10.77.0.0/24
  --mca pml ob1 "$@")
inside 0 unshare --uts --mount sh -c 'mount --bind "$0" /etc/hosts; hostname host0; exec "$@"' "$scratch/hosts" "${command[@]}"
