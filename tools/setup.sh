# Sourced by tools/quickstart.sh, tools/test.sh and .ci/run: what the project needs, how it gets
# onto a machine, and how commands run quietly. Bash.
#
# The caller sets `program` (its name for messages) and calls, in this order,
#   setup_begin LOG_DIRECTORY
#   setup_packages ENTRY...
#   setup_optional ENTRY...

set -u -o pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# A machine without locales or a time zone must give the same messages and reports as any other.
export LC_ALL=C.UTF-8

# What has to be installed. An entry is a Debian package, or COMMAND/PACKAGE where any working
# command of that name will do. docs/dependencies.md says why each is there.
packages_build=(gcc/gcc libc6-dev meson/meson ninja/ninja-build pkg-config/pkg-config)
packages_test=(check libcjson-dev libpng-dev libjpeg-dev cmake/cmake binutils)
packages_bench=(g++/g++ libbenchmark-dev libcli11-dev nlohmann-json3-dev libdnnl-dev libxnnpack-dev
  libpthreadpool-dev libopenblas-dev)
packages_optional=(gnuplot/gnuplot-nox) # the example lenet5 draws its plot with it

# meson asks it for Debian's library folder; without, programs do not find what meson installs.
command -v dpkg-query >/dev/null && packages_build+=(dpkg-dev)

# Options of the two commands' build: what an automatic choice would leave out silently is demanded.
whole_build=(-Dbench=enabled -Dexamples=enabled)

# The last thing that a user reads when something goes wrong: one line on stderr.
die() {
  echo "$program: $*" >&2
  exit 1
}

setup_begin() {
  logs=$1
  mkdir -p "$logs" 2>/dev/null || die "the folder $logs cannot be made"
  : >"$logs/setup.log" 2>/dev/null || die "the folder $logs cannot be written to"
}

# quietly WHAT LOG COMMAND...: runs a command with its output in a log. Says what is done and how
# long it took; where it fails, shows the end of the log and returns the command's status.
quietly() {
  local what=$1 log=$2 start=$SECONDS status=0
  shift 2
  printf '%s ... ' "$what"
  "$@" >"$log" 2>&1 </dev/null || status=$?
  if [ "$status" -ne 0 ]; then
    echo "failed"
    echo "---- the end of $log"
    tail -n 40 "$log"
    echo "----"
    return "$status"
  fi
  echo "done ($((SECONDS - start)) s)"
}

is_installed() {
  case $1 in
  */*) "${1%/*}" --version >/dev/null 2>&1 && return ;;
  esac
  dpkg-query -W -f '${Status}' "${1#*/}" 2>/dev/null | grep -q 'ok installed$'
}

# Runs a command as root, in a way that asks nothing.
as_root() {
  local quiet=(env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a)
  if [ "$(id -u)" -eq 0 ]; then
    "${quiet[@]}" "$@"
  else
    sudo "${quiet[@]}" "$@"
  fi
}

# Lines that apt-get prints about what went wrong, for the one line that the user reads.
apt_complaint() {
  sed -n 's/^E: //p' "$1" | head -n 1
}

# setup_packages ENTRY...: installs what is missing. With no_install=1 it only says what is missing.
setup_packages() {
  local entry missing=()
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    for entry in "$@"; do
      case $entry in
      */*) "${entry%/*}" --version >/dev/null 2>&1 || missing+=("${entry%/*}") ;;
      esac
    done
    [ ${#missing[@]} -eq 0 ] && return # the libraries are meson's to find
    die "this is neither Debian nor Ubuntu; please install by hand: ${missing[*]}" \
      "(and what these Debian packages hold: ${*#*/})"
  fi
  for entry in "$@"; do
    is_installed "$entry" || missing+=("${entry#*/}")
  done
  [ ${#missing[@]} -eq 0 ] && return
  if [ "${no_install:-0}" = 1 ]; then
    die "packages are missing; run without --no-install, or as root:" \
      "apt-get install ${missing[*]}"
  fi
  if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
    die "missing packages: ${missing[*]}; installing them takes root or sudo"
  fi
  echo "Packages to install: ${missing[*]}" | fold -s -w 80
  # Asked for here, because a password cannot be given while output goes to a log.
  [ "$(id -u)" -eq 0 ] || sudo -v || die "missing packages: ${missing[*]}; sudo was refused"
  local options=(-q -y -o DPkg::Lock::Timeout=300)
  # A failing update is not the end: the lists that are there may do.
  quietly "Updating the package lists" "$logs/apt-update.log" \
    as_root apt-get "${options[@]}" update || true
  quietly "Installing" "$logs/apt-install.log" \
    as_root apt-get "${options[@]}" install --no-install-recommends "${missing[@]}" ||
    die "packages could not be installed: $(apt_complaint "$logs/apt-install.log")" \
      "(whole log: $logs/apt-install.log)"
  for entry in "$@"; do
    is_installed "$entry" || die "${entry#*/} is not there although it was installed"
  done
}

# setup_optional ENTRY...: installs what is missing of what can be done without.
setup_optional() {
  (setup_packages "$@") || echo "$program: going on without ${*#*/}"
}

# configure BUILD OPTION...: sets a build folder up, or again with other options.
configure() {
  local build=$1 name
  name=$(basename "$build")
  shift
  local again=()
  [ -f "$build/meson-private/coredata.dat" ] && again=(--reconfigure)
  quietly "Configuring $name" "$logs/configure-$name.log" \
    meson setup "${again[@]}" "$build" "$root" "$@"
}

# compile BUILD: everything, and what only the tests need.
compile() {
  local name
  name=$(basename "$1")
  quietly "Compiling $name" "$logs/compile-$name.log" ninja -C "$1" all meson-test-prereq
}

# What the compiler or meson complained about first, for the one line that the user reads.
first_error() {
  grep -m 1 -E '(^|: )(fatal )?(error|ERROR)[: ]' "$1" | cut -c 1-200
}

configure_and_compile() {
  local name
  name=$(basename "$1")
  configure "$@" || { echo "$program: configuring $name failed: $(first_error \
    "$logs/configure-$name.log") (whole log: $logs/configure-$name.log)" >&2; return 1; }
  compile "$1" || { echo "$program: compiling $name failed: $(first_error \
    "$logs/compile-$name.log") (whole log: $logs/compile-$name.log)" >&2; return 1; }
}
