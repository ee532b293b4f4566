# Cross compilation for 64-bit ARM with Debian's compiler and its arm64 (multiarch) libraries.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)

# pkg-config would otherwise answer for this machine.
set(ENV{PKG_CONFIG_LIBDIR} "/usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig")

# Loader and C library have to be of one build. /usr/aarch64-linux-gnu has the cross compiler's loader, which with the
# arm64 package's libc.so.6 loops in the first pthread_create; in / both are of that package.
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L /)
