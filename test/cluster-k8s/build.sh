#!/bin/sh
# Builds a control plane, what its nodes run, KEDA and cert-manager, into a folder: sh test/cluster-k8s/build.sh FOLDER [NAME…].
# Programs that are there are kept.
set -eu
all='etcd kube-apiserver kube-controller-manager kube-scheduler
  containerd containerd-shim-runc-v2 ctr kubelet kube-proxy coredns keda-operator keda-adapter keda-webhooks cert-manager'
[ $# -ge 1 ] || { echo "usage: build.sh FOLDER [NAME]…, of: $all" >&2; exit 1; }
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

# build FOLDER PACKAGE FLAGS OUTPUT
build() {
  (cd "$1" && GOFLAGS=-buildvcs=false GOMAXPROCS=1 nice -n 10 go build -p 1 -trimpath -ldflags "-s -w $3" -o "$4" "$2")
}

# A copy of KEDA's module with the few scalers that bring no cloud's client. In place of the sixty others, which would
# more than double the packages, stands a function that fails.
copy_keda() {
  from=$(go mod download -json "github.com/kedacore/keda/v2@v$KEDA" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
  cp -r "$from/." "$1"
  chmod -R u+w "$1"
  for file in "$1"/pkg/scalers/*_scaler.go; do
    case ${file##*/} in prometheus_* | cpu_memory_* | external_* | kubernetes_* | metrics_api_* | azure_queue_*) continue ;; esac
    begins=$(grep '^func New.*(.*config \*scalersconfig.ScalerConfig) (.*, error) {$' "$file" | sed 's/) (.*,/) (Scaler,/')
    {
      echo 'package scalers'
      case $begins in *context.Context*) echo 'import "context"' ;; esac
      echo 'import "errors"'
      echo 'import "github.com/kedacore/keda/v2/pkg/scalers/scalersconfig"'
      echo "$begins return nil, errors.New(\"left out of this build\") }"
    } >"$file"
  done
}

for name in ${*:-$all}; do
  [ -x "$folder/$name" ] && continue
  echo "Building $name"
  case $name in
    containerd* | ctr)
      build containerd "github.com/containerd/containerd/v2/cmd/$name" \
        "-X github.com/containerd/containerd/v2/version.Version=v$CONTAINERD" "$folder/$name"
      ;;
    coredns | cert-manager) CGO_ENABLED=0 build "$name" . '' "$folder/$name" ;;
    etcd) build etcd go.etcd.io/etcd/server/v3 '' "$folder/$name" ;;
    keda-*)
      source=$(mktemp -d)
      trap 'rm -rf "$source"' EXIT
      copy_keda "$source"
      CGO_ENABLED=0 build "$source" "./cmd/${name#keda-}" "-X github.com/kedacore/keda/v2/version.Version=$KEDA" "$folder/$name"
      rm -rf "$source"
      ;;
    *) build kubernetes "k8s.io/kubernetes/cmd/$name" "$stamp" "$folder/$name" ;;
  esac
done
