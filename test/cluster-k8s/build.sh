#!/bin/sh
# Builds the servers of a control plane into a folder: sh test/cluster-k8s/build.sh FOLDER [NAME…]. What is there is kept.
set -eu
[ $# -ge 1 ] || { echo 'usage: build.sh FOLDER [etcd|kube-apiserver|kube-controller-manager|kube-scheduler|kubelet]…' >&2; exit 1; }
mkdir -p "$1"
folder=$(cd "$1" && pwd)
shift
cd "$(dirname "$0")"
. ../../k8s/versions.env
# Servers say their version, which helm and clients ask for.
stamp=
for field in gitVersion=v$KUBERNETES gitMajor=${KUBERNETES%%.*} gitMinor=$(echo "$KUBERNETES" | cut -d . -f 2); do
  stamp="$stamp -X k8s.io/component-base/version.$field"
done
for name in ${*:-etcd kube-apiserver kube-controller-manager kube-scheduler}; do
  [ -x "$folder/$name" ] && continue
  case $name in
    etcd) module=etcd main=go.etcd.io/etcd/server/v3 ;;
    *) module=kubernetes main=k8s.io/kubernetes/cmd/$name ;;
  esac
  echo "Building $name"
  (cd "$module" && GOFLAGS=-buildvcs=false GOMAXPROCS=1 nice -n 10 go build -p 1 -trimpath -ldflags "-s -w$stamp" -o "$folder/$name" "$main")
done
