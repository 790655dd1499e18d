/*
 * The floor: what C needs for the same work over the same kernel interface, with nothing left out and
 * nothing added. Batches are encoded beforehand; listings are decoded into an array of structs.
 *
 * Reads one command a line, answers each with one line of JSON:
 *   program PORT masq|tunnel   1,000 services (or BENCH_SERVICES) x 20 destinations, the services on PORT
 *   list                       all services and destinations with 64-bit stats
 *   ping N                     N times GET_INFO, one by one
 *   traffic PORT               one UDP round trip through every destination (see below)
 *   fresh                      gives up its network namespace, waits for its end, and goes on in a new one
 *
 * As `floor spaces N COMMAND…` it makes N such namespaces, leaves two sockets into each open from descriptor 3 on, one after
 * the other, and becomes the command: Node cannot change its namespace, but write to what it was given.
 * As `floor touch N` it writes to N MB of memory and ends.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/genetlink.h>
#include <linux/ip_vs.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { DESTINATIONS = 20, BATCH = 128, READ_SIZE = 65536 };

static int services = 1000;
static int sock;
static uint16_t family;
static uint32_t seq;
static char in[READ_SIZE];

static void die(const char *what) { perror(what); exit(1); }

/* What the last command left to the kernel to tidy up is not in the way of the next: measure.ts waits as long. */
static void settle(void) { usleep(200 * 1000); }

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

/* ── encoding ── */

static char *begin(char *at, uint16_t type, uint16_t flags, uint8_t cmd) {
  struct nlmsghdr *h = (void *)at;
  *h = (struct nlmsghdr){ .nlmsg_type = type, .nlmsg_flags = flags, .nlmsg_seq = ++seq };
  *(struct genlmsghdr *)NLMSG_DATA(h) = (struct genlmsghdr){ .cmd = cmd, .version = 1 };
  return at + NLMSG_HDRLEN + GENL_HDRLEN;
}

static char *put(char *at, uint16_t type, const void *value, uint16_t size) {
  *(struct nlattr *)at = (struct nlattr){ .nla_len = NLA_HDRLEN + size, .nla_type = type };
  memset(at + NLA_HDRLEN, 0, NLA_ALIGN(size));
  memcpy(at + NLA_HDRLEN, value, size);
  return at + NLA_HDRLEN + NLA_ALIGN(size);
}

static char *put16(char *at, uint16_t type, uint16_t value) { return put(at, type, &value, 2); }
static char *put32(char *at, uint16_t type, uint32_t value) { return put(at, type, &value, 4); }

static char *nest(char **at, uint16_t type) {
  char *start = *at;
  ((struct nlattr *)start)->nla_type = type | NLA_F_NESTED;
  *at += NLA_HDRLEN;
  return start;
}

static void nested(char *start, char *at) { ((struct nlattr *)start)->nla_len = at - start; }

static char *put_service(char *at, uint32_t addr, uint16_t port, int whole) {
  char *start = nest(&at, IPVS_CMD_ATTR_SERVICE);
  at = put16(at, IPVS_SVC_ATTR_AF, AF_INET);
  at = put16(at, IPVS_SVC_ATTR_PROTOCOL, IPPROTO_UDP);
  at = put(at, IPVS_SVC_ATTR_ADDR, &addr, 4);
  at = put16(at, IPVS_SVC_ATTR_PORT, port);
  if (whole) {
    struct ip_vs_flags flags = { 0, ~0 };
    at = put(at, IPVS_SVC_ATTR_SCHED_NAME, "rr", 3);
    at = put(at, IPVS_SVC_ATTR_FLAGS, &flags, sizeof flags);
    at = put32(at, IPVS_SVC_ATTR_TIMEOUT, 0);
    at = put32(at, IPVS_SVC_ATTR_NETMASK, 0xffffffff);
  }
  nested(start, at);
  return at;
}

static char *put_destination(char *at, uint32_t addr, uint16_t port, uint32_t forwarding) {
  char *start = nest(&at, IPVS_CMD_ATTR_DEST);
  uint8_t type = IP_VS_CONN_F_TUNNEL_TYPE_IPIP;
  at = put(at, IPVS_DEST_ATTR_ADDR, &addr, 4);
  at = put16(at, IPVS_DEST_ATTR_PORT, port);
  at = put32(at, IPVS_DEST_ATTR_FWD_METHOD, forwarding);
  at = put32(at, IPVS_DEST_ATTR_WEIGHT, 1);
  at = put32(at, IPVS_DEST_ATTR_U_THRESH, 0);
  at = put32(at, IPVS_DEST_ATTR_L_THRESH, 0);
  at = put16(at, IPVS_DEST_ATTR_ADDR_FAMILY, AF_INET);
  at = put(at, IPVS_DEST_ATTR_TUN_TYPE, &type, 1);
  at = put16(at, IPVS_DEST_ATTR_TUN_PORT, 0);
  at = put16(at, IPVS_DEST_ATTR_TUN_FLAGS, 0);
  nested(start, at);
  return at;
}

