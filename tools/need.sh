#!/bin/sh
# need.sh makes sure that commands and Debian packages are there: it installs what is missing when
# run as root on Debian or Ubuntu, and otherwise says what to install. Arguments are commands, or
# names ending in -dev, which are packages.
set -eu

missing=
for want in "$@"; do
	case $want in
	*-dev) dpkg -s "$want" >/dev/null 2>&1 || missing="$missing $want" ;;
	*) command -v "$want" >/dev/null 2>&1 || [ -x "/usr/sbin/$want" ] || missing="$missing $want" ;;
	esac
done
[ -n "$missing" ] || exit 0

packages=
for want in $missing; do
	case $want in
	go)
		echo "need.sh: Go 1.26 or newer is missing: install it from https://go.dev/dl/ and put it on the PATH" >&2
		exit 1
		;;
	llvm-strip-*) packages="$packages llvm-${want##*-}" ;;
	nft) packages="$packages nftables" ;;
	xdp-filter) packages="$packages xdp-tools" ;;
	qemu-system-x86_64) packages="$packages qemu-system-x86" ;;
	dpkg-deb) packages="$packages dpkg" ;;
	xz) packages="$packages xz-utils" ;;
	*) packages="$packages $want" ;;
	esac
done
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
	echo "need.sh: installing$packages"
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq
	# shellcheck disable=SC2086 # one word per package
	apt-get install -y -qq --no-install-recommends $packages >/dev/null
else
	echo "need.sh: missing:$packages. Install them, for example: apt-get install$packages" >&2
	exit 1
fi
