// An emergency flag of @esper/fastpath from plain C, written from docs/shm-format.md alone: looks at it, watches it,
// and raises a HALT that every watcher of the host receives. Build:
//
//   cc -std=c11 -O2 -o esper_signal esper_signal.c        (glibc before 2.34: and -lrt)
//
// Linux, x86-64 or another little endian machine with lock-free 64-bit atomics. `die_after` exists to try out what the
// page says about writers that die between two steps; a program of yours has no use for it.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a lock inside an atomic would live in one process only");

typedef _Atomic uint64_t word64;
typedef _Atomic uint32_t word32;

enum { HEADER_SIZE = 256, COUNTERS = 320, PAYLOAD = 16, PAYLOAD_WORDS = 95, CRC_AT = 752, TAG_MASK = 0xffffff };
enum { EMPTY, CLAIMED, COMPLETE, APPLIED, VOID_CLEAR };
enum { TRIGGER = 1, CLEAR = 2, HALT = 4 };
static const char *const LEVELS[] = {"CLEAR", "NOTICE", "ELEVATED", "CONSERVATIVE", "HALT", "5", "6", "7"};
static const uint32_t FOREIGN_OWNER = 0xffc00000u;

static uint8_t *base;
static uint32_t records_at, record_count, record_size, slots_at, slot_count, slot_size, self_owner;
static bool same_pid_namespace;
static const char *die_after = "";

static uint32_t u32(const void *at) { uint32_t v; memcpy(&v, at, 4); return v; }
static uint64_t u64(const void *at) { uint64_t v; memcpy(&v, at, 8); return v; }
static word64 *control(void) { return (word64 *)(base + u32(base + 32)); }
static word64 *counter(int index) { return (word64 *)(base + COUNTERS + 8 * index); }
static uint8_t *record(uint64_t ticket) { return base + records_at + ticket % record_count * record_size; }
static word64 *state_of(uint64_t ticket) { return (word64 *)record(ticket); }
static word64 *word_of(uint64_t ticket, int index) { return (word64 *)(record(ticket) + PAYLOAD + 8 * index); }

static uint64_t oldest(uint64_t next) { return next > record_count ? next - record_count : 0; }

