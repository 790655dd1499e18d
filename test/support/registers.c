// Keeps every vector register over context switches: registers PROCESSES THREADS ROUNDS. Each thread of each process
// fills the registers with bytes of its own, runs, yields and sleeps, and looks at them. Prints which set it kept.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// From load to store no instruction but these runs in the thread.
__asm__(
  ".macro hold name, move, register, width, masks, registers:vararg\n"
  "\\name:\n"
  "  push %r12; push %r13; push %r14\n"
  "  mov %rsi, %r12; mov %rdx, %r13; mov %rcx, %r14\n"
  "  .irp n, \\registers\n \\move \\n*\\width(%rdi), %\\register\\n\n .endr\n"
  "  .if \\masks\n .irp n, 0,1,2,3,4,5,6,7\n kmovq 2048+\\n*8(%rdi), %k\\n\n .endr\n .endif\n"
  "1:mov $24, %eax; syscall\n"                              // sched_yield
  "  mov $100000, %ecx\n"                                   // runs, perhaps until the clock ticks
  "2:dec %ecx; jnz 2b\n"
  "  mov $35, %eax; mov %r14, %rdi; xor %esi, %esi; syscall\n" // nanosleep
  "  dec %r13; jnz 1b\n"
  "  .irp n, \\registers\n \\move %\\register\\n, \\n*\\width(%r12)\n .endr\n"
  "  .if \\masks\n .irp n, 0,1,2,3,4,5,6,7\n kmovq %k\\n, 2048+\\n*8(%r12)\n .endr\n .endif\n"
  "  pop %r14; pop %r13; pop %r12\n"
  "  ret\n"
  ".endm\n"
  "hold hold_xmm, movdqu, xmm, 16, 0, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
  "hold hold_ymm, vmovdqu, ymm, 32, 0, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
  "hold hold_zmm, vmovdqu64, zmm, 64, 1, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,"
  "16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
);

typedef void Hold(const void *in, void *out, long rounds, const struct timespec *sleep);
Hold hold_xmm, hold_ymm, hold_zmm;

static Hold *hold = hold_xmm;
static size_t size = 16 * 16;
static long rounds;

// Returns how many bytes differ.
static void *work(void *seed) {
  unsigned char in[2112], out[2112] = { 0 };
  const struct timespec moment = { 0, 1 };
  unsigned random = (unsigned) (size_t) seed * 2654435761u;
  for (size_t i = 0; i < size; i++) in[i] = (unsigned char) ((random = random * 1103515245u + 12345u) >> 16);
  hold(in, out, rounds, &moment);
  size_t differ = 0;
  for (size_t i = 0; i < size; i++) differ += in[i] != out[i];
  if (differ) printf("thread %zx: %zu of %zu bytes differ\n", (size_t) seed, differ, size);
  return (void *) differ;
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  int processes = atoi(argv[1]), threads = atoi(argv[2]), failed = 0, status;
  rounds = atol(argv[3]);
  const char *set = "xmm";
  if (__builtin_cpu_supports("avx")) { hold = hold_ymm; size = 16 * 32; set = "ymm"; }
  if (__builtin_cpu_supports("avx512bw")) { hold = hold_zmm; size = 32 * 64 + 8 * 8; set = "zmm and k"; }
  for (int p = 0; p < processes; p++) {
    if (fork()) continue;
    pthread_t thread[64];
    void *differ;
    for (int t = 0; t < threads; t++) pthread_create(&thread[t], 0, work, (void *) (size_t) ((p + 1) * 256 + t));
    for (int t = 0; t < threads; t++) {
      pthread_join(thread[t], &differ);
      failed |= differ != 0;
    }
    fflush(stdout);
    _exit(failed);
  }
  while (wait(&status) > 0) failed |= status != 0;
  if (!failed) printf("%s: kept in %d threads\n", set, processes * threads);
  return failed;
}
