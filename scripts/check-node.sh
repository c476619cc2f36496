#!/bin/sh
# Ends with one clear line where Node is missing or too old.
set -eu

advice='see https://nodejs.org, or your distribution'
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
  echo "Ballast needs Node 20.11 or newer with npm, and there is none here: $advice" >&2
  exit 1
fi
if ! node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 11) ? 0 : 1)'; then
  echo "Ballast needs Node 20.11 or newer, and this is $(node --version): $advice" >&2
  exit 1
fi