static void fail(int code, const char *what, const char *why) {
  fprintf(stderr, "esper_signal: %s: %s\n", what, why);
  exit(code);
}
static void step_done(const char *step) {
  if (strcmp(step, die_after) == 0) raise(SIGKILL);
}
static uint64_t now(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
static uint32_t crc32c(const uint8_t *at, size_t size) {
  uint32_t sum = ~0u;
  for (size_t i = 0; i < size; i++) {
    sum ^= at[i];
    for (int bit = 0; bit < 8; bit++) sum = (sum >> 1) ^ (0x82f63b78u & (0u - (sum & 1u)));
  }
  return ~sum;
}

// ---- packed words -----------------------------------------------------------------------------------------------

static uint32_t tag_of(uint64_t ticket) { return (uint32_t)ticket & TAG_MASK; }
static uint32_t state_tag(uint64_t state) { return (uint32_t)(state >> 8) & TAG_MASK; }
static bool tag_newer(uint32_t tag, uint32_t than) {
  const uint32_t distance = (tag - than) & TAG_MASK;
  return distance != 0 && distance < 1u << 23;
}
static uint64_t pack(uint32_t low, uint32_t tag, uint32_t high) {
  return (uint64_t)high << 32 | (uint64_t)(tag & TAG_MASK) << 8 | low;
}
static uint64_t pack_control(uint32_t generation, uint32_t level, uint32_t tag) {
  return (uint64_t)(tag << 8 | level) << 32 | generation;
}
static uint32_t level_in(uint64_t word) { return (uint32_t)(word >> 32) & 7u; }
static uint32_t next_generation(uint32_t generation) { return generation == UINT32_MAX ? 1 : generation + 1; }
static bool cas(word64 *at, uint64_t *expected, uint64_t wanted) {
  return atomic_compare_exchange_strong_explicit(at, expected, wanted, memory_order_acq_rel, memory_order_acquire);
}
static uint64_t load(word64 *at) { return atomic_load_explicit(at, memory_order_acquire); }

// ---- who is alive -----------------------------------------------------------------------------------------------

// Start time in clock ticks; 0 when it cannot be read. Fields are counted from the last ')': the name may hold any.
static uint64_t start_of(uint32_t pid, char *state, uint64_t *threads) {
  char path[48], text[1024];
  snprintf(path, sizeof path, "/proc/%u/stat", pid);
  FILE *file = fopen(path, "re");
  if (file == NULL) return 0;
  const size_t size = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  text[size] = '\0';
  char *at = strrchr(text, ')');
  if (at == NULL || size == 0) return 0;
  at += 2;
  *state = *at;
  for (int field = 3; field < 22; field++) {
    if (field == 20) *threads = strtoull(at, NULL, 10);
    at = strchr(at, ' ');
    if (at++ == NULL) return 0;
  }
  return strtoull(at, NULL, 10);
}
static uint32_t owner_id(uint32_t pid, uint64_t start) {
  return (pid & 0x3fffffu) | (uint32_t)(start & 0x3ffu) << 22;
}
static bool owner_dead(uint32_t owner) {
  if (!same_pid_namespace || owner == 0 || owner == FOREIGN_OWNER) return false;
  const uint32_t pid = owner & 0x3fffffu;
  if (kill((pid_t)pid, 0) != 0 && errno == ESRCH) return true;
  char state = '?';
  uint64_t threads = 0;
  const uint64_t start = start_of(pid, &state, &threads);
  if (start == 0) return false;
  return (state == 'Z' && threads <= 1) || state == 'X' || owner_id(pid, start) != owner;
}

// ---- attach -----------------------------------------------------------------------------------------------------

static void check_boot(const uint8_t *id) {
  char text[64] = "", mine[33] = "", given[33] = "";
  FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
  if (file == NULL || fgets(text, sizeof text, file) == NULL) fail(3, "boot id", "cannot be read");
  fclose(file);
  for (size_t i = 0, n = 0; text[i] != '\0' && n < 32; i++)
    if (strchr("0123456789abcdef", text[i])) mine[n++] = text[i];
  for (int i = 0; i < 16; i++) snprintf(given + 2 * i, 3, "%02x", id[i]);
  if (strcmp(mine, given) != 0) fail(3, "segment", "from an earlier boot");
}
static void attach(const char *name) {
  char path[320];
  struct stat info, pid_ns;
  snprintf(path, sizeof path, "/dev/shm/esper.%u.%s", (unsigned)geteuid(), name);
  const int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) fail(errno == ENOENT ? 4 : 3, path, strerror(errno));
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_uid != geteuid() || (info.st_mode & 077) != 0)
    fail(3, path, "not a private regular file of this user");
  if (info.st_size < HEADER_SIZE) fail(3, path, "shorter than a header");
  base = mmap(NULL, (size_t)info.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (base == MAP_FAILED) fail(3, path, strerror(errno));
  if (memcmp(base, "ESPERSHM", 8) != 0) fail(3, path, "not a segment");
  for (int wait = 0; atomic_load_explicit((word32 *)(base + 8), memory_order_acquire) != 0x59444552u; wait++) {
    if (wait == 100) fail(3, path, "its creator never finished it");
    usleep(10000);
  }
  uint8_t header[128];
  memcpy(header, base, sizeof header);
  memset(header + 8, 0, 4);
  if (crc32c(header, sizeof header) != u32(base + 128)) fail(3, path, "damaged header");
  if ((u32(base + 12) & 0xffff) != 1) fail(3, path, "another major version of the layout");
  if (u64(base + 16) != (uint64_t)info.st_size || u32(base + 24) != 1) fail(3, path, "not an emergency flag");
  check_boot(base + 64);
  slots_at = u32(base + 36), slot_count = u32(base + 40), slot_size = u32(base + 44);
  records_at = u32(base + 48), record_count = u32(base + 52), record_size = u32(base + 56);
  const uint64_t slots_end = slots_at + (uint64_t)slot_count * slot_size;
  const uint64_t records_end = records_at + (uint64_t)record_count * record_size;
  if (slot_size < 192 || record_size < 832 || record_count == 0 || (record_count & (record_count - 1)) != 0 ||
      slots_end > (uint64_t)info.st_size || records_end > (uint64_t)info.st_size)
    fail(3, path, "sizes that cannot be");
  same_pid_namespace = stat("/proc/self/ns/pid", &pid_ns) == 0 && pid_ns.st_ino == u64(base + 88);
  char state;
  uint64_t threads;
  const uint32_t pid = (uint32_t)getpid();
  self_owner = same_pid_namespace ? owner_id(pid, start_of(pid, &state, &threads)) : FOREIGN_OWNER;
}

// ---- the protocol: "To raise" of docs/shm-format.md ----------------------------------------------------------------