static uint32_t vip(int service) { return htonl(0x0a000000 + service); }
static uint32_t rip(int service, int destination) { return htonl(0xc0a80000 + service * DESTINATIONS + destination); }

/* ── exchanging ── */

static void send_all(const void *data, size_t size) {
  if (send(sock, data, size, 0) != (ssize_t)size) die("send");
}

static int receive(void) {
  int n = recv(sock, in, sizeof in, 0);
  if (n < 0) die("recv");
  return n;
}

static double program(uint16_t port, uint32_t forwarding) {
  static char *pool;
  static char **starts;
  int total = services * (DESTINATIONS + 1);
  if (!pool && (!(pool = malloc(total * 256)) || !(starts = malloc((total / BATCH + 2) * sizeof *starts)))) die("malloc");
  char *at = pool, *message = NULL;
  int batches = 0, commands = 0;
  for (int i = 0; i < services; i++) {
    for (int j = -1; j < DESTINATIONS; j++, commands++) {
      if (commands % BATCH == 0) starts[batches++] = at;
      int last = commands % BATCH == BATCH - 1 || commands == total - 1;
      message = at;
      at = begin(at, family, NLM_F_REQUEST | (last ? NLM_F_ACK : 0), j < 0 ? IPVS_CMD_NEW_SERVICE : IPVS_CMD_NEW_DEST);
      at = put_service(at, vip(i), htons(port), j < 0);
      if (j >= 0) at = put_destination(at, rip(i, j), htons(1000), forwarding);
      ((struct nlmsghdr *)message)->nlmsg_len = at - message;
    }
  }
  starts[batches] = at;

  settle();
  double start = now();
  for (int b = 0; b < batches; b++) {
    send_all(starts[b], starts[b + 1] - starts[b]);
    receive();
    struct nlmsghdr *h = (void *)in;
    int error = h->nlmsg_type == NLMSG_ERROR ? ((struct nlmsgerr *)NLMSG_DATA(h))->error : -1;
    if (error) { fprintf(stderr, "floor: program: errno %d\n", error); exit(1); }
  }
  return now() - start;
}

struct counters { uint64_t value[IPVS_STATS_ATTR_MAX + 1]; };
struct row {
  uint32_t addr[4], forwarding, weight, upper, lower, active, inactive, persistent, timeout, netmask, fwmark;
  uint16_t port, af, protocol, tunnel_port, tunnel_flags;
  uint8_t tunnel_type;
  char scheduler[16];
  struct ip_vs_flags flags;
  struct counters stats;
};
static struct row *rows;
static int row_count;

#define EACH(a, from, size) for (struct nlattr *a = (from), *end_##a = (void *)((char *)a + (size)); a + 1 <= end_##a; a = (void *)((char *)a + NLA_ALIGN(a->nla_len)))
#define DATA(a) ((void *)((char *)(a) + NLA_HDRLEN))
#define SIZE(a) ((a)->nla_len - NLA_HDRLEN)
#define COPY(to, a) memcpy(&(to), DATA(a), SIZE(a) < (int)sizeof(to) ? (size_t)SIZE(a) : sizeof(to))

static void read_stats(struct counters *to, struct nlattr *from) {
  EACH(a, DATA(from), SIZE(from)) {
    int type = a->nla_type & NLA_TYPE_MASK;
    if (type <= IPVS_STATS_ATTR_MAX && SIZE(a) == 8) memcpy(&to->value[type], DATA(a), 8);
  }
}

static void read_service(struct row *to, struct nlattr *from) {
  EACH(a, DATA(from), SIZE(from)) switch (a->nla_type & NLA_TYPE_MASK) {
    case IPVS_SVC_ATTR_AF: COPY(to->af, a); break;
    case IPVS_SVC_ATTR_PROTOCOL: COPY(to->protocol, a); break;
    case IPVS_SVC_ATTR_ADDR: COPY(to->addr, a); break;
    case IPVS_SVC_ATTR_PORT: COPY(to->port, a); break;
    case IPVS_SVC_ATTR_FWMARK: COPY(to->fwmark, a); break;
    case IPVS_SVC_ATTR_SCHED_NAME: COPY(to->scheduler, a); break;
    case IPVS_SVC_ATTR_FLAGS: COPY(to->flags, a); break;
    case IPVS_SVC_ATTR_TIMEOUT: COPY(to->timeout, a); break;
    case IPVS_SVC_ATTR_NETMASK: COPY(to->netmask, a); break;
    case IPVS_SVC_ATTR_STATS64: read_stats(&to->stats, a); break;
  }
}

