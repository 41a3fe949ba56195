/* Loaded before libc into a simulated seed's process (LD_PRELOAD): random bytes come from the seed, and the wall clock follows
   the simulated time, which the process writes into the file that SIMULATION_CLOCK names. Both make a seed replay exactly.

   Each thread has a stream of its own, by its name, so that what the threads of the database draw changes nothing for the one
   that is simulated. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* 2026-01-01T00:00:00Z */
#define BASE 1767225600ULL

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

int clock_gettime(clockid_t clock, struct timespec *now) {
    if (elapsed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        now->tv_sec = (time_t)(BASE + *elapsed / 1000000000ULL);
        now->tv_nsec = (long)(*elapsed % 1000000000ULL);
        return 0;
    }
    return (int)syscall(SYS_clock_gettime, clock, now);
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void)zone;
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    now->tv_sec = time.tv_sec;
    now->tv_usec = time.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *to) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (to) *to = now.tv_sec;
    return now.tv_sec;
}
