#!/bin/sh
# Installs the Debian packages of system-packages.txt that are missing, if this is Debian or Ubuntu and we are root.
# Anywhere else it says what is missing. Services that the packages bring are not started.
set -eu
cd "$(dirname "$0")"
packages=$(sed 's/#.*//' system-packages.txt | xargs)

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "*** This is not Debian or Ubuntu: tests that need $packages are skipped; install the like to run them."
    exit 0
fi

missing=''
for package in $packages; do
    status=$(dpkg-query --show --showformat '${Status}' "$package" 2>/dev/null || true)
    [ "$status" = 'install ok installed' ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

install='apt-get install --yes --no-install-recommends'
if [ "$(id -u)" -ne 0 ]; then
    echo "*** Missing system packages, so the tests that need them are skipped. To run them: sudo $install$missing"
    exit 0
fi

# With this file in place no package starts its services (invoke-rc.d asks it).
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
echo "*** Installing the system packages that the tests need:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet --quiet
# shellcheck disable=SC2086 # words on purpose
$install --quiet --quiet --option Dpkg::Use-Pty=0 $missing