static void read_destination(struct row *to, struct nlattr *from) {
  EACH(a, DATA(from), SIZE(from)) switch (a->nla_type & NLA_TYPE_MASK) {
    case IPVS_DEST_ATTR_ADDR: COPY(to->addr, a); break;
    case IPVS_DEST_ATTR_PORT: COPY(to->port, a); break;
    case IPVS_DEST_ATTR_FWD_METHOD: COPY(to->forwarding, a); break;
    case IPVS_DEST_ATTR_WEIGHT: COPY(to->weight, a); break;
    case IPVS_DEST_ATTR_U_THRESH: COPY(to->upper, a); break;
    case IPVS_DEST_ATTR_L_THRESH: COPY(to->lower, a); break;
    case IPVS_DEST_ATTR_ACTIVE_CONNS: COPY(to->active, a); break;
    case IPVS_DEST_ATTR_INACT_CONNS: COPY(to->inactive, a); break;
    case IPVS_DEST_ATTR_PERSIST_CONNS: COPY(to->persistent, a); break;
    case IPVS_DEST_ATTR_ADDR_FAMILY: COPY(to->af, a); break;
    case IPVS_DEST_ATTR_TUN_TYPE: COPY(to->tunnel_type, a); break;
    case IPVS_DEST_ATTR_TUN_PORT: COPY(to->tunnel_port, a); break;
    case IPVS_DEST_ATTR_TUN_FLAGS: COPY(to->tunnel_flags, a); break;
    case IPVS_DEST_ATTR_STATS64: read_stats(&to->stats, a); break;
  }
}

static void dump(char *request, char *end) {
  ((struct nlmsghdr *)request)->nlmsg_len = end - request;
  send_all(request, end - request);
  for (;;) {
    int left = receive();
    for (struct nlmsghdr *h = (void *)in; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
      if (h->nlmsg_type == NLMSG_DONE) return;
      if (h->nlmsg_type == NLMSG_ERROR) { fprintf(stderr, "floor: dump: errno %d\n", ((struct nlmsgerr *)NLMSG_DATA(h))->error); exit(1); }
      struct row *row = &rows[row_count++];
      memset(row, 0, sizeof *row);
      EACH(a, (struct nlattr *)((char *)NLMSG_DATA(h) + GENL_HDRLEN), h->nlmsg_len - NLMSG_HDRLEN - GENL_HDRLEN)
        if ((a->nla_type & NLA_TYPE_MASK) == IPVS_CMD_ATTR_SERVICE) read_service(row, a); else read_destination(row, a);
    }
  }
}

static double list(void) {
  char out[256];
  settle();
  double start = now();
  free(rows);
  if (!(rows = malloc(services * (DESTINATIONS + 1) * sizeof *rows))) die("malloc");
  row_count = 0;
  dump(out, begin(out, family, NLM_F_REQUEST | NLM_F_DUMP, IPVS_CMD_GET_SERVICE));
  for (int i = 0, count = row_count; i < count; i++)
    dump(out, put_service(begin(out, family, NLM_F_REQUEST | NLM_F_DUMP, IPVS_CMD_GET_DEST), rows[i].addr[0], rows[i].port, 0));
  return now() - start;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static double ping(int times) {
  double *each = malloc(times * sizeof *each);
  char out[64];
  for (int i = 0; i < times; i++) {
    double start = now();
    struct nlmsghdr *h = (void *)out;
    h->nlmsg_len = begin(out, family, NLM_F_REQUEST, IPVS_CMD_GET_INFO) - out;
    send_all(out, h->nlmsg_len);
    receive();
    each[i] = now() - start;
  }
  qsort(each, times, sizeof *each, ascending);
  double median = each[times / 2];
  free(each);
  return median;
}

/* ── traffic ── */

/*
 * One connection to every destination, and an answer through it, so that both directions count. As many
 * clients as a service has destinations send one packet each to every service: round robin does the rest.
 * The packets differ in size, and so do the counters.
 * The addresses on both sides are local to this namespace.
 */
static double traffic(uint16_t port) {
  double start = now();
  int on = 1, server = socket(AF_INET, SOCK_DGRAM, 0);
  struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(1000) };
  struct timeval limit = { .tv_sec = 5 };
  if (bind(server, (void *)&any, sizeof any) || setsockopt(server, IPPROTO_IP, IP_PKTINFO, &on, sizeof on)) die("server");
  setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  for (int j = 0; j < DESTINATIONS; j++) {
    int client = socket(AF_INET, SOCK_DGRAM, 0);
    setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    for (int i = 0; i < services; i++) {
      struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = vip(i) }, from;
      char payload[512] = { 0 }, control[64];
      struct iovec part = { payload, sizeof payload };
      struct msghdr message = { .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
      part.iov_len = (i * DESTINATIONS + j) % 500;
      if (sendto(client, payload, part.iov_len, 0, (void *)&to, sizeof to) < 0) die("client sends");
      if (recvmsg(server, &message, 0) < 0) die("server receives");
      struct in_pktinfo *info = (void *)CMSG_DATA(CMSG_FIRSTHDR(&message));
      info->ipi_ifindex = 0;
      info->ipi_spec_dst = info->ipi_addr; /* answers from the address that was asked */
      if (sendmsg(server, &message, 0) < 0) die("server answers");
      if (recv(client, payload, sizeof payload, 0) < 0) die("client receives");
    }
    close(client);
  }
  close(server);
  return now() - start;
}

