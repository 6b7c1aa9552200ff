#!/bin/sh
# Configures the packages of a root file system that was unpacked but not configured, and removes
# itself: the first step of an image that is made from one. Must run as root.
set -eu

here=${0%/*}
export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true LC_ALL=C
# Python's compiled files then name their source by its content, not by its time, which an image
# does not keep.
export SOURCE_DATE_EPOCH=315532800
export PATH="$here/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
cd /

# Nothing is started while an image is built.
mkdir "$here/bin"
printf '#!/bin/sh\nexit 0\n' >"$here/bin/start-stop-daemon"
chmod +x "$here/bin/start-stop-daemon"
policy=/usr/sbin/policy-rc.d
if [ -e $policy ]; then policy=; else
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod +x $policy
fi

info=/var/lib/dpkg/info
ci=/var/lib/dpkg/tmp.ci
version=$(dpkg-query --show --showformat '${Version}' dpkg)
while read -r step first rest; do
    case $step in
    configure)
        # What these depend on may come later: essential packages depend on each other.
        # shellcheck disable=SC2086 # names, one word each
        dpkg --force-depends --configure $first $rest </dev/null
        ;;
    preinst)
        # Where dpkg has what it is about to unpack, and where debconf looks for whose script asks.
        mkdir $ci
        for file in preinst config templates; do
            if [ -e "$info/${rest#* }.$file" ]; then cp "$info/${rest#* }.$file" $ci/$file; fi
        done
        printf 'Package: %s\n' "$first" >$ci/control
        DPKG_MAINTSCRIPT_NAME=preinst DPKG_MAINTSCRIPT_PACKAGE=$first \
            DPKG_MAINTSCRIPT_ARCH=${rest% *} DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT=1 \
            DPKG_RUNNING_VERSION=$version DPKG_ROOT='' DPKG_ADMINDIR=/var/lib/dpkg \
            $ci/preinst install </dev/null
        rm -r $ci
        ;;
    esac
done <"$here/steps"
dpkg --configure --pending </dev/null

# What differs from run to run, and what only this needed.
rm -rf "$here" /var/cache/ldconfig/aux-cache /var/cache/debconf/*-old /var/lib/dpkg/*-old /etc/*-
find /var/log -type f -delete
if [ -n "$policy" ]; then rm $policy; fi
if [ -s /etc/machine-id ]; then : >/etc/machine-id; fi
