// Lets User Mode Linux before 6.14 run on processors with AMX (Intel since 2023). Preloaded for the kernel alone.
//
// Such a kernel keeps 2,696 bytes of a process's extended registers. It writes them back with
// PTRACE_SETREGSET, and the host takes them in full length only: 11,008 bytes with AMX. A shorter write
// fails with EFAULT, and the guest panics before its first process. This ptrace() adds what is missing:
// zeros, with the tile registers declared unused. A guest cannot use those: it has no way to ask for them.
//
// No header is needed, so that a compiler without any (tcc -nostdlib) is enough.
struct iovec { void *base; unsigned long length; };
enum { GETREGSET = 0x4204, SETREGSET = 0x4205, X86_XSTATE = 0x202 };
enum { COMPONENTS = 512, HEADER_END = 576 }; // offsets: the bits of the components in use; what follows the header
#define TILES (3ull << 17)                   // the bits of a tile's configuration and its data
#define NEXT ((void *) -1l)

extern void *dlsym(void *, const char *), *memcpy(void *, const void *, unsigned long), *memset(void *, int, unsigned long);

long ptrace(int request, int pid, void *address, void *data) {
  static long (*next)(int, ...);
  static char state[65536] __attribute__((aligned(64)));
  static unsigned long size; // of the host's whole state, the same for every process

  if (!next) next = (long (*)(int, ...)) dlsym(NEXT, "ptrace");
  struct iovec *given = data, whole = { state, sizeof state };
  if (request != SETREGSET || (long) address != X86_XSTATE || given->length < HEADER_END) return next(request, pid, address, data);
  if (!size) {
    if (next(GETREGSET, pid, address, &whole) < 0) return -1;
    if (whole.length == sizeof state) return next(request, pid, address, data); // may be longer still: not ours to guess
    size = whole.length;
  }
  if (given->length >= size) return next(request, pid, address, data);

  memcpy(state, given->base, given->length);
  memset(state + given->length, 0, size - given->length);
  *(unsigned long long *) (state + COMPONENTS) &= ~TILES;
  whole.length = size;
  return next(request, pid, address, &whole);
}