/* ── commands ── */

static void find_family(void) {
  char out[64] = { 0 };
  char *end = put(begin(out, GENL_ID_CTRL, NLM_F_REQUEST, CTRL_CMD_GETFAMILY), CTRL_ATTR_FAMILY_NAME, "IPVS", 5);
  ((struct nlmsghdr *)out)->nlmsg_len = end - out;
  send_all(out, end - out);
  receive();
  struct nlmsghdr *h = (void *)in;
  if (h->nlmsg_type == GENL_ID_CTRL)
    EACH(a, (struct nlattr *)((char *)NLMSG_DATA(h) + GENL_HDRLEN), h->nlmsg_len - NLMSG_HDRLEN - GENL_HDRLEN)
      if (a->nla_type == CTRL_ATTR_FAMILY_ID) memcpy(&family, DATA(a), 2);
  if (!family) { fprintf(stderr, "floor: the kernel has no IPVS\n"); exit(1); }
}

static int open_socket(int flags) {
  struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
  int fd = socket(AF_NETLINK, SOCK_RAW | flags, NETLINK_GENERIC);
  if (fd < 0 || connect(fd, (void *)&kernel, sizeof kernel)) die("socket");
  return fd;
}

/* A real server has to be reachable, if only by a namespace's own address. */
static void fresh(void) {
  if (unshare(CLONE_NEWNET)) die("unshare");
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
  if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo)) die("lo");
  close(fd);
}

int main(int argc, char **argv) {
  char line[128], how[16];
  int n;
  if (argc == 3 && !strcmp(argv[1], "touch")) {
    size_t size = (size_t)atoi(argv[2]) << 20;
    char *memory = malloc(size);
    if (!memory) die("malloc");
    for (size_t at = 0; at < size; at += 4096) ((volatile char *)memory)[at] = 1;
    return 0;
  }
  if (argc > 3 && !strcmp(argv[1], "spaces")) {
    for (int i = 0; i < atoi(argv[2]); i++) {
      fresh();
      if (open_socket(SOCK_NONBLOCK) != 3 + 2 * i || open_socket(SOCK_NONBLOCK) != 4 + 2 * i) die("a descriptor is taken");
    }
    execvp(argv[3], argv + 3);
    die(argv[3]);
  }
  if (getenv("BENCH_SERVICES")) services = atoi(getenv("BENCH_SERVICES"));
  sock = open_socket(0);
  find_family();
  while (fgets(line, sizeof line, stdin)) {
    if (sscanf(line, "program %d %15s", &n, how) == 2) printf("{\"ms\":%.4f}\n", program(n, strcmp(how, "masq") ? IP_VS_CONN_F_TUNNEL : IP_VS_CONN_F_MASQ));
    else if (!strncmp(line, "list", 4)) { double ms = list(); printf("{\"ms\":%.4f,\"rows\":%d}\n", ms, row_count); }
    else if (sscanf(line, "ping %d", &n) == 1) printf("{\"ms\":%.6f}\n", ping(n));
    else if (sscanf(line, "traffic %d", &n) == 1) printf("{\"ms\":%.4f}\n", traffic(n));
    else if (!strncmp(line, "fresh", 5)) { close(sock); fresh(); sleep(1); sock = open_socket(0); printf("{\"ms\":0}\n"); }
    else return 1;
    fflush(stdout);
  }
  return 0;
}
