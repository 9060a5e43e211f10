#!/bin/bash
# Fetches Debian's arm64 packages of what the tests and examples link with (check, cJSON, libpng,
# libjpeg) and unpacks them into a folder, with a meson cross file beside them:
#
#   tools/arm64_sysroot.sh FOLDER
#   meson setup build-aarch64 --cross-file cross/aarch64-linux-gnu.ini \
#     --cross-file FOLDER/sysroot.ini -Dbench=disabled
#
# Nothing is installed: apt works on package lists of its own inside FOLDER, so that the machine
# needs no foreign architecture (dpkg --add-architecture), which would bind the versions of its own
# packages to those of arm64, and no root.
set -u -o pipefail
export LC_ALL=C.UTF-8
packages=(check libsubunit-dev libsubunit0 libcjson-dev libcjson1 libpng-dev libpng16-16
  libjpeg62-turbo-dev libjpeg62-turbo zlib1g-dev zlib1g)

fail() {
  echo "tools/arm64_sysroot.sh: $*" >&2
  exit 1
}

[ $# -eq 1 ] || fail "the folder to fill is needed as the one argument"
command -v apt-get >/dev/null || fail "this needs apt-get (Debian)"
mkdir -p "$1" && folder=$(cd "$1" && pwd) || fail "$1 cannot be made"
if [ -e "$folder/complete" ] && [ "$(cat "$folder/complete")" = "${packages[*]} in $folder" ]; then
  exit 0
fi

mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial" "$folder/debs" &&
  cd "$folder/debs" || fail "$folder cannot be written to"
options=(-q -o "APT::Architectures::=$(dpkg --print-architecture)" -o APT::Architectures::=arm64
  -o "Dir::State::Lists=$folder/lists" -o "Dir::Cache=$folder/cache" -o APT::Sandbox::User=
  -o Debug::NoLocking=1 -o Acquire::Languages=none -o APT::Update::Post-Invoke-Success::=true)
apt-get "${options[@]}" update || fail "the lists of arm64 packages cannot be fetched"
apt-get "${options[@]}" download "${packages[@]/%/:arm64}" ||
  fail "not every package is there for arm64: ${packages[*]}"
for deb in *.deb; do
  dpkg-deb --extract "$deb" "$folder/root" || fail "$deb cannot be unpacked"
done
rm -rf "$folder/lists" "$folder/cache" "$folder/debs"

libraries=$folder/root/usr/lib/aarch64-linux-gnu
searched=$libraries:$folder/root/lib/aarch64-linux-gnu # zlib is in the older place
cat >"$folder/sysroot.ini" <<INI
[properties]
sys_root = '$folder/root'
pkg_config_libdir = '$libraries/pkgconfig'

[built-in options]
c_args = ['-isystem', '$folder/root/usr/include',
          '-isystem', '$folder/root/usr/include/aarch64-linux-gnu']
c_link_args = ['-L$libraries', '-Wl,-rpath-link,$searched', '-Wl,-rpath,$searched',
               '-Wl,--disable-new-dtags'] # so that the libraries find each other by it, too
INI
echo "${packages[*]} in $folder" >"$folder/complete"
