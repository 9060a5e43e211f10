#!/bin/bash
# Installs a build into a scratch folder, moves it, and holds what is there to what is promised:
# names, exported symbols, headers that stand alone, and outside programs that are built by
# pkg-config and by CMake, against the shared and the static library.
#
# Arguments: meson, build folder, version, soversion, compiler command...
set -u -o pipefail
meson=$1 build=$2 version=$3 soversion=$4
shift 4
compiler=("$@")
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
  echo "FAILED: $*" >&2
  exit 1
}
run() { ${MESON_EXE_WRAPPER:-} "$@"; }

DESTDIR=$scratch/first "$meson" install -C "$build" --no-rebuild --quiet >"$scratch/log" 2>&1 ||
  fail "meson install: $(cat "$scratch/log")"
mv "$scratch/first" "$scratch/moved"
pc=$(find "$scratch/moved" -name evrisim.pc)
[ -n "$pc" ] || fail "no evrisim.pc was installed"
library_folder=$(cd "$(dirname "$pc")/.." && pwd)
include_folder=$(dirname "$(find "$scratch/moved" -type d -path '*include/evrisim')")
prefix=$(dirname "$include_folder")

# What is installed, by name.
for file in libevrisim.a "libevrisim.so.$version" "libevrisim.so.$soversion" libevrisim.so \
  cmake/evrisim/evrisimConfig.cmake cmake/evrisim/evrisimConfigVersion.cmake; do
  [ -e "$library_folder/$file" ] || fail "$file was not installed"
done
find "$prefix" -type f | sed "s#^$prefix/##" | grep -v -E \
  '^include/evrisim/[a-z0-9_]+\.h$|/libevrisim\.(a|so\.[0-9.]+)$|/pkgconfig/evrisim\.pc$|/cmake/evrisim/|^share/doc/evrisim/' \
  >"$scratch/others" && fail "installed without need: $(cat "$scratch/others")"

# The shared library: its soname, and exactly the functions that the headers declare.
shared=$library_folder/libevrisim.so.$version
readelf -d "$shared" | grep -q "SONAME.*\[libevrisim\.so\.$soversion\]" ||
  fail "the soname is not libevrisim.so.$soversion"
nm -D --defined-only "$shared" | awk '{print $3}' | sort >"$scratch/exported"
grep -q . "$scratch/exported" || fail "nothing is exported"
grep -v '^evr_' "$scratch/exported" >"$scratch/foreign" &&
  fail "exported without the prefix evr_: $(tr '\n' ' ' <"$scratch/foreign")"
cat "$include_folder"/evrisim/*.h | tr '\n' ' ' | grep -o 'EVR_API [A-Za-z0-9_ *]*(' |
  sed -n 's/^EVR_API .*[ *]\(evr_[a-z0-9_]*\)($/\1/p' | sort >"$scratch/declared"
diff "$scratch/declared" "$scratch/exported" >"$scratch/differences" ||
  fail "declared (<) and exported (>) functions differ: $(cat "$scratch/differences")"
readelf -W -l "$shared" | grep -q 'GNU_STACK.*RWE' && fail "the library asks for an executable stack"

# Every header stands alone, in C11 and in C++ (where the compiler has it).
plus=(c++)
case ${compiler[-1]} in
*clang*) plus=("${compiler[-1]/clang/clang++}") ;;
*gcc*) plus=("${compiler[-1]/gcc/g++}") ;;
esac
for header in "$include_folder"/evrisim/*.h; do
  line="#include <evrisim/$(basename "$header")>"
  echo "$line" | "${compiler[@]}" -x c -std=c11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only \
    -I "$include_folder" - || fail "$header does not stand alone in C11"
  if "${plus[@]}" --version >/dev/null 2>&1; then
    echo "$line" | "${plus[@]}" -x c++ -std=c++11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only \
      -I "$include_folder" - || fail "$header does not stand alone in C++11"
  fi
done

# pkg-config. The tree does not lie where its prefix says, as in a package's staging folder.
export PKG_CONFIG_PATH=${pc%/evrisim.pc} PKG_CONFIG_SYSROOT_DIR=$scratch/moved
[ "$(pkg-config --modversion evrisim)" = "$version" ] || fail "pkg-config's version is not $version"
"${compiler[@]}" -std=c11 -Wall -Wextra -Werror "$here/outside.c" -o "$scratch/shared" \
  $(pkg-config --cflags --libs evrisim) || fail "pkg-config, shared: building"
LD_LIBRARY_PATH=$library_folder run "$scratch/shared" || fail "pkg-config, shared: running"
readelf -d "$scratch/shared" | grep -q "NEEDED.*libevrisim\.so\.$soversion" ||
  fail "pkg-config, shared: the program does not use the shared library"
"${compiler[@]}" -std=c11 -Wall -Wextra -Werror "$here/outside.c" -o "$scratch/static" -static \
  $(pkg-config --static --cflags --libs evrisim) || fail "pkg-config, static: building"
run "$scratch/static" || fail "pkg-config, static: running"
unset PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR

# CMake.
cmake_configure() {
  CC="${compiler[*]}" cmake -G Ninja -S "$here" -B "$scratch/$1" -DCMAKE_PREFIX_PATH="$prefix" \
    -DCMAKE_BUILD_TYPE=Release \
    -DWANTED_VERSION="$2" >"$scratch/log" 2>&1
}
for wanted in "" "$version" "${version%.*}"; do
  cmake_configure "cmake$wanted" "$wanted" || fail "CMake, version \"$wanted\": $(cat "$scratch/log")"
done
cmake_configure newer 99.0 && fail "CMake takes evrisim $version where 99.0 is wanted"
cmake --build "$scratch/cmake" >"$scratch/log" 2>&1 || fail "CMake, building: $(cat "$scratch/log")"
LD_LIBRARY_PATH=$library_folder run "$scratch/cmake/outside_shared" || fail "CMake, shared: running"
run "$scratch/cmake/outside_static" || fail "CMake, static: running"
readelf -d "$scratch/cmake/outside_static" | grep -q libevrisim &&
  fail "CMake, static: the program uses the shared library"
echo "all passed"