static void mark(uint64_t named) {
  if ((uint32_t)named == 0) return;
  const uint32_t tag = (uint32_t)(named >> 40);
  uint64_t state = load(state_of(tag));
  if ((state & 0xff) != COMPLETE || state_tag(state) != tag) return;
  cas(state_of(tag), &state, pack(APPLIED, tag, (uint32_t)named));
}
// True when this call changed the control word.
static bool apply(uint64_t ticket) {
  const uint32_t tag = tag_of(ticket);
  for (;;) {
    uint64_t word = load(control());
    if ((uint32_t)word != 0 && (uint32_t)(word >> 40) == tag) return mark(word), false;
    uint64_t state = load(state_of(ticket));
    if (state_tag(state) != tag || (state & 0xff) != COMPLETE) return false;
    const uint64_t kinds = load(word_of(ticket, 1));
    const uint32_t level = (uint32_t)(kinds >> 8) & 7u, now_level = level_in(word);
    uint32_t next_level = level > now_level ? level : now_level;
    if ((kinds & 0xff) == CLEAR) {
      const uint64_t seen = load(word_of(ticket, 7));
      if ((uint32_t)seen != (uint32_t)word || (uint32_t)(seen >> 32) != now_level) {
        cas(state_of(ticket), &state, pack(VOID_CLEAR, tag, 0));
        continue;
      }
      next_level = 0;
    }
    mark(word);
    const uint64_t next = pack_control(next_generation((uint32_t)word), next_level, tag);
    if (cas(control(), &word, next)) {
      step_done("apply");
      mark(next);
      return true;
    }
  }
}
static void repair(uint64_t ticket) {
  if (apply(ticket)) atomic_fetch_add(counter(2), 1);
}
// Completes what writers left who died before their last step: a HALT among it must not wait for luck.
static void sweep(void) {
  const uint64_t next = load(counter(0));
  for (uint64_t ticket = oldest(next); ticket < next; ticket++) repair(ticket);
}
static bool try_claim(uint64_t ticket) {
  uint64_t state = load(state_of(ticket));
  for (int moves = 0; moves < 8; moves++) {
    const uint32_t phase = state & 0xff, tag = state_tag(state);
    if (phase != EMPTY && !tag_newer(tag_of(ticket), tag)) return false;
    if (phase == CLAIMED && !owner_dead((uint32_t)(state >> 32))) return false;
    if (phase == COMPLETE) {
      repair(ticket - ((ticket - tag) & TAG_MASK));
      state = load(state_of(ticket));
      continue;
    }
    const uint64_t published = load((word64 *)(record(ticket) + 8));
    if (!cas(state_of(ticket), &state, pack(CLAIMED, tag_of(ticket), self_owner))) continue;
    if (phase == APPLIED && state_tag(published) == tag && (published & 0xff) == 0) atomic_fetch_add(counter(1), 1);
    return true;
  }
  return false;
}
static void wake_all(void) {
  const uint32_t used = atomic_load((word32 *)counter(3));
  for (uint32_t index = 0; index < used && index < slot_count; index++) {
    uint8_t *slot = base + slots_at + index * slot_size;
    if ((atomic_load((word32 *)(slot + 36)) & 2) == 0) continue;
    char name[80] = "/esper.";
    for (int i = 0; i < 16; i++) snprintf(name + 7 + 2 * i, 3, "%02x", base[112 + i]);
    snprintf(name + 39, sizeof name - 39, ".%u.%" PRIu64, index, load((word64 *)(slot + 56)));
    struct stat info;
    const mqd_t queue = mq_open(name, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    const bool ours = queue >= 0 && fstat(queue, &info) == 0 && info.st_uid == geteuid();
    const bool sent = ours && (mq_send(queue, "!", 1, 0) == 0 || errno == EAGAIN);
    if (queue >= 0) mq_close(queue);
    if (sent) continue;
    atomic_fetch_add((word32 *)(slot + 48), 1);
    syscall(SYS_futex, slot + 48, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
  }
  syscall(SYS_futex, control(), FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}
static size_t put(uint8_t *out, size_t limit, const char *text) {
  size_t size = strlen(text);
  if (size > limit)
    for (size = limit; size > 0 && ((uint8_t)text[size] & 0xc0) == 0x80;) size--;
  memcpy(out, text, size);
  return size;
}
static void fill(uint64_t ticket, const char *reason, const char *origin) {
  _Alignas(8) uint8_t payload[PAYLOAD_WORDS * 8] = {0};
  char id[64], state, *at = id;
  uint64_t threads;
  for (int i = 0; i < 16; i++) at += snprintf(at, 3, "%02x", base[112 + i]);
  snprintf(at, 20, "-%" PRIx64, ticket);
  const uint32_t pid = (uint32_t)getpid(), given = (uint32_t)strlen(reason);
  const uint64_t numbers[] = {ticket, pack(TRIGGER, HALT, pid), start_of(pid, &state, &threads),
                              now(CLOCK_MONOTONIC), now(CLOCK_REALTIME)};
  memcpy(payload, numbers, sizeof numbers);
  memcpy(payload + 64, &given, 4);
  payload[70] = (uint8_t)put(payload + 80, 64, id);
  payload[71] = (uint8_t)put(payload + 208, 64, origin);
  const uint16_t size = (uint16_t)put(payload + 368, 384, reason);
  memcpy(payload + 68, &size, 2);
  const uint32_t crc = crc32c(payload, CRC_AT);
  memcpy(payload + CRC_AT, &crc, 4);
  atomic_store_explicit((word64 *)(record(ticket) + 8), pack(0, tag_of(ticket), pid), memory_order_release);
  for (int i = 0; i < PAYLOAD_WORDS; i++)
    atomic_store_explicit(word_of(ticket, i), u64(payload + 8 * i), memory_order_release);
}
static void raise_halt(const char *reason, const char *origin) {
  for (uint32_t tries = 0; tries < record_count; tries++) {
    const uint64_t ticket = atomic_fetch_add(counter(0), 1);
    step_done("ticket");
    if (!try_claim(ticket)) continue;
    step_done("claim");
    fill(ticket, reason, origin);
    uint64_t mine = pack(CLAIMED, tag_of(ticket), self_owner);
    if (!cas(state_of(ticket), &mine, pack(COMPLETE, tag_of(ticket), 0))) continue;
    step_done("complete");
    apply(ticket);
    return wake_all();
  }
  uint64_t word = load(control());
  do mark(word);
  while (!cas(control(), &word, pack_control(next_generation((uint32_t)word), HALT, (uint32_t)(word >> 40))));
  wake_all();
}

// ---- reading ------------------------------------------------------------------------------------------------------

enum outcome { RECORD, PENDING, GONE, NOTHING };
static enum outcome read_record(uint64_t ticket, uint8_t *out) {
  const uint64_t before = load(state_of(ticket));
  const uint32_t phase = before & 0xff, tag = tag_of(ticket);
  if (phase == EMPTY) return PENDING;
  if (state_tag(before) != tag) return tag_newer(state_tag(before), tag) ? GONE : PENDING;
  if (phase == CLAIMED) return owner_dead((uint32_t)(before >> 32)) ? NOTHING : PENDING;
  if (phase == VOID_CLEAR) return NOTHING;
  for (int i = 0; i < PAYLOAD_WORDS; i++) {
    const uint64_t word = load(word_of(ticket, i));
    memcpy(out + 8 * i, &word, 8);
  }
  if (state_tag(load(state_of(ticket))) != tag) return GONE;
  if (crc32c(out, CRC_AT) != u32(out + CRC_AT)) return NOTHING;
  if ((u32(out + 68) & 0xffff) > 384 || out[70] > 64 || out[71] > 64) return NOTHING;
  return u64(out) == ticket ? RECORD : GONE;
}
// Reasons come from other processes: control characters could rewrite the terminal.
static void print_text(const uint8_t *text, size_t size) {
  for (size_t i = 0; i < size; i++) putchar(text[i] < 32 || text[i] == 127 ? '?' : text[i]);
}
static void print_record(const uint8_t *payload) {
  const char *what = payload[8] == CLEAR ? "clear" : LEVELS[payload[9] & 7];
  printf("%" PRIu64 " %s pid=%u id=", u64(payload), what, u32(payload + 12));
  print_text(payload + 80, payload[70]);
  printf(" origin=");
  print_text(payload + 208, payload[71]);
  printf(" reason=");
  print_text(payload + 368, u32(payload + 68) & 0xffff);
  putchar('\n');
  fflush(stdout);
}
static int history(void) {
  const uint64_t next = load(counter(0));
  uint8_t payload[PAYLOAD_WORDS * 8];
  for (uint64_t ticket = oldest(next); ticket < next; ticket++)
    if (read_record(ticket, payload) == RECORD) print_record(payload);
  return 0;
}
static int watch(long count) {
  uint64_t low = load(counter(0)), *done = calloc(record_count, sizeof *done);
  if (done == NULL) fail(3, "watch", strerror(errno));
  uint8_t payload[PAYLOAD_WORDS * 8];
  printf("watching from %" PRIu64 "\n", low);
  fflush(stdout);
  for (long seen = 0;;) {
    const uint32_t generation = (uint32_t)load(control());
    const uint64_t next = load(counter(0));
    for (; low < oldest(next); low++)
      if (done[low % record_count] != low + 1) fprintf(stderr, "esper_signal: record %" PRIu64 " was lost\n", low);
    for (uint64_t ticket = low; ticket < next; ticket++) {
      if (done[ticket % record_count] == ticket + 1) continue;
      repair(ticket);
      const enum outcome outcome = read_record(ticket, payload);
      if (outcome == PENDING || outcome == GONE) continue;
      done[ticket % record_count] = ticket + 1;
      if (outcome != RECORD) continue;
      print_record(payload);
      if (++seen == count) return 0;
    }
    const struct timespec recheck = {.tv_nsec = 100000000};
    syscall(SYS_futex, control(), FUTEX_WAIT, generation, &recheck, NULL, 0);
  }
}
static int status(void) {
  const uint64_t word = load(control());
  printf("level=%u %s generation=%u tickets=%" PRIu64 " repaired=%" PRIu64 "\n", level_in(word), LEVELS[level_in(word)],
         (uint32_t)word, load(counter(0)), load(counter(2)));
  return 0;
}

static const char USAGE[] =
    "Usage: esper_signal [--name NAME] <command>\n\n"
    "  status                   the level of the flag\n"
    "  history                  the records that are still there, oldest first\n"
    "  watch [--count N]        prints every new record, and ends after N\n"
    "  halt --reason TEXT       raises a HALT\n\n"
    "  --name NAME              of the signal (default: emergency-default)\n"
    "  --origin TEXT            who raises it (default: esper_signal.c)\n"
    "  --repeat N, --start-at NS, --pause-us US   raise N times, from that monotonic time on, with that pause\n"
    "  --die-after STEP         SIGKILL itself after ticket, claim, complete or apply\n\n"
    "The segment must be there: whoever uses the package creates it. Exit codes: 2 bad usage, 3 cannot be used here,\n"
    "4 no such signal.\n";

int main(int argc, char **argv) {
  static const struct option known[] = {{"help", 0, 0, 'h'},     {"name", 1, 0, 'n'},   {"reason", 1, 0, 'r'},
                                        {"origin", 1, 0, 'o'},   {"count", 1, 0, 'c'},  {"repeat", 1, 0, 'R'},
                                        {"start-at", 1, 0, 's'}, {"pause-us", 1, 0, 'p'}, {"die-after", 1, 0, 'd'},
                                        {0, 0, 0, 0}};
  const char *name = "emergency-default", *reason = NULL, *origin = "esper_signal.c";
  long count = -1, repeat = 1, pause_us = 0;
  uint64_t start_at = 0;
  for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
    if (option == 'h') return fputs(USAGE, stdout), 0;
    if (option == 'n') name = optarg;
    else if (option == 'r') reason = optarg;
    else if (option == 'o') origin = optarg;
    else if (option == 'c') count = strtol(optarg, NULL, 10);
    else if (option == 'R') repeat = strtol(optarg, NULL, 10);
    else if (option == 's') start_at = strtoull(optarg, NULL, 10);
    else if (option == 'p') pause_us = strtol(optarg, NULL, 10);
    else if (option == 'd') die_after = optarg;
    else return 2;
  }
  const char *command = optind < argc ? argv[optind] : "";
  const bool halt = strcmp(command, "halt") == 0;
  const bool looks = !strcmp(command, "status") || !strcmp(command, "history") || !strcmp(command, "watch");
  if (!(halt || looks) || (halt && reason == NULL) || strchr(name, '/') != NULL) return fputs(USAGE, stderr), 2;
  attach(name);
  sweep();
  if (strcmp(command, "status") == 0) return status();
  if (strcmp(command, "history") == 0) return history();
  if (strcmp(command, "watch") == 0) return watch(count);
  while (now(CLOCK_MONOTONIC) < start_at) continue;
  for (long i = 0; i < repeat; i++) {
    raise_halt(reason, origin);
    if (pause_us > 0) usleep((useconds_t)pause_us);
  }
  return 0;
}
