// Writes a process's extended registers shorter than the host's own, as an old User Mode Linux does on a processor
// with AMX, and reads them back: xstate LENGTH. Prints "written" and what differs, or the error.
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { COMPONENTS = 512, HEADER_END = 576, X87_END = 160, XMM_END = 416 };
static const unsigned long long tiles = 3ull << 17;

static unsigned char before[65536], given[65536], after[65536];

static size_t get(pid_t pid, unsigned char *buffer) {
  struct iovec part = { buffer, sizeof before };
  if (ptrace(PTRACE_GETREGSET, pid, (void *) NT_X86_XSTATE, &part) < 0) { perror("GETREGSET"); exit(1); }
  return part.iov_len;
}

static int set(pid_t pid, unsigned char *buffer, size_t length) {
  struct iovec part = { buffer, length };
  return ptrace(PTRACE_SETREGSET, pid, (void *) NT_X86_XSTATE, &part);
}

int main(int argc, char **argv) {
  size_t length = argc == 2 ? strtoul(argv[1], 0, 10) : 0;
  pid_t pid = fork();
  if (!pid) {
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    _exit(0);
  }
  waitpid(pid, 0, 0);
  size_t size = get(pid, before);
  unsigned long long components, left;
  memcpy(&components, before + COMPONENTS, sizeof components);
  components |= 7; // x87, SSE, AVX

  // Fill what lies beyond, so that zeros there are the work of the write. PKRU, protection keys, stays as it is: bit 9.
  memcpy(after, before, size);
  memcpy(after + COMPONENTS, &components, sizeof components);
  for (size_t i = HEADER_END; i < HEADER_END + 256; i++) after[i] = 0xee;
  if (set(pid, after, size) < 0) { perror("SETREGSET of all"); return 1; }

  // The tiles are said to be in use: a host that has none refuses that, one that has some finds zeros there.
  memcpy(given, after, length);
  for (size_t i = X87_END; i < XMM_END; i++) given[i] = (unsigned char) (i * 7);
  for (size_t i = HEADER_END; i < length && i < HEADER_END + 256; i++) given[i] = (unsigned char) (i * 5);
  left = components | tiles;
  memcpy(given + COMPONENTS, &left, sizeof left);
  if (set(pid, given, length) < 0) { printf("refused: %s\n", strerror(errno)); return 0; }

  if (get(pid, after) != size) { puts("another size"); return 1; }
  memcpy(&left, after + COMPONENTS, sizeof left);
  printf("written; of %zu bytes %s; tiles %s; xmm %s; ymm %s\n", length, length < size ? "of more" : "of all",
    left & tiles ? "in use" : "unused",
    memcmp(after + X87_END, given + X87_END, XMM_END - X87_END) ? "differ" : "kept",
    memcmp(after + HEADER_END, given + HEADER_END, 256) ? "differ" : "kept");
  kill(pid, SIGKILL);
  return 0;
}
