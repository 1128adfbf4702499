#!/bin/bash
# The library as another project meets it: installed, found by pkg-config, linked shared and static.
. "$(dirname "$0")/../lib.sh"

cmake --install "$ESPALIER_BUILD_DIR" --prefix "$WORK/prefix" > install.log || fail "cmake --install"
export PKG_CONFIG_PATH=$WORK/prefix/lib/pkgconfig:$WORK/prefix/lib64/pkgconfig:$(echo "$WORK"/prefix/lib/*/pkgconfig)
[ -f "$WORK/prefix/include/espalier.h" ] || fail "the header was not installed"

cat > prog.c << 'PROGRAM'
#include <espalier.h>
#include <stdio.h>
#include <string.h>

int arena_alloc(int x);                    /* a name that the library has inside, too */
int arena_alloc(int x) { return x - 1; }

int main(void) {
    if (strcmp(esp_version(), ESP_VERSION) != 0) return 1;
    if (arena_alloc(1) != 0) return 2;
    printf("espalier %s\n", esp_version());
    return 0;
}
PROGRAM
sanitize=""
if [ "$ESPALIER_SANITIZE" = ON ]; then sanitize="-fsanitize=address,undefined"; fi
compile="cc -std=c17 -Wall -Wextra -Werror $sanitize prog.c"

version=$(pkg-config --modversion espalier) || fail "pkg-config does not find espalier"
libdir=$(pkg-config --variable=libdir espalier)

# The file must name the place it was installed to, not the one the build was configured for.
case $(cd "$libdir" && pwd) in
    "$WORK"/prefix/*) ;;
    *) fail "espalier.pc names $libdir, outside the prefix it was installed to" ;;
esac

# shellcheck disable=SC2046
$compile -o shared $(pkg-config --cflags --libs espalier) || fail "the shared library does not link"
LD_LIBRARY_PATH=$libdir expect_exit 0 ./shared
expect_in out "^espalier ${version//./\\.}$"
ldd ./shared > ldd.txt 2>&1 || true
expect_in ldd.txt 'libespalier\.so'

# shellcheck disable=SC2046
$compile -o static $(pkg-config --static --cflags --libs espalier | sed 's/-lespalier/-l:libespalier.a/') ||
    fail "the static library does not link"
expect_exit 0 ./static
expect_in out "^espalier ${version//./\\.}$"
ldd ./static > ldd.txt 2>&1 || true
expect_not_in ldd.txt 'libespalier\.so'

# The shared library shows the public names and no others.
nm -D --defined-only "$libdir/libespalier.so" | awk '$2 ~ /[TDBRVW]/ { print $3 }' > names
expect_in names '^esp_version$'
if grep -vE '^(esp_|_init$|_fini$|__asan|__odr_asan)' names > others; then
    fail "libespalier.so shows names that are not esp_: $(head -n 5 others | tr '\n' ' ')"
fi

if [ -x "$ESPALIER" ]; then
    [ -x "$WORK/prefix/bin/espalier" ] || fail "the program was not installed"
fi
