/* Loaded before libc into a simulated seed's process (LD_PRELOAD): random bytes come from the seed, and the wall clock follows
   the simulated time, which the process writes into the file that SIMULATION_CLOCK names. Both make a seed replay exactly.

   What goes to 127.0.0.1 goes through Unix sockets instead: the kernel hands those over at once, where TCP may take some real time,
   of which the simulated one knows nothing.

   Each thread has a stream of its own, by its name, so that what the threads of the database draw changes nothing for the one
   that is simulated. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* 2026-01-01T00:00:00Z */
#define BASE 1767225600ULL
/* What the machine has been up for at the start: longer than the real one, because the threads of the database compare deadlines of
   the simulated thread with the real time, where they must not be over. */
#define UP (365 * 86400ULL)

static volatile uint64_t *elapsed;
static uint64_t seed;
static _Thread_local uint64_t state;
static _Thread_local int begun;

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("SIMULATION_CLOCK"), *text = getenv("SIMULATION_CHILD");
    if (text) seed = strtoull(text, NULL, 10);
    if (!path) return;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    void *page = mmap(NULL, sizeof(uint64_t), PROT_READ, MAP_SHARED, file, 0);
    if (page != MAP_FAILED) elapsed = page;
    close(file);
}

/* splitmix64 */
static uint64_t next(void) {
    if (!begun) {
        char name[17] = {0};
        prctl(PR_GET_NAME, name);
        state = seed * 0x9E3779B97F4A7C15ULL;
        for (const char *c = name; *c; c++) state = (state ^ (unsigned char)*c) * 0x100000001B3ULL;
        begun = 1;
    }
    uint64_t z = (state += 0x9E3779B97F4A7C15ULL);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
}

static void fill(void *buffer, size_t length) {
    unsigned char *at = buffer;
    while (length > 0) {
        uint64_t word = next();
        size_t part = length < sizeof word ? length : sizeof word;
        memcpy(at, &word, part);
        at += part;
        length -= part;
    }
}

ssize_t getrandom(void *buffer, size_t length, unsigned int flags) {
    (void)flags;
    fill(buffer, length);
    return (ssize_t)length;
}

int getentropy(void *buffer, size_t length) {
    if (length > 256) {
        errno = EIO;
        return -1;
    }
    fill(buffer, length);
    return 0;
}

/* The thread that is simulated has no other time; the others wait for things that take real time. */
static int is_simulated(void) {
    static _Thread_local int known;
    if (!known) {
        char name[17] = {0};
        prctl(PR_GET_NAME, name);
        known = strcmp(name, "simulation") == 0 ? 1 : 2;
    }
    return known == 1;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int is_wall = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
    if (elapsed && (is_wall || is_simulated())) {
        now->tv_sec = (time_t)((is_wall ? BASE : UP) + *elapsed / 1000000000ULL);
        now->tv_nsec = (long)(*elapsed % 1000000000ULL);
        return 0;
    }
    return (int)syscall(SYS_clock_gettime, clock, now);
}

#include "../support/wall_clock.h"

/* ---- 127.0.0.1 without the network ------------------------------------------------------------------------------------------ */

/* Of the addresses in this process: 127.0.0.1:PORT is the abstract Unix socket of that port. */
static socklen_t inside(uint16_t port, struct sockaddr_un *to) {
    memset(to, 0, sizeof *to);
    to->sun_family = AF_UNIX;
    int length = snprintf(to->sun_path + 1, sizeof to->sun_path - 1, "simulation-%d-%u", (int)getpid(), (unsigned)port);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
}

static void outside(uint16_t port, struct sockaddr *to, socklen_t *length) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (!to || !length) return;
    memcpy(to, &address, *length < sizeof address ? *length : sizeof address);
    *length = sizeof address;
}

/* The port in the name of a Unix socket of ours; another one for who has none. */
static int name_of(long call, int socket, struct sockaddr *to, socklen_t *length) {
    struct sockaddr_un found = {0};
    socklen_t size = sizeof found;
    if (syscall(call, socket, &found, &size) < 0) return -1;
    if (found.sun_family != AF_UNIX) return (int)syscall(call, socket, to, length);
    unsigned port = 20000 + (unsigned)socket;
    char name[sizeof found.sun_path + 1] = {0};
    if (size > offsetof(struct sockaddr_un, sun_path) + 1) {
        memcpy(name, found.sun_path + 1, size - offsetof(struct sockaddr_un, sun_path) - 1);
        sscanf(name, "simulation-%*d-%u", &port);
    }
    outside((uint16_t)port, to, length);
    return 0;
}

int socket(int domain, int type, int protocol) {
    int is_tcp = domain == AF_INET && (type & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) == SOCK_STREAM;
    return (int)(is_tcp ? syscall(SYS_socket, AF_UNIX, type, 0) : syscall(SYS_socket, domain, type, protocol));
}

int bind(int socket, const struct sockaddr *address, socklen_t length) {
    static _Atomic uint16_t last = 10000;
    if (address->sa_family != AF_INET) return (int)syscall(SYS_bind, socket, address, length);
    uint16_t port = ntohs(((const struct sockaddr_in *)address)->sin_port);
    struct sockaddr_un name;
    length = inside(port ? port : ++last, &name);
    return (int)syscall(SYS_bind, socket, &name, length);
}

int connect(int socket, const struct sockaddr *address, socklen_t length) {
    if (address->sa_family != AF_INET) return (int)syscall(SYS_connect, socket, address, length);
    struct sockaddr_un name;
    length = inside(ntohs(((const struct sockaddr_in *)address)->sin_port), &name);
    return (int)syscall(SYS_connect, socket, &name, length);
}

int accept4(int socket, struct sockaddr *restrict address, socklen_t *restrict length, int flags) {
    int accepted = (int)syscall(SYS_accept4, socket, NULL, NULL, flags);
    if (accepted >= 0) outside((uint16_t)(20000 + accepted), address, length);
    return accepted;
}

int accept(int socket, struct sockaddr *restrict address, socklen_t *restrict length) {
    return accept4(socket, address, length, 0);
}

int getsockname(int socket, struct sockaddr *restrict address, socklen_t *restrict length) {
    return name_of(SYS_getsockname, socket, address, length);
}

int getpeername(int socket, struct sockaddr *restrict address, socklen_t *restrict length) {
    return name_of(SYS_getpeername, socket, address, length);
}

int setsockopt(int socket, int level, int option, const void *value, socklen_t length) {
    if (level == IPPROTO_TCP) return 0;
    return (int)syscall(SYS_setsockopt, socket, level, option, value, length);
}
