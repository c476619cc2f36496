#!/bin/sh
# A node's machine: sh machine.sh FOLDER, as node.ts starts it in network, mount and pid namespaces of its own. All of it ends with
# this process. FOLDER holds the configuration of its programs, which say what they do in FOLDER/*.log.
set -eu
folder=$1

# Files that these programs write in fixed places are seen here alone, and the kubelet's settings of the kernel are files.
mount -t tmpfs tmpfs /run
mkdir -p /var/lib/kubelet /opt/containerd
mount -t tmpfs tmpfs /var/log
mount -t tmpfs tmpfs /opt/containerd
mount -t tmpfs tmpfs /var/lib/kubelet
echo 1 >/proc/sys/net/ipv4/ip_forward
for setting in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
  mkdir -p "/run/sysctl/${setting%/*}"
  cat "/proc/sys/$setting" >"/run/sysctl/$setting"
  mount --bind "/run/sysctl/$setting" "/proc/sys/$setting"
done

"$SERVERS/containerd" --config "$folder/containerd.toml" 2>"$folder/containerd.log" &
until "$SERVERS/ctr" --address /run/containerd/containerd.sock version >/dev/null 2>&1; do
  kill -0 $! || exit 1
  sleep 0.2
done
tar -cf - -C "$IMAGES" . | "$SERVERS/ctr" --address /run/containerd/containerd.sock --namespace k8s.io images import - >/dev/null

"$SERVERS/kube-proxy" --config "$folder/kube-proxy.json" 2>"$folder/kube-proxy.log" &
# A kubelet ends where something that it needs comes later than itself.
while :; do
  "$SERVERS/kubelet" --config "$folder/kubelet.json" --kubeconfig "$KUBELET_CONFIG" --hostname-override "$NAME" \
    --node-ip "$ADDRESS" --root-dir "$folder/kubelet" --cert-dir "$folder/certificates" 2>>"$folder/kubelet.log" || sleep 1
done
